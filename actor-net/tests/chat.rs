//! Chats: dispatchers whose input is cut at terminators.

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use actor_core::{Actor, Addr, BoxError, Context};
use actor_net::dispatcher::{Channel, Chat, Dispatcher, Framing, Map, PieceTooLong, Terminator};
use common::{PATIENCE, eventually, in_tasklet};

/// Pieces that a test can look at.
struct Cutter {
    channel: Channel,
    framing: Framing,
    piece: Vec<u8>,
    pieces: mpsc::Sender<Vec<u8>>,
    errors: mpsc::Sender<BoxError>,
}

impl Actor for Cutter {}

impl Dispatcher for Cutter {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_read(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        self.read_pieces(ctx)
    }

    fn handle_error(&mut self, error: BoxError, _: &mut Context<Self>) {
        self.errors.send(error).unwrap();
        self.channel.close();
    }
}

impl Chat for Cutter {
    fn framing(&mut self) -> &mut Framing {
        &mut self.framing
    }

    fn collect_incoming_data(
        &mut self,
        data: &[u8],
        _: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        assert!(!data.is_empty());
        self.piece.extend_from_slice(data);
        Ok(())
    }

    /// A head, which is a line with a length, and then so many bytes; the head "all" has all that follows.
    fn found_terminator(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        let piece = std::mem::take(&mut self.piece);
        match self.framing.terminator() {
            Terminator::Bytes(_) => match &piece[..] {
                b"all" => self.framing.set_terminator(Terminator::None),
                b"end" => self.channel.close(),
                head => {
                    let length: usize = std::str::from_utf8(head)?.parse()?;
                    self.framing.set_terminator(length);
                }
            },
            _ => self.framing.set_terminator("\r\n\r\n"),
        }
        self.pieces.send(piece)?;
        Ok(())
    }
}

type Heard = (mpsc::Receiver<Vec<u8>>, mpsc::Receiver<BoxError>);

fn cutter(map: &Map) -> (UnixStream, Addr<Cutter>, Heard) {
    let (near, far) = UnixStream::pair().unwrap();
    let (pieces, heard) = mpsc::channel();
    let (errors, failed) = mpsc::channel();
    let mut cutter = Cutter {
        channel: Channel::adopt(near).unwrap(),
        framing: Framing::new("\r\n\r\n"),
        piece: Vec::new(),
        pieces,
        errors,
    };
    cutter.framing.set_max_piece(100);
    (far, map.spawn(cutter).unwrap(), (heard, failed))
}

#[test]
fn pieces_are_cut_wherever_the_input_comes_apart() {
    in_tasklet(|| {
        let text = b"5\r\n\r\nab\r\nc3\r\n\r\nxyzend\r\n\r\nnot heard";
        for apart in 0..text.len() {
            let map = Map::new();
            let (mut far, addr, (heard, failed)) = cutter(&map);
            far.write_all(&text[..apart]).unwrap();
            // A round trip through the mailbox: it has seen the first part.
            eventually("the first part", || in_queue(&far) == 0);
            // It may be closed already.
            let _ = far.write_all(&text[apart..]);
            map.run_timeout(PATIENCE).unwrap();
            addr.join();
            let pieces: Vec<_> = heard.try_iter().collect();
            let expected: [&[u8]; 5] = [b"5", b"ab\r\nc", b"3", b"xyz", b"end"];
            assert_eq!(pieces, expected, "{apart}");
            assert!(failed.try_recv().is_err());
        }
    });
}

/// How much the other end has not read yet.
fn in_queue(stream: &UnixStream) -> i32 {
    use std::os::fd::AsRawFd;
    let mut bytes = 0;
    // SAFETY: an open descriptor, and a local of the right type.
    assert_eq!(0, unsafe {
        libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut bytes)
    });
    bytes
}

#[test]
fn without_a_terminator_all_is_collected() {
    in_tasklet(|| {
        let map = Map::new();
        let (mut far, addr, (heard, _failed)) = cutter(&map);
        far.write_all(b"all\r\n\r\n").unwrap();
        far.write_all(&[b'x'; 10_000]).unwrap();
        drop(far);
        map.run_timeout(PATIENCE).unwrap();
        addr.join();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [b"all"]);
    });
}

#[test]
fn a_piece_without_an_end_is_refused() {
    in_tasklet(|| {
        let map = Map::new();
        let (mut far, addr, (heard, failed)) = cutter(&map);
        far.write_all(&[b'1'; 101]).unwrap();
        map.run_timeout(PATIENCE).unwrap();
        addr.join();
        assert!(heard.try_recv().is_err());
        let error = failed.try_recv().unwrap();
        assert_eq!(error.downcast_ref(), Some(&PieceTooLong { limit: 100 }));
    });
}

/// Answers each line with as many bytes as it says; a line that is no number is an error, and no more.
struct Lenient {
    channel: Channel,
    framing: Framing,
    line: Vec<u8>,
    errors: usize,
    counts: mpsc::Sender<usize>,
}

impl Actor for Lenient {}

impl Dispatcher for Lenient {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_read(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        self.read_pieces(ctx)
    }

    fn handle_close(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.counts.send(self.errors)?;
        self.channel.close_when_done();
        Ok(())
    }

    fn handle_error(&mut self, error: BoxError, _: &mut Context<Self>) {
        assert!(error.is::<std::num::ParseIntError>(), "{error}");
        self.errors += 1;
    }
}

impl Chat for Lenient {
    fn framing(&mut self) -> &mut Framing {
        &mut self.framing
    }

    fn collect_incoming_data(
        &mut self,
        data: &[u8],
        _: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.line.extend_from_slice(data);
        Ok(())
    }

    fn found_terminator(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        let line = std::mem::take(&mut self.line);
        let length: usize = std::str::from_utf8(&line)?.parse()?;
        self.channel.push(&vec![b'a'; length])?;
        Ok(())
    }
}

fn lenient(map: &Map) -> (UnixStream, mpsc::Receiver<usize>) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    far.set_write_timeout(Some(PATIENCE)).unwrap();
    let (counts, counted) = mpsc::channel();
    let lenient = Lenient {
        channel: Channel::adopt(near).unwrap(),
        framing: Framing::new("\n"),
        line: Vec::new(),
        errors: 0,
        counts,
    };
    map.spawn(lenient).unwrap();
    (far, counted)
}

#[test]
fn what_follows_a_piece_that_has_failed_is_handled() {
    in_tasklet(|| {
        let map = Map::new();
        let (mut far, counted) = lenient(&map);
        far.write_all(b"bad\nworse\n3\n").unwrap();
        actor_core::block_on_thread(move || {
            // Nothing more comes in until it is answered.
            far.read_exact(&mut [0; 3]).unwrap();
            far.write_all(&b"x\n".repeat(20_000)).unwrap();
            far.write_all(b"5\nunfinished").unwrap();
            far.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            far.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"aaaaa");
        });
        map.run_timeout(PATIENCE).unwrap();
        assert_eq!(counted.try_recv(), Ok(20_002));
    });
}

#[test]
fn requests_that_come_at_once_are_answered_as_fast_as_the_peer_takes_it() {
    in_tasklet(|| {
        let map = Map::new();
        let (far, counted) = lenient(&map);
        let (requests, length) = (3000, 1000);
        actor_core::block_on_thread(move || {
            let mut writer = far.try_clone().unwrap();
            let writing = thread::spawn(move || {
                let all = format!("{length}\n").repeat(requests);
                writer.write_all(all.as_bytes()).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut answers = Vec::new();
            (&far).read_to_end(&mut answers).unwrap();
            writing.join().unwrap();
            assert_eq!(answers.len(), requests * length);
        });
        map.run_timeout(PATIENCE).unwrap();
        assert_eq!(counted.try_recv(), Ok(0));
    });
}
