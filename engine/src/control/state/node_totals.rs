//! Totals of what was counted by upstream node, by label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::plan::Plan;
use crate::report::meters::NODES_MAX;
use crate::report::{Meters, NodeSums};

/// The label that nodes share which are not counted one by one, or were removed.
const OTHERS: &str = "(other)";

/// An upstream and one of its nodes, both as the configuration names them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct NodeLabels {
    /// The upstream's id.
    pub(crate) upstream: Arc<str>,
    /// The node as written: `10.0.0.1:80`, `name:443`, `unix:/run/app`. Never what a name led to: a
    /// name server is a peer.
    pub(crate) node: Arc<str>,
}

/// What was counted by node.
pub(crate) type NodeTotals = BTreeMap<NodeLabels, NodeSums>;

impl NodeLabels {
    /// The nodes that are counted one by one, in the order of the configuration.
    pub(crate) fn of(plan: &Plan) -> Vec<Self> {
        let nodes = plan.upstreams().iter().flat_map(|upstream| {
            let id: Arc<str> = Arc::from(&*upstream.id);
            let label = move |text: &str| Self { upstream: Arc::clone(&id), node: Arc::from(text) };
            upstream.nodes.iter().map(move |node| label(&node.text))
        });
        nodes.take(NODES_MAX).collect()
    }

    /// All others.
    fn others() -> Self {
        Self { upstream: OTHERS.into(), node: OTHERS.into() }
    }
}

/// Adds what one core has counted under labels; a node has its entry as soon as it is configured.
pub(crate) fn add(totals: &mut NodeTotals, labels: &[NodeLabels], core: &Meters) {
    for (at, node) in core.nodes() {
        let mut sums = NodeSums::default();
        node.sum_into(&mut sums);
        match at.and_then(|at| labels.get(at)) {
            Some(labels) => totals.entry(labels.clone()).or_default().add(&sums),
            None if sums == NodeSums::default() => {}
            None => totals.entry(NodeLabels::others()).or_default().add(&sums),
        }
    }
}

/// Adds up, under one label, the totals of all nodes but these.
pub(crate) fn fold_removed<'a>(
    totals: &mut NodeTotals,
    kept: impl IntoIterator<Item = &'a NodeLabels>,
) {
    let kept: BTreeSet<&NodeLabels> = kept.into_iter().collect();
    for (labels, sums) in std::mem::take(totals) {
        let labels = if kept.contains(&labels) { labels } else { NodeLabels::others() };
        totals.entry(labels).or_default().add(&sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{NodeId, NodeIndex, UpstreamId};
    use crate::report::NodeCounter;

    fn labels(upstream: &str, node: &str) -> NodeLabels {
        NodeLabels { upstream: upstream.into(), node: node.into() }
    }

    #[test]
    fn nodes_beyond_the_bound_and_removed_ones_share_a_label() {
        let meters = Meters::new(0, 0, &[], 0, [1, NODES_MAX]);
        let known: Vec<_> = (0..NODES_MAX).map(|at| labels("up", &at.to_string())).collect();
        for (upstream, node) in [(0, 0), (1, 0), (1, NODES_MAX - 2), (1, NODES_MAX - 1), (9, 0)] {
            let node = NodeIndex(u32::try_from(node).unwrap());
            let node = NodeId { upstream: UpstreamId(upstream), node };
            meters.node(node).count(NodeCounter::Connects);
        }
        let mut totals = NodeTotals::new();
        add(&mut totals, &known, &meters);
        let of = |totals: &NodeTotals, node: &str| {
            let upstream = if node == OTHERS { OTHERS } else { "up" };
            totals.get(&labels(upstream, node)).map(|sums| sums.get(NodeCounter::Connects))
        };
        let last = (NODES_MAX - 1).to_string();
        assert_eq!(
            (of(&totals, "0"), of(&totals, "1"), of(&totals, "2")),
            (Some(1), Some(1), Some(0))
        );
        assert_eq!((of(&totals, &last), of(&totals, OTHERS)), (Some(1), Some(2)));
        fold_removed(&mut totals, &known[..2]);
        assert_eq!((totals.len(), of(&totals, "1"), of(&totals, OTHERS)), (3, Some(1), Some(3)));
    }
}
