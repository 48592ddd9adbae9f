//! Nodes that find out whether they may talk to each other, with nobody between them.

mod support;

use actor_remote::handshake::{
    Auth, AuthKind, BadHello, Config, Features, Hello, Initiator, MAX_MESSAGE, MAX_NAME, Nonce,
    PeerId, Refused, Responder, Role, Step,
};
use actor_remote::wire::record::HEADER;
use support::{SECRET, exchange, frame, node, nonce, sent};

#[test]
fn both_agree_on_the_same() {
    let ledger = Config {
        expected: Some("bank".into()),
        features: Features(5 | 1 << 32),
        ..node("ledger", &[SECRET])
    };
    let bank = Config {
        versions: 2..=9,
        features: Features(7),
        known: Features(1 << 32),
        ..node("bank", &[SECRET])
    };
    let (ledger, bank) = exchange(ledger, bank).agreed();
    let peer = |name: &str, incarnation| PeerId {
        name: name.into(),
        incarnation,
    };
    assert_eq!(ledger.peer, peer("bank", 4));
    assert_eq!(bank.peer, peer("ledger", 6));
    assert_eq!((ledger.version, bank.version), (3, 3));
    assert_eq!(ledger.features, Features(5 | 1 << 32));
    assert_eq!(bank.features, ledger.features);
    assert_eq!(bank.transcript, ledger.transcript);
    assert!(ledger.initiated && !bank.initiated);

    for (from, to) in [(&ledger, &bank), (&bank, &ledger)] {
        let mut record = b"........transfer".to_vec();
        from.seal().seal(&mut record, 0);
        let (header, body) = record.split_first_chunk::<HEADER>().unwrap();
        assert_eq!(to.open().header(header), Ok(body.len()));
        assert_eq!(to.open().check(header, body), Ok(b"transfer".len()));
    }
}

/// The numbers were computed by another program, from the description: who changes one of them changes the protocol.
#[test]
fn the_bytes_are_those_that_are_described() {
    let config = |name: &str, incarnation, versions, features, binding| Config {
        incarnation,
        versions,
        features: Features(features),
        known: Features(1 << 32),
        binding,
        ..node(name, &["a secret for the test"])
    };
    let run = |binding: Option<[u8; 32]>| {
        let ledger = Config {
            expected: Some("bank".into()),
            ..config("ledger", 2, 1..=3, 5 | 1 << 32, binding)
        };
        let bank = config("bank", 1, 2..=9, 7, binding);
        let (mut ledger, hello) = Initiator::start(ledger, Nonce::from_bytes([0x11; 32])).unwrap();
        let mut bank = Responder::new(bank, Nonce::from_bytes([0x22; 32])).unwrap();
        let answer = sent(bank.receive(&mut &hello[..]));
        let proof = sent(ledger.receive(&mut &answer[..]));
        let Ok(Step::Agreed(other_proof, agreed)) = bank.receive(&mut &proof[..]) else {
            panic!("they know the same secret");
        };
        let Ok(Step::Agreed(_, initiator)) = ledger.receive(&mut &other_proof[..]) else {
            panic!("they know the same secret");
        };
        (
            [hello, answer, proof, other_proof].map(|bytes| hex(&bytes)),
            agreed,
            initiator,
        )
    };

    let (messages, bank, ledger) = run(None);
    assert_eq!(
        messages,
        [
            "54004352504301001111111111111111111111111111111111111111111111111111111111111111\
             066c656467657204746573740462616e6b0200000000000000000000000000000001000300050000\
             000100000001",
            "54004352504301012222222222222222222222222222222222222222222222222222222222222222\
             0462616e6b0474657374066c65646765720100000000000000000000000000000002000900070000\
             000000000001",
            "2000ed55108a2868b1b2739c3fe0510fbff1f6b24ca787c37b9ee708550d89245086",
            "2000bcf6abfde8174f13852f7e8c03ee87e49b0831afd11143ca8ad025d7dd13ceb4",
        ]
    );
    assert_eq!(
        hex(&bank.transcript),
        "e65c372c03bc9c4244436289152952c1735f826448d0118bfc3a27b642bdf91a"
    );
    let record = |agreed: &actor_remote::handshake::Agreed| {
        let mut record = b"........hello".to_vec();
        agreed.seal().seal(&mut record, 0);
        hex(&record)
    };
    assert_eq!(
        record(&ledger),
        "050000000000000068656c6c6f4d8da63da14e753772ac6201dbc62efe"
    );
    assert_eq!(
        record(&bank),
        "050000000000000068656c6c6fca0d838bd0d35f5946d412d6c2aa768e"
    );

    let (messages, bank, _) = run(Some([0x33; 32]));
    assert_eq!(
        messages[2..],
        [
            "2000536d207da3cefc3bad8371c7ca6acd8a7678b833d5d72a9a378589d4b39f8999",
            "2000280058824969e382cf01876ef1fdcfeb855ccc6ac5967581b8cbb621202ccd06",
        ]
    );
    assert_eq!(
        hex(&bank.transcript),
        "685aac86d13ebc6d877a82ad68f2eb5888402b1f64ab15603d6e2e325129642c"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn records_are_protected_by_what_there_is() {
    let over = |auth: fn(Config) -> Config| {
        exchange(
            auth(node("ledger", &[SECRET])),
            auth(node("bank", &[SECRET])),
        )
        .agreed()
        .0
    };
    let length_of_check = |auth| over(auth).seal().appended();
    assert_eq!(length_of_check(|config| config), 16);
    let under_tls = |config| Config {
        binding: Some([1; 32]),
        ..config
    };
    assert_eq!(length_of_check(under_tls), 0);
    let by_tls = |config| Config {
        auth: Auth::Tls,
        binding: Some([1; 32]),
        ..config
    };
    assert_eq!(length_of_check(by_tls), 0);
    let open = |config| Config {
        auth: Auth::None,
        ..config
    };
    assert_eq!(length_of_check(open), 4);
    assert!(over(open).send.is_none(), "everybody could compute it");
}

#[test]
fn messages_come_in_pieces_and_with_what_follows() {
    let (mut ledger, hello) = Initiator::start(node("ledger", &[SECRET]), nonce()).unwrap();
    let mut bank = Responder::new(node("bank", &[SECRET]), nonce()).unwrap();
    for length in 0..hello.len() {
        let mut input = &hello[..length];
        assert!(matches!(bank.receive(&mut input), Ok(Step::More)));
        assert_eq!(input.len(), length, "nothing is taken of half a message");
    }
    let answer = sent(bank.receive(&mut &hello[..]));
    let proof = sent(ledger.receive(&mut &answer[..]));
    let Ok(Step::Agreed(mut bytes, _)) = bank.receive(&mut &proof[..]) else {
        panic!("they know the same secret");
    };
    bytes.extend(b"the first record");
    let mut input = &bytes[..];
    assert!(matches!(ledger.receive(&mut input), Ok(Step::Agreed(..))));
    assert_eq!(input, b"the first record");
    assert_eq!(ledger.receive(&mut input).unwrap_err(), Refused::Over);
    assert_eq!(bank.end(), Refused::Over);
}

#[test]
fn another_secret_is_refused() {
    let ends = exchange(
        node("ledger", &["a secret of its own"]),
        node("bank", &[SECRET]),
    );
    assert_eq!(ends.refused(), (Refused::Ended, Refused::Proof));
}

#[test]
fn a_secret_is_replaced_without_a_moment_of_refusal() {
    const FORMER: &str = "the secret of last year";
    const NEW: &str = "the secret of this year";
    let rounds: [&[&str]; 4] = [&[FORMER], &[FORMER, NEW], &[NEW, FORMER], &[NEW]];
    for round in rounds.windows(2) {
        for (one, other) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            exchange(node("ledger", round[one]), node("bank", round[other])).agreed();
        }
    }
    let ends = exchange(node("ledger", &[FORMER]), node("bank", &[NEW]));
    assert_eq!(ends.refused().1, Refused::Proof);
    let ends = exchange(
        node("ledger", &["one of nobody's at all"]),
        node("bank", &[NEW, FORMER]),
    );
    assert_eq!(ends.refused().1, Refused::Proof);
}

/// The reason is found at both ends, though nobody is told.
#[test]
fn what_does_not_go_together_is_refused() {
    let ledger = || node("ledger", &[SECRET]);
    let bank = || node("bank", &[SECRET]);

    let ends = exchange(node("bank", &[SECRET]), bank());
    assert_eq!(ends.refused(), (Refused::OwnName, Refused::OwnName));

    let prod = |config| Config {
        cluster: "prod".into(),
        ..config
    };
    let theirs = |name: &str| Refused::Cluster {
        theirs: name.into(),
    };
    let ends = exchange(ledger(), prod(bank()));
    assert_eq!(ends.refused(), (theirs("prod"), theirs("test")));

    let wants = |name: &str, config| Config {
        expected: Some(name.into()),
        ..config
    };
    let unexpected = |name: &str| Refused::Unexpected { found: name.into() };
    let misdirected = |name: &str| Refused::Misdirected {
        wanted: name.into(),
    };
    let ends = exchange(wants("vault", ledger()), bank());
    assert_eq!(ends.refused(), (unexpected("bank"), misdirected("vault")));
    let ends = exchange(ledger(), wants("vault", bank()));
    assert_eq!(ends.refused(), (Refused::Ended, unexpected("ledger")));

    let open = |config| Config {
        auth: Auth::None,
        ..config
    };
    let ends = exchange(open(ledger()), bank());
    let by = |theirs| Refused::Auth { theirs };
    assert_eq!(ends.refused(), (by(AuthKind::Secret), by(AuthKind::None)));
    let tls = |config| Config {
        auth: Auth::Tls,
        binding: Some([1; 32]),
        ..config
    };
    let ends = exchange(ledger(), tls(bank()));
    assert_eq!(ends.refused(), (by(AuthKind::Tls), by(AuthKind::Secret)));

    let speaks = |versions, config| Config { versions, ..config };
    let theirs = |theirs| Refused::Versions { theirs };
    let ends = exchange(speaks(1..=2, ledger()), speaks(3..=4, bank()));
    assert_eq!(ends.refused(), (theirs(3..=4), theirs(1..=2)));
    let ends = exchange(speaks(5..=5, ledger()), speaks(3..=4, bank()));
    assert_eq!(ends.refused(), (theirs(3..=4), theirs(5..=5)));

    let demands = |config| Config {
        features: Features(1 << 40 | 1),
        ..config
    };
    let unknown = Refused::Features {
        unknown: Features(1 << 40),
    };
    let ends = exchange(ledger(), demands(bank()));
    assert_eq!(ends.refused(), (unknown.clone(), Refused::Ended));
    let ends = exchange(demands(ledger()), bank());
    assert_eq!(ends.refused(), (Refused::Ended, unknown));
}

/// With the same nonce, so that there is nothing else in the answer that could differ.
#[test]
fn a_responder_answers_what_it_will_refuse_as_it_does_all() {
    let answer = |change: fn(&mut Config)| {
        let mut ledger = node("ledger", &[SECRET]);
        change(&mut ledger);
        let (_, hello) = Initiator::start(ledger, nonce()).unwrap();
        let bank = node("bank", &[SECRET]);
        let mut bank = Responder::new(bank, Nonce::from_bytes([9; 32])).unwrap();
        let answer = sent(bank.receive(&mut &hello[..]));
        let refused = bank.receive(&mut &frame(&[7; 32])[..]).unwrap_err();
        (answer, refused)
    };
    let (good, Refused::Proof) = answer(|_| {}) else {
        panic!("the proof is none");
    };
    let changes: [fn(&mut Config); 5] = [
        |config| config.cluster = "prod".into(),
        |config| config.expected = Some("vault".into()),
        |config| config.auth = Auth::None,
        |config| config.versions = 7..=8,
        |config| config.features = Features(1 << 63),
    ];
    for change in changes {
        let (bad, refused) = answer(change);
        assert_ne!(refused, Refused::Proof, "the log has what is wrong");
        assert_eq!(bad, good);
    }
}

#[test]
fn messages_have_bounds() {
    let initiator = || Initiator::start(node("ledger", &[SECRET]), nonce()).unwrap();
    let responder = || Responder::new(node("bank", &[SECRET]), nonce()).unwrap();
    let too_long = |length: usize| Refused::TooLong { length };

    // Refused as soon as the length is there.
    let claim = |length: usize| (length as u16).to_le_bytes();
    for length in [MAX_MESSAGE + 1, 0xffff] {
        let claim = claim(length);
        assert_eq!(
            initiator().0.receive(&mut &claim[..]).unwrap_err(),
            too_long(length)
        );
        let mut responder = responder();
        assert_eq!(
            responder.receive(&mut &claim[..]).unwrap_err(),
            too_long(length)
        );
        assert_eq!(
            responder.receive(&mut &claim[..]).unwrap_err(),
            Refused::Over
        );
    }
    let claim = claim(MAX_MESSAGE);
    assert!(matches!(
        responder().receive(&mut &claim[..]),
        Ok(Step::More)
    ));

    let (mut ledger, hello) = initiator();
    let mut bank = responder();
    let answer = sent(bank.receive(&mut &hello[..]));
    sent(ledger.receive(&mut &answer[..]));
    // A proof has one length.
    let long = 33u16.to_le_bytes();
    assert_eq!(ledger.receive(&mut &long[..]).unwrap_err(), too_long(33));
    assert_eq!(
        bank.receive(&mut &frame(&[0; 31])[..]).unwrap_err(),
        Refused::Proof
    );

    for length in 0..hello.len() - 2 {
        let refused = responder().receive(&mut &frame(&hello[2..2 + length])[..]);
        let bad = if length < 5 {
            BadHello::Magic
        } else {
            BadHello::Truncated
        };
        assert_eq!(refused.unwrap_err(), Refused::Hello(bad), "{length} bytes");
    }
    let mut longer = hello[2..].to_vec();
    longer.push(0);
    assert_eq!(
        responder().receive(&mut &frame(&longer)[..]).unwrap_err(),
        Refused::Hello(BadHello::Trailing)
    );
}

#[test]
fn names_have_bounds() {
    let start = |change: fn(&mut Config)| {
        let mut config = node("ledger", &[SECRET]);
        change(&mut config);
        Responder::new(config.clone(), nonce())
            .map(drop)
            .and(Ok(config))
    };
    let longest = start(|config| {
        config.name = "n".repeat(MAX_NAME);
        config.cluster = "c".repeat(MAX_NAME);
        config.expected = Some("e".repeat(MAX_NAME));
    });
    let (_, hello) = Initiator::start(longest.unwrap(), nonce()).unwrap();
    assert!(hello.len() <= 2 + MAX_MESSAGE);
    let bad: [fn(&mut Config); 4] = [
        |config| config.name = "n".repeat(MAX_NAME + 1),
        |config| config.name.clear(),
        |config| config.name = "two\nlines".into(),
        |config| config.cluster = "\u{7f}".into(),
    ];
    for change in bad {
        assert_eq!(start(change).unwrap_err(), BadHello::Name);
    }
    #[expect(clippy::reversed_empty_ranges, reason = "to be refused")]
    let none = start(|config| config.versions = 2..=1);
    assert_eq!(none.unwrap_err(), BadHello::Versions);

    // What cannot be said is not heard either.
    let hello = |name: &str| Hello {
        role: Role::Initiator,
        nonce: Nonce::from_bytes([0; 32]),
        name: name.into(),
        cluster: String::new(),
        expected: String::new(),
        incarnation: 0,
        versions: 1..=1,
        features: Features::NONE,
        auth: AuthKind::None,
    };
    let mut bytes = hello("a").encode().unwrap();
    assert_eq!(bytes[38..40], [1, b'a']);
    for byte in [b'\n', 0, 0x7f, 0xff] {
        bytes[39] = byte;
        assert_eq!(Hello::decode(&bytes), Err(BadHello::Name));
    }
    bytes.splice(38..40, [0]);
    assert_eq!(Hello::decode(&bytes), Err(BadHello::Name), "nobody");
}
