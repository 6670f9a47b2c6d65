//! The bytes that a tunnel has carried, and which of them its node has been credited with.
//!
//! A tunnel outlives configurations, and each has meters of its own: what is counted in one must be counted
//! there before the tunnel moves on.

use std::cell::Cell;

use crate::plan::NodeId;
use crate::report::{Meters, NodeCounter};

/// The bytes of one tunnel.
#[derive(Default)]
pub(super) struct TunnelBytes {
    /// From the client to the upstream.
    pub(super) up: Cell<u64>,
    /// From the upstream to the client.
    pub(super) down: Cell<u64>,
    up_counted: Cell<u64>,
    down_counted: Cell<u64>,
}

impl TunnelBytes {
    /// Counts what was carried since the last call. A node that these meters do not know is one of the others.
    pub(super) fn count(&self, meters: &Meters, node: Option<NodeId>) {
        let meters = match node {
            Some(node) => meters.node(node),
            None => meters.other_nodes(),
        };
        for (counter, carried, counted) in [
            (NodeCounter::BytesOut, &self.up, &self.up_counted),
            (NodeCounter::BytesIn, &self.down, &self.down_counted),
        ] {
            let now = carried.get();
            meters.add(counter, now.saturating_sub(counted.replace(now)));
        }
    }
}
