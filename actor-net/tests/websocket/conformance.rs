//! What may be sent and what may not, as in the cases of the Autobahn test suite: each against a server that
//! sends back what it gets.

use actor_core::Tasklet;
use actor_io::TcpListener;
use actor_net::http::ws::{self, Message, WebSocket, WsError, WsOptions};

use crate::common::in_tasklet;
use crate::raw::{
    BINARY, CLOSE, CONTINUATION, FIN, Frame, MASK, PING, PONG, Raw, TEXT, closing, echo, frame,
    header, serve, serve_with,
};

/// Sizes around those at which the length is written in another way, and those of our own pieces.
const SIZES: [usize; 12] = [
    0, 1, 124, 125, 126, 127, 128, 65535, 65536, 65537, 131_072, 1_000_000,
];

#[test]
fn messages_of_all_sizes_come_back_as_they_were() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for kind in [TEXT, BINARY] {
            for size in SIZES {
                let payload: Vec<u8> = (0..size).map(|n| b'a' + (n % 23) as u8).collect();
                raw.send(FIN | kind, &payload);
                let back = raw.message();
                assert_eq!(back.kind, FIN | kind);
                assert!(
                    back.payload == payload,
                    "{size} bytes came back as {}",
                    back.payload.len()
                );
            }
        }
        raw.part(1000);
    });
}

#[test]
fn bytes_that_come_one_at_a_time_are_messages_as_well() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for size in [0, 1, 125, 126, 300] {
            for byte in frame(FIN | BINARY, &vec![7; size], Some(MASK)) {
                raw.bytes([byte]);
            }
            assert_eq!(raw.read(), Some(Frame::new(FIN | BINARY, vec![7; size])));
        }
        raw.part(1000);
    });
}

#[test]
fn a_mask_of_zeroes_is_a_mask() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        raw.bytes(frame(FIN | TEXT, b"abc", Some([0; 4])));
        assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, "abc")));
        raw.part(1000);
    });
}

#[test]
fn a_length_may_be_written_in_more_bytes_than_it_needs() {
    in_tasklet(|| {
        // The RFC forbids it to senders, and does not say what receivers do. It means the same in either case.
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        raw.bytes([[FIN | BINARY, 0x80 | 126, 0, 3].as_slice(), &[0; 4], b"abc"].concat());
        assert_eq!(raw.read(), Some(Frame::new(FIN | BINARY, "abc")));
        raw.part(1000);
    });
}

#[test]
fn pings_are_answered_in_the_middle_of_everything() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for payload in [&b""[..], b"hello", &[0xff; 125]] {
            raw.send(FIN | PING, payload);
            assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, payload)));
        }
        // Nobody has asked.
        raw.send(FIN | PONG, b"unasked");
        raw.send(TEXT, "frag");
        raw.send(FIN | PING, "between");
        assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, "between")));
        raw.send(CONTINUATION, "men");
        raw.send(FIN | PONG, "");
        raw.send(FIN | PING, "again");
        assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, "again")));
        raw.send(FIN | CONTINUATION, "ted");
        assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, "fragmented")));
        raw.part(1000);
    });
}

#[test]
fn of_many_pings_at_least_the_last_is_answered() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        let pings: Vec<u8> = (0..100)
            .flat_map(|n| frame(FIN | PING, &[n], Some(MASK)))
            .collect();
        raw.bytes(pings);
        loop {
            let pong = raw.read().unwrap();
            assert_eq!(pong.kind, FIN | PONG);
            if pong.payload == [99] {
                break;
            }
        }
        raw.part(1000);
    });
}

#[test]
fn messages_may_be_in_fragments_of_any_length() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        for fragments in [
            &["a", "b"][..],
            &["", "", ""],
            &["", "middle", ""],
            &["x"; 500],
        ] {
            for kind in [TEXT, BINARY] {
                let (last, others) = fragments.split_last().unwrap();
                for (n, fragment) in others.iter().enumerate() {
                    raw.send(if n == 0 { kind } else { CONTINUATION }, fragment);
                }
                raw.send(FIN | CONTINUATION, last);
                assert_eq!(raw.message(), Frame::new(FIN | kind, fragments.concat()));
            }
        }
        raw.part(1000);
    });
}

/// Sends these frames, and expects a message before that as an answer: then the connection ends with `code`.
pub(crate) fn is_refused(code: u16, frames: &[Vec<u8>]) {
    let frames = frames.to_vec();
    in_tasklet(move || {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        raw.send(FIN | TEXT, "before");
        raw.bytes(frames.concat());
        // It is not looked at.
        raw.send(FIN | TEXT, "behind");
        assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, "before")));
        raw.is_closed_with(code);
    });
}

pub(crate) fn of_client(kind: u8, payload: &[u8]) -> Vec<u8> {
    frame(kind, payload, Some(MASK))
}

#[test]
fn frames_of_a_client_without_a_mask_are_refused() {
    is_refused(1002, &[frame(FIN | TEXT, b"abc", None)]);
    is_refused(1002, &[frame(FIN | PING, b"", None)]);
    is_refused(1002, &[frame(FIN | CLOSE, &closing(1000, b""), None)]);
}

#[test]
fn reserved_bits_are_refused() {
    for bits in [0x10, 0x20, 0x40, 0x50, 0x70] {
        is_refused(1002, &[of_client(FIN | bits | TEXT, b"abc")]);
    }
    is_refused(1002, &[of_client(FIN | 0x40 | PING, b"")]);
    is_refused(1002, &[of_client(FIN | 0x10 | CLOSE, &closing(1000, b""))]);
}

#[test]
fn reserved_kinds_are_refused() {
    for kind in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        is_refused(1002, &[of_client(FIN | kind, b"")]);
        is_refused(1002, &[of_client(FIN | kind, b"abc")]);
    }
}

#[test]
fn long_and_fragmented_control_frames_are_refused() {
    for kind in [PING, PONG, CLOSE] {
        is_refused(1002, &[of_client(FIN | kind, &[b'a'; 126])]);
        is_refused(
            1002,
            &[of_client(kind, b"ab"), of_client(FIN | CONTINUATION, b"c")],
        );
    }
}

#[test]
fn fragments_out_of_place_are_refused() {
    is_refused(1002, &[of_client(FIN | CONTINUATION, b"abc")]);
    is_refused(1002, &[of_client(CONTINUATION, b"abc")]);
    is_refused(
        1002,
        &[of_client(TEXT, b"abc"), of_client(FIN | TEXT, b"def")],
    );
    is_refused(1002, &[of_client(TEXT, b"abc"), of_client(BINARY, b"def")]);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let wrong: [&[u8]; 13] = [
        b"\x80", // a byte from the middle of a character
        b"\xff",
        b"abc\xc0\xafdef", // more bytes than it needs
        b"\xe0\x80\xaf",
        b"\xc1\xbf",
        b"\xed\xa0\x80", // half of a surrogate pair
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80", // behind the last character
        b"\xf8\x88\x80\x80\x80",
        b"\xce", // cut off
        b"\xce\xba\xe1\xbd",
        b"\xf0\x9f\x98",
        b"hello\xf0",
    ];
    for text in wrong {
        is_refused(1007, &[of_client(FIN | TEXT, text)]);
        // In fragments of a byte, the last of which is empty.
        let mut frames: Vec<_> = text
            .iter()
            .enumerate()
            .map(|(n, byte)| of_client(if n == 0 { TEXT } else { CONTINUATION }, &[*byte]))
            .collect();
        frames.push(of_client(FIN | CONTINUATION, b""));
        is_refused(1007, &frames);
    }
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        let text = "κόσμε 😀 \u{10ffff}\u{0}\u{fffe}";
        for cut in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            raw.send(TEXT, first);
            raw.send(FIN | CONTINUATION, second);
            assert_eq!(
                raw.read(),
                Some(Frame::new(FIN | TEXT, text)),
                "cut at {cut}"
            );
        }
        for (n, byte) in text.bytes().enumerate() {
            raw.send(if n == 0 { TEXT } else { CONTINUATION }, [byte]);
        }
        raw.send(FIN | CONTINUATION, "");
        assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, text)));
        raw.part(1000);
    });
}

#[test]
fn wrong_text_is_refused_before_its_message_ends() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        raw.send(TEXT, "good");
        raw.send(CONTINUATION, b"\xf4\x90");
        // There is no need to send the rest.
        raw.is_closed_with(1007);
    });
}

#[test]
fn binary_messages_are_not_looked_at() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        raw.send(FIN | BINARY, b"\xff\xc0\x80");
        assert_eq!(raw.read(), Some(Frame::new(FIN | BINARY, b"\xff\xc0\x80")));
        raw.part(1000);
    });
}

#[test]
fn valid_close_codes_are_sent_back() {
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999,
    ] {
        in_tasklet(move || {
            let server = serve(echo);
            Raw::connect(&server).part(code);
        });
    }
}

#[test]
fn close_codes_that_nobody_may_send_are_refused() {
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        is_refused(1002, &[of_client(FIN | CLOSE, &closing(code, b""))]);
        is_refused(1002, &[of_client(FIN | CLOSE, &closing(code, b"why"))]);
    }
    // Half a code.
    is_refused(1002, &[of_client(FIN | CLOSE, b"\x03")]);
}

#[test]
fn a_close_may_have_a_reason_or_nothing_at_all() {
    in_tasklet(|| {
        let server = serve(echo);
        let mut raw = Raw::connect(&server);
        raw.send(FIN | CLOSE, "");
        assert_eq!(raw.read(), Some(Frame::new(FIN | CLOSE, "")));
        assert_eq!(raw.read(), None);
        for reason in [&b"x"[..], &[b'r'; 123]] {
            let mut raw = Raw::connect(&server);
            raw.send(FIN | CLOSE, closing(1000, reason));
            raw.is_closed_with(1000);
        }
    });
    is_refused(
        1007,
        &[of_client(FIN | CLOSE, &closing(1000, b"\xce\xba\xe1\xbd"))],
    );
}

#[test]
fn what_comes_behind_a_close_is_not_looked_at() {
    in_tasklet(|| {
        let server = serve(echo);
        for behind in [
            of_client(FIN | TEXT, b"late"),
            of_client(FIN | PING, b"late"),
            of_client(FIN | CLOSE, &closing(1001, b"")),
            vec![0xff; 10_000],
        ] {
            let mut raw = Raw::connect(&server);
            raw.bytes([of_client(FIN | CLOSE, &closing(1000, b"")), behind].concat());
            raw.is_closed_with(1000);
        }
        // In the middle of a message.
        let mut raw = Raw::connect(&server);
        raw.send(TEXT, "half");
        raw.part(1000);
    });
}

#[test]
fn what_is_too_long_is_refused_before_it_has_come() {
    let options = || {
        WsOptions::default().with(|options| {
            options.frame = 1000;
            options.message = 2500;
        })
    };
    in_tasklet(move || {
        let server = serve_with(options(), echo);
        let mut raw = Raw::connect(&server);
        raw.send(FIN | BINARY, [1; 1000]);
        assert_eq!(raw.read(), Some(Frame::new(FIN | BINARY, [1; 1000])));
        raw.send(BINARY, [1; 1000]);
        raw.send(CONTINUATION, [1; 1000]);
        raw.send(FIN | CONTINUATION, [1; 500]);
        assert_eq!(raw.message(), Frame::new(FIN | BINARY, [1; 2500]));
        // Only the beginning of a frame.
        raw.bytes(header(FIN | BINARY, 1001, true));
        raw.bytes([0; 4]);
        raw.is_closed_with(1009);

        let mut raw = Raw::connect(&server);
        raw.send(BINARY, [1; 1000]);
        raw.send(CONTINUATION, [1; 1000]);
        raw.send(CONTINUATION, [1; 501]);
        raw.is_closed_with(1009);

        for length in [1 << 31, 1 << 32, 1 << 62, 1 << 63, u64::MAX] {
            let mut raw = Raw::connect(&server);
            raw.bytes([header(FIN | BINARY, length, true), vec![0; 4]].concat());
            raw.is_closed_with(1009);
        }
    });
}

/// What a server of the test's sends, seen by a client of ours.
fn seen_by_a_client(frames: Vec<Vec<u8>>) -> (Vec<Result<Message, WsError>>, Option<Frame>) {
    in_tasklet(move || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = listener.local_addr().unwrap();
        let server = Tasklet::spawn(move || {
            let mut raw = Raw::server(listener.accept().unwrap().0);
            raw.bytes(frames.concat());
            let answer = raw.read();
            assert_eq!(raw.read(), None);
            answer
        });
        let stream = actor_io::TcpStream::connect(url).unwrap();
        let socket = WebSocket::client(stream, Vec::new(), WsOptions::default()).unwrap();
        let seen = socket.collect();
        (seen, server.join().unwrap())
    })
}

#[test]
fn clients_refuse_what_servers_may_not_send() {
    let wrong = [
        (1002, frame(FIN | TEXT, b"abc", Some(MASK))),
        (1002, frame(FIN | 0x40 | TEXT, b"abc", None)),
        (1002, frame(FIN | 3, b"", None)),
        (1002, frame(PING, b"", None)),
        (1007, frame(FIN | TEXT, b"\xff", None)),
        (
            1009,
            [header(FIN | BINARY, 1 << 63, false), vec![0; 4]].concat(),
        ),
    ];
    for (code, wrong) in wrong {
        let good = frame(FIN | TEXT, b"good", None);
        let (seen, answer) = seen_by_a_client(vec![good, wrong]);
        let [Ok(message), Err(error)] = &seen[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(message, &Message::from("good"));
        match (code, error) {
            (1002, WsError::Protocol(_))
            | (1007, WsError::NotUtf8)
            | (1009, WsError::TooLong { .. }) => {}
            _ => panic!("{code}: {error:?}"),
        }
        let answer = answer.unwrap();
        assert_eq!(
            (answer.kind, &answer.payload[..2]),
            (FIN | CLOSE, &u16::to_be_bytes(code)[..])
        );
    }
}

#[test]
fn clients_agree_to_the_end() {
    let bye = frame(FIN | CLOSE, &closing(1001, b"bye"), None);
    let (seen, answer) = seen_by_a_client(vec![bye]);
    assert!(seen.is_empty(), "{seen:?}");
    assert_eq!(answer, Some(Frame::new(FIN | CLOSE, closing(1001, b"bye"))));
}

#[test]
fn the_defaults_are_those_that_are_told() {
    let options = ws::WsOptions::default();
    assert_eq!((options.frame, options.message), (1 << 20, 4 << 20));
}
