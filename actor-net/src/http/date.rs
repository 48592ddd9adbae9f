//! The time of day, as the header `Date` says it.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The length of a date.
pub(super) const LENGTH: usize = 29;

thread_local! {
    /// The last date that was written on this thread, and the second that it is of.
    static LAST: Cell<(i64, [u8; LENGTH])> = const { Cell::new((i64::MIN, [b' '; LENGTH])) };
}

/// Now. The clock is read each time, which the system makes cheap; the text is made once a second.
pub(super) fn now() -> [u8; LENGTH] {
    at(clock_gettime(ClockId::RealtimeCoarse).tv_sec)
}

/// So many seconds after the beginning of 1970.
fn at(second: i64) -> [u8; LENGTH] {
    let (last, mut text) = LAST.get();
    if last == second {
        return text;
    }
    // What is out of the years that a date can have, a clock that has never been set for one, stays as it was.
    let since = Duration::from_secs(second.clamp(0, LAST_SECOND) as u64);
    let date = httpdate::HttpDate::from(SystemTime::UNIX_EPOCH + since);
    let written: io::Result<()> = write!(&mut text[..], "{date}");
    debug_assert!(written.is_ok());
    LAST.set((second, text));
    text
}

/// Of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_the_standard_writes_them() {
        for (second, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(str::from_utf8(&at(second)), Ok(text));
        }
    }

    #[test]
    fn now_is_now() {
        let text = now();
        let date = httpdate::parse_http_date(str::from_utf8(&text).unwrap()).unwrap();
        let age = SystemTime::now().duration_since(date).unwrap();
        assert!(age < Duration::from_secs(60), "{age:?}");
    }
}
