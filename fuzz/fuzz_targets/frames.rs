//! Frames behind their lengths: what comes out is what a plain reading gives, and nothing is allocated for
//! what has not come.

#![no_main]

use actor_net::{Codec, Frame, FrameTooLong, LengthCodec, Truncated};
use fuzz::{choose, decode, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let options = choose(&mut data);
    let (limit, cuts) = (choose(&mut data), choose(&mut data));
    let width = usize::from(options % 8) + 1;
    let little_endian = options & 8 != 0;
    // Without a limit there is none but that of the memory, of which nothing may be taken in advance.
    let limit = match limit {
        255 => usize::MAX,
        limit => usize::from(limit),
    };
    let mut codec = LengthCodec::new().with_width(width).with_max_frame(limit);
    if little_endian {
        codec = codec.little_endian();
    }
    let expected = read(data, width, little_endian, limit);
    assert_eq!(decode(codec.clone(), &pieces(data, cuts)), expected);

    let (frames, _) = expected;
    let mut bytes = Vec::new();
    for Frame(frame) in &frames {
        codec.encode(frame.as_slice().into(), &mut bytes).unwrap();
    }
    assert!(data.starts_with(&bytes), "there is one way to write them");
});

/// What is to come out.
fn read(
    mut bytes: &[u8],
    width: usize,
    little_endian: bool,
    limit: usize,
) -> (Vec<Frame>, Option<String>) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(width) {
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let len = match little_endian {
            true => length.iter().rev().fold(0, fold),
            false => length.iter().fold(0, fold),
        };
        if len > limit as u64 {
            return (
                frames,
                Some(
                    FrameTooLong {
                        len,
                        limit: limit as u64,
                    }
                    .to_string(),
                ),
            );
        }
        let Some((frame, rest)) = rest.split_at_checked(len as usize) else {
            break;
        };
        frames.push(Frame(frame.to_vec()));
        bytes = rest;
    }
    let error = match bytes.len() {
        0 => None,
        bytes => Some(Truncated { bytes }.to_string()),
    };
    (frames, error)
}
