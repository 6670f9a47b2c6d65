//! How long a connection to an upstream is kept, as far as the upstream has said so:
//! `Keep-Alive: timeout=5, max=99`.
//!
//! The field is that of RFC 2068, section 19.7.1, as Apache httpd and Node.js send it. It is a hint, and is
//! only ever taken to shorten a limit of our own; what is not understood in it is left out.

use core::time::Duration;

use ferrule_config::model::KeepalivePool;

use crate::wire::fields::{Known, eq_ignore_case, list_items};
use crate::wire::view::FieldsView;

/// How much earlier than the upstream we stop. Its time begins before ours does, and ends for a request
/// that is still on its way; Node.js leaves itself as much (`agentKeepAliveTimeoutBuffer`).
const MARGIN: Duration = Duration::from_secs(1);

/// What an upstream says of its connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeepAliveHint {
    /// Seconds after which it ends an idle one.
    pub timeout: Option<u32>,
    /// Further requests that it takes.
    pub max: Option<u32>,
}

impl KeepAliveHint {
    /// Reads the `Keep-Alive` fields; of several values for one parameter the smallest counts.
    #[must_use]
    pub fn of(fields: FieldsView<'_>) -> Self {
        let mut hint = Self::default();
        for field in fields.all(Known::KeepAlive) {
            for item in list_items(field.value()) {
                let Some(at) = item.iter().position(|byte| *byte == b'=') else { continue };
                let (name, value) = (item.get(..at), item.get(at + 1..));
                let Some(value) = number(value.unwrap_or_default()) else { continue };
                let least = |before: Option<u32>| Some(before.map_or(value, |it| it.min(value)));
                match name.unwrap_or_default() {
                    name if eq_ignore_case(name, b"timeout") => hint.timeout = least(hint.timeout),
                    name if eq_ignore_case(name, b"max") => hint.max = least(hint.max),
                    _ => {}
                }
            }
        }
        hint
    }

    /// Our limits, as far as the upstream allows them: `idle_timeout` ends `MARGIN` before its time, or in
    /// the middle of a time that is shorter than two of them.
    #[must_use]
    pub fn narrow(self, limits: KeepalivePool) -> KeepalivePool {
        let idle_timeout = self.timeout.map_or(limits.idle_timeout, |seconds| {
            let theirs = Duration::from_secs(u64::from(seconds));
            limits.idle_timeout.min(theirs.saturating_sub(MARGIN).max(theirs.min(MARGIN) / 2))
        });
        KeepalivePool { idle_timeout, ..limits }
    }

    /// The number of requests that the connection may serve in all, after `served` of them.
    #[must_use]
    pub fn requests_max(self, served: u32) -> u32 {
        self.max.map_or(u32::MAX, |max| served.saturating_add(max))
    }
}

/// Digits and nothing else; one that is too large is as good as none.
fn number(text: &[u8]) -> Option<u32> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// An idle time that is up to a tenth shorter, by `draw`: connections that came at once do not all end at
/// once.
#[must_use]
pub fn spread(idle_timeout: Duration, draw: u64) -> Duration {
    // Fibonacci hashing: draws that are close together end far apart.
    let share = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let tenth = idle_timeout / 10;
    idle_timeout.saturating_sub(tenth.mul_f64(share as f64 / 65_536.0))
}

/// When the age of a connection is over, in milliseconds of the clock by which it was opened: up to a tenth
/// early, so that connections which came together do not end together.
#[must_use]
pub fn ends_ms(max_age: Duration, opened_us: u64) -> u64 {
    let age_us = u64::try_from(spread(max_age, opened_us).as_micros()).unwrap_or(u64::MAX);
    opened_us.saturating_add(age_us) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{ResponseHead, parse_response};
    use crate::wire::limits::HeadLimits;

    fn hint(fields: &str) -> KeepAliveHint {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let mut head = ResponseHead::default();
        let limits = HeadLimits { head_bytes_max: 65_536, fields_max: 100 };
        parse_response(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        KeepAliveHint::of(head.view(text.as_bytes()).fields())
    }

    #[test]
    fn what_is_understood_counts_and_the_rest_is_left_out() {
        for (fields, timeout, max) in [
            ("", None, None),
            ("Keep-Alive: timeout=5, max=99\r\n", Some(5), Some(99)),
            ("keep-alive: MAX=0,Timeout=0\r\n", Some(0), Some(0)),
            (
                "Keep-Alive: timeout=9, timeout=4\r\nKeep-Alive: max=7, timeout=6\r\n",
                Some(4),
                Some(7),
            ),
            ("Keep-Alive: \r\n", None, None),
            ("Keep-Alive: 300\r\n", None, None),
            ("Keep-Alive: timeout\r\n", None, None),
            ("Keep-Alive: timeout=\r\n", None, None),
            ("Keep-Alive: timeout=-1, max=+2\r\n", None, None),
            ("Keep-Alive: timeout=5s, max=1e3\r\n", None, None),
            ("Keep-Alive: timeout = 5\r\n", None, None),
            ("Keep-Alive: timeout=\"5\"\r\n", None, None),
            ("Keep-Alive: timeout=5; max=100\r\n", None, None),
            ("Keep-Alive: timeout=5=6, timeouts=3, xmax=2\r\n", None, None),
            ("Keep-Alive: timeout=4294967295\r\n", Some(u32::MAX), None),
            ("Keep-Alive: timeout=4294967296, max=99999999999999999999\r\n", None, None),
            ("X-Keep-Alive: timeout=5\r\n", None, None),
        ] {
            assert_eq!(hint(fields), KeepAliveHint { timeout, max }, "{fields}");
        }
    }

    #[test]
    fn a_hint_shortens_our_limits_and_never_lengthens_them() {
        let ours = Duration::from_secs(60);
        let max_age = Duration::from_secs(7);
        let limits =
            KeepalivePool { size: 3, idle_timeout: ours, requests: 10, max_age, min_idle: 2 };
        for (timeout, wanted_ms) in [
            (None, 60_000),
            (Some(0), 0),
            (Some(1), 500),
            (Some(2), 1_000),
            (Some(5), 4_000),
            (Some(61), 60_000),
            (Some(u32::MAX), 60_000),
        ] {
            let narrowed = KeepAliveHint { timeout, max: None }.narrow(limits);
            assert_eq!(narrowed.idle_timeout, Duration::from_millis(wanted_ms), "{timeout:?}");
            assert_eq!(narrowed, KeepalivePool { idle_timeout: narrowed.idle_timeout, ..limits });
        }
        let max = |max| KeepAliveHint { timeout: None, max };
        assert_eq!(max(None).requests_max(5), u32::MAX);
        assert_eq!(max(Some(0)).requests_max(5), 5);
        assert_eq!(max(Some(2)).requests_max(5), 7);
        assert_eq!(max(Some(u32::MAX)).requests_max(5), u32::MAX);
    }

    #[test]
    fn idle_times_are_spread_over_a_tenth() {
        let minute = Duration::from_secs(60);
        let times: Vec<_> = (0..1_000).map(|draw| spread(minute, draw)).collect();
        let (least, most) = (Duration::from_secs(54), minute);
        assert!(times.iter().all(|time| (least..=most).contains(time)));
        for part in 0..10 {
            let from = least + part * Duration::from_millis(600);
            let within = from..from + Duration::from_millis(600);
            let count = times.iter().filter(|time| within.contains(*time)).count();
            assert!((50..200).contains(&count), "{part}: {count}");
        }
        assert_eq!(spread(Duration::ZERO, 7), Duration::ZERO);
    }

    #[test]
    fn connections_of_one_moment_do_not_end_in_one() {
        let hour = Duration::from_secs(3_600);
        let opened = 1_000_000_u64;
        let ends: Vec<_> = (0..1_000).map(|micros| ends_ms(hour, opened + micros)).collect();
        assert!(ends.iter().all(|end| (3_240_000..=3_601_001).contains(end)));
        for second in (3_241..3_601).step_by(36) {
            let within = second * 1_000..(second + 36) * 1_000;
            let count = ends.iter().filter(|end| within.contains(*end)).count();
            assert!((50..200).contains(&count), "{second}: {count}");
        }
        assert_eq!(ends_ms(Duration::MAX, opened), u64::MAX / 1_000);
    }
}
