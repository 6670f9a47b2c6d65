//! What one core counts of one upstream node: tries and what came of them, connections, bytes, times.
//!
//! Faults and times get their memory with the first one: most nodes never fail, and a configuration may have
//! nodes that this core never asks.

use std::sync::OnceLock;
use std::time::Duration;

use strum::{EnumCount, VariantArray};

use super::histogram::{Histogram, HistogramSums, SLO_MICROS};
use super::shared_counts::{SharedCount, SharedCounts};
use crate::exchange::refusal::Refusal;
use crate::plan::attempts::AttemptRecord;

/// What is counted by node, beside tries, faults and times.
#[derive(Clone, Copy, Debug, EnumCount, Eq, PartialEq, VariantArray)]
pub enum NodeCounter {
    /// Connections opened.
    Connects,
    /// Tries over a connection from the pool.
    Reuses,
    /// Connections that could not be opened.
    ConnectFailures,
    /// Responses that broke off after they had begun.
    Lost,
    /// Responses with bytes behind them that nobody asked for; their connections were closed.
    Surplus,
    /// Idle connections that were closed because they said something unasked.
    Unasked,
    /// Idle connections and tunnels that were ended because the node is not trusted any more.
    Revoked,
    /// Tries that followed a failed one.
    Retries,
    /// Failed tries after which there was none for want of a budget.
    OverBudget,
    /// Bytes read.
    BytesIn,
    /// Bytes written.
    BytesOut,
}

/// What tries came to: the classes of status codes, 1xx to 5xx, and no response.
pub const RESULTS: usize = 6;

/// Buckets of times.
pub const TIME_BUCKETS: usize = SLO_MICROS.len() + 1;

/// The meters of one node. Written by one core alone.
#[derive(Debug, Default)]
pub struct NodeMeters {
    counts: SharedCounts<{ NodeCounter::COUNT }>,
    results: SharedCounts<RESULTS>,
    open: SharedCount,
    idle: SharedCount,
    faults: OnceLock<Box<SharedCounts<{ Refusal::COUNT }>>>,
    times: OnceLock<Box<NodeTimes>>,
    queue: OnceLock<Box<Histogram<TIME_BUCKETS>>>,
}

/// Connections to one node, as of now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NodeConnections {
    /// All that are open.
    pub open: u64,
    /// Those of them that wait in the pool.
    pub idle: u64,
}

/// How long a node took.
#[derive(Debug, Default)]
struct NodeTimes {
    connect: Histogram<TIME_BUCKETS>,
    header: Histogram<TIME_BUCKETS>,
    response: Histogram<TIME_BUCKETS>,
}

/// What several cores have counted of one node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeSums {
    /// By [`NodeCounter`].
    pub counts: [u64; NodeCounter::COUNT],
    /// Tries by what they came to.
    pub results: [u64; RESULTS],
    /// Connections, as of the last second.
    pub connections: NodeConnections,
    /// Failed tries by [`Refusal::index`]; empty if there was none.
    pub faults: Vec<u64>,
    /// Microseconds until there was a new connection.
    pub connect: HistogramSums<TIME_BUCKETS>,
    /// Microseconds that requests have waited until the node had a place for them.
    pub queue: HistogramSums<TIME_BUCKETS>,
    /// Microseconds until the head of the response was there.
    pub header: HistogramSums<TIME_BUCKETS>,
    /// Microseconds until the response was over.
    pub response: HistogramSums<TIME_BUCKETS>,
}

impl NodeMeters {
    /// Counts one.
    pub fn count(&self, counter: NodeCounter) {
        self.add(counter, 1);
    }

    /// Adds to a counter.
    pub fn add(&self, counter: NodeCounter, amount: u64) {
        self.counts.add(counter as usize, amount);
    }

    /// So many connections there are.
    pub fn set_connections(&self, connections: NodeConnections) {
        self.open.set(connections.open);
        self.idle.set(connections.idle);
    }

    /// The node had a place for a request that has waited so long.
    pub fn queued(&self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.queue.get_or_init(Box::default).observe(&SLO_MICROS, micros);
    }

    /// A try failed, whether or not another one followed.
    pub fn failed(&self, fault: Refusal) {
        self.faults.get_or_init(Box::default).count(fault.index());
    }

    /// A try is over. One that opened a tunnel has no time of its own: nobody waits for a tunnel's end.
    pub fn tried(&self, attempt: &AttemptRecord) {
        let response = attempt.header_micros.zip(attempt.status);
        self.results.count(response.map_or(RESULTS - 1, |(_, status)| match status {
            100..=499 => usize::from(status / 100 - 1),
            _ => RESULTS - 2,
        }));
        let connect = attempt.connect_micros.filter(|_| !attempt.pooled);
        let response = response.filter(|(_, status)| *status != 101);
        if connect.is_none() && response.is_none() {
            return;
        }
        let times = self.times.get_or_init(Box::default);
        if let Some(micros) = connect {
            times.connect.observe(&SLO_MICROS, micros);
        }
        if let Some((micros, _)) = response {
            times.header.observe(&SLO_MICROS, micros);
            times.response.observe(&SLO_MICROS, attempt.response_micros);
        }
    }

    /// Adds everything to a sum.
    pub fn sum_into(&self, sums: &mut NodeSums) {
        self.counts.sum_into(&mut sums.counts);
        self.results.sum_into(&mut sums.results);
        let (open, idle) = (self.open.get(), self.idle.get());
        sums.connections.add(NodeConnections { open, idle });
        if let Some(faults) = self.faults.get() {
            sums.faults.resize(Refusal::COUNT, 0);
            for (sum, count) in sums.faults.iter_mut().zip(faults.values().map(SharedCount::get)) {
                *sum = sum.wrapping_add(count);
            }
        }
        if let Some(times) = self.times.get() {
            times.connect.sum_into(&mut sums.connect);
            times.header.sum_into(&mut sums.header);
            times.response.sum_into(&mut sums.response);
        }
        if let Some(queue) = self.queue.get() {
            queue.sum_into(&mut sums.queue);
        }
    }
}

impl NodeConnections {
    /// Those over which requests are under way.
    #[must_use]
    pub const fn active(self) -> u64 {
        self.open.saturating_sub(self.idle)
    }

    fn add(&mut self, other: Self) {
        self.open = self.open.wrapping_add(other.open);
        self.idle = self.idle.wrapping_add(other.idle);
    }
}

impl NodeSums {
    /// The value of one counter.
    #[must_use]
    pub fn get(&self, counter: NodeCounter) -> u64 {
        self.counts.get(counter as usize).copied().unwrap_or(0)
    }

    /// Adds another node's, or the same node's of another generation.
    pub fn add(&mut self, other: &Self) {
        let add = |sums: &mut [u64], others: &[u64]| {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum = sum.wrapping_add(*other);
            }
        };
        add(&mut self.counts, &other.counts);
        add(&mut self.results, &other.results);
        self.connections.add(other.connections);
        if !other.faults.is_empty() {
            self.faults.resize(other.faults.len(), 0);
            add(&mut self.faults, &other.faults);
        }
        self.connect.add(&other.connect);
        self.queue.add(&other.queue);
        self.header.add(&other.header);
        self.response.add(&other.response);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::NodeIndex;

    fn sums(meters: &NodeMeters) -> NodeSums {
        let mut sums = NodeSums::default();
        meters.sum_into(&mut sums);
        sums
    }

    #[test]
    fn a_try_is_counted_by_what_it_came_to() {
        let meters = NodeMeters::default();
        let begun = AttemptRecord::begin(NodeIndex(0), None, Duration::ZERO);
        let refused = AttemptRecord { status: Some(502), ..begun };
        let fresh = AttemptRecord {
            status: Some(204),
            connect_micros: Some(4_000),
            header_micros: Some(6_000),
            response_micros: 2_000_000,
            ..begun
        };
        let pooled = AttemptRecord { pooled: true, connect_micros: Some(0), ..fresh };
        let hung = AttemptRecord { header_micros: None, status: Some(504), ..fresh };
        let tunnel = AttemptRecord { status: Some(101), ..pooled };
        let odd = AttemptRecord { status: Some(999), ..pooled };
        for attempt in [begun, refused, fresh, pooled, hung, tunnel, odd] {
            meters.tried(&attempt);
        }
        let found = sums(&meters);
        assert_eq!(found.results, [1, 2, 0, 0, 1, 3]);
        assert_eq!((found.connect.count(), found.connect.sum), (2, 8_000));
        assert_eq!((found.header.count(), found.header.sum), (3, 18_000));
        assert_eq!((found.response.count(), found.response.sum), (3, 6_000_000));
        assert_eq!(found.queue.count(), 0);
        meters.queued(Duration::from_millis(7));
        assert_eq!((sums(&meters).queue.count(), sums(&meters).queue.sum), (1, 7_000));
    }

    #[test]
    fn every_counter_has_its_own_slot_and_sums_add_up() {
        let meters = NodeMeters::default();
        for (amount, counter) in (1..).zip(NodeCounter::VARIANTS.iter().copied()) {
            meters.add(counter, amount);
        }
        let before = sums(&meters);
        assert!(before.faults.is_empty());
        for (amount, counter) in (1..).zip(NodeCounter::VARIANTS.iter().copied()) {
            assert_eq!(before.get(counter), amount);
        }
        meters.failed(Refusal::UpstreamConnect);
        meters.failed(Refusal::UpstreamConnect);
        let after = sums(&meters);
        assert_eq!(after.faults[Refusal::UpstreamConnect.index()], 2);
        let mut both = before.clone();
        both.add(&after);
        both.add(&before);
        assert_eq!(both.get(NodeCounter::Reuses), 3 * before.get(NodeCounter::Reuses));
        assert_eq!(both.faults, after.faults);
    }
}
