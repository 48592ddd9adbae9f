//! Codecs, given their input in every possible way.

use actor_core::BoxError;
use actor_io::LineTooLong;
use actor_net::{Codec, Frame, FrameTooLong, LengthCodec, Line, LineCodec, TelnetCodec, Truncated};

/// All items of `pieces`, which come one after the other, and the last one at the end.
fn decode<C: Codec>(mut codec: C, pieces: &[&[u8]]) -> Result<Vec<C::Item>, BoxError> {
    let (mut waiting, mut items) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut input = &waiting[..];
        while let Some(item) = codec.decode(&mut input)? {
            items.push(item);
        }
        let taken = waiting.len() - input.len();
        waiting.drain(..taken);
    }
    items.extend(codec.finish(&waiting)?);
    Ok(items)
}

/// The same however the input is cut into three, and byte by byte.
fn decode_in_all_ways<C: Codec>(codec: &C, input: &[u8]) -> Vec<C::Item>
where
    C::Item: PartialEq + std::fmt::Debug,
{
    let whole = decode(codec.clone(), &[input]).unwrap();
    for first in 0..=input.len() {
        for second in first..=input.len() {
            let pieces = [&input[..first], &input[first..second], &input[second..]];
            assert_eq!(decode(codec.clone(), &pieces).unwrap(), whole);
        }
    }
    let bytes: Vec<_> = input.chunks(1).collect();
    assert_eq!(decode(codec.clone(), &bytes).unwrap(), whole);
    whole
}

fn line(text: &str) -> Line {
    Line(text.to_owned())
}

fn line_error(input: &[u8]) -> LineTooLong {
    let codec = LineCodec::new().with_max_line(4);
    *decode(codec, &[input]).unwrap_err().downcast().unwrap()
}

#[test]
fn lines_end_with_lf_or_crlf_or_the_input() {
    let lines = |input: &str| decode_in_all_ways(&LineCodec::new(), input.as_bytes());
    assert_eq!(lines(""), []);
    assert_eq!(lines("\n"), [line("")]);
    assert_eq!(
        lines("one\r\n\r\ntwo\nthree"),
        [line("one"), line(""), line("two"), line("three")]
    );
    assert_eq!(lines("a\rb\r\r\nc\r"), [line("a\rb\r"), line("c\r")]);
    assert_eq!(lines("grüße\n"), [line("grüße")]);
}

#[test]
fn a_line_may_be_as_long_as_the_limit() {
    let codec = LineCodec::new().with_max_line(4);
    assert_eq!(
        decode_in_all_ways(&codec, b"four\nfour\r\nfour"),
        [line("four"), line("four"), line("four")]
    );
    for input in [
        &b"fifth"[..],
        b"fifth\n",
        b"fifth\r\n",
        b"four\nfifth",
        b"four\r\r",
    ] {
        assert_eq!(line_error(input), LineTooLong { limit: 4 });
    }
    assert!(decode(codec, &[b"\xff\n"]).is_err());
}

#[test]
fn frames_of_all_widths_are_decoded_as_they_were_encoded() {
    for width in 1..=8 {
        for codec in [LengthCodec::new(), LengthCodec::new().little_endian()] {
            let codec = codec.with_width(width);
            let frames = [&b""[..], b"x", b"", b"hello", &[7; 255]];
            let mut bytes = Vec::new();
            for frame in frames {
                codec.encode(frame.into(), &mut bytes).unwrap();
            }
            // All cuts of the first frames, and some of the last.
            let (head, tail) = bytes.split_at(5 * width + 6);
            let expected: Vec<_> = frames.iter().map(|frame| Frame(frame.to_vec())).collect();
            assert_eq!(decode(codec.clone(), &[head, tail]).unwrap(), expected);
            let short = &head[..4 * width + 6];
            assert_eq!(decode_in_all_ways(&codec, short), expected[..4]);
        }
    }
}

#[test]
fn frames_beyond_a_limit_are_refused_in_both_directions() {
    let error =
        |result: Result<(), BoxError>| *result.unwrap_err().downcast::<FrameTooLong>().unwrap();
    let encode = |codec: &LengthCodec, len: usize| {
        let mut bytes = b"before".to_vec();
        let result = codec.encode(vec![0; len].into(), &mut bytes);
        if result.is_err() {
            assert_eq!(bytes, b"before");
        }
        result
    };
    let narrow = LengthCodec::new().with_width(1);
    encode(&narrow, 255).unwrap();
    let (len, limit) = (256, 255);
    assert_eq!(error(encode(&narrow, 256)), FrameTooLong { len, limit });

    let strict = LengthCodec::new().with_width(8).with_max_frame(10);
    encode(&strict, 10).unwrap();
    let (len, limit) = (11, 10);
    assert_eq!(error(encode(&strict, 11)), FrameTooLong { len, limit });
    let claim = u64::MAX.to_be_bytes();
    let len = u64::MAX;
    let refused = decode(strict, &[&claim]).map(drop);
    assert_eq!(error(refused), FrameTooLong { len, limit });

    // As large as there is, and never allocated.
    let boundless = LengthCodec::new().with_width(8).with_max_frame(usize::MAX);
    let truncated = decode(boundless, &[&claim]).unwrap_err();
    assert_eq!(truncated.downcast_ref(), Some(&Truncated { bytes: 8 }));
}

#[test]
#[should_panic(expected = "one to eight bytes, not 9")]
fn a_length_is_no_wider_than_a_number() {
    let _ = LengthCodec::new().with_width(9);
}

#[test]
fn telnet_commands_are_taken_out_wherever_they_are_cut() {
    let codec = TelnetCodec::new().with_max_line(8);
    let input =
        b"\xff\xfb\x1flo\xff\xfa\x1f\0\x0a\xff\xff\0\xff\xf0ok\r\0\n\xff\xf1\r\n\xc3\x28\nlast";
    assert_eq!(
        decode_in_all_ways(&codec, input),
        [line("look"), line(""), line("\u{fffd}("), line("last")]
    );
    let error = decode(codec.clone(), &[b"123\xff\xf1456789"]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&LineTooLong { limit: 8 }));
    // What is no text takes no memory, however much there is.
    let endless = [&b"\xff\xfa\x1f"[..], &[1; 100_000], b"\xff\xf0ok\n"].concat();
    assert_eq!(decode(codec.clone(), &[&endless]).unwrap(), [line("ok")]);

    let mut bytes = Vec::new();
    codec
        .encode("one\ntwo\r\nthree> ".into(), &mut bytes)
        .unwrap();
    assert_eq!(bytes, b"one\r\ntwo\r\nthree> ");
}
