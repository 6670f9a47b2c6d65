//! The only place that reads the time.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::plan::facts::Now;
#[cfg(test)]
use crate::simulation::network::{instant, system};

/// A core's clock: exact when asked for a duration, cached where a second or a tick is enough.
#[derive(Debug)]
pub(crate) struct CoreClock {
    start: Instant,
    /// Unix seconds, as of the last [`CoreClock::refresh`].
    unix_seconds: Cell<i64>,
    /// Milliseconds of the current second.
    millis: Cell<u16>,
    texts: RefCell<Texts>,
}

/// The current second as text.
#[derive(Debug, Default)]
struct Texts {
    http_date: String,
    local: String,
    iso8601: String,
}

#[cfg(not(test))]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn instant() -> Instant {
    Instant::now()
}

#[cfg(not(test))]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system() -> SystemTime {
    SystemTime::now()
}

impl Default for CoreClock {
    fn default() -> Self {
        let clock = Self {
            start: instant(),
            unix_seconds: Cell::new(0),
            millis: Cell::new(0),
            texts: RefCell::new(Texts::default()),
        };
        clock.refresh();
        clock
    }
}

impl CoreClock {
    /// Reads the wall clock; called once a tick.
    pub(crate) fn refresh(&self) {
        let now = system();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let millis = u16::try_from(since.subsec_millis()).unwrap_or(0);
        self.millis.set(millis);
        if self.unix_seconds.replace(seconds) != seconds {
            self.texts.borrow_mut().set(now);
        }
    }

    /// Unix seconds as of the last tick.
    #[must_use]
    pub(crate) const fn unix_seconds(&self) -> i64 {
        self.unix_seconds.get()
    }

    /// Runs `with` on the time as of the last tick.
    pub(crate) fn with_now<R>(&self, with: impl FnOnce(Now<'_>) -> R) -> R {
        let (unix_seconds, millis) = (self.unix_seconds.get(), self.millis.get());
        let texts = self.texts.borrow();
        with(Now {
            unix_seconds,
            millis,
            http_date: &texts.http_date,
            local: &texts.local,
            iso8601: &texts.iso8601,
        })
    }

    /// Now, for what the cores share; exact.
    #[must_use]
    pub(crate) fn instant(&self) -> Instant {
        self.start + self.elapsed()
    }

    /// Time since the core started, exact.
    #[must_use]
    pub(crate) fn elapsed(&self) -> Duration {
        instant().duration_since(self.start)
    }

    /// The same in whole milliseconds.
    #[must_use]
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Texts {
    /// Logs are in UTC: their lines sort, and no zone file is needed.
    fn set(&mut self, now: SystemTime) {
        // IMF-fixdate (RFC 9110, section 5.6.7): `Sun, 22 Nov 2026 00:56:36 GMT`.
        self.http_date = httpdate::fmt_http_date(now);
        let mut words = self.http_date.split([' ', ',']).filter(|word| !word.is_empty()).skip(1);
        let mut next = || words.next().unwrap_or_default();
        let (day, month, year, time) = (next(), next(), next(), next());
        self.local = format!("{day}/{month}/{year}:{time} +0000");
        let number = MONTHS.iter().position(|name| *name == month).map_or(0, |at| at + 1);
        self.iso8601 = format!("{year}-{number:02}-{day}T{time}+00:00");
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_three_texts() {
        let mut texts = Texts::default();
        texts.set(UNIX_EPOCH + Duration::from_secs(1_795_000_000));
        assert_eq!(texts.http_date, "Wed, 18 Nov 2026 11:06:40 GMT");
        assert_eq!(texts.local, "18/Nov/2026:11:06:40 +0000");
        assert_eq!(texts.iso8601, "2026-11-18T11:06:40+00:00");
    }
}
