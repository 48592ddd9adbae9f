//! Lines: those of the codec and those of the buffered reader are what a plain split gives, however they
//! come in.

#![no_main]

use std::io::{self, Read};

use actor_io::{BufferedReader, LineTooLong};
use actor_net::{Codec, Line, LineCodec};
use fuzz::{choose, decode, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (limit, cuts) = (usize::from(choose(&mut data)), choose(&mut data));
    let pieces = pieces(data, cuts);
    let expected = split(data, limit);
    let codec = LineCodec::new().with_max_line(limit);
    assert_eq!(decode(codec.clone(), &pieces), expected);

    let (lines, error) = expected;
    let mut reader = BufferedReader::new(Pieces(pieces)).with_max_line(limit);
    for Line(line) in &lines {
        assert_eq!(reader.read_line().unwrap().as_deref(), Some(&**line));
    }
    assert_eq!(reader.read_line().is_err(), error.is_some());

    // What has been encoded comes back, but for what a line cannot have.
    let mut bytes = Vec::new();
    for Line(line) in &lines {
        codec.encode(line.as_str().into(), &mut bytes).unwrap();
    }
    if lines.iter().all(|Line(line)| !line.ends_with('\r')) {
        assert_eq!(decode(codec, &[&bytes]), (lines, None));
    }
});

/// What is to come out.
fn split(bytes: &[u8], limit: usize) -> (Vec<Line>, Option<String>) {
    let mut lines = Vec::new();
    for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
        let line = match piece.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None => piece,
        };
        if line.len() > limit {
            return (lines, Some(LineTooLong { limit }.to_string()));
        }
        match str::from_utf8(line) {
            Ok(line) => lines.push(Line(line.to_owned())),
            Err(error) => return (lines, Some(error.to_string())),
        }
    }
    (lines, None)
}

/// A stream that gives one piece at a time.
struct Pieces<'a>(Vec<&'a [u8]>);

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.retain(|piece| !piece.is_empty());
        match self.0.first_mut() {
            Some(piece) => piece.read(buf),
            None => Ok(0),
        }
    }
}
