//! Which node? nginx's smooth weighted round robin, as pure state of one core and one upstream.

use crate::plan::NodeIndex;

/// Nodes already tried by one request. Nodes beyond the first 256 are not remembered; `retries`
/// bounds the tries in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tried {
    bits: [u64; 4],
}

/// Turns that the start is spread over, so that large weights do not make a load slow.
const START_TURNS_MAX: u64 = 1024;

/// The state of one upstream on one core.
#[derive(Clone, Debug)]
pub struct Balancer {
    nodes: Box<[Share]>,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    weight: i64,
    current: i64,
    usable: bool,
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
        let nodes = weights.iter().map(|weight| Share {
            weight: (*weight).into(),
            current: 0,
            usable: true,
        });
        let nodes = nodes.collect();
        let mut balancer = Self { nodes };
        let turns: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for _ in 0..seed % turns.clamp(1, START_TURNS_MAX) {
            balancer.next(&Tried::default());
        }
        balancer
    }

    /// Says which nodes may be asked from now on.
    pub fn set_usable(&mut self, is_usable: impl Fn(NodeIndex) -> bool) {
        for (index, share) in (0_u32..).map(NodeIndex).zip(&mut self.nodes) {
            share.usable = is_usable(index);
        }
    }

    /// The next node that was not tried, may be asked and has a weight.
    pub fn next(&mut self, tried: &Tried) -> Option<NodeIndex> {
        let mut total = 0;
        let mut best: Option<(NodeIndex, &mut Share)> = None;
        for (index, share) in (0_u32..).map(NodeIndex).zip(&mut self.nodes) {
            if share.weight == 0 || !share.usable || tried.contains(index) {
                continue;
            }
            share.current += share.weight;
            total += share.weight;
            if best.as_ref().is_none_or(|(_, best)| share.current > best.current) {
                best = Some((index, share));
            }
        }
        let (index, share) = best?;
        share.current -= total;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(balancer: &mut Balancer, count: usize) -> Vec<u32> {
        (0..count).map(|_| balancer.next(&Tried::default()).unwrap().0).collect()
    }

    /// nginx's own example.
    #[test]
    fn heavy_nodes_are_spread_evenly() {
        let mut balancer = Balancer::new(&[5, 1, 1], 0);
        assert_eq!(picks(&mut balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(picks(&mut balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn every_start_keeps_the_shares() {
        for seed in 0..50 {
            let mut balancer = Balancer::new(&[3, 0, 2, 1], seed);
            let picks = picks(&mut balancer, 6);
            let share = |node| picks.iter().filter(|pick| **pick == node).count();
            assert_eq!([share(0), share(1), share(2), share(3)], [3, 0, 2, 1], "{seed}");
        }
    }

    #[test]
    fn cores_start_with_different_nodes() {
        let first = |seed| picks(&mut Balancer::new(&[1, 1, 1], seed), 1)[0];
        assert_eq!([first(0), first(1), first(2)], [0, 1, 2]);
    }

    #[test]
    fn no_weight_and_no_node_left_is_none() {
        let mut balancer = Balancer::new(&[1, 0, 1], 0);
        let mut tried = Tried::default();
        for _ in 0..2 {
            let node = balancer.next(&tried).unwrap();
            assert!(!tried.contains(node));
            tried.insert(node);
        }
        assert_eq!(balancer.next(&tried), None);
        assert_eq!(Balancer::new(&[0], 7).next(&Tried::default()), None);
        assert_eq!(Balancer::new(&[], 7).next(&Tried::default()), None);
    }
}
