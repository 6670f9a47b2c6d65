//! What came of a load, thread by thread and all together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::Histogram;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answered with a status below 400.
    pub answered: u64,
    /// Answered otherwise, or not at all; by reason.
    pub failed: BTreeMap<String, u64>,
    /// TLS handshakes, full ones.
    pub full: u64,
    /// TLS handshakes, resumed ones.
    pub resumed: u64,
    /// Connections made.
    pub connections: u64,
    /// Bytes of bodies: of what was sent with uploads, otherwise of what was answered.
    pub bytes: u64,
    /// How often each server certificate was seen, by its serial number.
    pub serials: BTreeMap<String, u64>,
    /// From the intended time of an answered request to the last byte of its response.
    pub latency: Histogram,
    /// How long it ran.
    pub elapsed: Duration,
    /// Idle connections that had one answer, and so were held.
    pub held: u64,
    /// Those of them that answered at the end.
    pub alive: u64,
}

impl Outcome {
    /// All failures.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.answered += other.answered;
        self.full += other.full;
        self.resumed += other.resumed;
        self.connections += other.connections;
        self.bytes += other.bytes;
        self.held += other.held;
        self.alive += other.alive;
        for (mine, theirs) in [(&mut self.failed, other.failed), (&mut self.serials, other.serials)]
        {
            for (name, count) in theirs {
                *mine.entry(name).or_default() += count;
            }
        }
        self.latency.merge(&other.latency);
    }

    pub(super) fn fail(&mut self, reason: &str) {
        if let Some(count) = self.failed.get_mut(reason) {
            *count += 1;
        } else {
            self.failed.insert(reason.to_owned(), 1);
        }
    }
}
