//! How an upstream chooses its nodes, compiled: groups by priority, shares, and what is hashed.

use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::{BalanceMethod, Upstream};
use ferrule_config::template::Piece;

use super::facts::Facts;
use super::ids::NodeIndex;
use super::node::NodePlan;
use super::ring::{Ring, RingMember, hash_of};
use super::template::{Compiler, Template, render};

/// How nodes are chosen.
#[derive(Debug)]
pub struct BalancePlan {
    /// `type`
    pub method: BalanceMethod,
    /// Groups of nodes, the one that is asked first in front. Nodes without a weight are in none.
    pub groups: Box<[NodeGroup]>,
    /// How many nodes the upstream has, in all.
    pub node_count: usize,
    /// How long a node that comes back takes to its full weight; nothing is at once.
    pub slow_start: Duration,
    /// What is hashed (`chash`).
    pub hash_key: Option<HashKey>,
}

/// Nodes of one priority.
#[derive(Debug)]
pub struct NodeGroup {
    /// In the order of the file.
    pub shares: Box<[NodeShare]>,
    /// Of `chash`: the nodes on their ring, which all cores read.
    pub ring: Option<Arc<Ring>>,
}

/// A node's share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodeShare {
    /// The node.
    pub node: NodeIndex,
    /// More than 0.
    pub weight: u32,
}

/// What is hashed.
#[derive(Debug)]
pub struct HashKey {
    template: Template,
    /// Bytes of it that no request changes.
    text_bytes: usize,
}

/// Where a node stands: backups after all others, then the higher priority first.
type Rank = (bool, std::cmp::Reverse<i32>);

impl BalancePlan {
    /// Compiles how an upstream chooses among these nodes.
    #[must_use]
    pub fn build(upstream: &Upstream, nodes: &[NodePlan], compiler: &mut Compiler) -> Self {
        let rank = |at: &usize| -> Rank {
            let node = upstream.nodes.get(*at);
            (node.is_some_and(|n| n.backup), std::cmp::Reverse(node.map_or(0, |n| n.priority)))
        };
        let mut order: Vec<usize> =
            (0..nodes.len()).filter(|at| nodes.get(*at).is_some_and(|n| n.weight > 0)).collect();
        order.sort_by_key(rank);
        let groups = order
            .chunk_by(|one, other| rank(one) == rank(other))
            .map(|group| NodeGroup::build(group, nodes, upstream.balance.method))
            .collect();
        let hash_key = upstream.balance.hash_key.as_ref();
        let hash_key = hash_key.map(|key| HashKey::of(&key.template, compiler));
        Self {
            method: upstream.balance.method,
            groups,
            node_count: nodes.len(),
            slow_start: upstream.balance.slow_start.unwrap_or_default(),
            hash_key,
        }
    }
}

impl NodeGroup {
    fn build(group: &[usize], nodes: &[NodePlan], method: BalanceMethod) -> Self {
        let members: Vec<_> = group
            .iter()
            .filter_map(|at| {
                let (plan, node) = (nodes.get(*at)?, NodeIndex(u32::try_from(*at).ok()?));
                Some(RingMember { node, name: &plan.text, weight: plan.weight })
            })
            .collect();
        let share =
            |member: &RingMember<'_>| NodeShare { node: member.node, weight: member.weight };
        Self {
            shares: members.iter().map(share).collect(),
            ring: (method == BalanceMethod::Chash).then(|| Arc::new(Ring::build(&members))),
        }
    }
}

impl HashKey {
    /// Compiles the template of a key.
    #[must_use]
    pub fn of(template: &ferrule_config::template::Template, compiler: &mut Compiler) -> Self {
        Self {
            template: compiler.compile(template),
            text_bytes: template.pieces.iter().map(text_bytes).sum(),
        }
    }

    /// The hash of a request; `scratch` is used and left as it was. Where no variable has a value it is that of
    /// the client's address, as in APISIX.
    #[must_use]
    pub fn hash(&self, facts: &Facts<'_>, scratch: &mut Vec<u8>) -> u64 {
        self.with_key(facts, scratch, |key| hash_of(key).into())
    }

    /// Runs `with` on the bytes that tell a request from others; `scratch` is used and left as it was. Where no
    /// variable has a value they are the client's address, as in APISIX.
    pub fn with_key<R>(
        &self,
        facts: &Facts<'_>,
        scratch: &mut Vec<u8>,
        with: impl FnOnce(&[u8]) -> R,
    ) -> R {
        let start = scratch.len();
        render(&self.template, facts, scratch);
        let key = scratch.get(start..).unwrap_or_default();
        let key =
            if key.len() > self.text_bytes { key } else { facts.connection.remote_addr.as_bytes() };
        let result = with(key);
        scratch.truncate(start);
        result
    }
}

const fn text_bytes(piece: &Piece) -> usize {
    match piece {
        Piece::Text(text) => text.len(),
        Piece::Variable(_) => 0,
    }
}
