//! The time of day, as the header `Date` says it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The header, and the empty line behind the last of a head.
const LINES: [u8; LENGTH] = *b"date:                              \r\n\r\n";
const LENGTH: usize = 39;

/// Where in them the date is.
const DATE: std::ops::Range<usize> = 6..35;

/// The last date that was written on a thread.
struct Last {
    /// The second that it is of.
    second: i64,
    lines: [u8; LENGTH],
}

thread_local! {
    static LAST: RefCell<Last> = const {
        RefCell::new(Last {
            second: i64::MIN,
            lines: LINES,
        })
    };
}

/// Writes the header with the time that it is now, and the line that ends a head. The clock is read each time, which
/// the system makes cheap; the text is made once a second.
#[inline]
pub(super) fn end_head(out: &mut Vec<u8>) {
    end_head_at(clock_gettime(ClockId::RealtimeCoarse).tv_sec, out);
}

/// The same, so many seconds after the beginning of 1970.
#[inline]
fn end_head_at(second: i64, out: &mut Vec<u8>) {
    LAST.with_borrow_mut(|last| {
        if last.second != second {
            last.write(second);
        }
        out.extend_from_slice(&last.lines);
    });
}

impl Last {
    #[cold]
    fn write(&mut self, second: i64) {
        // What is out of the years that a date can have, a clock that has never been set for one, stays as it was.
        let since = Duration::from_secs(second.clamp(0, LAST_SECOND) as u64);
        let date = httpdate::HttpDate::from(SystemTime::UNIX_EPOCH + since);
        let written: io::Result<()> = write!(&mut self.lines[DATE], "{date}");
        debug_assert!(written.is_ok());
        self.second = second;
    }
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
            let mut out = Vec::new();
            end_head_at(second, &mut out);
            let lines = String::from_utf8(out).unwrap();
            assert_eq!(lines, format!("date: {text}\r\n\r\n"));
        }
    }

    #[test]
    fn now_is_now() {
        let mut out = Vec::new();
        end_head(&mut out);
        let date = httpdate::parse_http_date(str::from_utf8(&out[DATE]).unwrap()).unwrap();
        let age = SystemTime::now().duration_since(date).unwrap();
        assert!(age < Duration::from_secs(60), "{age:?}");
    }
}
