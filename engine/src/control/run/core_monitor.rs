//! Watches over the data cores while they run: silence, lost log lines, and a summary of their work.
//!
//! In: the links of the cores. Out: lines in the error log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::state::status::SilentCore;
use crate::report::{Counter, CounterSums};
use crate::setup::CoreLink;

/// A core that has not shown a heartbeat for this long is reported.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How often the counters of each core are written at level debug.
const COUNTERS_EVERY: Duration = Duration::from_secs(10);

/// What was seen of the cores so far.
pub(super) struct CoreMonitor {
    /// One for each core.
    heartbeats: Vec<Heartbeat>,
    counters_written: Instant,
    started: Instant,
    log_dropped: u64,
}

/// The last heartbeat of a core.
struct Heartbeat {
    value: u64,
    seen_at: Instant,
    /// The core has been silent since, and that was reported.
    reported: bool,
}

impl CoreMonitor {
    /// Monitors the cores of these links from now on.
    pub(super) fn new(links: &[Arc<CoreLink>], now: Instant) -> Self {
        let heartbeats = links.iter().map(|link| Heartbeat {
            value: link.heartbeat(),
            seen_at: now,
            reported: false,
        });
        let heartbeats = heartbeats.collect();
        Self { heartbeats, counters_written: now, started: now, log_dropped: 0 }
    }

    /// Checks the cores, and logs what operators should know. Returns those that are silent.
    pub(super) fn check(&mut self, links: &[Arc<CoreLink>], now: Instant) -> Vec<SilentCore> {
        for core in self.silent(links, now) {
            tracing::warn!(core, "the core has not moved for {} s", SILENCE_MAX.as_secs());
        }
        self.summarize(links, now);
        let silent = links.iter().zip(&self.heartbeats).filter(|(_, last)| last.reported);
        silent.map(|(link, last)| SilentCore { core: link.core, since: last.seen_at }).collect()
    }

    /// Logs what the cores have done, now and then.
    fn summarize(&mut self, links: &[Arc<CoreLink>], now: Instant) {
        if now.duration_since(self.counters_written) < COUNTERS_EVERY {
            return;
        }
        self.counters_written = now;
        let sum = CounterSums::sum(links.iter().map(|link| &link.counters));
        let dropped = sum.get(Counter::LogDropped);
        if dropped > self.log_dropped {
            let lines = dropped.saturating_sub(self.log_dropped);
            tracing::warn!(lines, total = dropped, "access log lines dropped: the buffer was full");
            self.log_dropped = dropped;
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            for line in summary(links, now.duration_since(self.started)) {
                tracing::debug!("{line}");
            }
        }
    }

    /// The cores whose silence is to be reported now: once each time they fall silent.
    fn silent(&mut self, links: &[Arc<CoreLink>], now: Instant) -> Vec<u32> {
        let mut silent = Vec::new();
        for (link, last) in links.iter().zip(&mut self.heartbeats) {
            let value = link.heartbeat();
            if value != last.value {
                *last = Heartbeat { value, seen_at: now, reported: false };
            } else if !last.reported && now.duration_since(last.seen_at) >= SILENCE_MAX {
                last.reported = true;
                silent.push(link.core);
            }
        }
        silent
    }
}

/// One line per core: what it has done so far, and how much of the time it was busy.
pub(super) fn summary(links: &[Arc<CoreLink>], elapsed: Duration) -> Vec<String> {
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1);
    let lines = links.iter().map(|link| {
        let snapshot = link.counters.snapshot();
        let requests = snapshot.requests();
        let busy = snapshot.get(Counter::BusyNanoseconds);
        let permille = u128::from(busy) * 1000 / u128::from(elapsed_ns);
        format!(
            "core {}: {} connections accepted, {} open, {} requests, busy {}.{} %",
            link.core,
            snapshot.get(Counter::Accepted),
            link.connections(),
            requests,
            permille / 10,
            permille % 10,
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::process::clock;

    #[test]
    fn silence_is_reported_once() {
        let start = clock::monotonic();
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        let mut monitor = CoreMonitor::new(&links, start);
        links[0].beat();
        let later = start + SILENCE_MAX;
        assert_eq!(monitor.silent(&links, later), [1]);
        assert!(monitor.silent(&links, later).is_empty());
        assert_eq!(monitor.silent(&links, later + SILENCE_MAX), [0]);
        links[1].beat();
        assert!(monitor.silent(&links, later + SILENCE_MAX).is_empty());
    }

    #[test]
    fn the_summary_shows_each_core() {
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        links[1].counters.add(Counter::Accepted, 3);
        links[1].counters.add(Counter::Responses2xx, 5);
        links[1].counters.add(Counter::BusyNanoseconds, 250_000_000);
        links[1].set_connections(2);
        let lines = summary(&links, Duration::from_secs(1));
        assert_eq!(lines[0], "core 0: 0 connections accepted, 0 open, 0 requests, busy 0.0 %");
        assert_eq!(lines[1], "core 1: 3 connections accepted, 2 open, 5 requests, busy 25.0 %");
    }
}
