//! What is known of one node.

use std::sync::Arc;

use super::node_health::NodeHealth;
use super::node_log::NodeLog;
use super::node_places::NodePlaces;
use super::tally::Tallies;

/// What is known of one node.
#[derive(Debug, Default)]
pub struct NodeState {
    /// What the log has said.
    pub log: NodeLog,
    /// Whether it is asked.
    pub health: NodeHealth,
    /// How many connections it has, and how many it takes.
    pub places: Arc<NodePlaces>,
    /// What it is compared by, if its upstream compares.
    pub(super) tallies: Option<Tallies>,
}

/// A node's state with the names that the configuration has for it.
#[derive(Debug)]
pub struct NamedNode {
    /// The upstream's id.
    pub upstream: Box<str>,
    /// The node as written.
    pub node: Box<str>,
    /// Its share.
    pub weight: u32,
    /// Shared with other generations that have this node.
    pub state: Arc<NodeState>,
}

impl NodeState {
    /// Of a node of which nothing is known.
    pub(super) fn new(tallies: Option<Tallies>) -> Arc<Self> {
        Arc::new(Self { tallies, ..Self::default() })
    }

    /// As it goes on under another configuration; where the checks are others, with these tallies.
    pub(super) fn taken_over(
        state: &Arc<Self>,
        same_checks: bool,
        tallies: impl FnOnce() -> Option<Tallies>,
    ) -> Arc<Self> {
        state.health.end_orders();
        if same_checks {
            return Arc::clone(state);
        }
        Arc::new(Self {
            log: state.log.copied(),
            health: state.health.renewed(),
            places: Arc::clone(&state.places),
            tallies: tallies(),
        })
    }
}
