//! Connecting to the first of several addresses that answers ("happy eyeballs", RFC 8305).
//!
//! An address gets some time for itself; if it has neither accepted nor refused by then, or as soon as it
//! refuses, the next is tried beside it, and so on, up to a few at a time. The first connection counts, and the others are
//! given up. All in one tasklet: the attempts under way are in an epoll of their own, which is itself a
//! descriptor to wait for. It is made only when there are two of them at once, which is rare.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::{TimedOut, time};
use rustix::event::epoll;

use super::handle::Handle;
use super::socket::{begin_connect, check_peer, connect_outcome};
use super::{Internet, TcpStream};

/// How long an address is waited for before the next is tried as well (RFC 8305, section 5).
const DELAY: Duration = Duration::from_millis(250);

/// How many may be under way at once. A name may have thousands of addresses, none of which answers.
const MOST: usize = 16;

/// Addresses that were tried, in the order in which they were, and what came of them.
pub type Attempts = Vec<(SocketAddr, io::Error)>;

/// Connects to one of `addrs`. They are tried in the order given, but by turns of the families, the first
/// one's first. When the time is over those that are still under way have the error
/// [`TimedOut`], and the others are not among the attempts.
#[doc(hidden)]
pub fn connect_first(
    addrs: &[SocketAddr],
    deadline: Option<Instant>,
) -> Result<TcpStream, Attempts> {
    let mut race = Race {
        racers: Vec::new(),
        lost: Vec::new(),
        course: None,
    };
    let winner = race.run(interleave(addrs), deadline);
    winner.ok_or_else(|| {
        let mut lost = race.lost;
        let late = |racer: Racer| (racer.place, racer.addr, TimedOut.into());
        lost.extend(race.racers.into_iter().map(late));
        lost.sort_by_key(|&(place, ..)| place);
        lost.into_iter()
            .map(|(_, addr, error)| (addr, error))
            .collect()
    })
}

/// By turns of the families, each in its order.
fn interleave(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addrs.first() else {
        return Vec::new();
    };
    let (mut one, mut other): (Vec<_>, Vec<_>) = addrs
        .iter()
        .partition(|addr| addr.is_ipv4() == first.is_ipv4());
    let turns = one.len().max(other.len());
    let (mut one, mut other) = (one.drain(..), other.drain(..));
    (0..turns)
        .flat_map(|_| [one.next(), other.next()])
        .flatten()
        .collect()
}

/// An attempt under way.
struct Racer {
    place: usize,
    addr: SocketAddr,
    socket: Source,
}

struct Race {
    racers: Vec<Racer>,
    lost: Vec<(usize, SocketAddr, io::Error)>,
    /// The epoll in which they are waited for together, once there are two.
    course: Option<Source>,
}

impl Race {
    /// The winner; none if all have lost, or the time is over.
    fn run(&mut self, addrs: Vec<SocketAddr>, deadline: Option<Instant>) -> Option<TcpStream> {
        for (place, &addr) in addrs.iter().enumerate() {
            if deadline.is_some_and(|at| time::now() >= at) {
                return None;
            }
            if let Some(winner) = self.start(place, addr) {
                return Some(winner);
            }
            if self.racers.is_empty() {
                continue;
            }
            let left = addrs.len() - place;
            if left == 1 {
                break;
            }
            // Where the time is short each gets its share.
            let delay = deadline.map_or(DELAY, |at| {
                let time = at.saturating_duration_since(time::now());
                DELAY.min(time / u32::try_from(left).unwrap_or(u32::MAX))
            });
            let until = match self.racers.len() < MOST {
                true => time::now().checked_add(delay),
                false => deadline,
            };
            match self.wait(until, true) {
                Waited::Won(winner) => return Some(winner),
                Waited::Interrupted => return None,
                Waited::Lost | Waited::Over => {}
            }
        }
        while !self.racers.is_empty() {
            match self.wait(deadline, false) {
                Waited::Won(winner) => return Some(winner),
                Waited::Interrupted | Waited::Over => return None,
                Waited::Lost => {}
            }
        }
        None
    }

    /// Has one more run; it may have won at once.
    fn start(&mut self, place: usize, addr: SocketAddr) -> Option<TcpStream> {
        let begun = begin_connect::<Internet>(&addr, None).and_then(|(fd, connected)| {
            let socket = Source::new(fd)?;
            if !connected {
                self.line_up(&socket)?;
            }
            Ok((socket, connected))
        });
        match begun {
            Ok((socket, false)) => self.racers.push(Racer {
                place,
                addr,
                socket,
            }),
            Ok((socket, true)) => match winner(socket) {
                Ok(winner) => return Some(winner),
                Err(error) => self.lost.push((place, addr, error)),
            },
            Err(error) => self.lost.push((place, addr, error)),
        }
        None
    }

    /// Makes sure that all who run are waited for.
    fn line_up(&mut self, socket: &Source) -> io::Result<()> {
        if self.racers.is_empty() {
            // Who runs alone is waited for by itself, and not in the epoll of those who have lost.
            self.course = None;
            return Ok(());
        }
        // Who has arrived leaves it by being closed.
        let add = |course: &Source, socket: &Source| {
            let data = epoll::EventData::new_u64(0);
            epoll::add(course, socket, data, epoll::EventFlags::OUT)
        };
        let course = match self.course.take() {
            Some(course) => course,
            None => {
                let course = Source::new(epoll::create(epoll::CreateFlags::CLOEXEC)?)?;
                for racer in &self.racers {
                    add(&course, &racer.socket)?;
                }
                course
            }
        };
        let added = add(&course, socket);
        self.course = Some(course);
        Ok(added?)
    }

    /// Waits for whichever is first to win, or to lose if that `matters`.
    fn wait(&mut self, until: Option<Instant>, matters: bool) -> Waited {
        let before = self.lost.len();
        loop {
            if let Some(winner) = self.look() {
                return Waited::Won(winner);
            }
            if self.racers.is_empty() || (matters && self.lost.len() > before) {
                return Waited::Lost;
            }
            let waited = match &self.course {
                Some(course) => course.wait(Direction::Read, until),
                None => self.racers[0].socket.wait(Direction::Write, until),
            };
            match waited {
                Ok(()) => {}
                Err(error) if is_time_out(&error) => {
                    // The nearer of two deadlines has passed; the one around this may not be ours.
                    return match until {
                        Some(at) if time::now() >= at => Waited::Over,
                        _ => Waited::Interrupted,
                    };
                }
                Err(error) => {
                    self.fail(&error);
                    return Waited::Interrupted;
                }
            }
        }
    }

    /// Takes out who has arrived.
    fn look(&mut self) -> Option<TcpStream> {
        let mut index = 0;
        while let Some(racer) = self.racers.get(index) {
            match connect_outcome(racer.socket.as_fd()) {
                Ok(()) => {
                    let Racer {
                        place,
                        addr,
                        socket,
                    } = self.racers.remove(index);
                    match winner(socket) {
                        Ok(winner) => return Some(winner),
                        Err(error) => self.lost.push((place, addr, error)),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => index += 1,
                Err(error) => self.lose(index, error),
            }
        }
        None
    }

    fn lose(&mut self, index: usize, error: io::Error) {
        let racer = self.racers.remove(index);
        self.lost.push((racer.place, racer.addr, error));
    }

    /// Nobody can be waited for any more.
    fn fail(&mut self, error: &io::Error) {
        while !self.racers.is_empty() {
            let same = error.raw_os_error().map_or_else(
                || io::Error::new(error.kind(), error.to_string()),
                io::Error::from_raw_os_error,
            );
            self.lose(0, same);
        }
    }
}

enum Waited {
    Won(TcpStream),
    /// One has lost, or all have.
    Lost,
    /// It is as late as it was to become.
    Over,
    /// Somebody else's deadline has passed, or the tasklet must not wait.
    Interrupted,
}

/// Whether the runtime has ended an operation at its deadline. (The system itself gives up on a connection,
/// too, after some minutes.)
#[doc(hidden)]
pub fn is_time_out(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TimedOut>())
}

/// A socket that is connected, as a stream.
fn winner(socket: Source) -> io::Result<TcpStream> {
    let socket = Handle::new(socket.into_fd())?;
    check_peer(&socket.options())?;
    Ok(TcpStream::from_handle(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener that does not answer, since its queue is full; and who fills it.
    fn silent() -> (socket2::Socket, std::net::TcpStream) {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        (listener, std::net::TcpStream::connect(addr).unwrap())
    }

    /// Two at once have lost at one look; the one after them takes its time.
    #[test]
    fn who_runs_alone_after_several_have_lost_is_waited_for() {
        actor_core::dispatch(|| {
            let gone = || {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap()
            };
            let mut race = Race {
                racers: Vec::new(),
                lost: Vec::new(),
                course: None,
            };
            for place in 0..2 {
                assert!(race.start(place, gone()).is_none());
            }
            let begun = race.racers.len();
            assert_eq!(begun, 2, "a connect is refused before it has begun");
            assert!(matches!(race.wait(None, true), Waited::Lost));
            assert!(race.racers.is_empty());

            let (listener, queued) = silent();
            assert!(race.start(2, queued.peer_addr().unwrap()).is_none());
            // Gets in when it is repeated, a second later.
            let _accepted = listener.accept().unwrap();
            let patience = time::now() + Duration::from_secs(30);
            assert!(matches!(race.wait(Some(patience), false), Waited::Won(_)));
        });
    }

    /// Names may stand for thousands of addresses, as their owners like.
    #[test]
    fn no_more_than_a_few_run_at_once() {
        let (_listener, queued) = silent();
        let addr = queued.peer_addr().unwrap();
        let soon = time::now() + Duration::from_millis(200);
        let lost = connect_first(&[addr; 200], Some(soon)).unwrap_err();
        assert_eq!(lost.len(), MOST);
    }

    #[test]
    fn families_take_turns() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(addr);
        let order = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(addr);
        assert_eq!(interleave(&given), order);
        let given = ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1", "3.3.3.3:1"].map(addr);
        assert_eq!(interleave(&given), given);
        assert!(interleave(&[]).is_empty());
    }
}
