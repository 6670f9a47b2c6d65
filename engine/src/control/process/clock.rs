//! The clocks of the control thread. Everything else gets its time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::UtcDateTime;

/// A clock that never goes back.
#[expect(clippy::disallowed_methods, reason = "control reads the time here and nowhere else")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Unix seconds; 0 if the machine's clock stands before 1970.
#[expect(clippy::disallowed_methods, reason = "control reads the time here and nowhere else")]
pub(crate) fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

/// The time as it stands in front of every diagnostic: UTC by RFC 3339, with milliseconds.
#[expect(clippy::disallowed_methods, reason = "control reads the time here and nowhere else")]
pub(crate) fn utc() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn rfc3339(since_1970: Duration) -> String {
    let now = UtcDateTime::UNIX_EPOCH.saturating_add(since_1970.try_into().unwrap_or_default());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.millisecond(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(rfc3339(Duration::from_millis(1_795_301_728_007)), "2026-11-21T22:55:28.007Z");
        assert_eq!(rfc3339(Duration::ZERO), "1970-01-01T00:00:00.000Z");
    }
}
