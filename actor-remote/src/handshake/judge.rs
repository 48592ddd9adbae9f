//! Whether two hellos go together, and what a link comes to if they do.

use super::transcript::Schedule;
use super::{Agreed, Auth, Config, Features, Hello, PeerId, Refused, Role};

/// What a link is to be, if the proofs are right.
#[derive(Debug)]
pub(super) struct Terms {
    peer: PeerId,
    version: u16,
    features: Features,
}

/// Compares what the peer has said with what this end has. Both ends come to the same terms, or one of them, and
/// then there is no link, to none.
pub(super) fn judge(config: &Config, ours: &Hello, theirs: Hello) -> Result<Terms, Refused> {
    if theirs.role == ours.role {
        return Err(Refused::Role);
    }
    if theirs.nonce == ours.nonce {
        return Err(Refused::OwnNonce);
    }
    if theirs.name == ours.name {
        return Err(Refused::OwnName);
    }
    if theirs.cluster != ours.cluster {
        return Err(Refused::Cluster {
            theirs: theirs.cluster,
        });
    }
    if config
        .expected
        .as_ref()
        .is_some_and(|expected| *expected != theirs.name)
    {
        return Err(Refused::Unexpected { found: theirs.name });
    }
    if !theirs.expected.is_empty() && theirs.expected != ours.name {
        return Err(Refused::Misdirected {
            wanted: theirs.expected,
        });
    }
    if theirs.auth != ours.auth {
        return Err(Refused::Auth {
            theirs: theirs.auth,
        });
    }
    let version = *ours.versions.end().min(theirs.versions.end());
    if version < *ours.versions.start().max(theirs.versions.start()) {
        return Err(Refused::Versions {
            theirs: theirs.versions,
        });
    }
    let features = ours
        .features
        .agree(theirs.features, config.known)
        .map_err(|unknown| Refused::Features { unknown })?;
    Ok(Terms {
        peer: PeerId {
            name: theirs.name,
            incarnation: theirs.incarnation,
        },
        version,
        features,
    })
}

/// What is agreed once the proofs are right.
pub(super) fn agreed(
    config: &Config,
    role: Role,
    terms: Terms,
    schedule: Schedule,
    transcript: [u8; 32],
) -> Box<Agreed> {
    let tls = config.binding.is_some();
    let initiated = role == Role::Initiator;
    let (send, receive) = match initiated {
        true => (schedule.from_initiator, schedule.from_responder),
        false => (schedule.from_responder, schedule.from_initiator),
    };
    // Keys that everybody can compute are worse than a checksum, which does not look like more than it is.
    let secret = matches!(config.auth, Auth::Secret(_)) && !tls;
    Box::new(Agreed {
        peer: terms.peer,
        version: terms.version,
        features: terms.features,
        send: secret.then_some(send),
        receive: secret.then_some(receive),
        transcript,
        initiated,
        tls,
    })
}
