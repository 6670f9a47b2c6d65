//! What one core has counted since it started.
//!
//! Each core is the only writer of its counters, so adding is a relaxed load and a relaxed store: no
//! read-modify-write, no shared cache line. Readers sum over the cores and may be a moment behind.

use std::sync::atomic::{AtomicU64, Ordering};

use strum::{EnumCount, IntoStaticStr, VariantArray};

/// What is counted.
#[derive(Clone, Copy, Debug, EnumCount, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Counter {
    /// Client connections accepted.
    Accepted,
    /// Client connections closed at once: the core was at its limit.
    AcceptedOverLimit,
    /// Client connections closed at once: their address had too many.
    AcceptedOverAddress,
    /// Client connections closed unserved: there were no descriptors or memory left.
    AcceptedShed,
    /// Connections closed on arrival because the budget for buffers was used up.
    AcceptedOverBudget,
    /// Connections that had not got on and were ended because that budget was used up.
    Stalled,
    /// Accepts that failed (out of descriptors and the like).
    AcceptFailed,
    /// Full TLS handshakes that succeeded.
    HandshakesFull,
    /// Resumed TLS handshakes that succeeded.
    HandshakesResumed,
    /// TLS handshakes that failed.
    HandshakesFailed,
    /// Connections that were ended because their certificate was not trusted any more.
    ConnectionsRevoked,
    /// Responses with a status of 100 to 199.
    #[strum(serialize = "responses_1xx")]
    Responses1xx,
    /// Responses with a status of 200 to 299.
    #[strum(serialize = "responses_2xx")]
    Responses2xx,
    /// Responses with a status of 300 to 399.
    #[strum(serialize = "responses_3xx")]
    Responses3xx,
    /// Responses with a status of 400 to 499.
    #[strum(serialize = "responses_4xx")]
    Responses4xx,
    /// Responses with a status of 500 to 599.
    #[strum(serialize = "responses_5xx")]
    Responses5xx,
    /// Requests that we answered ourselves.
    Refusals,
    /// Requests whose client went away before the response was complete.
    ClientAborts,
    /// Deadlines that a client let pass.
    ClientTimeouts,
    /// Deadlines that an upstream let pass.
    UpstreamTimeouts,
    /// Responses cut off by a deadline after their head went out.
    ResponseTimeouts,
    /// Exchanges that were ended because their `timeout.total` was over.
    TotalTimeouts,
    /// WebSocket tunnels opened.
    TunnelsOpened,
    /// WebSocket tunnels that have ended.
    TunnelsClosed,
    /// Connections closed for want of a PROXY protocol header that we take.
    ProxyHeadersRefused,
    /// Bytes read from clients.
    ClientBytesIn,
    /// Bytes written to clients.
    ClientBytesOut,
    /// Access log lines dropped because the ring was full.
    LogDropped,
    /// Connections ended by a panic.
    Panics,
    /// Nanoseconds spent working rather than waiting.
    #[strum(serialize = "busy_ns")]
    BusyNanoseconds,
}

impl Counter {
    /// The counter of a status's class; a status outside 100 to 599 counts as 5xx.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            100..=199 => Self::Responses1xx,
            200..=299 => Self::Responses2xx,
            300..=399 => Self::Responses3xx,
            400..=499 => Self::Responses4xx,
            _ => Self::Responses5xx,
        }
    }

    /// Its word in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The counters of one core. Written by that core alone.
// A line of its own (two, because of the adjacent-line prefetcher) keeps one core's counting from
// slowing its neighbours down.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counters {
    values: [AtomicU64; Counter::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self { values: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Default for CounterSums {
    fn default() -> Self {
        Self { values: [0; Counter::COUNT] }
    }
}

impl Counters {
    /// Adds `amount`. Only the core that owns these counters may call this.
    pub fn add(&self, counter: Counter, amount: u64) {
        if let Some(value) = self.values.get(counter as usize) {
            value.store(value.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        }
    }

    /// The value now.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values.get(counter as usize).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// All values now, each read once.
    #[must_use]
    pub fn snapshot(&self) -> CounterSums {
        let mut sums = CounterSums::default();
        sums.add(self);
        sums
    }
}

/// Values of one core, or summed over several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CounterSums {
    values: [u64; Counter::COUNT],
}

impl CounterSums {
    /// Adds one core's values.
    pub fn add(&mut self, counters: &Counters) {
        for (sum, value) in self.values.iter_mut().zip(&counters.values) {
            *sum = sum.wrapping_add(value.load(Ordering::Relaxed));
        }
    }

    /// The sum over several cores.
    #[must_use]
    pub fn sum<'a>(cores: impl IntoIterator<Item = &'a Counters>) -> Self {
        let mut sums = Self::default();
        for counters in cores {
            sums.add(counters);
        }
        sums
    }

    /// One value.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values.get(counter as usize).copied().unwrap_or(0)
    }

    /// Requests, whatever became of them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        [
            Counter::Responses1xx,
            Counter::Responses2xx,
            Counter::Responses3xx,
            Counter::Responses4xx,
            Counter::Responses5xx,
        ]
        .into_iter()
        .fold(0, |sum, counter| sum.wrapping_add(self.get(counter)))
    }

    /// Handshakes, whatever became of them.
    #[must_use]
    pub fn handshakes(&self) -> u64 {
        [Counter::HandshakesFull, Counter::HandshakesResumed, Counter::HandshakesFailed]
            .into_iter()
            .fold(0, |sum, counter| sum.wrapping_add(self.get(counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_slot_and_name() {
        let counters = Counters::default();
        for (position, counter) in Counter::VARIANTS.iter().copied().enumerate() {
            assert_eq!(counter as usize, position);
            counters.add(counter, position as u64 + 1);
        }
        let mut names = Vec::new();
        for (position, counter) in Counter::VARIANTS.iter().copied().enumerate() {
            assert_eq!(counters.get(counter), position as u64 + 1);
            assert!(!names.contains(&counter.name()), "{}", counter.name());
            names.push(counter.name());
        }
    }

    #[test]
    fn sums_over_cores() {
        let cores = [Counters::default(), Counters::default()];
        cores[0].add(Counter::HandshakesFull, 2);
        cores[1].add(Counter::HandshakesResumed, 3);
        cores[1].add(Counter::HandshakesFull, 5);
        let sum = CounterSums::sum(&cores);
        assert_eq!(sum.get(Counter::HandshakesFull), 7);
        assert_eq!(sum.handshakes(), 10);
        assert_eq!(cores[0].snapshot().handshakes(), 2);
    }

    #[test]
    fn a_status_has_one_class() {
        for (status, counter) in [
            (101, Counter::Responses1xx),
            (204, Counter::Responses2xx),
            (308, Counter::Responses3xx),
            (499, Counter::Responses4xx),
            (502, Counter::Responses5xx),
            (0, Counter::Responses5xx),
        ] {
            assert_eq!(Counter::of_status(status), counter);
        }
    }
}
