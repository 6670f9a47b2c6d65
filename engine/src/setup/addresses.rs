//! Where the nodes of the upstreams are right now.
//!
//! In: the configuration, what names resolved to, and which addresses fail their checks. Out: socket addresses by
//! upstream and node index.
//! A node with an address has it at once; a node with a name has the last good answer, or none yet; a
//! Unix socket has none (its path is in the configuration).

use std::net::SocketAddr;

use ferrule_config::model::{Config, NodeAddress};

/// Turns of one node, at most: what weights of services are rounded to.
const TURNS_MAX: u32 = 64;

/// Resolved addresses of one generation's nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Addresses {
    /// The generation whose indices these are. A core ignores addresses of another one.
    pub generation: u64,
    upstreams: Vec<Vec<NodeAddresses>>,
}

/// The addresses of one node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeAddresses {
    /// All that may be asked: those of the best priority first. There are no more than 32.
    pub all: Vec<SocketAddr>,
    /// Whose turn it is, as indices into `all`: only those of the best priority, as often as their weight says.
    pub turns: Vec<u8>,
    /// Those that are not asked, because they fail their checks and others do not.
    pub failing: Vec<SocketAddr>,
}

/// An address that a node's name leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameTarget {
    /// The address, with the port of the service or of the node.
    pub address: SocketAddr,
    /// Lower is asked first.
    pub priority: u16,
    /// The share among those of one priority; 0 is the least there is.
    pub weight: u16,
}

impl NodeAddresses {
    /// Of targets in the order of their priority. Those that fail are left out; if all do, it is the node that
    /// fails, and they are all asked as far as the node is.
    #[must_use]
    pub fn of(targets: &[NameTarget], fails: impl Fn(SocketAddr) -> bool) -> Self {
        let (failing, good): (Vec<NameTarget>, Vec<NameTarget>) =
            targets.iter().copied().partition(|target| fails(target.address));
        let (targets, failing) = if good.is_empty() { (failing, good) } else { (good, failing) };
        let best = targets.first().map(|target| target.priority);
        let preferred: Vec<u32> = targets
            .iter()
            .take_while(|target| Some(target.priority) == best)
            .map(|target| u32::from(target.weight).max(1))
            .collect();
        let addresses = |list: &[NameTarget]| list.iter().map(|target| target.address).collect();
        let (all, failing) = (addresses(&targets), addresses(&failing));
        Self { all, turns: turns(&preferred), failing }
    }

    /// All that its name leads to, asked or not.
    pub fn known(&self) -> impl Iterator<Item = SocketAddr> {
        self.all.iter().chain(&self.failing).copied()
    }

    fn one(address: SocketAddr) -> Self {
        Self { all: vec![address], turns: vec![0], failing: Vec::new() }
    }
}

/// Indices in smooth weighted order, as nginx has them, over one whole round; weights that make too long a round
/// are rounded, and each has one turn at least.
fn turns(weights: &[u32]) -> Vec<u8> {
    let common = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let total: u32 = weights.iter().sum::<u32>() / common;
    let scaled: Vec<i64> = weights
        .iter()
        .map(|weight| {
            let weight = weight / common;
            let share = if total <= TURNS_MAX { weight } else { weight * TURNS_MAX / total };
            i64::from(share.max(1))
        })
        .collect();
    let round: i64 = scaled.iter().sum();
    let mut current = vec![0; scaled.len()];
    let mut order = Vec::new();
    for _ in 0..round {
        for (credit, weight) in current.iter_mut().zip(&scaled) {
            *credit += weight;
        }
        let best = (0..current.len()).rev().max_by_key(|at| current[*at]).unwrap_or(0);
        if let Some(credit) = current.get_mut(best) {
            *credit -= round;
        }
        order.push(u8::try_from(best).unwrap_or(u8::MAX));
    }
    order
}

const fn greatest_common_divisor(mut one: u32, mut other: u32) -> u32 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

impl Addresses {
    /// Fills in every node. `lookup` answers for a node's name; nothing means not known yet. `fails` tells, by the
    /// upstream's id, which addresses of names fail its checks.
    #[must_use]
    pub fn build(
        generation: u64,
        config: &Config,
        lookup: &dyn Fn(&NodeAddress) -> Vec<NameTarget>,
        fails: &dyn Fn(&str, SocketAddr) -> bool,
    ) -> Self {
        let of_node = |id: &str, address: &NodeAddress| match address {
            NodeAddress::Ip(address) => NodeAddresses::one(*address),
            NodeAddress::Name { .. } | NodeAddress::Srv { .. } => {
                NodeAddresses::of(&lookup(address), |address| fails(id, address))
            }
            NodeAddress::Unix(_) => NodeAddresses::default(),
        };
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| {
                upstream.nodes.iter().map(|node| of_node(&upstream.id, &node.address)).collect()
            })
            .collect();
        Self { generation, upstreams }
    }

    /// Addresses of one node; empty if it has none (yet).
    #[must_use]
    pub fn get(&self, upstream: usize, node: usize) -> Option<&NodeAddresses> {
        self.upstreams.get(upstream)?.get(node)
    }

    /// Does any node of an upstream have this address?
    #[must_use]
    pub fn leads_to(&self, upstream: usize, address: SocketAddr) -> bool {
        let nodes = self.upstreams.get(upstream);
        nodes.is_some_and(|nodes| nodes.iter().any(|node| node.all.contains(&address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights() {
        assert_eq!(turns(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(turns(&[2, 1]), [0, 1, 0]);
        assert_eq!(turns(&[100, 300]), [1, 0, 1, 1]);
        assert_eq!(turns(&[]), [0_u8; 0]);
        let many = turns(&[60_000, 6_000, 1]);
        let of = |wanted: u8| many.iter().filter(|turn| **turn == wanted).count();
        assert_eq!([of(0), of(1), of(2)], [58, 5, 1]);
        assert!(turns(&[1; 32]).len() == 32 && turns(&[65_535; 32]).len() == 32);
    }

    #[test]
    fn only_the_best_priority_has_turns() {
        let target = |port, priority, weight| NameTarget {
            address: ([10, 0, 0, 1], port).into(),
            priority,
            weight,
        };
        let targets = [target(1, 0, 0), target(2, 0, 2), target(3, 5, 9)];
        let of = |failing: &[u16]| {
            let node = NodeAddresses::of(&targets, |address| failing.contains(&address.port()));
            let ports = |list: &[SocketAddr]| list.iter().map(SocketAddr::port).collect::<Vec<_>>();
            assert_eq!(node.known().count(), 3);
            (ports(&node.all), node.turns, ports(&node.failing))
        };
        assert_eq!(of(&[]), (vec![1, 2, 3], vec![1, 0, 1], vec![]));
        // What fails is left out, and with it perhaps the best priority.
        assert_eq!(of(&[2]), (vec![1, 3], vec![0], vec![2]));
        assert_eq!(of(&[1, 2]), (vec![3], vec![0], vec![1, 2]));
        assert_eq!(of(&[1, 2, 3]), (vec![1, 2, 3], vec![1, 0, 1], vec![]));
    }
}
