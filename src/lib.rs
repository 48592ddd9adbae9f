//! Network services written as actors, in plain blocking-looking Rust, without `async`.
//!
//! A program is made of *tasklets*: functions with a stack and a mailbox of their own, of which
//! thousands share a few worker threads. A tasklet that waits (for a message, a socket, a lock,
//! a time) lets the others of its worker run. That is all there is to it: no executor to choose,
//! no `await`, no second set of libraries.
//!
//! This page is a tour. Each step ends with the place to read on.
//!
//! # Tasklets
//!
//! [`dispatch`] runs the main tasklet, and returns when that and all the others have ended.
//! [`Tasklet::spawn`] starts another on the same worker; it runs when its turn comes. Tasklets
//! take turns round robin, and one's turn ends when it waits or yields.
//!
//! ```
//! use concurrence::{Tasklet, dispatch};
//!
//! # let code =
//! dispatch(|| {
//!     let six = Tasklet::spawn(|| {
//!         Tasklet::yield_now();
//!         6
//!     });
//!     let seven = Tasklet::spawn(|| 7);
//!     assert_eq!(six.join().unwrap() * seven.join().unwrap(), 42);
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! A tasklet stays on its worker for life, so thread-locals and values that are not `Send` may be
//! held across a wait. It also means that nobody moves work between cores for you: [`Placement`]
//! does, when a tasklet is built, and [`net::Server`] spreads its connections by itself.
//!
//! # Messages
//!
//! Any type can be a [`Message`]. [`send`](Tasklet::send) puts it into the receiver's mailbox;
//! [`call`](Tasklet::call) also waits for the reply. The receiver takes messages out with
//! [`Tasklet::receive`] and tells their classes apart with [`match_message!`].
//!
//! ```
//! use concurrence::{CallError, Message, Tasklet, dispatch, match_message};
//!
//! #[derive(Message)]
//! struct Add(u64);
//!
//! #[derive(Message)]
//! #[message(reply = u64)]
//! struct Get;
//!
//! fn counter() {
//!     let mut value = 0;
//!     for message in Tasklet::receive() {
//!         match_message!(match message {
//!             Add(n) => value += n,
//!             (Get, reply) => reply.send(value),
//!         });
//!     }
//! }
//!
//! # let code =
//! dispatch(|| -> Result<(), CallError> {
//!     let counter = Tasklet::spawn(counter);
//!     counter.send(Add(2))?;
//!     counter.send(Add(3))?;
//!     assert_eq!(counter.call(Get)?, 5);
//!     Ok(())
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! Messages from one sender to one receiver arrive in the order in which they were sent. A mailbox
//! has no bound unless it is given one: [`Mailbox::bounded`], with an [`Overflow`] policy. Where
//! only one class will do, pass a [`Recipient`] and let the compiler check it; for one message to
//! many, there is [`Group`].
//!
//! # Actors
//!
//! A tasklet holds its stack for as long as it lives. An [`Actor`] is a value and a mailbox: it holds
//! none between messages, so a million of them fit on one machine. It has a [`Handler`] for each class
//! of message, which the compiler checks at every [`send`](Addr::send); and a handler may wait like any
//! tasklet.
//!
//! ```
//! use concurrence::{Actor, Addr, CallError, Context, Handler, Message, dispatch};
//!
//! struct Counter {
//!     value: u64,
//! }
//!
//! #[derive(Message)]
//! struct Add(u64);
//!
//! #[derive(Message)]
//! #[message(reply = u64)]
//! struct Get;
//!
//! impl Actor for Counter {}
//!
//! impl Handler<Add> for Counter {
//!     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) {
//!         self.value += n;
//!     }
//! }
//!
//! impl Handler<Get> for Counter {
//!     fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
//!         self.value
//!     }
//! }
//!
//! # let code =
//! dispatch(|| -> Result<(), CallError> {
//!     let counter = Addr::spawn(Counter { value: 0 });
//!     counter.send(Add(3))?;
//!     assert_eq!(counter.call(Get)?, 3);
//!     Ok(())
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! [`messages`](macro@messages) writes the messages, the handlers and typed methods of the address out of
//! the actor's own methods:
//!
//! ```
//! use concurrence::{Actor, Addr, CallError, dispatch, messages};
//!
//! struct Counter {
//!     value: u64,
//! }
//!
//! impl Actor for Counter {}
//!
//! #[messages]
//! impl Counter {
//!     fn add(&mut self, n: u64) {
//!         self.value += n;
//!     }
//!
//!     fn get(&self) -> u64 {
//!         self.value
//!     }
//! }
//!
//! # fn main() {
//! # let code =
//! dispatch(|| -> Result<(), CallError> {
//!     let counter = Addr::spawn(Counter { value: 0 });
//!     counter.add(3)?; // sent
//!     assert_eq!(counter.get()?, 3); // called
//!     Ok(())
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! # }
//! ```
//!
//! [`Addr::monitor`] and [`Addr::link`] tell when one ends and why; a [`Supervisor`] starts its
//! children again.
//!
//! # Channels
//!
//! A mailbox keeps what is sent until its owner looks. At a [`channel`] the two meet:
//! [`send`](channel::Channel::send) waits until a receiver takes the value, and
//! [`receive`](channel::Channel::receive) until a sender brings one. On one worker the receiver runs at
//! once, so that values go from hand to hand without a queue in between. A
//! [`Select`](channel::Select) waits for the first of several channels, the mailbox and a deadline.
//!
//! ```
//! use concurrence::channel::Channel;
//! use concurrence::{Tasklet, dispatch};
//!
//! # let code =
//! dispatch(|| {
//!     let words = Channel::new();
//!     let sender = words.clone();
//!     Tasklet::spawn(move || sender.send_all(["to", "be", "or"]));
//!     let mut sentence = Vec::new();
//!     for word in &words {
//!         sentence.push(word); // until nobody is left who could send
//!     }
//!     assert_eq!(sentence.join(" "), "to be or");
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! Channels, and what tasklets can do with the run queue ([`Tasklet::run`], [`Tasklet::remove`],
//! [`Tasklet::run_all`] and so on), are those of Stackless Python; `docs/stackless.md` goes through them name by
//! name.
//!
//! # Generators
//!
//! A [`Generator`] is an iterator whose elements come out of code with a stack of its own, that gives them
//! from wherever it is, a recursion for instance:
//!
//! ```
//! use concurrence::{Generator, Yielder, dispatch};
//!
//! fn hanoi(disks: u32, from: char, to: char, by: char, out: &Yielder<(char, char)>) {
//!     if disks > 0 {
//!         hanoi(disks - 1, from, by, to, out);
//!         out.give((from, to));
//!         hanoi(disks - 1, by, to, from, out);
//!     }
//! }
//!
//! # let code =
//! dispatch(|| {
//!     let moves = Generator::new(|out| hanoi(3, 'A', 'C', 'B', out));
//!     assert_eq!(moves.take(2).collect::<Vec<_>>(), [('A', 'C'), ('A', 'B')]);
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! A recursion too deep for its stack goes on, by [`call`], on another one.
//!
//! # Ends
//!
//! Receive loops end when nobody is left who could send, so most tasklets need no order to stop.
//! [`Tasklet::stop`] is that order: the loop ends after what came before it, and the children are
//! asked once their parent has ended. [`Tasklet::kill`] does not ask: it unwinds its victim at
//! the operation in which it waits, or at its next one. A panic ends its own tasklet alone; who
//! joins it is told. Ctrl-C and SIGTERM stop the whole program in the same orderly way.
//!
//! # Deadlines
//!
//! [`timeout`] puts one deadline over a block of code, whatever it waits for:
//!
//! ```
//! use std::time::Duration;
//! use concurrence::{Tasklet, TimedOut, dispatch, timeout};
//!
//! # let code =
//! dispatch(|| {
//!     let result = timeout(Duration::from_millis(10), || -> Result<(), TimedOut> {
//!         loop {
//!             Tasklet::sleep(Duration::from_millis(3));
//!         }
//!     });
//!     assert_eq!(result, Err(TimedOut));
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! # Services
//!
//! [`net::Server`] accepts connections and runs a handler for each, in a tasklet of its own. The
//! handler reads and writes a [`net::TcpStream`] as it would one of `std`, and hands it to
//! whatever takes [`io::Read`] and [`io::Write`].
//!
//! ```no_run
//! use std::process::ExitCode;
//! use concurrence::net::{Server, TcpStream};
//! use concurrence::{dispatch, io};
//!
//! fn echo(stream: TcpStream) -> io::Result<()> {
//!     io::copy(&mut &stream, &mut &stream)?;
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     dispatch(|| Server::serve("localhost:9007", echo))
//! }
//! ```
//!
//! [`io::BufferedStream`] splits a connection into a reader and a writer of lines, for two
//! tasklets. `examples/chat.rs` puts all of this on one page.
//!
//! Or an actor serves the connection. Then a [`net::Codec`] turns what comes in into messages, and what is
//! sent to the [`net::Connection`] into bytes:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use concurrence::net::{Connection, Line, LineCodec, Server};
//! use concurrence::{Actor, Context, Handler, dispatch};
//!
//! struct Echo(Connection<LineCodec>);
//!
//! impl Actor for Echo {}
//!
//! impl Handler<Line> for Echo {
//!     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
//!         self.0.send(line);
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     dispatch(|| Server::serve_actors("localhost:9007", LineCodec::new(), Echo))
//! }
//! ```
//!
//! `examples/chat_actors.rs` is the chat in this form.
//!
//! [`net::http`] serves HTTP/1.1 by a function of the request in blocking style, files and server-sent events as well
//! (`examples/web.rs`), and has a client; the feature `http` is on by default. With the feature `tower` the function may
//! be a service of tower's, such as an axum `Router` (`examples/web_axum.rs`). A request can become a WebSocket: see
//! [`net::http::ws`], for the feature `websocket`, and `examples/chat_web.rs`, which is the chat on a page.
//!
//! [`net::Server::tls`] and [`net::Connector::tls`] encrypt all this: see [`net::tls`], which is the feature
//! `tls`, on by default.
//!
//! The streams need not be those of a server. All of `std`'s sockets are there, TCP, UDP and Unix, with
//! their names and what they do; [`net::copy_bidirectional`] joins two of them (`examples/proxy.rs`):
//!
//! ```
//! use std::time::Duration;
//! use concurrence::io::{self, BufRead, BufReader, Write};
//! use concurrence::net::{Connector, Server, UdpSocket, UnixStream, resolve};
//! use concurrence::dispatch;
//!
//! # let path = std::env::temp_dir().join(format!("tour-{}", std::process::id()));
//! # let code =
//! dispatch(move || -> io::Result<()> {
//!     let greet = |mut stream: UnixStream| writeln!(stream, "hello");
//!     let server = Server::bind_unix(&path)?.spawn(greet)?;
//!     let stream = Connector::connect_unix(&path)?;
//!     let mut greeting = String::new();
//!     BufReader::new(stream).read_line(&mut greeting)?;
//!     assert_eq!(greeting, "hello\n");
//!
//!     let socket = UdpSocket::bind("127.0.0.1:0")?;
//!     // For this operation alone, where others have no limit.
//!     let socket = socket.with_timeout(Duration::from_millis(1));
//!     let silence = socket.recv_from(&mut [0; 512]).unwrap_err();
//!     assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
//!
//!     // The system's resolver, with its hosts file.
//!     let addrs = resolve("localhost", 80, Duration::from_secs(5))?;
//!     assert!(addrs.iter().all(|addr| addr.ip().is_loopback()));
//!     server.shutdown(Duration::from_secs(5))
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! # Files, programs, the console and signals
//!
//! [`fs`] and [`process`] have the names of `std`'s too. Files are read and written by the threads of the
//! pool, and the tasklet waits; [`io::stdin`], [`io::stdout`] and [`io::stderr`] block the tasklet alone, be
//! they terminals, pipes or files (`examples/console.rs`). A signal is a message to who
//! [subscribes](subscribe_signals) to it.
//!
//! ```
//! use concurrence::io::{self, Write};
//! use concurrence::process::Command;
//! use concurrence::{Signal, Tasklet, dispatch, fs, match_message, subscribe_signals};
//!
//! # let path = std::env::temp_dir().join(format!("tour-of-files-{}", std::process::id()));
//! # let code =
//! dispatch(move || -> io::Result<()> {
//!     fs::write(&path, "three\nlines\nhere\n")?;
//!     let counted = Command::new("wc").arg("-l").arg(&path).output()?;
//!     assert!(counted.stdout.starts_with(b"3"));
//!     fs::remove_file(&path)?;
//!
//!     subscribe_signals([Signal::HUP], Tasklet::current())?;
//!     let this = std::process::id().to_string();
//!     Command::new("kill").args(["-HUP", &this]).status()?;
//!     match_message!(match Tasklet::receive_one().unwrap() {
//!         signal: Signal => writeln!(io::stdout(), "time to read the configuration: {signal:?}")?,
//!     });
//!     Ok(())
//! });
//! # assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! # What blocks a worker
//!
//! The operations of this crate wait without the thread. `std`'s own do not: a `std` lock held
//! across one of ours, [`std::thread::sleep`] or a long computation keep all tasklets of that worker
//! from running. Use [`sync`] for locks that are held while waiting, and [`block_on_thread`] for the
//! rest. [`block_on`] waits for what is written for `async`.

// Programs, and the tasklets they are made of.
pub use actor_core::{
    DEFAULT_GRACE, DEFAULT_HOLD_WARNING, DEFAULT_POOL_THREADS, DEFAULT_STACK_SIZE, Runtime,
    RuntimeBuilder, dispatch, is_shutting_down, quit,
};
pub use actor_core::{
    JoinHandle, KillOnDrop, LocalKey, Placement, REPEAT_PAUSE, Tasklet, TaskletBuilder, Tree,
    WeakTasklet, block_on, block_on_thread, join_all, tasklet_local, try_block_on_thread,
};

// Messages, who they are sent to, and how they are told apart.
pub use actor_core::{
    DeadLetter, DeadLetterCause, DeadLetterSubscription, Destination, Dropped, Envelope, Group,
    Mailbox, Message, Messages, Overflow, Pid, Receiver, Recipient, ReplyTo, Unmatched, dropped,
    match_message, subscribe_dead_letters,
};

// Actors, and who watches whom.
pub use actor_core::{
    Accepts, Actor, Addr, AddrBuilder, Child, Context, DEFAULT_SHUTDOWN, Exit, ExitReason, Handler,
    IntensityExceeded, Monitor, Restart, Shutdown, Supervisor, WeakAddr, messages,
};

// Many at once, and finding them.
pub use actor_core::{
    Broker, GroupChanged, Keyed, Membership, Pool, PoolBuilder, Routing, Subscription, TopicError,
    registry,
};

// The run queue in the hands of its tasklets, and who watches it.
pub use actor_core::{
    BlockTrap, Budget, InsertError, RaiseError, RemoveError, RunError, ScheduleHook, catch_raised,
    schedule_hook, set_schedule_hook,
};

// Other ways to use a stack.
pub use actor_core::{Generator, Yielder, call};

// Deadlines.
pub use actor_core::{FromTimeout, Timer, timeout};

// What the system tells.
pub use actor_core::{Signal, SignalSubscription, subscribe_signals};

// What can go wrong.
pub use actor_core::{
    BlockOnThreadError, BoxError, CallError, Deadlock, JoinError, Outcome, Panic, ReceiveError,
    Refusal, RuntimeError, SendError, SpawnError, TimedOut, Unwinding, WouldBlock,
};

pub use actor_core::{channel, reactor, sync, time};
pub use actor_io::{fs, process};

/// All of [`std::io`], streams with buffers, and standard streams that block the tasklet and not the
/// thread.
///
/// One `use concurrence::io;` serves for all. [`Lines`](io::Lines) and [`Split`](io::Split) are
/// those of [`BufferedStream`](io::BufferedStream), not the iterators of [`std::io::BufRead`]; and
/// [`stdin`](io::stdin), [`stdout`](io::stdout) and [`stderr`](io::stderr) are not `std`'s.
pub mod io {
    pub use std::io::*;

    pub use actor_io::{
        BufferedReader, BufferedStream, BufferedWriter, Console, DEFAULT_CAPACITY,
        DEFAULT_MAX_LINE, Descriptor, LineTooLong, Lines, Split, Stderr, StderrLock, Stdin,
        StdinLines, StdinLock, Stdout, StdoutLock, stderr, stdin, stdout, wait_readable,
        wait_writable,
    };
}

/// Sockets that block the tasklet and not the thread, servers and clients.
///
/// The sockets have the names of those of [`std::net`] and [`std::os::unix::net`], whose addresses are
/// here as well; so for much code `use concurrence::net` instead is all it takes.
/// [`unix::SocketAddr`](net::unix::SocketAddr) is the address of a Unix socket.
pub mod net {
    pub use std::net::{
        AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4,
        SocketAddrV6, ToSocketAddrs,
    };

    pub use actor_io::{
        DatagramSocket, Endpoint, Family, Incoming, Internet, Listener, Received, Stream,
        TcpListener, TcpStream, ToAddrs, UdpSocket, Unix, UnixDatagram, UnixListener, UnixStream,
        copy, copy_bidirectional, send_file,
    };
    /// What [`std::os::unix::net`] has, by the same names.
    pub mod unix {
        pub use std::os::unix::net::SocketAddr;

        pub use actor_io::{UnixDatagram, UnixListener, UnixStream};

        /// The connections of a [`UnixListener`].
        pub type Incoming<'a> = actor_io::Incoming<'a, actor_io::Unix>;
    }
    pub use actor_io::{DEFAULT_RESOLVER_THREADS, ResolveError, Resolver, resolve};
    #[cfg(feature = "hickory")]
    pub use actor_io::{Dns, Service};
    #[cfg(feature = "http")]
    pub use actor_net::http;
    pub use actor_net::{
        Attempt, Codec, ConnectError, Connection, ConnectionError, Connector, ConnectorBuilder,
        DEFAULT_BACKLOG, DEFAULT_LINGER, DEFAULT_MAX_FRAME, DEFAULT_OUTBOX_BYTES,
        DEFAULT_OUTBOX_MESSAGES, Frame, FrameTooLong, LengthCodec, Line, LineCodec, Server,
        ServerBuilder, ServerHandle, TelnetCodec, TelnetFilter, TelnetReader, TelnetStream,
        TelnetWriter, Truncated,
    };
    #[cfg(feature = "tls")]
    pub use actor_net::{TlsConnector, TlsServer, tls};
}

/// Actors of other processes: nodes, links between them, and messages, calls, monitors and links over these.
///
/// `#[remote]` makes a protocol of a trait.
#[cfg(feature = "remote")]
pub use actor_remote as remote;

#[cfg(feature = "remote")]
pub use actor_core::__private::remote_attribute as remote;
#[cfg(feature = "remote")]
pub use actor_core::{Encoding, RemoteMessage};

/// Event-driven connections without a stack: Python's `asyncore` and `asynchat`.
pub use actor_net::dispatcher;

/// What nearly every program uses.
///
/// ```
/// use concurrence::prelude::*;
///
/// # let code =
/// dispatch(|| Tasklet::yield_now());
/// # assert_eq!(code, std::process::ExitCode::SUCCESS);
/// ```
pub mod prelude {
    pub use crate::{
        Actor, Addr, Context, Handler, Message, Recipient, Tasklet, dispatch, match_message,
    };
}

#[doc(hidden)]
pub use actor_core::__private;

/// The README's example is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
