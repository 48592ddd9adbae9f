//! The time for all of a request, by the virtual clock: it goes on only while nobody waits for a socket, and so shows what
//! becomes of a time that is over although there is nothing to wait for.

#![cfg(feature = "http")]

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{JoinHandle, Runtime, Tasklet, time};
use actor_io::{TcpListener, TcpStream};
use actor_net::http::{Body, FetchError, HttpClient, Phase, Timeouts};

const TOTAL: Duration = Duration::from_secs(10);

fn on_virtual_clock(test: fn()) {
    let code = Runtime::builder().virtual_clock(true).dispatch(test);
    assert_eq!(code, ExitCode::SUCCESS);
}

/// A server for one connection, and its URL. The request's head is read before `serve`.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let tasklet = Tasklet::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        serve(stream);
    });
    (url, tasklet)
}

/// One for which the time for all of it alone counts.
fn client() -> HttpClient {
    let timeouts = Timeouts::default().with(|limits| {
        (limits.connect, limits.write) = (None, None);
        (limits.answer, limits.read) = (None, None);
        limits.total = Some(TOTAL);
    });
    HttpClient::builder().timeouts(timeouts).build()
}

fn phase_of(error: FetchError) -> Phase {
    match error {
        FetchError::TimedOut { phase } => phase,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_counts_while_data_flows() {
    on_virtual_clock(|| {
        let [begin, said, end]: [Arc<Event>; 3] = std::array::from_fn(|_| Arc::new(Event::new()));
        let events = [&begin, &said, &end].map(Arc::clone);
        let (url, server) = server(move |mut stream| {
            let [begin, said, end] = events;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            begin.wait();
            stream.write_all(&[b'x'; 1000]).unwrap();
            said.set();
            end.wait();
        });
        let mut body = client().get(url).unwrap().into_body();
        begin.set();
        said.wait();
        let mut some = [0; 10];
        body.read_exact(&mut some).unwrap();
        Tasklet::sleep(TOTAL);
        // There is more to read, and so nothing to wait for.
        let error = body.read(&mut some).unwrap_err();
        assert_eq!(phase_of(error.downcast().unwrap()), Phase::Body);
        end.set();
        server.join().unwrap();
    });
}

/// A body that takes a while for each piece, and never ends.
struct Slow(Duration);

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Tasklet::sleep(self.0);
        buf.fill(b'x');
        Ok(buf.len())
    }
}

#[test]
fn it_counts_while_a_body_is_sent() {
    on_virtual_clock(|| {
        // Pieces that the system takes, and one that does not come.
        for pause in [Duration::from_secs(4), Duration::from_secs(3600)] {
            let end = Arc::new(Event::new());
            let wait = Arc::clone(&end);
            let (url, server) = server(move |_stream| wait.wait());
            let begun = time::now();
            let error = client().post(url, Body::from_reader(Slow(pause)));
            assert_eq!(phase_of(error.unwrap_err()), Phase::Send);
            assert_eq!(time::now().duration_since(begun).as_secs(), TOTAL.as_secs());
            end.set();
            server.join().unwrap();
        }
    });
}
