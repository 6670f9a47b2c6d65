//! The times of a certificate: as OpenSSL prints them, and as seconds to compare.
//!
//! The calendar is a library's. The reader of DER is ours: it has to tell the form of RFC 5280 from all
//! that OpenSSL reads as well, and to refuse what OpenSSL refuses.

use time::{Date, Month, UtcDateTime};

use crate::identity::der::{Element, tag};

/// A time as it stands in a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertTime<'a> {
    element: Element<'a>,
}

/// Now, and how wrong that may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clock {
    /// Unix seconds.
    pub now: i64,
    /// Seconds by which everything begins earlier and ends later.
    pub skew: i64,
}

impl Clock {
    /// Is this moment here?
    #[must_use]
    pub const fn has_begun(self, moment: i64) -> bool {
        moment.saturating_sub(self.skew) <= self.now
    }

    /// Is this end over?
    #[must_use]
    pub const fn is_past(self, end: i64) -> bool {
        end.saturating_add(self.skew) <= self.now
    }
}

/// The seconds in which something stays as it is: from the first, up to the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeRange {
    /// The first second at which it is so, Unix seconds.
    pub from: i64,
    /// The first second at which it may be different.
    pub until: i64,
}

impl TimeRange {
    /// Of what no date changes.
    pub const ALWAYS: Self = Self { from: i64::MIN, until: i64::MAX };

    /// Is this second one of them?
    #[must_use]
    pub const fn contains(self, now: i64) -> bool {
        self.from <= now && now < self.until
    }
}

/// The two dates of a certificate or of a revocation list, Unix seconds; `None` is not stated, or cannot
/// be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeBounds {
    /// `notBefore`, or `thisUpdate`.
    pub start: Option<i64>,
    /// `notAfter`, or `nextUpdate`.
    pub end: Option<i64>,
}

/// The parts of a time, before any offset is applied.
struct TimeParts<'a> {
    /// Days since 1970-01-01.
    unix_day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    fraction: &'a [u8],
    /// `None` is `Z`; otherwise seconds east of Greenwich.
    offset: Option<i64>,
    /// Seconds present and `Z` at the end, as RFC 5280 demands.
    strict: bool,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl<'a> CertTime<'a> {
    /// A time is one of two types.
    #[must_use]
    pub const fn new(element: Element<'a>) -> Option<Self> {
        match element.tag {
            tag::UTC_TIME | tag::GENERALIZED_TIME => Some(Self { element }),
            _ => None,
        }
    }

    /// Unix seconds, if the time has exactly the form of RFC 5280 (section 4.1.2.5); OpenSSL and
    /// webpki compare no other.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let parts = self.parts()?;
        parts.strict.then(|| parts.seconds())
    }

    /// Unix seconds of any form that nginx can read back from what OpenSSL prints: no fractions.
    #[must_use]
    pub fn seconds_lenient(&self) -> Option<i64> {
        self.parts().filter(|parts| parts.fraction.is_empty()).map(|parts| parts.seconds())
    }

    /// Appends it as `ASN1_TIME_print` does: `Feb  3 22:55:28 2026 GMT`.
    pub fn print(&self, out: &mut Vec<u8>) {
        let Some(parts) = self.parts() else {
            out.extend_from_slice(b"Bad time value");
            return;
        };
        let Ok(moment) = UtcDateTime::from_unix_timestamp(parts.seconds()) else {
            out.extend_from_slice(b"Bad time value");
            return;
        };
        let mut number = itoa::Buffer::new();
        let name = MONTHS.get(usize::from(u8::from(moment.month()) - 1));
        out.extend_from_slice(name.copied().unwrap_or_default().as_bytes());
        out.extend_from_slice(if moment.day() < 10 { b"  " } else { b" " });
        out.extend_from_slice(number.format(moment.day()).as_bytes());
        for (before, value) in
            [(b' ', moment.hour()), (b':', moment.minute()), (b':', moment.second())]
        {
            out.push(before);
            if value < 10 {
                out.push(b'0');
            }
            out.extend_from_slice(number.format(value).as_bytes());
        }
        out.extend_from_slice(parts.fraction);
        out.push(b' ');
        out.extend_from_slice(number.format(moment.year()).as_bytes());
        out.extend_from_slice(b" GMT");
    }

    fn parts(&self) -> Option<TimeParts<'a>> {
        let mut rest = self.element.content;
        let general = self.element.tag == tag::GENERALIZED_TIME;
        let year = if general {
            digits(&mut rest, 4)?
        } else {
            let year = digits(&mut rest, 2)?;
            if year < 50 { 2000 + year } else { 1900 + year }
        };
        let (month, day) = (digits(&mut rest, 2)?, digits(&mut rest, 2)?);
        let unix_day = unix_day(year, month, day)?;
        let hour = bounded(digits(&mut rest, 2)?, 0, 23)?;
        let minute = bounded(digits(&mut rest, 2)?, 0, 59)?;
        let has_second = rest.first().is_some_and(u8::is_ascii_digit);
        let second = if has_second { bounded(digits(&mut rest, 2)?, 0, 59)? } else { 0 };
        let mut fraction: &[u8] = &[];
        if general && has_second && rest.first() == Some(&b'.') {
            let len = 1 + rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
            if len == 1 {
                return None;
            }
            (fraction, rest) = rest.split_at_checked(len)?;
        }
        let offset = match rest {
            b"Z" => None,
            [sign @ (b'+' | b'-'), zone @ ..] => {
                let mut zone = zone;
                let hours = bounded(digits(&mut zone, 2)?, 0, 12)?;
                let minutes = bounded(digits(&mut zone, 2)?, 0, 59)?;
                if !zone.is_empty() {
                    return None;
                }
                let east = hours * 3600 + minutes * 60;
                Some(if *sign == b'+' { east } else { -east })
            }
            _ => return None,
        };
        let strict = has_second && fraction.is_empty() && offset.is_none();
        Some(TimeParts { unix_day, hour, minute, second, fraction, offset, strict })
    }
}

impl TimeParts<'_> {
    fn seconds(&self) -> i64 {
        let of_day = self.hour * 3600 + self.minute * 60 + self.second;
        self.unix_day * 86_400 + of_day - self.offset.unwrap_or(0)
    }
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (text, after) = rest.split_at_checked(count)?;
    *rest = after;
    text.iter().try_fold(0_i64, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn bounded(value: i64, low: i64, high: i64) -> Option<i64> {
    (low..=high).contains(&value).then_some(value)
}

/// Days from 1970-01-01 to a day of the calendar; `None` if there is no such day.
pub(crate) fn unix_day(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let day = u8::try_from(day).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, day).ok()?;
    Some((date - UtcDateTime::UNIX_EPOCH.date()).whole_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(tag: u8, text: &str) -> (String, Option<i64>) {
        let element = Element { tag, content: text.as_bytes(), whole: &[] };
        let time = CertTime::new(element).unwrap();
        let mut out = Vec::new();
        time.print(&mut out);
        (String::from_utf8(out).unwrap(), time.seconds())
    }

    #[test]
    fn times_are_printed_as_openssl_prints_them() {
        let table = [
            (0x17, "260203225528Z", "Feb  3 22:55:28 2026 GMT", Some(1_770_159_328)),
            (0x17, "700101000000Z", "Jan  1 00:00:00 1970 GMT", Some(0)),
            (0x17, "500101000000Z", "Jan  1 00:00:00 1950 GMT", Some(-631_152_000)),
            (0x18, "20500101000000Z", "Jan  1 00:00:00 2050 GMT", Some(2_524_608_000)),
            (0x18, "99991231235959Z", "Dec 31 23:59:59 9999 GMT", Some(253_402_300_799)),
            (0x18, "20240229120000.25Z", "Feb 29 12:00:00.25 2024 GMT", None),
            (0x17, "2602032255Z", "Feb  3 22:55:00 2026 GMT", None),
            (0x17, "260203225528+0100", "Feb  3 21:55:28 2026 GMT", None),
            (0x17, "260230225528Z", "Bad time value", None),
            (0x17, "26020322552xZ", "Bad time value", None),
        ];
        for (tag, text, expected, seconds) in table {
            assert_eq!(printed(tag, text), (expected.to_owned(), seconds), "{text}");
        }
    }
}
