//! One upstream's nodes at one look: who is asked.

use super::node_health::Spared;
use super::node_state::NamedNode;
use super::standing::{PanicEdge, Standing};
use crate::plan::NodeIndex;

/// The nodes of an upstream, and whether their health is minded.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamView<'a> {
    nodes: &'a [NamedNode],
    /// Nodes that may be asked as far as their weight and the operator say.
    pub eligible: usize,
    /// Those of them that are healthy.
    pub healthy: usize,
    pub(super) spared: Spared,
}

impl<'a> UpstreamView<'a> {
    pub(super) fn of(nodes: &'a [NamedNode], panic_threshold: u8) -> Self {
        let eligible =
            nodes.iter().filter(|node| node.weight > 0 && node.state.health.is_enabled());
        let (mut count, mut healthy) = (0, 0);
        for node in eligible {
            count += 1;
            healthy += usize::from(node.state.health.is_healthy());
        }
        let spared = match count {
            0 | 1 => Spared::OnlyNode,
            _ if healthy * 100 < count * usize::from(panic_threshold) => Spared::Panic,
            _ => Spared::No,
        };
        Self { nodes, eligible: count, healthy, spared }
    }

    /// Are all asked, because too few are healthy?
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.spared == Spared::Panic
    }

    /// May this node be asked?
    #[must_use]
    pub fn standing(&self, node: NodeIndex, now_ms: u64) -> Standing {
        // Of a node that nothing is known of, nothing bad is known.
        let Some(node) = self.nodes.get(node.0 as usize) else { return Standing::Usable };
        let health = &node.state.health;
        match self.spared {
            _ if !health.is_enabled() => Standing::SetAside,
            Spared::OnlyNode | Spared::Panic => Standing::Usable,
            Spared::No => health.standing(now_ms),
        }
    }

    /// The nodes whose time is over at `now_ms`: one request may be sent to each. `patient`: only those whose
    /// time has been over for so long.
    pub(super) fn probes(
        &self,
        now_ms: u64,
        patience_ms: u64,
    ) -> impl Iterator<Item = NodeIndex> + 'a {
        let (view, early) = (*self, now_ms.saturating_sub(patience_ms));
        (0..).map(NodeIndex).zip(self.nodes).filter_map(move |(index, node)| {
            let probes = node.weight > 0
                && view.standing(index, now_ms) == Standing::Probe
                && node.state.health.place().at_ms <= early;
            probes.then_some(index)
        })
    }

    /// When a node's time is over next; the end of time if none is set aside.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        if self.spared != Spared::No {
            return u64::MAX;
        }
        let waiting = self.nodes.iter().filter(|node| {
            let health = &node.state.health;
            // A node whose check fails comes back by its check, and that moves the epoch.
            node.weight > 0 && health.is_enabled() && health.standing(u64::MAX) == Standing::Probe
        });
        waiting.map(|node| node.state.health.place().at_ms).min().unwrap_or(u64::MAX)
    }

    pub(super) fn edge(self, was: bool) -> Option<PanicEdge> {
        match (was, self.is_panic()) {
            (false, true) => Some(PanicEdge::Begins),
            (true, false) => Some(PanicEdge::Ends),
            _ => None,
        }
    }
}
