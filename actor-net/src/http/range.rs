//! Which parts of a representation are asked for: `Range` (RFC 9110, 14).

use std::ops::Range;

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, as if nothing had been asked for in particular.
    Whole,
    /// These parts, of which there is at least one: in the order in which they were asked for, none empty, none
    /// beyond the end, no two with less between them than telling them apart would take.
    Parts(Vec<Range<u64>>),
    /// Nothing of what was asked for is there.
    Unsatisfiable,
}

/// Parts with less than this between them are sent as one: so much goes into the lines between two parts.
const GAP: u64 = 80;

/// Selects what the value of a `Range` header asks for, of a representation of `len` bytes.
///
/// What is no set of ranges of bytes is passed over, as the standard has it, and so is one with more than
/// `limit` of them, however small they are or however much they overlap: the answer is then no larger than it would be
/// without.
pub fn select(value: &[u8], len: u64, limit: usize) -> Selection {
    let mut specs = 0;
    let mut parts = Vec::new();
    let Some(set) = set_of_bytes(value) else {
        return Selection::Whole;
    };
    for spec in set.split(|&byte| byte == b',').map(trim) {
        // Empty elements of a list count for nothing.
        if spec.is_empty() {
            continue;
        }
        specs += 1;
        let Some(spec) = Spec::parse(spec) else {
            return Selection::Whole;
        };
        if specs > limit {
            return Selection::Whole;
        }
        match spec.part_of(len) {
            Some(part) if part.is_empty() => return Selection::Whole,
            Some(part) => add(&mut parts, part),
            None => {}
        }
    }
    match (specs, parts.is_empty()) {
        (0, _) => Selection::Whole,
        (_, true) => Selection::Unsatisfiable,
        (_, false) => Selection::Parts(parts),
    }
}

/// What is behind `bytes=`.
fn set_of_bytes(value: &[u8]) -> Option<&[u8]> {
    let at = value.iter().position(|&byte| byte == b'=')?;
    let (unit, set) = (&value[..at], &value[at + 1..]);
    unit.eq_ignore_ascii_case(b"bytes").then_some(set)
}

/// Without the blanks around it, of which there are two kinds.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// One range, as it was written.
enum Spec {
    /// From the first to the last of these, counted from zero.
    FromTo(u64, u64),
    /// So many at the end.
    Last(u64),
}

impl Spec {
    fn parse(text: &[u8]) -> Option<Spec> {
        let at = text.iter().position(|&byte| byte == b'-')?;
        Some(match (&text[..at], &text[at + 1..]) {
            (b"", count) => Spec::Last(number(count)?),
            (first, b"") => Spec::FromTo(number(first)?, u64::MAX),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                Spec::FromTo(first, last)
            }
        })
    }

    /// What it is of `len` bytes. An empty part is the end of nothing, of which no header could tell.
    fn part_of(&self, len: u64) -> Option<Range<u64>> {
        match *self {
            Spec::FromTo(first, last) if first < len => Some(first..last.min(len - 1) + 1),
            Spec::Last(count) if count > 0 => Some(len - count.min(len)..len),
            Spec::FromTo(..) | Spec::Last(_) => None,
        }
    }
}

/// A number in decimal; one beyond all lengths is as good as the largest.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

/// Adds a part, at the place of the first that it is made one with.
fn add(parts: &mut Vec<Range<u64>>, mut new: Range<u64>) {
    let (mut at, mut i) = (parts.len(), 0);
    while i < parts.len() {
        let part = &parts[i];
        let is_apart = |a: &Range<u64>, b: &Range<u64>| {
            a.end.checked_add(GAP).is_some_and(|end| end <= b.start)
        };
        if is_apart(part, &new) || is_apart(&new, part) {
            i += 1;
            continue;
        }
        new = part.start.min(new.start)..part.end.max(new.end);
        parts.remove(i);
        at = at.min(i);
        // It may reach further now.
        i = 0;
    }
    parts.insert(at.min(parts.len()), new);
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a single range is what is meant"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(parts: impl IntoIterator<Item = Range<u64>>) -> Selection {
        Selection::Parts(parts.into_iter().collect())
    }

    #[test]
    fn one_range() {
        for (value, expected) in [
            ("bytes=0-0", parts([0..1])),
            ("bytes=0-", parts([0..1000])),
            ("bytes=10-19", parts([10..20])),
            ("Bytes=10-19", parts([10..20])),
            ("bytes= 10-19\t", parts([10..20])),
            ("bytes=,,10-19 ,", parts([10..20])),
            ("bytes=990-2000", parts([990..1000])),
            ("bytes=990-99999999999999999999999", parts([990..1000])),
            ("bytes=999-", parts([999..1000])),
            ("bytes=-1", parts([999..1000])),
            ("bytes=-1000", parts([0..1000])),
            ("bytes=-99999999999999999999999", parts([0..1000])),
            ("bytes=0010-0019", parts([10..20])),
            ("bytes=1000-", Selection::Unsatisfiable),
            ("bytes=1000-1001", Selection::Unsatisfiable),
            (
                "bytes=18446744073709551615-18446744073709551615",
                Selection::Unsatisfiable,
            ),
            ("bytes=-0", Selection::Unsatisfiable),
        ] {
            assert_eq!(select(value.as_bytes(), 1000, 10), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_set_of_ranges_is_passed_over() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes =0-1",
            " bytes=0-1",
            "items=0-1",
            "0-1",
            "bytes=-",
            "bytes=1",
            "bytes=a-b",
            "bytes=1-b",
            "bytes=0x1-2",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=--2",
            "bytes=1 - 2",
            "bytes=1-2-3",
            "bytes=5-4",
            "bytes=0-1,5-4",
            "bytes=0-1;5-6",
            "bytes=0-1,x",
            "bytes=\u{b}0-1",
        ] {
            assert_eq!(
                select(value.as_bytes(), 1000, 10),
                Selection::Whole,
                "{value:?}"
            );
        }
    }

    #[test]
    fn several_ranges() {
        for (value, expected) in [
            ("bytes=0-0,500-509", parts([0..1, 500..510])),
            // In the order in which they are asked for.
            ("bytes=500-509, 0-0", parts([500..510, 0..1])),
            ("bytes=-5,0-4", parts([995..1000, 0..5])),
            // What overlaps or touches is one, at the first place.
            ("bytes=0-10,5-20", parts([0..21])),
            ("bytes=5-20,0-10", parts([0..21])),
            ("bytes=0-10,11-20", parts([0..21])),
            ("bytes=0-10,50-60", parts([0..61])),
            ("bytes=0-10,91-95", parts([0..11, 91..96])),
            ("bytes=0-10,90-95", parts([0..96])),
            ("bytes=0-9,900-909,100-899", parts([0..10, 100..910])),
            ("bytes=0-9,400-409,800-809,10-799", parts([0..810])),
            ("bytes=0-,0-,0-", parts([0..1000])),
            // Those that are not there are left out.
            ("bytes=1000-,0-4", parts([0..5])),
            ("bytes=1000-,2000-3000", Selection::Unsatisfiable),
        ] {
            assert_eq!(select(value.as_bytes(), 1000, 10), expected, "{value}");
        }
    }

    #[test]
    fn too_many_ranges_are_none() {
        let many = |count: usize| {
            let ranges: Vec<_> = (0..count).map(|i| format!("{0}-{0}", i * 1000)).collect();
            format!("bytes={}", ranges.join(","))
        };
        let selected = select(many(10).as_bytes(), 1_000_000, 10);
        assert!(matches!(selected, Selection::Parts(parts) if parts.len() == 10));
        assert_eq!(select(many(11).as_bytes(), 1_000_000, 10), Selection::Whole);
        assert_eq!(
            select(many(1000).as_bytes(), 1_000_000, 10),
            Selection::Whole
        );
        // Also when all of them are the same.
        let same = format!("bytes={}", "0-,".repeat(1000));
        assert_eq!(select(same.as_bytes(), 1000, 10), Selection::Whole);
        assert_eq!(select(b"bytes=0-0", 1000, 0), Selection::Whole);
    }

    #[test]
    fn nothing_has_no_parts() {
        assert_eq!(select(b"bytes=0-", 0, 10), Selection::Unsatisfiable);
        assert_eq!(select(b"bytes=-0", 0, 10), Selection::Unsatisfiable);
        // Satisfiable, says the standard; but what part that is cannot be said.
        assert_eq!(select(b"bytes=-1", 0, 10), Selection::Whole);
    }

    proptest! {
        /// All that was asked for and is there comes, and of the rest no more than what lies in small gaps.
        #[test]
        fn parts_are_what_was_asked_for(
            ranges in prop::collection::vec((0_u64..3000, 0_u64..500), 1..20),
            len in 1_u64..3000,
        ) {
            let text: Vec<_> = ranges.iter().map(|(at, more)| format!("{at}-{}", at + more)).collect();
            let value = format!("bytes={}", text.join(","));
            let asked: Vec<_> = ranges
                .iter()
                .map(|(at, more)| *at..(at + more + 1).min(len))
                .filter(|range| !range.is_empty())
                .collect();
            match select(value.as_bytes(), len, 20) {
                Selection::Whole => prop_assert!(false, "{value} is well-formed"),
                Selection::Unsatisfiable => prop_assert!(asked.is_empty()),
                Selection::Parts(parts) => {
                    for asked in &asked {
                        prop_assert!(parts.iter().any(|part| part.start <= asked.start && asked.end <= part.end));
                    }
                    for (i, part) in parts.iter().enumerate() {
                        prop_assert!(!part.is_empty() && part.end <= len);
                        prop_assert!(asked.iter().any(|asked| asked.start == part.start));
                        prop_assert!(asked.iter().any(|asked| asked.end == part.end));
                        for other in &parts[..i] {
                            prop_assert!(part.end + GAP <= other.start || other.end + GAP <= part.start);
                        }
                    }
                }
            }
        }

        #[test]
        fn anything_may_come(value in prop::collection::vec(any::<u8>(), 0..50), len: u64) {
            check(&[b"bytes=", &value[..]].concat(), len);
            check(&value, len);
        }

        #[test]
        fn nearly_ranges_may_come(value in "[0-9,\\- ]{0,40}", len: u64) {
            check(format!("bytes={value}").as_bytes(), len);
        }
    }

    fn check(value: &[u8], len: u64) {
        if let Selection::Parts(parts) = select(value, len, 10) {
            assert!(!parts.is_empty() && parts.len() <= 10);
            assert!(
                parts
                    .iter()
                    .all(|part| part.start < part.end && part.end <= len)
            );
        }
    }
}
