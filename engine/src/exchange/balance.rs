//! Which node? nginx's smooth weighted round robin, as pure state of one core and one upstream.

use crate::plan::NodeIndex;

/// Nodes already tried by one request. Nodes beyond the first 256 are not remembered; `retries`
/// bounds the tries in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tried {
    bits: [u64; 4],
}

/// The state of one upstream on one core.
#[derive(Clone, Debug)]
pub struct Balancer {
    nodes: Box<[Share]>,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    weight: i64,
    current: i64,
}

impl Tried {
    /// Notes a node.
    pub fn insert(&mut self, node: NodeIndex) {
        if let Some(bits) = self.bits.get_mut(node.0 as usize / 64) {
            *bits |= 1 << (node.0 % 64);
        }
    }

    /// Was it tried?
    #[must_use]
    pub fn contains(&self, node: NodeIndex) -> bool {
        self.bits.get(node.0 as usize / 64).is_some_and(|bits| bits & (1 << (node.0 % 64)) != 0)
    }
}

impl Balancer {
    /// Starts at a place that the seed decides, so that not every core starts with the first node.
    #[must_use]
    pub fn new(weights: &[u32], seed: u64) -> Self {
        let _ = (weights, seed);
        Self { nodes: Box::default() }
    }

    /// The next node that was not tried and has a weight.
    pub fn next(&mut self, tried: &Tried) -> Option<NodeIndex> {
        let _ = (tried, self.nodes.first().map(|share| share.weight + share.current));
        unimplemented!()
    }
}
