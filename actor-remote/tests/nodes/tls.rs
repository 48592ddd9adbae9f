//! Nodes under TLS.

use actor_core::Addr;
use actor_io::{TcpStream, copy_bidirectional};
use actor_net::tls::{ClientTls, Identity, Roots, ServerTls};
use actor_net::{Connector, Server};
use actor_remote::handshake::Refused;
use actor_remote::{Config, ConnectError, Node, NodeError, Secret};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::common::{Add, Book, Keeper, LONG, Length, Pair, cut, program};

/// An authority, to sign with and to be trusted.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn identity(&self, name: &str) -> Identity {
        let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }

    /// Both sides, with certificates for `name`.
    fn both(&self, name: &str) -> (ServerTls, ClientTls) {
        let identity = self.identity(name);
        let server = ServerTls::builder()
            .identity(identity.clone())
            .require_client(self.roots())
            .build()
            .unwrap();
        let client = ClientTls::builder(self.roots()).identity(identity);
        (server, client.build().unwrap())
    }

    /// Both, with no certificate of the client's.
    fn of_server_alone(&self, name: &str) -> (ServerTls, ClientTls) {
        let server = ServerTls::new(self.identity(name)).unwrap();
        (server, ClientTls::new(self.roots()).unwrap())
    }

    fn config(&self, name: &str, certified: &str) -> Config {
        let (server, client) = self.both(certified);
        Config::new(name).tls(server, client)
    }
}

fn secret() -> Secret {
    Secret::from_bytes("nobody is to know that").unwrap()
}

#[test]
fn certificates_of_both_suffice() {
    program(|| {
        let authority = Authority::new();
        let pair = Pair::with(
            authority.config("server", "server"),
            authority.config("client", "client"),
        );
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(keeper.call(Add(1)), Ok(1));
        // Bigger than a record and a frame, both ways at once.
        let texts = vec!["x".repeat(1000); 500];
        for _ in 0..5 {
            assert_eq!(keeper.call(Length(texts.clone())), Ok(500_000));
        }
        pair.server.close();
        assert!(pair.peer.wait_disconnected(LONG));
    });
}

#[test]
fn it_connects_again_after_a_break() {
    program(|| {
        let authority = Authority::new();
        let pair = Pair::with(
            authority.config("server", "server"),
            authority.config("client", "client"),
        );
        cut(&pair.server, "client", &pair.peer);
        assert!(pair.peer.wait_connected(LONG));
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(keeper.call(Add(1)), Ok(1));
    });
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    program(|| {
        let authority = Authority::new();
        let listen = |config| Node::listen("127.0.0.1:0", config).unwrap();
        let server = listen(authority.config("server", "server"));
        let addr = server.local_addr().unwrap();
        // Who connects is not who it says.
        let false_client = Node::start(authority.config("client", "somebody")).unwrap();
        assert!(false_client.connect(addr).is_err());
        assert_eq!(server.refused(), 1);
        // Neither is who listens.
        let false_server = listen(authority.config("server", "somebody"));
        let client = Node::start(authority.config("client", "client")).unwrap();
        let refused = client.connect(false_server.local_addr().unwrap());
        assert!(
            matches!(refused, Err(ConnectError::Refused(Refused::Certificate))),
            "{refused:?}"
        );
        let named = client.connect_to("server", false_server.local_addr().unwrap());
        assert!(matches!(named, Err(ConnectError::Io(_))), "{named:?}");
        client.connect_to("server", addr).unwrap();
        for node in [&server, &false_server, &client, &false_client] {
            node.close();
        }
    });
}

#[test]
fn who_has_no_certificate_is_refused() {
    program(|| {
        let authority = Authority::new();
        let server = Node::listen("127.0.0.1:0", authority.config("server", "server")).unwrap();
        let addr = server.local_addr().unwrap();
        let (tls_server, tls_client) = authority.of_server_alone("client");
        let client = Node::start(Config::new("client").tls(tls_server, tls_client)).unwrap();
        assert!(client.connect(addr).is_err());
        // Nor is one that asks for none taken in by who has none.
        let (tls_server, tls_client) = authority.of_server_alone("lax");
        let lax = Node::listen(
            "127.0.0.1:0",
            Config::new("lax").tls(tls_server, tls_client),
        );
        let lax = lax.unwrap();
        assert!(client.connect(lax.local_addr().unwrap()).is_err());
        // Another authority.
        let other = Node::start(Authority::new().config("client", "client")).unwrap();
        assert!(other.connect(addr).is_err());
        // No TLS at all.
        let plain = Node::start(Config::new("plain")).unwrap();
        assert!(plain.connect(addr).is_err());
        assert!(server.peers().is_empty() && lax.peers().is_empty());
        for node in [&server, &client, &lax, &other, &plain] {
            node.close();
        }
    });
}

#[test]
fn a_secret_goes_with_the_servers_certificate() {
    program(|| {
        let authority = Authority::new();
        let config = |name: &str| {
            let (server, client) = authority.of_server_alone(name);
            Config::new(name).tls(server, client).secret(secret())
        };
        let pair = Pair::with(config("server"), config("client"));
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(keeper.call(Add(1)), Ok(1));
        // Beyond this machine either is enough.
        let open = Node::listen("0.0.0.0:0", config("open")).unwrap();
        open.close();
        let certified = authority.config("certified", "certified");
        Node::listen("0.0.0.0:0", certified).unwrap().close();
        let bare = Node::listen("0.0.0.0:0", Config::new("bare"));
        assert!(matches!(bare, Err(NodeError::Unprotected(_))));
    });
}

#[test]
fn a_relay_with_a_certificate_of_its_own_is_found_out() {
    program(|| {
        let authority = Authority::new();
        let config = |name: &str| {
            let (server, client) = authority.of_server_alone(name);
            Config::new(name).tls(server, client).secret(secret())
        };
        let server = Node::listen("127.0.0.1:0", config("server")).unwrap();
        server
            .expose("keeper", &Addr::spawn(Keeper::default()))
            .protocol::<Book>();
        // It is trusted by both for what it is, and passes on every byte.
        let (relay_server, relay_client) = authority.of_server_alone("server");
        let to = server.local_addr().unwrap();
        let relay = Server::bind("127.0.0.1:0").unwrap();
        let addr = relay.local_addr();
        let relay = relay
            .spawn(move |stream: TcpStream| {
                let Ok(one) = relay_server.accept(stream) else {
                    return;
                };
                let other = Connector::builder().connect(&[to][..]).unwrap();
                let other = relay_client.connect("127.0.0.1", other).unwrap();
                drop(copy_bidirectional(one, other));
            })
            .unwrap();
        let client = Node::start(config("client")).unwrap();
        let refused = client.connect(addr);
        assert!(
            matches!(refused, Err(ConnectError::Refused(_))),
            "{refused:?}"
        );
        assert!(server.peers().is_empty());
        assert_eq!(server.refused(), 1);
        // Without the relay all is well.
        client.connect(to).unwrap();
        relay.tasklet().stop();
        client.close();
        server.close();
    });
}
