//! [`Chat`]: what comes in, cut at terminators.

use std::error::Error;
use std::fmt;
use std::io;

use actor_core::{BoxError, Context};
use memchr::memmem;

use super::Dispatcher;

/// How long a piece may be, unless [`Framing::set_max_piece`] says otherwise. In bytes.
///
/// ```
/// assert_eq!(actor_net::dispatcher::DEFAULT_MAX_PIECE, 1 << 20);
/// ```
pub const DEFAULT_MAX_PIECE: usize = 1024 * 1024;

/// How much is received at once.
const CHUNK: usize = 4096;

/// What ends a piece.
///
/// ```
/// use actor_net::dispatcher::Terminator;
///
/// assert_eq!(Terminator::from("\r\n"), Terminator::Bytes(b"\r\n"[..].into()));
/// assert_eq!(Terminator::from(5), Terminator::Length(5));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Terminator {
    /// Nothing: all that comes in is collected.
    #[default]
    None,
    /// These bytes, which belong to no piece. Empty ones are as [`None`](Terminator::None).
    Bytes(Box<[u8]>),
    /// So many bytes having come in. None at all are as [`None`](Terminator::None).
    Length(usize),
}

impl From<&str> for Terminator {
    fn from(text: &str) -> Self {
        Terminator::from(text.as_bytes())
    }
}

impl From<&[u8]> for Terminator {
    fn from(bytes: &[u8]) -> Self {
        Terminator::Bytes(bytes.into())
    }
}

impl<const N: usize> From<&[u8; N]> for Terminator {
    fn from(bytes: &[u8; N]) -> Self {
        Terminator::from(&bytes[..])
    }
}

impl From<usize> for Terminator {
    fn from(length: usize) -> Self {
        Terminator::Length(length)
    }
}

/// How far the cutting has come: what a [`Chat`] keeps between two reads.
///
/// ```
/// use actor_net::dispatcher::{Framing, Terminator};
///
/// let mut framing = Framing::new("\r\n");
/// assert_eq!(framing.terminator(), &Terminator::from("\r\n"));
/// framing.set_terminator(10);
/// assert_eq!(framing.terminator(), &Terminator::Length(10));
/// ```
#[derive(Debug)]
pub struct Framing {
    terminator: Terminator,
    /// What has come in and has not been collected, since it may begin a terminator, or since a handler
    /// has failed before, or because there was no room for more answers.
    held: Vec<u8>,
    /// How much of the present piece has been collected.
    collected: usize,
    max_piece: usize,
}

impl Framing {
    /// Pieces that end with `terminator`.
    ///
    /// ```
    /// let framing = actor_net::dispatcher::Framing::new("\n");
    /// ```
    pub fn new(terminator: impl Into<Terminator>) -> Framing {
        Framing {
            terminator: terminator.into(),
            held: Vec::new(),
            collected: 0,
            max_piece: DEFAULT_MAX_PIECE,
        }
    }

    /// Sets what ends the present piece, from the first byte on that has not been collected; and the
    /// following ones.
    ///
    /// ```
    /// let mut framing = actor_net::dispatcher::Framing::new("\n");
    /// framing.set_terminator(b"END");
    /// ```
    pub fn set_terminator(&mut self, terminator: impl Into<Terminator>) {
        self.terminator = terminator.into();
        if let Terminator::Length(_) = self.terminator {
            self.collected = 0;
        }
    }

    /// What ends a piece at the moment.
    ///
    /// ```
    /// use actor_net::dispatcher::{Framing, Terminator};
    ///
    /// assert_eq!(Framing::new(3).terminator(), &Terminator::Length(3));
    /// ```
    pub fn terminator(&self) -> &Terminator {
        &self.terminator
    }

    /// Sets how long a piece may be that ends with bytes; [`DEFAULT_MAX_PIECE`] otherwise. A longer one is
    /// [refused](PieceTooLong) as soon as that is known.
    ///
    /// ```
    /// actor_net::dispatcher::Framing::new("\n").set_max_piece(1000);
    /// ```
    pub fn set_max_piece(&mut self, bytes: usize) {
        self.max_piece = bytes;
    }

    /// Looks at what has come in, and says what is next.
    fn next(&self, input: &[u8]) -> Next {
        let all = Next {
            collect: input.len(),
            skip: 0,
            found: false,
        };
        match &self.terminator {
            Terminator::None | Terminator::Length(0) => all,
            Terminator::Bytes(bytes) if bytes.is_empty() => all,
            Terminator::Length(length) => {
                let missing = length.saturating_sub(self.collected);
                let collect = missing.min(input.len());
                Next {
                    collect,
                    skip: 0,
                    found: collect == missing,
                }
            }
            Terminator::Bytes(bytes) => match memmem::find(input, bytes) {
                Some(at) => Next {
                    collect: at,
                    skip: bytes.len(),
                    found: true,
                },
                None => Next {
                    collect: input.len() - begun(input, bytes),
                    skip: 0,
                    found: false,
                },
            },
        }
    }

    /// How much is received at once: no more, as long as there is enough to be handled.
    fn wants(&self) -> usize {
        let enough = match &self.terminator {
            Terminator::Bytes(bytes) => bytes.len().max(CHUNK),
            _ => CHUNK,
        };
        if self.held.len() < enough { CHUNK } else { 0 }
    }

    /// Counts what is collected.
    fn count(&mut self, next: &Next) -> Result<(), PieceTooLong> {
        self.collected += next.collect;
        if matches!(self.terminator, Terminator::Bytes(_)) && self.collected > self.max_piece {
            return Err(PieceTooLong {
                limit: self.max_piece,
            });
        }
        if next.found {
            self.collected = 0;
        }
        Ok(())
    }
}

/// What is to be done with the first bytes of the input.
struct Next {
    collect: usize,
    /// How many after those belong to the terminator.
    skip: usize,
    found: bool,
}

/// How many bytes at the end of `input` begin a terminator that is still to be completed.
fn begun(input: &[u8], terminator: &[u8]) -> usize {
    let most = input.len().min(terminator.len() - 1);
    (1..=most)
        .rev()
        .find(|&count| input.ends_with(&terminator[..count]))
        .unwrap_or(0)
}

/// A dispatcher whose input is cut at terminators: asynchat's `async_chat`, and Twisted's `LineReceiver`
/// with the terminator `"\r\n"`.
///
/// What comes in goes to [`collect_incoming_data`](Self::collect_incoming_data), in pieces of whatever
/// size, and [`found_terminator`](Self::found_terminator) says that one is complete. Only the terminator's
/// first bytes are held back, so it is for the implementor to keep what it needs.
///
/// ```
/// use actor_core::{Actor, BoxError, Context, dispatch};
/// use actor_net::dispatcher::{Channel, Chat, Dispatcher, Framing, Map};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// /// Answers each line with its length.
/// struct Lengths {
///     channel: Channel,
///     framing: Framing,
///     line: Vec<u8>,
/// }
///
/// impl Actor for Lengths {}
///
/// impl Dispatcher for Lengths {
///     fn channel(&mut self) -> &mut Channel {
///         &mut self.channel
///     }
///
///     fn handle_read(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
///         self.read_pieces(ctx)
///     }
/// }
///
/// impl Chat for Lengths {
///     fn framing(&mut self) -> &mut Framing {
///         &mut self.framing
///     }
///
///     fn collect_incoming_data(
///         &mut self,
///         data: &[u8],
///         _: &mut Context<Self>,
///     ) -> Result<(), BoxError> {
///         self.line.extend_from_slice(data);
///         Ok(())
///     }
///
///     fn found_terminator(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
///         let answer = format!("{}\n", std::mem::take(&mut self.line).len());
///         self.channel.push(answer.as_bytes())?;
///         Ok(())
///     }
/// }
///
/// dispatch(|| {
///     let (near, mut far) = UnixStream::pair().unwrap();
///     let map = Map::new();
///     let lengths = Lengths {
///         channel: Channel::adopt(near).unwrap(),
///         framing: Framing::new("\r\n"),
///         line: Vec::new(),
///     };
///     map.spawn(lengths).unwrap();
///     far.write_all(b"one\r\nthree\r\nignored").unwrap();
///     far.shutdown(std::net::Shutdown::Write).unwrap();
///     map.run();
///     let mut answers = String::new();
///     far.read_to_string(&mut answers).unwrap();
///     assert_eq!(answers, "3\n5\n");
/// });
/// ```
pub trait Chat: Dispatcher {
    /// How far the cutting has come.
    fn framing(&mut self) -> &mut Framing;

    /// Some of a piece has come in; never nothing.
    ///
    /// # Errors
    ///
    /// As of every [handler](Dispatcher::handle_connect).
    fn collect_incoming_data(
        &mut self,
        data: &[u8],
        ctx: &mut Context<Self>,
    ) -> Result<(), BoxError>;

    /// A piece is complete. What it [sets](Framing::set_terminator) as the terminator holds from the next
    /// byte on.
    ///
    /// # Errors
    ///
    /// As of every [handler](Dispatcher::handle_connect).
    fn found_terminator(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError>;

    /// Receives, and cuts what has come in: what [`handle_read`](Dispatcher::handle_read) of a chat does.
    ///
    /// Once the channel is closed, or the actor is to end, no more is given to the handlers. While there
    /// is no room for answers, as [`Channel::push`](super::Channel::push) explains, no further piece is; it
    /// is when the peer has taken some.
    ///
    /// # Errors
    ///
    /// Those of its handlers, [`PieceTooLong`], and as [`Channel::recv`](super::Channel::recv). What follows
    /// a piece that has failed is not lost: it comes with the next call, which the dispatcher is given.
    fn read_pieces(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let wanted = self.framing().wants();
        let mut input = std::mem::take(&mut self.framing().held);
        let held = input.len();
        input.resize(held + wanted, 0);
        let received = match self.channel().recv(&mut input[held..]) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        input.truncate(held + received);
        let mut taken = 0;
        let result = cut(self, &input, &mut taken, ctx);
        input.drain(..taken);
        if !input.is_empty() {
            input.shrink_to_fit();
            self.framing().held = input;
            self.channel().unhandled = !matches!(result, Ok(Cut::All));
        }
        result.map(drop)
    }
}

/// How far a cut has come.
enum Cut {
    /// What is left, if anything is, may begin a terminator.
    All,
    /// There is no room for answers to the rest.
    Some,
}

/// Gives `input` to the handlers, and says how much of it was.
fn cut<D: Chat>(
    chat: &mut D,
    input: &[u8],
    taken: &mut usize,
    ctx: &mut Context<D>,
) -> Result<Cut, BoxError> {
    while *taken < input.len() {
        if chat.channel().is_closed() || actor_core::__private::is_ending(ctx) {
            *taken = input.len();
            return Ok(Cut::All);
        }
        if !chat.channel().make_room() {
            return Ok(Cut::Some);
        }
        let next = chat.framing().next(&input[*taken..]);
        let data = &input[*taken..*taken + next.collect];
        *taken += next.collect + next.skip;
        chat.framing().count(&next)?;
        if !data.is_empty() {
            chat.collect_incoming_data(data, ctx)?;
        }
        if next.found {
            chat.found_terminator(ctx)?;
        } else if *taken < input.len() {
            // What is left may begin a terminator.
            return Ok(Cut::All);
        }
    }
    Ok(Cut::All)
}

/// A piece was longer than [`Framing::set_max_piece`] allows.
///
/// ```
/// use actor_net::dispatcher::PieceTooLong;
///
/// assert!(PieceTooLong { limit: 10 }.to_string().starts_with("no terminator within 10 bytes"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceTooLong {
    /// How many bytes were allowed.
    pub limit: usize,
}

impl fmt::Display for PieceTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no terminator within {} bytes (`set_max_piece` sets the limit)",
            self.limit
        )
    }
}

impl Error for PieceTooLong {}
