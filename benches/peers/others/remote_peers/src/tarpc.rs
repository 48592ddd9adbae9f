//! tarpc, as its documentation has it: bincode over TCP, each request in a task of its own. 1,000 calls in flight are
//! its default.

use crate::measure::{Peer, WORDS, Words, measure};
use futures::StreamExt;
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context, serde_transport};

#[tarpc::service]
trait Sink {
    async fn call(words: Words) -> Words;
    async fn tell_words(words: Words);
    async fn tell_bytes(bytes: ByteBuf);
    async fn count() -> u64;
}

#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Sink for Counter {
    async fn call(self, _: context::Context, words: Words) -> Words {
        words
    }

    async fn tell_words(self, _: context::Context, words: Words) {
        assert_eq!(words, WORDS);
        self.0.fetch_add(1, Relaxed);
    }

    async fn tell_bytes(self, _: context::Context, _: ByteBuf) {
        self.0.fetch_add(1, Relaxed);
    }

    async fn count(self, _: context::Context) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

pub(crate) async fn serve() {
    let listener = serde_transport::tcp::listen("127.0.0.1:0", Bincode::default).await;
    let mut listener = listener.expect("a free port");
    println!("LISTENING {}", listener.local_addr());
    while let Some(transport) = listener.next().await {
        let transport = transport.expect("a client");
        set_nodelay(transport.get_ref());
        let requests = BaseChannel::with_defaults(transport).execute(Counter::default().serve());
        tokio::spawn(requests.for_each(async |request| {
            tokio::spawn(request);
        }));
    }
}

fn set_nodelay(stream: &tokio::net::TcpStream) {
    stream.set_nodelay(true).expect("a TCP socket");
}

pub(crate) async fn load(metric: String, address: String) {
    let transport = serde_transport::tcp::connect(address, Bincode::default).await;
    let transport = transport.expect("it listens");
    set_nodelay(transport.get_ref());
    let client = SinkClient::new(client::Config::default(), transport).spawn();
    measure(Client(client), &metric).await;
}

#[derive(Clone)]
struct Client(SinkClient);

impl Peer for Client {
    const ONE_WAY: bool = false;

    async fn call(&self, words: Words) -> Words {
        let answer = self.0.call(context::current(), words).await;
        answer.expect("an answer")
    }

    async fn tell_words(&self, words: Words) {
        let answer = self.0.tell_words(context::current(), words).await;
        answer.expect("an answer");
    }

    async fn tell_bytes(&self, bytes: Vec<u8>) {
        let bytes = ByteBuf::from(bytes);
        let answer = self.0.tell_bytes(context::current(), bytes).await;
        answer.expect("an answer");
    }

    async fn count(&self) -> u64 {
        let answer = self.0.count(context::current()).await;
        answer.expect("an answer")
    }
}
