//! The only place that reads the time.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A core's clock: exact when asked for a duration, cached where a second or a tick is enough.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// Unix seconds and milliseconds, as of the last [`Clock::refresh`].
    unix: Cell<(i64, u32)>,
    date: RefCell<String>,
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system() -> SystemTime {
    SystemTime::now()
}

impl Default for Clock {
    fn default() -> Self {
        let clock =
            Self { start: instant(), unix: Cell::new((0, 0)), date: RefCell::new(String::new()) };
        clock.refresh();
        clock
    }
}

impl Clock {
    /// Reads the wall clock; called once a tick.
    pub fn refresh(&self) {
        let now = system();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let before = self.unix.replace((seconds, since.subsec_millis()));
        if before.0 != seconds {
            let mut date = self.date.borrow_mut();
            date.clear();
            // IMF-fixdate (RFC 9110, section 5.6.7).
            let _ = std::fmt::Write::write_fmt(
                &mut *date,
                format_args!("{}", httpdate::HttpDate::from(now)),
            );
        }
    }

    /// Unix seconds, and the milliseconds within, as of the last tick.
    #[must_use]
    pub const fn unix(&self) -> (i64, u32) {
        self.unix.get()
    }

    /// Runs `with` on the text of a `Date` field.
    pub fn with_date<R>(&self, with: impl FnOnce(&[u8]) -> R) -> R {
        with(self.date.borrow().as_bytes())
    }

    /// Time since the core started, exact.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        instant().duration_since(self.start)
    }
}
