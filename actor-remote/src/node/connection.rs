//! A connection that is becoming a link: the handshake, and the two tasklets behind it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use actor_core::Tasklet;
#[cfg(feature = "tls")]
use actor_core::timeout;
use actor_io::TcpStream;
#[cfg(feature = "tls")]
use actor_net::tls::TlsStream;
use socket2::SockRef;

use super::Inner;
use super::stream::Stream;
#[cfg(feature = "tls")]
use super::stream::tls;
use crate::error::ConnectError;
#[cfg(feature = "tls")]
use crate::handshake::Auth;
use crate::handshake::{self, Agreed, Initiator, MAX_MESSAGE, Nonce, Refused, Responder, Step};
use crate::link::{Begin, Link, LinkEnd, Local, Reader, write};
use crate::offers::Offers;
use crate::peer::Peer;

/// How much stack a link's reader has: what it decodes is nested.
pub(super) const STACK: usize = 1 << 20;

/// How many bytes the kernel takes that it cannot send yet. What it has stands before all that comes later: a small
/// message waits for that beside big ones, and for no more than that.
const UNSENT: u32 = 64 * 1024;

/// How long a link that has been closed in order waits for the other side to close as well.
const LINGER: Duration = Duration::from_secs(2);

/// Which side this end is.
pub(super) enum Side<'a> {
    /// It has connected.
    Initiator {
        /// Who must be there, if that is known.
        expected: Option<&'a str>,
        /// What its certificate is for, under TLS; otherwise the address.
        #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "for TLS alone"))]
        name: Option<&'a str>,
    },
    /// The other has.
    Responder,
}

/// Comes to an agreement with the other side. Besides, what has come behind it.
pub(super) fn agree(
    inner: &Inner,
    stream: TcpStream,
    side: Side<'_>,
) -> Result<(Stream, Agreed, Vec<u8>), ConnectError> {
    #[cfg(feature = "tls")]
    if let Some(both) = &inner.config.tls {
        return timeout(inner.config.handshake, || {
            let mut stream = tls::begin(both, stream, &side)?;
            let binding = tls::binding(&stream)?;
            let is_certified = matches!(inner.config.auth(), Auth::Tls);
            let is_right =
                |stream: &TlsStream, name: &str| !is_certified || stream.peer_is_called(name);
            let (agreed, rest) = talk(inner, &mut stream, &side, Some(binding), is_right)?;
            Ok((Stream::Tls(Box::new(stream)), agreed, rest))
        });
    }
    let mut limited = stream.with_timeout(inner.config.handshake);
    let (agreed, rest) = talk(inner, &mut limited, &side, None, |_, _| true)?;
    drop(limited);
    Ok((Stream::Plain(stream), agreed, rest))
}

/// The handshake itself. Before this end says that it agrees, `is_right` judges who is there.
fn talk<S: Read + Write>(
    inner: &Inner,
    stream: &mut S,
    side: &Side<'_>,
    binding: Option<[u8; 32]>,
    is_right: impl Fn(&S, &str) -> bool,
) -> Result<(Agreed, Vec<u8>), ConnectError> {
    let nonce = Nonce::random().map_err(ConnectError::Io)?;
    let config = |expected| handshake::Config {
        binding,
        ..inner.handshake(expected)
    };
    let mut side = match side {
        Side::Initiator { expected, .. } => {
            let (initiator, first) =
                Initiator::start(config(*expected), nonce).map_err(|_| ConnectError::Closed)?;
            stream.write_all(&first).map_err(failed)?;
            stream.flush().map_err(failed)?;
            Machine::Initiator(initiator)
        }
        Side::Responder => Machine::Responder(
            Responder::new(config(None), nonce).map_err(|_| ConnectError::Closed)?,
        ),
    };
    let mut come = Vec::new();
    loop {
        let mut input = &come[..];
        let before = input.len();
        let step = match &mut side {
            Machine::Initiator(side) => side.receive(&mut input),
            Machine::Responder(side) => side.receive(&mut input),
        };
        let used = before - input.len();
        match step.map_err(ConnectError::Refused)? {
            Step::More => {
                // No more is kept of somebody unknown than a message of a handshake.
                let mut buffer = [0; MAX_MESSAGE + 2];
                let room = buffer.len().saturating_sub(come.len()).max(1);
                let read = match stream.read(&mut buffer[..room]) {
                    // Under TLS, an end that has not been announced.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                    read => read,
                };
                match read {
                    Ok(0) => {
                        let why = match side {
                            Machine::Initiator(side) => side.end(),
                            Machine::Responder(side) => side.end(),
                        };
                        return Err(ConnectError::Refused(why));
                    }
                    Ok(count) => come.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            Step::Send(bytes) => {
                come.drain(..used);
                stream.write_all(&bytes).map_err(failed)?;
                stream.flush().map_err(failed)?;
            }
            Step::Agreed(bytes, agreed) => {
                come.drain(..used);
                if !is_right(stream, &agreed.peer.name) {
                    return Err(ConnectError::Refused(Refused::Certificate));
                }
                if !bytes.is_empty() {
                    stream.write_all(&bytes).map_err(failed)?;
                    stream.flush().map_err(failed)?;
                }
                return Ok((*agreed, come));
            }
        }
    }
}

enum Machine {
    Initiator(Initiator),
    Responder(Responder),
}

fn failed(error: io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ConnectError::Timeout,
        _ => ConnectError::Io(error),
    }
}

/// A connection whose two ends have agreed.
pub(super) struct Established {
    pub(super) stream: Stream,
    pub(super) agreed: Agreed,
    /// What has been read behind the handshake.
    pub(super) rest: Vec<u8>,
    pub(super) link: Arc<Link>,
}

impl Established {
    pub(super) fn new(
        inner: &Inner,
        stream: Stream,
        agreed: Agreed,
        rest: Vec<u8>,
    ) -> Result<Established, ConnectError> {
        let prepared = || {
            let tcp = stream.tcp();
            tcp.set_nodelay(true)?;
            SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT)?;
            // So that silence is noticed: several times within the limit, since a process that has not looked for
            // half of that takes itself for the one that was stopped.
            let heartbeat = inner.config.heartbeat;
            tcp.set_read_timeout(Some(heartbeat.ask.min(heartbeat.give_up / 4)))
        };
        prepared().map_err(ConnectError::Io)?;
        let link = Link::new(
            agreed.peer.clone(),
            agreed.initiated,
            inner.config.link_settings(),
        );
        Ok(Established {
            stream,
            agreed,
            rest,
            link,
        })
    }

    /// Starts the tasklet that writes, and reads in the caller's until the link ends. `begin` is done when the other side
    /// takes it into use, or wants to.
    pub(super) fn run(self, inner: &Arc<Inner>, peer: &Peer, begin: Begin) {
        let Established {
            stream,
            agreed,
            rest,
            link,
        } = self;
        // However this ends, by a kill as well, the link ends with it.
        let mut ends = Ends {
            link: link.clone(),
            peer,
            offers: inner.offers.clone(),
            orphan_after: inner.config.orphan_after,
            closer: None,
        };
        let halves = || {
            let closer = stream.tcp().try_clone()?;
            let again = stream.tcp().try_clone()?;
            let (from, to) = stream.split()?;
            Ok::<_, io::Error>((from, to, closer, again))
        };
        let (mut from, mut to, closer, tcp) = match halves() {
            Ok(halves) => halves,
            Err(error) => {
                link.end(error.into());
                return;
            }
        };
        let seal = agreed.seal();
        let open = agreed.open();
        ends.closer = Some(closer);
        let writer = {
            let link = link.clone();
            Tasklet::builder()
                .name(format!("link to {}, writing", link.peer.name))
                .daemon(true)
                .spawn(move || {
                    if write(&link, &mut to, seal) {
                        // Not all at once: what has been written would not arrive, if what has come was not read.
                        to.finish();
                        let _ = link.over().wait_timeout(LINGER);
                    }
                    link.end(LinkEnd::Closed);
                    drop(tcp.shutdown(Shutdown::Both));
                })
        };
        if let Err(error) = writer {
            tracing::warn!(%error, peer = %link.peer.name, "a link cannot be written to");
            link.end(LinkEnd::Failed(io::ErrorKind::OutOfMemory));
        }
        let local = Local {
            exposures: inner.exposures.clone(),
            offers: inner.offers.clone(),
            incarnation: inner.incarnation,
            names: peer.names().clone(),
        };
        Reader::new(link, local, begin).run(&mut *from, open, &rest);
        drop(ends);
    }
}

struct Ends<'a> {
    link: Arc<Link>,
    peer: &'a Peer,
    offers: Arc<Offers>,
    orphan_after: Duration,
    closer: Option<TcpStream>,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.link.end(LinkEnd::Cut);
        // The other tasklet may wait in it.
        if let Some(closer) = &self.closer {
            drop(closer.shutdown(Shutdown::Both));
        }
        self.link.is_quiet();
        self.offers.lost(&self.link, self.orphan_after);
        self.peer.lost(&self.link);
    }
}
