//! The nodes of one priority that may be asked, laid out for choosing among them.

use std::sync::Arc;

use ferrule_config::model::BalanceMethod;

use super::choice::NodeChoice;
use super::choose::{draw, draw_accepted, least_accepted, least_of};
use super::load::{Loads, as_f32};
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

/// A node that may be asked.
#[derive(Clone, Copy, Debug)]
struct Member {
    node: NodeIndex,
    /// Of it, or tenths of it while some node of the upstream begins slowly.
    weight: u64,
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
    /// `sums`: weights, added up.
    Drawn {
        sums: Vec<u64>,
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
            (BalanceMethod::Ewma, _) => Way::Drawn { sums: Vec::new(), timed: true },
            (BalanceMethod::Random, _) => Way::Drawn { sums: Vec::new(), timed: false },
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
            Way::Drawn { sums, .. } => {
                sums.clear();
                sums.extend(self.members.iter().scan(0, |sum, member| {
                    *sum += member.weight;
                    Some(*sum)
                }));
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
            Way::Drawn { sums, timed } => {
                let first =
                    if all { draw(sums, random) } else { draw_accepted(sums, random, fresh) }?;
                let other = draw_accepted(sums, random, |at| at != first && fresh(at));
                let cost = |at: usize| {
                    let member = members.get(at)?;
                    Some(if *timed {
                        node_loads.cost(member.node, choice.now) / weight_of(member)
                    } else {
                        as_f32(node_loads.open(member.node)) / weight_of(member)
                    })
                };
                match other {
                    Some(other) if cost(other) < cost(first) => Some(other),
                    _ => Some(first),
                }
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

impl Member {
    fn load(&self, open: u32) -> f32 {
        as_f32(open.saturating_add(1)) / weight_of(self)
    }
}

fn weight_of(member: &Member) -> f32 {
    as_f32(u32::try_from(member.weight).unwrap_or(u32::MAX))
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
