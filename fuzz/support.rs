//! What the targets share: input cut into pieces, and what a codec makes of it.

use actor_net::Codec;

/// Takes one byte off the front for a choice.
pub fn choose(data: &mut &[u8]) -> u8 {
    match data.split_first() {
        Some((&first, rest)) => {
            *data = rest;
            first
        }
        None => 0,
    }
}

/// Cuts `bytes` into pieces whose lengths `cuts` says, over and over again; the last takes the rest when
/// there are many.
pub fn pieces(bytes: &[u8], cuts: u8) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    let lengths = [usize::from(cuts % 7), usize::from(cuts / 7), 1];
    for length in lengths.into_iter().cycle() {
        if rest.is_empty() || pieces.len() > 10_000 {
            break;
        }
        let (piece, other) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = other;
    }
    pieces.push(rest);
    pieces
}

/// All items that come out of the pieces, as a connection would have them, and the error that ends them.
pub fn decode<C: Codec>(mut codec: C, pieces: &[&[u8]]) -> (Vec<C::Item>, Option<String>) {
    let (mut waiting, mut items) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut input = &waiting[..];
        loop {
            match codec.decode(&mut input) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error.to_string())),
            }
        }
        let left = input.to_vec();
        assert!(waiting.ends_with(&left), "only taken off the front");
        waiting = left;
    }
    match codec.finish(&waiting) {
        Ok(last) => {
            items.extend(last);
            (items, None)
        }
        Err(error) => (items, Some(error.to_string())),
    }
}
