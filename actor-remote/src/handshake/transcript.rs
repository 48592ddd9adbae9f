//! What the proofs and keys of a handshake are made of.

use hmac::digest::Update;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;
use crate::wire::record::Key;

/// How many bytes a proof has.
pub(super) const TAG: usize = 32;

/// Adds a part with its length before it, so that no two lists of parts make the same bytes.
fn part(to: &mut impl Update, part: &[u8]) {
    // A hello or shorter.
    to.update(&(part.len() as u32).to_le_bytes());
    to.update(part);
}

/// The hash of all that both sides have said, as it was sent, and of the channel it was said over.
pub(super) fn transcript(initiator: &[u8], responder: &[u8], binding: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for each in [b"concurrence link v1", initiator, responder, binding] {
        part(&mut hash, each);
    }
    hash.finalize().into()
}

/// The proofs and keys of one handshake, under one secret.
pub(super) struct Schedule {
    /// What shows that the initiator knows the secret and has seen the same.
    pub(super) initiator: [u8; TAG],
    /// The same of the responder.
    pub(super) responder: [u8; TAG],
    /// What the initiator's records are tagged with.
    pub(super) from_initiator: Key,
    /// What the responder's records are tagged with.
    pub(super) from_responder: Key,
}

impl Schedule {
    /// Without a secret the proofs are no proofs, but still show that both have seen the same, and agree to it.
    pub(super) fn new(secret: Option<&Secret>, transcript: &[u8; 32]) -> Schedule {
        let secret = secret.map_or(&[][..], Secret::expose);
        let root = hmac(b"concurrence psk v1", |mac| Update::update(mac, secret));
        let key = |label: &[u8]| {
            hmac(&*root, |mac| {
                part(mac, label);
                part(mac, transcript);
            })
        };
        let initiator = *hmac(&*key(b"confirm initiator"), |mac| part(mac, transcript));
        let responder = *hmac(&*key(b"confirm responder"), |mac| {
            part(mac, transcript);
            part(mac, &initiator);
        });
        Schedule {
            initiator,
            responder,
            from_initiator: Key::from_bytes(*key(b"frames i2r")),
            from_responder: Key::from_bytes(*key(b"frames r2i")),
        }
    }
}

/// HMAC-SHA256 of what `message` adds.
fn hmac(key: &[u8], message: impl FnOnce(&mut Hmac<Sha256>)) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    message(&mut mac);
    Zeroizing::new(mac.finalize().into_bytes().into())
}
