//! What the nodes of an upstream have open on this core, and how soon they answer.
//!
//! The time is a peak-sensitive moving average (Finagle's "Peak EWMA"): a slower answer counts at once, a
//! sooner one by and by, and what is known fades, so that a node that was slow is asked again.

use std::time::Duration;

use ferrule_config::model::BalanceMethod;

use super::choice::TryEnd;
use crate::plan::NodeIndex;

/// After this long, in seconds, what is known counts 1/e (10 s, as in APISIX and Finagle).
const DECAY_SECONDS: f32 = 10.0;
/// A try that failed counts as if it had taken at least this long, in microseconds: failing soon is not being fast.
const FAILED_MICROS_MIN: u64 = 1_000_000;

/// Of all nodes of an upstream.
#[derive(Debug)]
pub(super) struct Loads {
    /// Empty if nobody asks.
    nodes: Box<[Load]>,
    timed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Tries under way.
    open: u32,
    /// The average in microseconds, as of then; 0 if none is known.
    micros: f32,
    measured: Duration,
}

impl Loads {
    pub(super) fn new(method: BalanceMethod, nodes: usize) -> Self {
        let counts = match method {
            BalanceMethod::LeastConn | BalanceMethod::Ewma | BalanceMethod::Random => true,
            BalanceMethod::RoundRobin | BalanceMethod::Chash => false,
        };
        let nodes = if counts { nodes } else { 0 };
        let timed = method == BalanceMethod::Ewma;
        Self { nodes: vec![Load::default(); nodes].into(), timed }
    }

    pub(super) const fn counts(&self) -> bool {
        !self.nodes.is_empty()
    }

    pub(super) fn open(&self, node: NodeIndex) -> u32 {
        self.nodes.get(node.0 as usize).map_or(0, |load| load.open)
    }

    pub(super) fn begin(&mut self, node: NodeIndex) {
        if let Some(load) = self.nodes.get_mut(node.0 as usize) {
            load.open = load.open.saturating_add(1);
        }
    }

    pub(super) fn end(&mut self, node: NodeIndex, end: Option<TryEnd>) {
        let Some(load) = self.nodes.get_mut(node.0 as usize) else { return };
        debug_assert!(load.open > 0, "a try ends once");
        load.open = load.open.saturating_sub(1);
        if let Some(end) = end.filter(|_| self.timed) {
            load.measure(end);
        }
    }

    /// What one more request would wait for at a node, in microseconds. A node of which nothing is known costs
    /// nothing until it has one request, and more than any other from then until that is answered.
    pub(super) fn cost(&self, node: NodeIndex, now: Duration) -> f32 {
        let Some(load) = self.nodes.get(node.0 as usize) else { return 0.0 };
        if load.micros == 0.0 {
            return if load.open == 0 { 0.0 } else { f32::MAX };
        }
        load.micros * decay(now.saturating_sub(load.measured)) * as_f32(load.open + 1)
    }
}

impl Load {
    fn measure(&mut self, end: TryEnd) {
        let least = if end.failed { FAILED_MICROS_MIN } else { 1 };
        let taken = as_f32(u32::try_from(end.micros.max(least)).unwrap_or(u32::MAX));
        let kept = decay(end.now.saturating_sub(self.measured));
        self.micros =
            if taken > self.micros * kept { taken } else { taken + (self.micros - taken) * kept };
        self.measured = end.now;
    }
}

/// How much of what was known that long ago still counts.
fn decay(passed: Duration) -> f32 {
    (-passed.as_secs_f32() / DECAY_SECONDS).exp()
}

/// Costs are compared, not added up: what the conversion rounds off does not matter.
#[expect(clippy::cast_precision_loss, reason = "a cost is an estimate")]
pub(super) const fn as_f32(number: u32) -> f32 {
    number as f32
}
