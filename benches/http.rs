//! The part of HTTP that is no input and no output: requests are taken apart and answered, 16 at a time, from
//! memory and to memory. `httparse` alone, which takes the heads apart but looks at nothing in them, is
//! the floor. The times are those that the thread was on a CPU.

use std::hint::black_box;
use std::mem::{self, MaybeUninit};
use std::time::Duration;

use actor_net::http::__private::{Asked, Event, RequestReader, response_head};
use actor_net::http::{Bytes, Limits, Method, RawAnswer, Request, Response, StatusCode, Version};
use bytes::BytesMut;
use criterion::{Criterion, Throughput};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

/// How many requests come together.
const DEEP: usize = 16;

/// What load generators send.
const SHORT: &str = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// What browsers send.
const LONG: &str = "GET /pages/one.html?from=two HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

static PLAIN: [(HeaderName, HeaderValue); 1] =
    [(CONTENT_TYPE, HeaderValue::from_static("text/plain"))];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, request) in [("short", SHORT), ("long", LONG)] {
        let requests = request.repeat(DEEP);
        let mut group = criterion.benchmark_group(format!("http/{name}"));
        group.throughput(Throughput::Elements(DEEP as u64));
        group.bench_function("httparse", |bencher| {
            bencher.iter_custom(|times| timed(times, || httparse(requests.as_bytes())));
        });
        group.bench_function("read", |bencher| {
            let mut server = Server::default();
            bencher.iter_custom(|times| timed(times, || server.serve(&requests, false)));
        });
        group.bench_function("read_and_answer", |bencher| {
            let mut server = Server::default();
            bencher.iter_custom(|times| timed(times, || server.serve(&requests, true)));
        });
        group.bench_function("shortcut", |bencher| {
            let mut server = Server::default();
            bencher.iter_custom(|times| timed(times, || server.cut_short(&requests)));
        });
        group.finish();
    }
    criterion.final_summary();
}

/// The time that the thread was on a CPU.
fn timed(times: u64, mut routine: impl FnMut()) -> Duration {
    let begun = cpu_time();
    for _ in 0..times {
        routine();
    }
    cpu_time() - begun
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a `timespec` that lives meanwhile.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn httparse(mut input: &[u8]) {
    for _ in 0..DEEP {
        let mut headers = [const { MaybeUninit::uninit() }; 32];
        let mut request = httparse::Request::new(&mut []);
        let status = request.parse_with_uninit_headers(black_box(input), &mut headers);
        let Ok(httparse::Status::Complete(length)) = status else {
            panic!("{status:?}");
        };
        black_box(&request);
        input = &input[length..];
    }
}

#[derive(Default)]
struct Server {
    reader: RequestReader,
    limits: Limits,
    input: BytesMut,
    request: Request<()>,
    output: Vec<u8>,
}

impl Server {
    fn cut_short(&mut self, requests: &str) {
        self.input.clear();
        self.input.reserve(16 * 1024);
        self.input.extend_from_slice(requests.as_bytes());
        self.output.clear();
        let asked = Asked {
            head: false,
            version: Version::HTTP_11,
            keep_alive: true,
        };
        let mut served = 0;
        while let Some(answer) = self.reader.show(&mut self.input, &self.limits, |head| {
            (head.method() == b"GET").then(|| RawAnswer {
                status: StatusCode::OK,
                headers: &PLAIN,
                body: Bytes::from_static(b"Hello, World!"),
            })
        }) {
            let answer = black_box(answer);
            let headers = answer.headers.iter().map(|(name, value)| (name, value));
            let size = Some(answer.body.len() as u64);
            response_head(answer.status, headers, size, asked, &mut self.output);
            self.output.extend_from_slice(&answer.body);
            served += 1;
        }
        assert_eq!(served, DEEP);
        black_box(&self.output);
    }

    fn serve(&mut self, requests: &str, answer: bool) {
        self.input.clear();
        self.input.reserve(16 * 1024);
        self.input.extend_from_slice(requests.as_bytes());
        self.output.clear();
        let mut served = 0;
        loop {
            let reader = &mut self.reader;
            let framing = match reader.next(&mut self.input, &mut self.request, &self.limits) {
                Ok(Some(Event::Head(framing))) => framing,
                Ok(None) => break,
                other => panic!("{other:?}"),
            };
            reader.whole_body(&mut self.input);
            served += 1;
            if !answer {
                black_box(&mut self.request).headers_mut().clear();
                continue;
            }
            let asked = Asked {
                head: self.request.method() == Method::HEAD,
                version: self.request.version(),
                keep_alive: framing.keep_alive,
            };
            let mut response = Response::new(&b"Hello, World!"[..]);
            let plain = HeaderValue::from_static("text/plain");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            drop(black_box(mem::take(&mut self.request)));
            let (parts, body) = black_box(response).into_parts();
            let size = Some(body.len() as u64);
            response_head(parts.status, &parts.headers, size, asked, &mut self.output);
            self.output.extend_from_slice(body);
            *self.request.headers_mut() = parts.headers;
            self.request.headers_mut().clear();
        }
        assert_eq!(served, DEEP);
        black_box(&self.output);
    }
}
