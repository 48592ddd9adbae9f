//! tonic: unary calls over one HTTP/2 connection, as its generated code makes them. That is written by hand here, so that
//! `protoc` is not needed.

use crate::measure::{Peer, WORDS, Words, measure};
use prost::Message;
use std::convert::Infallible;
use std::future::Ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{self};
use tonic::codegen::{Service, StdError};
use tonic::server::{Grpc as Server, NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, Message)]
struct Numbers {
    #[prost(fixed64, tag = "1")]
    a: u64,
    #[prost(fixed64, tag = "2")]
    b: u64,
    #[prost(fixed64, tag = "3")]
    c: u64,
    #[prost(fixed64, tag = "4")]
    d: u64,
}

impl From<Words> for Numbers {
    fn from([a, b, c, d]: Words) -> Numbers {
        Numbers { a, b, c, d }
    }
}

impl From<Numbers> for Words {
    fn from(Numbers { a, b, c, d }: Numbers) -> Words {
        [a, b, c, d]
    }
}

#[derive(Clone, PartialEq, Message)]
struct Big {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct Count {
    #[prost(uint64, tag = "1")]
    count: u64,
}

#[derive(Clone, Default)]
struct Sink(Arc<AtomicU64>);

impl NamedService for Sink {
    const NAME: &'static str = "remote.Sink";
}

/// One method, by what it does.
struct Method<F>(F);

impl<Q, A, F: FnMut(Q) -> A> UnaryService<Q> for Method<F> {
    type Response = A;
    type Future = Ready<Result<Response<A>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0(request.into_inner()))))
    }
}

impl Service<http::Request<Body>> for Sink {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let count = self.0.clone();
        Box::pin(async move {
            let answer = match request.uri().path() {
                "/remote.Sink/Call" => {
                    let method = Method(|numbers: Numbers| numbers);
                    Server::new(ProstCodec::default())
                        .unary(method, request)
                        .await
                }
                "/remote.Sink/TellWords" => {
                    let method = Method(|numbers: Numbers| {
                        assert_eq!(Words::from(numbers), WORDS);
                        count.fetch_add(1, Relaxed);
                        Nothing {}
                    });
                    Server::new(ProstCodec::default())
                        .unary(method, request)
                        .await
                }
                "/remote.Sink/TellBytes" => {
                    let method = Method(|_: Big| {
                        count.fetch_add(1, Relaxed);
                        Nothing {}
                    });
                    Server::new(ProstCodec::default())
                        .unary(method, request)
                        .await
                }
                "/remote.Sink/Count" => {
                    let method = Method(|_: Nothing| Count {
                        count: count.swap(0, Relaxed),
                    });
                    Server::new(ProstCodec::default())
                        .unary(method, request)
                        .await
                }
                path => panic!("no method {path}"),
            };
            Ok(answer)
        })
    }
}

pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("LISTENING {}", listener.local_addr().expect("it is bound"));
    // TCP_NODELAY is set on what is accepted.
    let incoming = tokio_stream::StreamExt::map(TcpListenerStream::new(listener), |stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    });
    let server = tonic::transport::Server::builder()
        .add_service(Sink::default())
        .serve_with_incoming(incoming);
    server.await.expect("it is killed in the end");
}

pub(crate) async fn load(metric: String, address: String) {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("it listens");
    measure(Remote(channel), &metric).await;
}

#[derive(Clone)]
struct Remote(Channel);

impl Remote {
    async fn ask<Q, A>(&self, path: &'static str, question: Q) -> A
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut client = Client::new(self.0.clone());
        client
            .ready()
            .await
            .map_err(StdError::from)
            .expect("it listens");
        let path = PathAndQuery::from_static(path);
        let codec = ProstCodec::<Q, A>::default();
        let answer = client.unary(Request::new(question), path, codec).await;
        answer.expect("an answer").into_inner()
    }
}

impl Peer for Remote {
    const ONE_WAY: bool = false;

    async fn call(&self, words: Words) -> Words {
        let numbers: Numbers = self.ask("/remote.Sink/Call", Numbers::from(words)).await;
        numbers.into()
    }

    async fn tell_words(&self, words: Words) {
        let Nothing {} = self
            .ask("/remote.Sink/TellWords", Numbers::from(words))
            .await;
    }

    async fn tell_bytes(&self, bytes: Vec<u8>) {
        let bytes = bytes.into();
        let Nothing {} = self.ask("/remote.Sink/TellBytes", Big { bytes }).await;
    }

    async fn count(&self) -> u64 {
        let Count { count } = self.ask("/remote.Sink/Count", Nothing {}).await;
        count
    }
}
