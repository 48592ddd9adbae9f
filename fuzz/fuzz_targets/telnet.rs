//! Telnet: the same text comes out however it comes in, never more of it than went in, and the refusals
//! are bounded and well formed.

#![no_main]

use std::collections::HashSet;

use actor_net::{Codec, TelnetCodec, TelnetFilter};
use fuzz::{choose, decode, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (limit, cuts) = (usize::from(choose(&mut data)), choose(&mut data));
    let pieces = pieces(data, cuts);

    let (mut text, mut refusals) = (Vec::new(), Vec::new());
    TelnetFilter::new().filter(data, &mut text, &mut refusals);
    assert!(text.len() <= data.len());
    let mut seen = HashSet::new();
    for refusal in refusals.chunks(3) {
        assert!(matches!(refusal, [255, 252 | 254, _]), "{refusal:?}");
        assert!(seen.insert(refusal), "each option is refused once");
    }

    let (mut filter, mut in_pieces) = (TelnetFilter::new(), (Vec::new(), Vec::new()));
    for piece in &pieces {
        let mut piece = piece.to_vec();
        let count = filter.filter_in_place(&mut piece, &mut in_pieces.1);
        in_pieces.0.extend(&piece[..count]);
    }
    assert_eq!(in_pieces, (text, refusals));

    // Text without commands comes through as it is.
    let plain: Vec<u8> = data
        .iter()
        .copied()
        .filter(|&byte| byte != 255 && byte != 0)
        .collect();
    let mut same = Vec::new();
    TelnetFilter::new().filter(&plain, &mut same, &mut Vec::new());
    assert_eq!(same, plain);

    let codec = TelnetCodec::new().with_max_line(limit);
    let whole = decode(codec.clone(), &[data]);
    assert_eq!(decode(codec.clone(), &pieces), whole);
    assert!(whole.0.iter().all(|line| !line.0.contains('\n')));
    let mut out = Vec::new();
    let sent = String::from_utf8_lossy(data);
    codec.encode((&*sent).into(), &mut out).unwrap();
    let back = String::from_utf8(out).unwrap();
    assert_eq!(back.replace("\r\n", "\n"), sent.replace("\r\n", "\n"));
});
