//! Readers and writers over streams that follow a script.

mod common;

use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};

use actor_io::{BufferedReader, BufferedWriter, DEFAULT_CAPACITY, DEFAULT_MAX_LINE, LineTooLong};
use common::pattern;

/// Gives out its pieces one a read; `None` is a timeout.
struct Pieces(VecDeque<Option<Vec<u8>>>);

fn pieces<const N: usize>(pieces: [Option<&[u8]>; N]) -> Pieces {
    Pieces(
        pieces
            .into_iter()
            .map(|piece| piece.map(<[u8]>::to_vec))
            .collect(),
    )
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.pop_front() {
            None => Ok(0),
            Some(None) => Err(ErrorKind::TimedOut.into()),
            Some(Some(mut piece)) => {
                let count = piece.len().min(buf.len());
                buf[..count].copy_from_slice(&piece[..count]);
                if count < piece.len() {
                    self.0.push_front(Some(piece.split_off(count)));
                }
                Ok(count)
            }
        }
    }
}

fn lines(reader: &mut BufferedReader<impl Read>) -> Vec<String> {
    reader.lines().map(Result::unwrap).collect()
}

#[test]
fn lines_end_with_lf_crlf_or_the_stream() {
    let text = &b"lf\ncrlf\r\n\n\r\na\rb\nlast"[..];
    let mut reader = BufferedReader::new(text);
    assert_eq!(lines(&mut reader), ["lf", "crlf", "", "", "a\rb", "last"]);
    assert_eq!(reader.read_line().unwrap(), None);
    assert_eq!(reader.read_line().unwrap(), None);
}

#[test]
fn a_line_may_come_in_any_pieces() {
    let mut reader = BufferedReader::new(pieces([
        Some(b"one\r"),
        Some(b"\ntw"),
        Some(b"o"),
        Some(b"\n"),
        Some(b"\r"),
        Some(b"\n"),
    ]));
    assert_eq!(lines(&mut reader), ["one", "two", ""]);
    let bytes = b"one\r\ntwo\r\n".iter();
    let mut reader = BufferedReader::new(Pieces(bytes.map(|&b| Some(vec![b])).collect()));
    assert_eq!(lines(&mut reader), ["one", "two"]);
}

#[test]
fn a_timeout_in_the_middle_loses_nothing() {
    let mut reader = BufferedReader::new(pieces([
        Some(b"he"),
        None,
        Some(b"llo\r"),
        None,
        Some(b"\nwor"),
        None,
        Some(b"ld"),
    ]));
    let mut seen = Vec::new();
    let mut timeouts = 0;
    loop {
        match reader.read_line() {
            Ok(Some(line)) => seen.push(line),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                timeouts += 1;
            }
        }
    }
    assert_eq!(seen, ["hello", "world"]);
    assert_eq!(timeouts, 3);

    let mut reader = BufferedReader::new(pieces([Some(b"12"), None, Some(b"345")]));
    let mut exact = [0; 4];
    assert!(reader.read_exact(&mut exact).is_err());
    reader.read_exact(&mut exact).unwrap();
    assert_eq!(&exact, b"1234");
    assert_eq!(
        reader.read_exact(&mut exact).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(reader.buffer(), b"5");
}

fn too_long(error: io::Error) -> usize {
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    error.downcast::<LineTooLong>().unwrap().limit
}

#[test]
fn the_limit_is_that_of_the_line_without_its_end() {
    for end in ["\n", "\r\n"] {
        let text = format!("12345678{end}123456789{end}ok{end}");
        let mut reader = BufferedReader::new(text.as_bytes()).with_max_line(8);
        assert_eq!(reader.read_line().unwrap().unwrap(), "12345678");
        assert_eq!(too_long(reader.read_line().unwrap_err()), 8);
        assert_eq!(reader.read_line().unwrap().unwrap(), "ok");
        assert_eq!(reader.read_line().unwrap(), None);
    }
    let mut reader = BufferedReader::new(&b"123456789"[..]).with_max_line(8);
    assert_eq!(too_long(reader.read_line().unwrap_err()), 8);
    assert_eq!(reader.read_line().unwrap(), None);
}

#[test]
fn the_rest_of_a_long_line_is_dropped_unless_somebody_wants_it() {
    let long = pattern(100_000)
        .iter()
        .map(|b| b % 9 + 1)
        .collect::<Vec<_>>();
    let script = || {
        let mut script = VecDeque::new();
        for chunk in long.chunks(5_000) {
            script.push_back(Some(chunk.to_vec()));
            script.push_back(None);
        }
        script.push_back(Some(b"\nnext\n".to_vec()));
        Pieces(script)
    };
    let retry = |reader: &mut BufferedReader<Pieces>| loop {
        match reader.read_line() {
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                assert!(reader.buffer().len() <= 2 * DEFAULT_MAX_LINE);
            }
            result => break result,
        }
    };
    let mut reader = BufferedReader::new(script());
    assert_eq!(too_long(retry(&mut reader).unwrap_err()), DEFAULT_MAX_LINE);
    assert_eq!(retry(&mut reader).unwrap().unwrap(), "next");

    let mut reader = BufferedReader::new(script());
    assert_eq!(too_long(retry(&mut reader).unwrap_err()), DEFAULT_MAX_LINE);
    let mut whole = Vec::new();
    while whole.len() < long.len() + 1 {
        match reader.read_some() {
            Ok(bytes) => whole.extend_from_slice(bytes),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
    }
    assert!(whole[..long.len()] == long);
}

#[test]
fn what_is_not_utf8_is_an_error_of_that_line_alone() {
    let mut reader = BufferedReader::new(&b"\xff\xfe\r\nok\n\xff\nend"[..]);
    let error = reader.read_line().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(reader.read_line().unwrap().unwrap(), "ok");
    let mut line = String::from("old");
    assert!(reader.read_line_into(&mut line).is_err());
    assert!(line.is_empty());
    assert!(reader.read_line_into(&mut line).unwrap());
    assert_eq!(line, "end");
    assert!(!reader.read_line_into(&mut line).unwrap());
}

#[test]
fn other_delimiters_are_kept_and_limited() {
    let mut reader = BufferedReader::new(&b"key=value\nlonger=1"[..]).with_max_line(5);
    let mut bytes = Vec::new();
    assert_eq!(reader.read_until(b'=', &mut bytes).unwrap(), 4);
    assert_eq!(reader.read_until(b'\n', &mut bytes).unwrap(), 6);
    assert_eq!(bytes, b"key=value\n");
    assert_eq!(
        too_long(reader.read_until(b'=', &mut bytes).unwrap_err()),
        5
    );
    assert_eq!(bytes, b"key=value\n");
    assert_eq!(reader.read_until(b'=', &mut bytes).unwrap(), 1);
    assert_eq!(reader.read_until(b'=', &mut bytes).unwrap(), 0);
}

#[test]
fn generic_code_sees_a_buf_read_with_the_limit() {
    fn second_word(mut from: impl BufRead) -> io::Result<String> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let mut rest = String::new();
        from.read_to_string(&mut rest)?;
        Ok(line + &rest.to_uppercase())
    }
    let reader = BufferedReader::new(&b"one\r\ntwo"[..]);
    assert_eq!(second_word(reader).unwrap(), "one\r\nTWO");
    let reader = BufferedReader::new(&b"one long line"[..]).with_max_line(3);
    assert_eq!(too_long(second_word(reader).unwrap_err()), 3);
}

#[test]
fn lines_and_lengths_can_be_mixed() {
    let body = pattern(50_000);
    let mut stream = b"50000\n".to_vec();
    stream.extend_from_slice(&body);
    stream.extend_from_slice(b"\nend");
    let mut reader = BufferedReader::new(&stream[..]);
    let len: usize = reader.read_line().unwrap().unwrap().parse().unwrap();
    let mut seen = vec![0; len];
    reader.read_exact(&mut seen).unwrap();
    assert!(seen == body);
    assert_eq!(reader.read_line().unwrap().unwrap(), "");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"end");
    // Beyond the longest line it is read past the buffer.
    let stream = pattern(200_000);
    let mut reader = BufferedReader::new(&stream[..]);
    let mut seen = vec![0; 150_000];
    reader.read_exact(&mut seen).unwrap();
    assert!(seen == stream[..150_000]);
}

/// Takes as much a write as the script says, everything when it is over; 0 is a timeout.
#[derive(Default)]
struct Sink {
    script: VecDeque<usize>,
    taken: Vec<u8>,
    writes: usize,
}

impl Sink {
    fn following(script: impl IntoIterator<Item = usize>) -> Sink {
        Sink {
            script: script.into_iter().collect(),
            ..Sink::default()
        }
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes += 1;
        let most = match self.script.pop_front() {
            Some(0) => return Err(ErrorKind::TimedOut.into()),
            Some(most) => most,
            None => usize::MAX,
        };
        let before = self.taken.len();
        for buf in bufs {
            let left = most - (self.taken.len() - before);
            self.taken.extend_from_slice(&buf[..buf.len().min(left)]);
        }
        Ok(self.taken.len() - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn writes_are_gathered_until_flushed() {
    let mut writer = BufferedWriter::new(Sink::default());
    for _ in 0..10 {
        writer.write_line("a line").unwrap();
    }
    writer.write_all(b"bytes").unwrap();
    write!(writer, " {}", 1).unwrap();
    assert_eq!(writer.get_ref().writes, 0);
    writer.flush().unwrap();
    assert_eq!(writer.get_ref().writes, 1);
    assert_eq!(
        writer.get_ref().taken,
        ("a line\n".repeat(10) + "bytes 1").as_bytes()
    );
    writer.flush().unwrap();
    assert_eq!(writer.get_ref().writes, 1);
}

#[test]
fn big_writes_go_out_with_what_was_gathered_and_uncopied() {
    let big = pattern(100_000);
    let mut writer = BufferedWriter::new(Sink::default());
    writer.write_all(b"head").unwrap();
    writer.write_all(&big).unwrap();
    assert_eq!(writer.get_ref().writes, 1);
    assert!(writer.buffer().is_empty());
    writer.write_all(&big).unwrap();
    assert_eq!(writer.get_ref().writes, 2);
    assert!(writer.get_ref().taken == [b"head", &big[..], &big[..]].concat());
}

#[test]
fn partial_writes_keep_the_order() {
    let bytes = pattern(60_000);
    for most in [1, 7, 100, 8191, 8192, 8193, 20_000] {
        let mut writer = BufferedWriter::new(Sink::following(vec![most; 70_000]));
        for (index, chunk) in bytes.chunks(3001).enumerate() {
            if index % 3 == 0 {
                let middle = chunk.len() / 2;
                let bufs = [
                    IoSlice::new(&chunk[..middle]),
                    IoSlice::new(&chunk[middle..]),
                ];
                let taken = writer.write_vectored(&bufs).unwrap();
                writer.write_all(&chunk[taken..]).unwrap();
            } else {
                writer.write_all(chunk).unwrap();
            }
        }
        writer.flush().unwrap();
        assert!(
            writer.into_inner().taken == bytes,
            "at most {most} bytes a write"
        );
    }
}

/// Whatever fails, each byte goes out once and in order, if only one flushes again.
#[test]
fn errors_neither_lose_nor_repeat_anything() {
    for seed in 0..40_usize {
        // Timeouts and partial writes in an order that differs from seed to seed.
        let script = (0..400).map(|step| match (step * 7 + seed * 13) % 11 {
            0..4 => 0,
            other => other * 397 % 9000 + 1,
        });
        let mut writer = BufferedWriter::new(Sink::following(script));
        let mut expected = Vec::new();
        for round in 0..30 {
            let bytes = pattern((seed * 31 + round * 977) % 12_000);
            let text = "t".repeat((seed * 17 + round * 41) % 9000);
            // An error says "not yet", and not "no".
            let _ = writer.write_all(&bytes);
            expected.extend_from_slice(&bytes);
            let _ = writer.write_line(&text);
            expected.extend_from_slice(text.as_bytes());
            expected.push(b'\n');
            let _ = write!(writer, "<{round}>{text}");
            expected.extend_from_slice(format!("<{round}>{text}").as_bytes());
        }
        while let Err(error) = writer.flush() {
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        assert!(writer.into_inner().taken == expected, "seed {seed}");
    }
}

#[test]
fn a_single_write_that_fails_has_taken_nothing() {
    let mut writer = BufferedWriter::new(Sink::following([100, 0]));
    writer.write_all(&[b'a'; DEFAULT_CAPACITY]).unwrap();
    assert_eq!(writer.buffer().len(), DEFAULT_CAPACITY);
    // 100 of them go out, then a timeout.
    assert!(writer.write(b"b").is_err());
    assert_eq!(writer.buffer().len(), DEFAULT_CAPACITY - 100);
    assert_eq!(writer.write(b"b").unwrap(), 1);
    writer.flush().unwrap();
    assert_eq!(
        writer
            .get_ref()
            .taken
            .iter()
            .filter(|&&b| b == b'b')
            .count(),
        1
    );
}

#[test]
fn dropping_flushes_except_in_a_panic() {
    let mut taken = Vec::new();
    let mut writer = BufferedWriter::new(&mut taken);
    writer.write_line("kept").unwrap();
    drop(writer);
    assert_eq!(taken, b"kept\n");

    let mut taken = Vec::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut writer = BufferedWriter::new(&mut taken);
        writer.write_line("lost").unwrap();
        std::panic::resume_unwind(Box::new("a panic"));
    }));
    assert!(panicked.is_err());
    assert!(taken.is_empty());
}

/// Takes a few bytes, and is broken then.
struct Broken(usize);

impl Write for Broken {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let taken = buf.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn empty_lines_fill_the_buffer_like_others() {
    let mut writer = BufferedWriter::new(Sink::default());
    for _ in 0..3 * DEFAULT_CAPACITY {
        writer.write_line("").unwrap();
        assert!(writer.buffer().len() <= DEFAULT_CAPACITY);
    }
    assert_eq!(writer.get_ref().writes, 2);
    writer.flush().unwrap();
    assert_eq!(writer.into_inner().taken, [b'\n'; 3 * DEFAULT_CAPACITY]);
}

#[test]
fn a_broken_stream_does_not_fill_the_memory() {
    let mut writer = BufferedWriter::new(Broken(1000));
    for _ in 0..10_000 {
        let _ = writer.write_line("nobody looks at the result");
        let _ = write!(writer, "of {}", 1);
        let _ = writer.write_all(&[b'x'; 10_000]);
    }
    assert!(writer.buffer().len() <= 2 * DEFAULT_CAPACITY);
    assert_eq!(writer.flush().unwrap_err().kind(), ErrorKind::BrokenPipe);
}
