//! The nodes of one priority that may be asked, laid out for choosing among them.

use std::sync::Arc;

use ferrule_config::model::BalanceMethod;

use super::alias_table::{AliasTable, Drawn};
use super::choice::NodeChoice;
use super::least_loaded::{least_accepted, least_of};
use super::load::{Loads, as_f32};
use super::member::Member;
use super::random::Random;
use super::turns::Turns;
use crate::plan::NodeIndex;
use crate::plan::balance::{NodeGroup, NodeShare};
use crate::plan::ring::Ring;

/// A group of one upstream on one core.
#[derive(Debug)]
pub(super) struct Group {
    /// As the plan has them.
    shares: Box<[NodeShare]>,
    /// Those that may be asked: the rows of all that follows.
    members: Vec<Member>,
    way: Way,
}

/// How one is chosen.
#[derive(Debug)]
enum Way {
    RoundRobin(Turns),
    /// `loads`: open requests with one more, for each unit of weight.
    LeastConn {
        loads: Vec<f32>,
        start: usize,
    },
    /// The better one of two that are drawn; `timed`: by how soon it answers.
    Drawn {
        table: AliasTable,
        timed: bool,
    },
    Chash(Arc<Ring>),
}

impl Group {
    /// Holds nobody until it is arranged.
    pub(super) fn new(method: BalanceMethod, plan: &NodeGroup) -> Self {
        let way = match (method, &plan.ring) {
            (BalanceMethod::Chash, Some(ring)) => Way::Chash(Arc::clone(ring)),
            (BalanceMethod::LeastConn, _) => Way::LeastConn { loads: Vec::new(), start: 0 },
            (BalanceMethod::Ewma, _) => Way::Drawn { table: AliasTable::default(), timed: true },
            (BalanceMethod::Random, _) => Way::Drawn { table: AliasTable::default(), timed: false },
            (BalanceMethod::RoundRobin | BalanceMethod::Chash, _) => {
                Way::RoundRobin(Turns::default())
            }
        };
        Self { shares: plan.shares.clone(), members: Vec::new(), way }
    }

    /// Lays out the members anew. `tenths` of a node: how much of its weight counts; 0 leaves it out.
    pub(super) fn arrange(
        &mut self,
        turn: u64,
        tenths: impl Fn(NodeIndex) -> u64,
        node_loads: &Loads,
    ) {
        self.members.clear();
        self.members.extend(self.shares.iter().filter_map(|share| {
            let weight = u64::from(share.weight) * tenths(share.node);
            (weight > 0).then_some(Member { node: share.node, weight })
        }));
        let first = turn.checked_rem(self.members.len() as u64).unwrap_or_default();
        let first = usize::try_from(first).unwrap_or_default();
        // Ties are decided by order: another order begins with another node.
        if !matches!(self.way, Way::Chash(_)) {
            self.members.rotate_left(first);
        }
        match &mut self.way {
            Way::RoundRobin(turns) => turns.arrange(self.members.iter().map(|m| m.weight)),
            Way::LeastConn { loads, start } => {
                *start = 0;
                loads.clear();
                loads.extend(self.members.iter().map(|m| m.load(node_loads.open(m.node))));
            }
            Way::Drawn { table, .. } => {
                table.arrange(&self.members);
            }
            Way::Chash(_) => {}
        }
    }

    /// The next of its nodes that was not tried.
    pub(super) fn next(
        &mut self,
        choice: &NodeChoice<'_>,
        node_loads: &Loads,
        random: &mut Random,
    ) -> Option<NodeIndex> {
        let Self { members, way, .. } = self;
        let tried = choice.tried;
        let fresh = |at: usize| members.get(at).is_some_and(|m| !tried.contains(m.node));
        let all = tried.is_empty();
        let member = match way {
            Way::RoundRobin(turns) if all => turns.next(),
            Way::RoundRobin(turns) => turns.next_of(fresh),
            Way::LeastConn { loads, start } => {
                let found = if all {
                    least_of(loads, *start)
                } else {
                    least_accepted(loads, *start, fresh)
                };
                *start = found.map_or(0, |at| at + 1);
                found
            }
            Way::Drawn { table, timed } => {
                let accept = |node: NodeIndex| all || !tried.contains(node);
                let first = table.draw_accepted(random, accept)?;
                let is_other = |node: NodeIndex| node != first.node && accept(node);
                let other = table.draw_accepted(random, is_other);
                let cost = |drawn: &Drawn| {
                    if *timed {
                        node_loads.cost(drawn.node, choice.now) / drawn.weight
                    } else {
                        as_f32(node_loads.open(drawn.node)) / drawn.weight
                    }
                };
                let better = other.filter(|other| cost(other) < cost(&first));
                return Some(better.unwrap_or(first).node);
            }
            Way::Chash(ring) => return on_ring(ring, members, choice),
        };
        members.get(member?).map(|member| member.node)
    }

    /// A node of some group has so many open requests now.
    pub(super) fn note_open(&mut self, node: NodeIndex, open: u32) {
        if let Way::LeastConn { loads, .. } = &mut self.way {
            let found = self.members.iter().zip(loads).find(|(member, _)| member.node == node);
            if let Some((member, load)) = found {
                *load = member.load(open);
            }
        }
    }
}

/// The first node on the ring that may be asked and was not tried. Members are in the order of their nodes.
fn on_ring(ring: &Ring, members: &[Member], choice: &NodeChoice<'_>) -> Option<NodeIndex> {
    let usable = |node: NodeIndex| {
        !choice.tried.contains(node)
            && members.binary_search_by_key(&node, |member| member.node).is_ok()
    };
    // Without this, a group that has nobody left would be walked to the last point.
    if members.iter().all(|member| choice.tried.contains(member.node)) {
        return None;
    }
    let hash = choice.hash.unwrap_or_default();
    ring.from_hash(u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default())
        .find(|node| usable(*node))
}
