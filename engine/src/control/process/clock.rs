//! The clocks of the control thread. Everything else gets its time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{self, FormatTime};

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

/// The time as it stands in front of every diagnostic.
pub(crate) fn utc() -> String {
    let mut text = String::new();
    match time::SystemTime.format_time(&mut Writer::new(&mut text)) {
        Ok(()) => text,
        Err(std::fmt::Error) => String::new(),
    }
}
