//! What is known of each try to have a request answered by a node: what the `$upstream_*` variables list.

use std::net::SocketAddr;
use std::time::Duration;

use super::ids::NodeIndex;
use super::node::NodePlan;

/// One try. A request has few: at most `retries` further ones on other nodes, and on each node one more where
/// a pooled connection had died.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AttemptRecord {
    /// The node, as its upstream counts.
    pub node: NodeIndex,
    /// Where the node's name led to; `None` if it is no name, or led nowhere.
    pub resolved: Option<SocketAddr>,
    /// When the try began, by the core's clock.
    pub started: Duration,
    /// Microseconds that the request had waited by then, over all nodes, until one had a place for it; `None` if it
    /// has not.
    pub queue_micros: Option<u64>,
    /// The status of the response; of a try that failed before there was one, the status that the client
    /// gets if no other try follows, as in nginx. `None`: the client was the reason.
    pub status: Option<u16>,
    /// The connection came from the pool.
    pub pooled: bool,
    /// Microseconds until there was a connection, TLS included; 0 for one from the pool.
    pub connect_micros: Option<u64>,
    /// Microseconds until the head of the response was there.
    pub header_micros: Option<u64>,
    /// Microseconds until the try was over.
    pub response_micros: u64,
}

impl AttemptRecord {
    /// A try that begins now.
    #[must_use]
    pub const fn begin(node: NodeIndex, resolved: Option<SocketAddr>, now: Duration) -> Self {
        Self {
            node,
            resolved,
            started: now,
            queue_micros: None,
            status: None,
            pooled: false,
            connect_micros: None,
            header_micros: None,
            response_micros: 0,
        }
    }

    /// Microseconds from its beginning to this time.
    #[must_use]
    pub fn micros_until(&self, now: Duration) -> u64 {
        u64::try_from(now.saturating_sub(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

/// Copies the nodes that were tried, and lets the records count in the copy: for a request that outlives its
/// configuration.
pub fn detach_nodes(attempts: &mut [AttemptRecord], nodes: &[NodePlan]) -> Vec<NodePlan> {
    let mut own = Vec::with_capacity(attempts.len());
    for (at, attempt) in (0..).map(NodeIndex).zip(attempts) {
        own.extend(nodes.get(attempt.node.0 as usize).cloned());
        attempt.node = at;
    }
    own
}
