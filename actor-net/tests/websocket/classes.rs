//! The classes of cases of the Autobahn test suite, and where they are tried: here, or in `conformance`, where there
//! are also the rules that are no class of their own.
//!
//! | class | what | tests |
//! |---|---|---|
//! | 1 | framing, in one piece and in many | `messages_of_all_sizes..`, `messages_come_in_any_pieces` |
//! | 2 | pings and pongs | `pings_are_answered_in_the_middle..`, `of_many_pings..`, `pings_come_in_any_pieces`, `long_and_fragmented_control_frames..` |
//! | 3 | reserved bits | `reserved_bits_are_refused` |
//! | 4 | reserved kinds of frames | `reserved_kinds_are_refused` |
//! | 5 | fragments | `messages_may_be_in_fragments..`, `fragments_out_of_place..`, `a_message_that_is_complete..` |
//! | 6 | UTF-8, refused as early as may be | `all_characters_are_let_through`, `what_is_no_character_is_refused`, `text_that_is_not_utf8..`, `a_character_may_be_cut..`, `wrong_text_is_refused_before..` |
//! | 7 | the end, with every code | `valid_close_codes..`, `close_codes_that_nobody_may_send..`, `a_close_may_have_a_reason..`, `what_comes_behind_a_close..`, `an_end_in_the_middle..` |
//! | 9 | limits and large messages | `large_messages_come_in_frames_and_pieces..`, `many_messages_go_round`, `what_is_too_long..` |
//! | 10 | many fragments of one size | `a_message_in_fragments_of_1300_bytes` |
//! | 12, 13 | compression | it is not accepted: `handshakes` |

use actor_core::Tasklet;
use actor_net::http::ws::WsOptions;

use crate::common::in_tasklet;
use crate::conformance::{is_refused, of_client};
use crate::raw::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, MASK, PING, PONG, Raw, TEXT, closing, echo, frame,
    serve, serve_with,
};

#[test]
fn messages_come_in_any_pieces() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for kind in [TEXT, BINARY] {
            for (size, piece) in [(0, 1), (125, 2), (126, 7), (65_536, 997), (200_000, 10_007)] {
                let payload = vec![b'*'; size];
                for bytes in frame(FIN | kind, &payload, Some(MASK)).chunks(piece) {
                    raw.bytes(bytes);
                }
                assert!(raw.message() == Frame::new(FIN | kind, payload), "{size}");
            }
        }
        raw.part(1000);
    });
}

#[test]
fn pings_come_in_any_pieces() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for payload in [vec![], vec![b'p'; 125], vec![0xfe; 3]] {
            for byte in frame(FIN | PING, &payload, Some(MASK)) {
                raw.bytes([byte]);
            }
            assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, payload)));
        }
        // Ten, each when the one before has been answered, with pongs that nobody has asked for in between.
        for n in 0..10 {
            raw.send(FIN | PONG, if n % 2 == 0 { &b""[..] } else { b"unasked" });
            raw.send(FIN | PING, [n]);
            assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, [n])));
        }
        raw.part(1000);
    });
}

#[test]
fn a_message_that_is_complete_has_no_more_fragments() {
    for last in [CONTINUATION, FIN | CONTINUATION] {
        let mut raw_frames = vec![
            of_client(TEXT, b"be"),
            of_client(FIN | CONTINUATION, b"gun"),
        ];
        raw_frames.push(of_client(last, b"more"));
        in_tasklet(move || {
            let server = serve(echo);
            let mut raw = Raw::connect(&server);
            raw.bytes(raw_frames.concat());
            assert_eq!(raw.message(), Frame::new(FIN | TEXT, "begun"));
            raw.is_closed_with(1002);
        });
    }
}

/// What a message of text may be made of: the first and the last characters of each length, those next to the
/// surrogates, and those that are no characters, but have a number.
fn characters() -> Vec<char> {
    let mut numbers = vec![
        0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0x1_0000, 0x10_ffff, 0xfdd0, 0xfdef,
    ];
    numbers.extend((0..=0x10).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]));
    numbers.into_iter().filter_map(char::from_u32).collect()
}

#[test]
fn all_characters_are_let_through() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        let characters = characters();
        assert_eq!(characters.len(), 46);
        for char in characters {
            let text = char.to_string();
            raw.send(FIN | TEXT, &text);
            assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, &text)), "{char:?}");
            let (last, others) = text.as_bytes().split_last().unwrap();
            raw.send(TEXT, others);
            raw.send(FIN | CONTINUATION, [*last]);
            assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, &text)), "{char:?}");
        }
        raw.part(1000);
    });
}

#[test]
fn what_is_no_character_is_refused() {
    // All that can begin one and is followed by too little; and what is longer than it need be, or than any is.
    let mut wrong: Vec<Vec<u8>> = characters()
        .into_iter()
        .filter(|char| char.len_utf8() > 1)
        .map(|char| {
            let text = char.to_string();
            text.as_bytes()[..text.len() - 1].to_vec()
        })
        .collect();
    wrong.extend([0xc0, 0xc1, 0xf5, 0xf8, 0xfc, 0xfe, 0xff].map(|byte| vec![byte]));
    wrong.extend([0x80, 0xbf].map(|byte| vec![byte; 63]));
    for number in [
        0xd800_u32, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff, 0x2f, 0x7ff,
    ] {
        let bytes = [
            0xe0 | number >> 12,
            0x80 | number >> 6 & 0x3f,
            0x80 | number & 0x3f,
        ];
        wrong.push(bytes.map(|byte| byte as u8).to_vec());
    }
    in_tasklet(move || {
        let server = serve(echo);
        for text in wrong {
            assert!(str::from_utf8(&text).is_err(), "{text:x?}");
            // Something good before it, and after it.
            for (before, after) in [("", ""), ("κόσμε", ""), ("", "edited"), ("a", "z")] {
                let text = [before.as_bytes(), &text, after.as_bytes()].concat();
                let mut raw = Raw::connect(&server);
                raw.send(FIN | TEXT, &text);
                raw.is_closed_with(1007);
            }
        }
    });
}

#[test]
fn an_end_in_the_middle_of_a_message_is_one() {
    in_tasklet(|| {
        let server = serve(echo);
        // What was begun is not gone on with.
        let mut raw = Raw::connect(&server);
        raw.send(TEXT, "begun");
        raw.send(FIN | CLOSE, closing(1000, b""));
        raw.send(FIN | CONTINUATION, "and ended");
        raw.is_closed_with(1000);
        // A long message in front of it comes back, and what is behind it does not.
        let mut raw = Raw::connect(&server);
        let long = vec![b'x'; 256 * 1024];
        raw.send(FIN | TEXT, &long);
        raw.send(FIN | CLOSE, closing(1000, b""));
        raw.send(FIN | PING, "late");
        assert!(raw.message() == Frame::new(FIN | TEXT, &long));
        raw.is_closed_with(1000);
    });
    // A reason that does not fit.
    is_refused(
        1002,
        &[of_client(FIN | CLOSE, &closing(1000, &[b'r'; 124]))],
    );
}

#[test]
fn large_messages_come_in_frames_and_pieces_of_any_size() {
    in_tasklet(|| {
        const SIZE: usize = 4 << 20;
        let options = WsOptions::default().with(|options| options.frame = SIZE);
        let server = serve_with(options, echo);
        for kind in [TEXT, BINARY] {
            for (fragment, piece) in [
                (SIZE, SIZE),
                (SIZE, 1024),
                (1 << 20, 64 * 1024),
                (4096, SIZE),
                (256, SIZE),
            ] {
                let mut raw = Raw::connect(&server);
                let payload = vec![b'y'; SIZE];
                let mut bytes = Vec::new();
                let count = SIZE / fragment;
                for (n, fragment) in payload.chunks(fragment).enumerate() {
                    let begin = if n == 0 { kind } else { CONTINUATION };
                    let end = if n + 1 == count { FIN } else { 0 };
                    bytes.extend(frame(begin | end, fragment, Some(MASK)));
                }
                bytes.chunks(piece).for_each(|piece| raw.bytes(piece));
                assert!(
                    raw.message() == Frame::new(FIN | kind, payload),
                    "{fragment}"
                );
                raw.part(1000);
            }
        }
    });
}

#[test]
fn many_messages_go_round() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for kind in [TEXT, BINARY] {
            for size in [0, 16, 64, 256, 1024, 4096, 16_384, 65_536] {
                let payload = vec![b'z'; size];
                for _ in 0..(1 << 20) / (size + 1024) {
                    raw.send(FIN | kind, &payload);
                    assert!(raw.message() == Frame::new(FIN | kind, &payload), "{size}");
                }
            }
        }
        raw.part(1000);
    });
}

#[test]
fn a_message_in_fragments_of_1300_bytes() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        let payload = vec![b'*'; 65_536];
        let fragments = payload.chunks(1300);
        let last = fragments.len() - 1;
        for (n, fragment) in fragments.enumerate() {
            let begin = if n == 0 { TEXT } else { CONTINUATION };
            raw.send(if n == last { begin | FIN } else { begin }, fragment);
            Tasklet::yield_now();
        }
        assert!(raw.message() == Frame::new(FIN | TEXT, payload));
        raw.part(1000);
    });
}
