//! ractor_cluster: a node on either side, and an actor that the other finds by its group. `cast` does not wait, so
//! what waits to be written has no bound: see its memory.

use crate::measure::{Peer, WORDS, Words, measure};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call, cast, pg};
use ractor_cluster::{BytesConvertable, NodeServer, RactorClusterMessage};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// 32 bytes as they are: less than four numbers, each with its length, would be.
pub(crate) struct Packed(Words);

impl BytesConvertable for Packed {
    fn into_bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: Vec<u8>) -> Packed {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Packed(words)
    }
}

#[derive(RactorClusterMessage)]
enum Told {
    Words(Packed),
    Bytes(Vec<u8>),
    #[rpc]
    Call(Packed, RpcReplyPort<Packed>),
    #[rpc]
    Count(RpcReplyPort<u64>),
}

struct Sink;

impl Actor for Sink {
    type Msg = Told;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Told>, _: ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Told>,
        told: Told,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match told {
            Told::Words(words) => {
                assert_eq!(words.0, WORDS);
                *count += 1;
            }
            Told::Bytes(_) => *count += 1,
            Told::Call(words, reply) => reply.send(words)?,
            Told::Count(reply) => reply.send(std::mem::take(count))?,
        }
        Ok(())
    }
}

const GROUP: &str = "sink";

/// A port that is free, since a node does not say which one it has chosen.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

async fn node(name: &str, port: u16) -> ActorRef<ractor_cluster::NodeServerMessage> {
    let (cookie, name, host) = ("cookie".to_owned(), name.to_owned(), "localhost".to_owned());
    let server = NodeServer::new(port, cookie, name, host, None, None)
        .with_listen_addr(Ipv4Addr::LOCALHOST.into());
    let (node, _) = Actor::spawn(None, server, ()).await.expect("a node starts");
    node
}

pub(crate) async fn serve() {
    let (sink, _) = Actor::spawn(None, Sink, ()).await.expect("an actor starts");
    pg::join(GROUP.to_owned(), vec![sink.get_cell()]);
    let port = free_port();
    let _node = node("server", port).await;
    println!("LISTENING 127.0.0.1:{port}");
    std::future::pending::<()>().await;
}

pub(crate) async fn load(metric: String, address: String) {
    let node = node("load", free_port()).await;
    // Its listener begins after it has started.
    while ractor_cluster::client_connect(&node, &address)
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sink = loop {
        match pg::get_members(&GROUP.to_owned()).first() {
            Some(sink) => break sink.clone(),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    measure(Remote(sink.into()), &metric).await;
}

#[derive(Clone)]
struct Remote(ActorRef<Told>);

impl Peer for Remote {
    const ONE_WAY: bool = true;

    async fn call(&self, words: Words) -> Words {
        call!(self.0, Told::Call, Packed(words))
            .expect("an answer")
            .0
    }

    async fn tell_words(&self, words: Words) {
        cast!(self.0, Told::Words(Packed(words))).expect("it is there");
    }

    async fn tell_bytes(&self, bytes: Vec<u8>) {
        cast!(self.0, Told::Bytes(bytes)).expect("it is there");
    }

    async fn count(&self) -> u64 {
        call!(self.0, Told::Count).expect("an answer")
    }
}
