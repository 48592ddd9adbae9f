//! What two ends agree upon, and what they refuse.

use super::*;

#[test]
fn what_was_agreed_upon_can_be_asked() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let server = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .alpn(["b", "a"])
            .build()
            .unwrap();
        let client = ClientTls::builder(authority.roots()).alpn(["a", "b", "c"]);
        let client = client.build().unwrap();
        let (near, far) = pair_of(&server, &client);
        for end in [&near, &far] {
            assert_eq!(end.alpn(), Some(&b"b"[..]), "the server chooses");
            assert_eq!(end.version(), Some(rustls::ProtocolVersion::TLSv1_3));
            assert!(!end.is_resumed());
        }
        assert_eq!(near.server_name(), None);
        assert_eq!(far.server_name(), Some("localhost"));
        assert_eq!(near.peer_certificates().len(), 1);
        assert!(far.peer_certificates().is_empty());

        // Nothing in common.
        let other = ClientTls::builder(authority.roots()).alpn(["z"]).build();
        let (near, far) = tcp();
        let accepting = Tasklet::spawn(move || server.accept(far).map(drop));
        let error = other.unwrap().connect("localhost", near).unwrap_err();
        assert!(
            matches!(
                error,
                TlsError::Protocol(rustls::Error::AlertReceived(
                    rustls::AlertDescription::NoApplicationProtocol
                ))
            ),
            "{error:?}"
        );
        let error = accepting.join().unwrap().unwrap_err();
        assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
    });
}

#[test]
fn each_name_has_its_certificate_and_a_reload_needs_no_restart() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::builder()
            .identity_for("a.our.example", authority.identity(&["a.our.example"]))
            .identity_for("*.our.example", authority.identity(&["*.our.example"]))
            .build()
            .unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(tls.clone());
        let server = server.spawn(echo).unwrap();
        let addr = server.local_addr();
        // Without a memory of former sessions.
        let shown = |name: &str| {
            let connector = Connector::tls(ClientTls::new(authority.roots()).unwrap());
            let stream = connector.connect_to(addr, name)?;
            Ok::<_, ConnectError>(stream.peer_certificates()[0].clone())
        };
        let first = shown("a.our.example").unwrap();
        assert_eq!(shown("A.Our.Example").unwrap(), first);
        let second = shown("b.our.example").unwrap();
        assert_ne!(second, first);
        shown("a.b.our.example").expect_err("an asterisk stands for one part of a name");
        shown("localhost").expect_err("nobody's name");

        let mut old = Connector::tls(ClientTls::new(authority.roots()).unwrap())
            .connect_to(addr, "a.our.example")
            .unwrap();
        tls.set_identity_for("a.our.example", authority.identity(&["a.our.example"]));
        assert_ne!(shown("a.our.example").unwrap(), first);
        assert_eq!(shown("b.our.example").unwrap(), second);
        tls.set_identity(authority.identity(&["localhost"]));
        shown("localhost").unwrap();
        // The connection from before goes on.
        old.write_all(b"x").unwrap();
        old.read_exact(&mut [0; 1]).unwrap();
        drop(old);

        // All at once, by other rules.
        let other = Authority::new("other");
        tls.replace(&ServerTls::new(other.identity(&["a.our.example"])).unwrap());
        let error = shown("a.our.example").unwrap_err();
        assert!(
            matches!(&error, ConnectError::Tls { address: Some(at), .. } if *at == addr),
            "{error}"
        );
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn sessions_are_resumed() {
    in_tasklet(|| {
        let (server, client) = both();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server.clone());
        let server = server.spawn(echo).unwrap();
        let connector = Connector::tls(client);
        let port = server.local_addr().port();
        for round in 0..3 {
            let mut stream = connector.connect("localhost", port).unwrap();
            assert_eq!(stream.is_resumed(), round > 0, "round {round}");
            stream.write_all(b"x").unwrap();
            // Takes in the tickets, which come before.
            stream.read_exact(&mut [0; 1]).unwrap();
            stream.close().unwrap();
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn clients_prove_who_they_are() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let (good, bad) = (Authority::new("good"), Authority::new("bad"));
        let client = |identity| {
            let mut builder = ClientTls::builder(authority.roots());
            if let Some(identity) = identity {
                builder = builder.identity(identity);
            }
            builder.build().unwrap()
        };
        let known = client(Some(good.identity(&["client"])));
        let unknown = client(Some(bad.identity(&["client"])));
        let nobody = client(None);
        let builder = ServerTls::builder().identity(authority.identity(&["localhost"]));
        let only = builder
            .clone()
            .require_client(good.roots())
            .build()
            .unwrap();
        let either = builder.request_client(good.roots()).build().unwrap();

        let (_near, far) = pair_of(&only, &known);
        assert_eq!(far.peer_certificates().len(), 1);
        let (_near, far) = pair_of(&either, &nobody);
        assert!(far.peer_certificates().is_empty());
        for (server, client) in [(&only, &unknown), (&only, &nobody), (&either, &unknown)] {
            let (near, far) = tcp();
            let server = server.clone();
            let accepting = Tasklet::spawn(move || server.accept(far).map(drop));
            // It hears of it when it reads, since it has the last word of the handshake.
            let mut near = client.connect("localhost", near).unwrap();
            let error = near.read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            let error = accepting.join().unwrap().unwrap_err();
            assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
        }
    });
}

#[test]
fn the_wrong_server_is_refused() {
    in_tasklet(|| {
        let (server, client) = both();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(echo).unwrap();
        let addr = server.local_addr();
        let connector = Connector::tls(client.clone());
        connector.connect("127.0.0.1", addr.port()).unwrap();
        let refused = |error: ConnectError, says: &str| {
            assert!(error.to_string().contains(says), "{error}");
            io::Error::from(error).kind()
        };
        let error = connector.connect_to(addr, "elsewhere.example").unwrap_err();
        assert_eq!(refused(error, "not valid for name"), ErrorKind::InvalidData);
        let stranger = ClientTls::new(Authority::new("stranger").roots()).unwrap();
        let error = Connector::tls(stranger).connect("127.0.0.1", addr.port());
        let kind = refused(error.unwrap_err(), "UnknownIssuer");
        assert_eq!(kind, ErrorKind::InvalidData);
        let error = connector.connect_to(addr, "not a name").unwrap_err();
        assert_eq!(refused(error, "neither"), ErrorKind::InvalidInput);

        // And what does not speak TLS at all.
        let plain = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = plain.local_addr().unwrap().port();
        let banner = Tasklet::spawn(move || {
            let (mut stream, _) = plain.accept().unwrap();
            stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = connector.connect("127.0.0.1", port).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
        banner.join().unwrap();
        server.shutdown(PATIENCE).unwrap();
    });
}

/// What the documentation says of the stack, here in whatever build the tests are.
#[test]
fn a_handshake_fits_into_a_small_stack() {
    in_tasklet(|| {
        let (server, client) = both();
        let (near, far) = tcp();
        let small = || Tasklet::builder().stack_size(128 * 1024);
        let accepting = small().spawn(move || {
            let mut stream = server.accept(far).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.close().unwrap();
        });
        let connecting = small().spawn(move || {
            let mut stream = client.connect("localhost", near).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(connecting.unwrap().join().unwrap(), "hello");
        accepting.unwrap().join().unwrap();
    });
}
