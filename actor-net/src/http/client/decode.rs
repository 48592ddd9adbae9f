//! Bodies that come compressed, for the feature `compression`.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use brotli_decompressor::Decompressor;
use flate2::bufread::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::error::FetchError;
use super::received::Received;
use crate::http::BadMessage;

/// What is asked for where nothing else is.
pub(super) const ENCODINGS: &str = "gzip, br";

/// How much is read at a time of what is to be decoded.
const PIECE: usize = 8 * 1024;

/// An encoding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Brotli,
}

impl Encoding {
    /// That of a message, if there is one and no other besides.
    pub(super) fn of(headers: &HeaderMap) -> Option<Encoding> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let name = value.as_bytes();
        if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Some(Encoding::Gzip)
        } else if name.eq_ignore_ascii_case(b"br") {
            Some(Encoding::Brotli)
        } else {
            None
        }
    }
}

/// Undoes an encoding.
pub(in crate::http) struct Decoder {
    kind: Kind,
    /// How much has come out of it: a little can become a great deal.
    count: u64,
}

enum Kind {
    /// Nothing has come: there are servers that call nothing at all compressed.
    Fresh(Encoding, BufReader<Source>),
    Gzip(MultiGzDecoder<BufReader<Source>>),
    Brotli(Box<Decompressor<BufReader<Source>>>),
    /// To take the place of a state that changes.
    None,
}

/// The body as it comes.
struct Source(Received);

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Decoder {
    pub(super) fn new(encoding: Encoding, received: Received) -> Decoder {
        let source = Source(received);
        Decoder {
            kind: Kind::Fresh(encoding, BufReader::with_capacity(PIECE, source)),
            count: 0,
        }
    }

    pub(super) fn get_ref(&self) -> &Received {
        match &self.kind {
            Kind::Fresh(_, source) => &source.get_ref().0,
            Kind::Gzip(decoder) => &decoder.get_ref().get_ref().0,
            Kind::Brotli(decoder) => &decoder.get_ref().get_ref().0,
            Kind::None => unreachable!("it is replaced at once"),
        }
    }

    fn decode(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Kind::Fresh(_, source) = &mut self.kind {
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.kind = match std::mem::replace(&mut self.kind, Kind::None) {
                Kind::Fresh(Encoding::Gzip, source) => Kind::Gzip(MultiGzDecoder::new(source)),
                Kind::Fresh(Encoding::Brotli, source) => {
                    Kind::Brotli(Box::new(Decompressor::new(source, PIECE)))
                }
                other => other,
            };
        }
        match &mut self.kind {
            Kind::Gzip(decoder) => decoder.read(buf),
            Kind::Brotli(decoder) => {
                let count = decoder.read(buf)?;
                if count == 0 && !buf.is_empty() {
                    // Its end is its own: that of the body comes behind it, and nothing in between.
                    expect_end(decoder.get_mut())?;
                }
                Ok(count)
            }
            Kind::Fresh(..) | Kind::None => Ok(0),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = self.get_ref().limit();
        if self.count > limit {
            return Err(FetchError::from(BadMessage::BodyTooLong).into());
        }
        let count = self.decode(buf)?;
        self.count += count as u64;
        match self.count > limit {
            true => Err(FetchError::from(BadMessage::BodyTooLong).into()),
            false => Ok(count),
        }
    }
}

fn expect_end(rest: &mut impl Read) -> io::Result<()> {
    match rest.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "there is more behind the end of the compressed body",
        )),
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoder").field(self.get_ref()).finish()
    }
}
