//! The time, and bounded waiting for something to come true.

use std::thread;
use std::time::{Duration, Instant};

/// No single wait in a test or tool takes longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tools run outside the core and measure real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Asks `probe` until it answers, at most for `patience`.
pub fn poll<T>(patience: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + patience;
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if now() >= deadline {
            return None;
        }
        thread::park_timeout(Duration::from_millis(3));
    }
}
