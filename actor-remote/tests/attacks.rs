//! What somebody can try who knows no secret: to listen and repeat, to send back, to be in between, to change.

mod support;

use actor_remote::handshake::{
    Agreed, Auth, AuthKind, Config, Features, Hello, Initiator, Nonce, Refused, Responder, Role,
    Step,
};
use actor_remote::wire::record::{Corrupt, HEADER, Open};
use support::{SECRET, exchange, frame, node, nonce, relay, rewrite, sent};

fn wants(name: &str, config: Config) -> Config {
    Config {
        expected: Some(name.into()),
        ..config
    }
}

#[test]
fn what_an_initiator_has_said_cannot_be_said_again() {
    let mut recorded = Vec::new();
    let ends = relay(
        node("ledger", &[SECRET]),
        node("bank", &[SECRET]),
        |_, bytes| {
            recorded.push(bytes.clone());
        },
    );
    ends.agreed();

    let mut bank = Responder::new(node("bank", &[SECRET]), nonce()).unwrap();
    sent(bank.receive(&mut &recorded[0][..]));
    assert_eq!(
        bank.receive(&mut &recorded[2][..]).unwrap_err(),
        Refused::Proof
    );
    // Nor what the responder has said.
    let (mut ledger, _) = Initiator::start(node("ledger", &[SECRET]), nonce()).unwrap();
    sent(ledger.receive(&mut &recorded[1][..]));
    assert_eq!(
        ledger.receive(&mut &recorded[3][..]).unwrap_err(),
        Refused::Proof
    );
}

#[test]
fn what_an_initiator_says_cannot_be_sent_back() {
    let start = || Initiator::start(node("ledger", &[SECRET]), nonce()).unwrap();
    let refused = |mut ledger: Initiator, bytes: &[u8]| ledger.receive(&mut &*bytes).unwrap_err();

    let (ledger, hello) = start();
    assert_eq!(refused(ledger, &hello), Refused::Role);

    let (ledger, mut hello) = start();
    rewrite(&mut hello, |hello| hello.role = Role::Responder);
    assert_eq!(refused(ledger, &hello), Refused::OwnNonce);

    let other_nonce = |hello: &mut Hello| {
        hello.role = Role::Responder;
        hello.nonce = nonce();
    };
    let (ledger, mut hello) = start();
    rewrite(&mut hello, other_nonce);
    assert_eq!(refused(ledger, &hello), Refused::OwnName);

    let (mut ledger, mut hello) = start();
    rewrite(&mut hello, |hello| {
        other_nonce(hello);
        hello.name = "bank".into();
    });
    let proof = sent(ledger.receive(&mut &hello[..]));
    assert_eq!(
        refused(ledger, &proof),
        Refused::Proof,
        "each side has its own"
    );
}

#[test]
fn a_nonce_of_its_own_is_refused_by_a_responder() {
    let nonce = || Nonce::from_bytes([3; 32]);
    let (_, hello) = Initiator::start(node("ledger", &[SECRET]), nonce()).unwrap();
    let mut bank = Responder::new(node("bank", &[SECRET]), nonce()).unwrap();
    sent(bank.receive(&mut &hello[..]));
    assert_eq!(bank.end(), Refused::OwnNonce);
}

/// A victim has connected to the attacker, under the name of `bank`. The attacker knows no secret, and passes on what
/// the victim says to others that do.
#[test]
fn who_is_connected_to_cannot_pass_the_victim_on() {
    let victim = || wants("bank", node("victim", &[SECRET]));
    let unexpected = |found: &str| Refused::Unexpected {
        found: found.into(),
    };
    let misdirected = Refused::Misdirected {
        wanted: "bank".into(),
    };

    // To the victim itself, as it is.
    let (at_victim, _) = exchange(victim(), node("victim", &[SECRET])).refused();
    assert_eq!(at_victim, Refused::OwnName);
    // To another.
    let refused = exchange(victim(), node("vault", &[SECRET])).refused();
    assert_eq!(refused, (unexpected("vault"), misdirected));

    // To either, with names that both want to hear. All goes well up to the victim's proof, which is about others
    // than the one that gets to see it.
    for listener in ["victim", "vault"] {
        let ends = relay(
            victim(),
            node(listener, &[SECRET]),
            |number, bytes| match number {
                1 => rewrite(bytes, |hello| {
                    hello.name = "somebody".into();
                    hello.expected = listener.into();
                }),
                2 => rewrite(bytes, |hello| {
                    hello.name = "bank".into();
                    hello.expected = "victim".into();
                }),
                number => assert_eq!(number, 3, "the responder proves nothing"),
            },
        );
        assert_eq!(ends.refused(), (Refused::Ended, Refused::Proof));
    }
}

/// Both at once, as each waits for the other's: the attacker has connected to the victim, and the victim to it.
#[test]
fn two_connections_of_the_attacker_do_not_prove_each_other() {
    let (mut dialing, hello) = Initiator::start(node("victim", &[SECRET]), nonce()).unwrap();
    let mut listening = Responder::new(node("victim", &[SECRET]), nonce()).unwrap();
    let mut hello = hello;
    rewrite(&mut hello, |hello| hello.name = "bank".into());
    let mut answer = sent(listening.receive(&mut &hello[..]));
    rewrite(&mut answer, |hello| {
        hello.name = "bank".into();
        hello.expected = "victim".into();
    });
    let proof = sent(dialing.receive(&mut &answer[..]));
    assert_eq!(
        listening.receive(&mut &proof[..]).unwrap_err(),
        Refused::Proof
    );
    assert_eq!(
        dialing.receive(&mut &proof[..]).unwrap_err(),
        Refused::Proof
    );
}

/// An address of which nothing is known can be anybody's, and so somebody's who passes everything on. That is a cable
/// then: the ends know each other, and it cannot change what they say.
#[test]
fn who_passes_everything_on_can_change_nothing() {
    let (ledger, bank) = exchange(node("ledger", &[SECRET]), node("bank", &[SECRET])).agreed();
    assert_eq!((&*ledger.peer.name, &*bank.peer.name), ("bank", "ledger"));

    let record = transfer(&ledger, 1);
    assert_eq!(take(&mut bank.open(), &record), Ok(b"transfer".to_vec()));
    for bit in 8 * HEADER..8 * record.len() {
        let mut record = record.clone();
        record[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            take(&mut bank.open(), &record),
            Err(Corrupt::Tag),
            "bit {bit}"
        );
    }
    // Not even to send it back, or into another link.
    assert_eq!(take(&mut ledger.open(), &record), Err(Corrupt::Tag));
    let (_, other) = exchange(node("ledger", &[SECRET]), node("bank", &[SECRET])).agreed();
    assert_eq!(take(&mut other.open(), &record), Err(Corrupt::Tag));

    // Twice, and with one left out.
    let mut open = bank.open();
    take(&mut open, &record).unwrap();
    let (expected, found) = (1, 0);
    assert_eq!(
        take(&mut open, &record),
        Err(Corrupt::Sequence { expected, found })
    );
    let (expected, found) = (1, 2);
    let third = transfer(&ledger, 3);
    assert_eq!(
        take(&mut open, &third),
        Err(Corrupt::Sequence { expected, found })
    );
    // With a number that fits, the tag does not.
    let mut renumbered = record.clone();
    renumbered[4] = 1;
    assert_eq!(take(&mut open, &renumbered), Err(Corrupt::Tag));
}

/// The last of so many records.
fn transfer(from: &Agreed, count: usize) -> Vec<u8> {
    let mut seal = from.seal();
    let mut record = Vec::new();
    for _ in 0..count {
        record = b"........transfer".to_vec();
        seal.seal(&mut record, 0);
    }
    record
}

fn take(open: &mut Open, record: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let (header, body) = record.split_first_chunk().unwrap();
    let length = open.header(header)?;
    assert_eq!(length, body.len());
    let length = open.check(header, body)?;
    Ok(body[..length].to_vec())
}

#[test]
fn nothing_that_was_said_can_be_changed() {
    let changes: [fn(&mut Hello); 8] = [
        |hello| hello.features = Features(hello.features.0 & !1),
        |hello| hello.features = Features(hello.features.0 | 2),
        |hello| hello.versions = 1..=2,
        |hello| hello.incarnation += 1,
        |hello| hello.name = "somebody".into(),
        |hello| hello.expected.clear(),
        |hello| hello.cluster = "prod".into(),
        |hello| hello.nonce = nonce(),
    ];
    let offers = |config| Config {
        features: Features(3),
        ..config
    };
    for message in [1, 2] {
        for (which, change) in changes.into_iter().enumerate() {
            let mut changed = false;
            let ends = relay(
                offers(node("ledger", &[SECRET])),
                offers(wants("ledger", node("bank", &[SECRET]))),
                |number, bytes| {
                    if number == message {
                        let before = bytes.clone();
                        rewrite(bytes, change);
                        changed = *bytes != before;
                    }
                },
            );
            if changed {
                ends.refused();
            } else {
                // Offered already, or expected by nobody in particular.
                assert!(
                    which == 1 || (which, message) == (5, 1),
                    "{which} of {message}"
                );
                ends.agreed();
            }
        }
    }
}

#[test]
fn nobody_is_talked_out_of_the_secret() {
    // The attacker tells both that the other wants no proof.
    let ends = relay(
        node("ledger", &[SECRET]),
        node("bank", &[SECRET]),
        |_, bytes| {
            if bytes.len() > 34 {
                rewrite(bytes, |hello| hello.auth = AuthKind::None);
            }
        },
    );
    let refused = Refused::Auth {
        theirs: AuthKind::None,
    };
    assert_eq!(ends.refused(), (refused.clone(), refused));
}

#[test]
fn another_tls_connection_is_refused() {
    let over = |binding, config| Config { binding, ..config };
    let ends = |one, other| {
        exchange(
            over(one, node("ledger", &[SECRET])),
            over(other, node("bank", &[SECRET])),
        )
    };
    ends(Some([1; 32]), Some([1; 32])).agreed();
    for (one, other) in [
        (Some([1; 32]), Some([2; 32])),
        (Some([1; 32]), None),
        (None, Some([1; 32])),
        (Some([0; 32]), None),
    ] {
        assert_eq!(ends(one, other).refused(), (Refused::Ended, Refused::Proof));
    }
}

#[test]
fn no_bit_of_a_handshake_can_be_flipped() {
    let auths: [fn(Config) -> Config; 4] = [
        |config| config,
        |config| Config {
            binding: Some([1; 32]),
            ..config
        },
        |config| Config {
            auth: Auth::Tls,
            binding: Some([1; 32]),
            ..config
        },
        // What a faulty cable does; anybody could do better.
        |config| Config {
            auth: Auth::None,
            ..config
        },
    ];
    for auth in auths {
        let ledger = || auth(wants("bank", node("ledger", &[SECRET])));
        let bank = || auth(node("bank", &[SECRET, "the one of the last year"]));
        let mut lengths = Vec::new();
        relay(ledger(), bank(), |_, bytes| lengths.push(bytes.len())).agreed();
        assert_eq!(lengths.len(), 4);
        for (message, length) in (1..).zip(lengths) {
            for bit in 0..8 * length {
                let ends = relay(ledger(), bank(), |number, bytes| {
                    if number == message {
                        bytes[bit / 8] ^= 1 << (bit % 8);
                    }
                });
                let at = format!("bit {bit} of message {message}");
                assert!(ends.initiator.is_err(), "{at}");
                // The last word is the responder's, and it does not know how it has arrived.
                assert_eq!(ends.responder.is_ok(), message == 4, "{at}");
            }
        }
    }
}

/// With dice, but the same each time.
#[test]
fn no_input_does_harm() {
    let mut dice = fastrand::Rng::with_seed(0x5eed);
    let initiator = || Initiator::start(node("ledger", &[SECRET]), nonce()).unwrap();
    let responder = || Responder::new(node("bank", &[SECRET]), nonce()).unwrap();
    let (_, hello) = initiator();
    let answer = sent(responder().receive(&mut &hello[..]));

    let rounds = if cfg!(debug_assertions) {
        20_000
    } else {
        500_000
    };
    let mut understood = 0;
    for round in 0..rounds {
        let mut message = [&hello, &answer][round % 2][2..].to_vec();
        for _ in 0..dice.usize(..4) {
            let at = dice.usize(..message.len());
            match dice.u8(..4) {
                0 => message[at] = dice.u8(..),
                1 => message.insert(at, dice.u8(..)),
                2 => message[at] ^= 1 << dice.u8(..8),
                _ => message.truncate(at.max(1)),
            }
        }
        if let Ok(decoded) = Hello::decode(&message) {
            understood += 1;
            let again = decoded.encode().unwrap();
            assert_eq!(again, message, "there is one way to say it");
        }
        // Whatever it says, nothing that follows is a proof.
        let mut bytes = frame(&message);
        bytes.extend(frame(&[0; 32].map(|_: u8| dice.u8(..))));
        bytes.extend((0..dice.usize(..40)).map(|_| dice.u8(..)));
        match round % 2 {
            0 => refused(
                &bytes,
                |input, responder| responder.receive(input),
                responder(),
            ),
            _ => refused(
                &bytes,
                |input, initiator| initiator.receive(input),
                initiator().0,
            ),
        }
    }
    assert!(understood > rounds / 10, "{understood} of {rounds}");
    for _ in 0..rounds {
        let bytes: Vec<u8> = (0..dice.usize(..200)).map(|_| dice.u8(..)).collect();
        assert!(Hello::decode(&bytes).is_err());
    }
}

/// Gives `end` all there is, up to where it does not want more of it.
fn refused<E>(
    mut input: &[u8],
    receive: impl Fn(&mut &[u8], &mut E) -> Result<Step, Refused>,
    mut end: E,
) {
    loop {
        match receive(&mut input, &mut end) {
            Ok(Step::Send(_)) => {}
            Ok(Step::Agreed(..)) => panic!("nobody has proved anything"),
            Ok(Step::More) | Err(_) => break,
        }
    }
}
