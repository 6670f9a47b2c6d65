//! Which node?
//!
//! In: how an upstream chooses ([`BalancePlan`]), which of its nodes may be asked, and what one request has
//! tried. Out: the node that it is sent to. This is the state of one core and one upstream; what other cores
//! have open or have measured, it does not know.

mod alias_table;
mod choice;
mod group;
mod least_loaded;
mod load;
mod member;
mod random;
mod turns;

use std::time::Duration;

use crate::plan::NodeIndex;
use crate::plan::balance::BalancePlan;
pub use choice::{NodeChoice, Tried, TryEnd};
use group::Group;
use load::Loads;
use random::Random;

#[cfg(test)]
mod tests;

/// The state of one upstream on one core.
#[derive(Debug)]
pub struct Balancer {
    /// Those of the plan, and in its order.
    groups: Box<[Group]>,
    loads: Loads,
    random: Random,
    slow_start: Duration,
    /// When each node came back; empty without slow start.
    came_back: Box<[Option<Duration>]>,
    /// Which nodes may be asked.
    usable: Box<[bool]>,
    /// When the next node's weight grows.
    growth_due: Duration,
}

/// A weight grows in this many steps.
const STEPS: u64 = 10;

impl Balancer {
    /// All nodes may be asked. The seed decides where turns begin, so that not every core starts with the first
    /// node.
    #[must_use]
    pub fn new(plan: &BalancePlan, seed: u64) -> Self {
        let ramps = if plan.slow_start.is_zero() { 0 } else { plan.node_count };
        let mut balancer = Self {
            groups: plan.groups.iter().map(|group| Group::new(plan.method, group)).collect(),
            loads: Loads::new(plan.method, plan.node_count),
            random: Random::new(seed),
            slow_start: plan.slow_start,
            came_back: vec![None; ramps].into(),
            usable: vec![true; plan.node_count].into(),
            growth_due: Duration::MAX,
        };
        balancer.arrange(Duration::ZERO, seed);
        balancer
    }

    /// The next node: one that may be asked and was not tried, of the first group that has one.
    pub fn next(&mut self, choice: &NodeChoice<'_>) -> Option<NodeIndex> {
        if choice.now >= self.growth_due {
            let turn = self.random.draw();
            self.arrange(choice.now, turn);
        }
        let Self { groups, loads, random, .. } = self;
        groups.iter_mut().find_map(|group| group.next(choice, loads, random))
    }

    /// Says which nodes may be asked from now on. One that may be again begins with a tenth of its weight, where
    /// the upstream has a slow start.
    pub fn set_usable(&mut self, now: Duration, is_usable: impl Fn(NodeIndex) -> bool) {
        for (index, usable) in (0..).map(NodeIndex).zip(&mut self.usable) {
            let before = std::mem::replace(usable, is_usable(index));
            if let Some(came_back) = self.came_back.get_mut(index.0 as usize)
                && *usable
                && !before
            {
                *came_back = Some(now);
            }
        }
        let turn = self.random.draw();
        self.arrange(now, turn);
    }

    /// These nodes are new: their weights grow from now on, where the upstream has a slow start.
    pub fn begin_slowly(&mut self, now: Duration, is_new: impl Fn(NodeIndex) -> bool) {
        for (index, came_back) in (0..).map(NodeIndex).zip(&mut self.came_back) {
            if is_new(index) {
                *came_back = Some(now);
            }
        }
        let turn = self.random.draw();
        self.arrange(now, turn);
    }

    /// Does it choose by what nodes have open, so that it has to hear of tries?
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.loads.counts()
    }

    /// A try at a node has begun.
    pub fn begin_try(&mut self, node: NodeIndex) {
        self.loads.begin(node);
        self.note_load(node);
    }

    /// A try at a node is over; `end` is `None` if it was given up, which says nothing about the node.
    pub fn end_try(&mut self, node: NodeIndex, end: Option<TryEnd>) {
        self.loads.end(node, end);
        self.note_load(node);
    }

    fn note_load(&mut self, node: NodeIndex) {
        let open = self.loads.open(node);
        self.groups.iter_mut().for_each(|group| group.note_open(node, open));
    }

    /// Lays out the groups anew, from what may be asked and how far weights have grown. Turns begin at `turn`.
    fn arrange(&mut self, now: Duration, turn: u64) {
        let mut due = Duration::MAX;
        for came_back in &mut self.came_back {
            if let Some(at) = *came_back {
                match step_after(at, self.slow_start, now) {
                    Some(next) => due = due.min(next),
                    None => *came_back = None,
                }
            }
        }
        self.growth_due = due;
        let grown = due == Duration::MAX;
        let Self { groups, usable, came_back, slow_start, loads, .. } = self;
        let tenths = |node: NodeIndex| {
            let at = node.0 as usize;
            let since = came_back.get(at).copied().flatten();
            match (usable.get(at), since) {
                (Some(true), Some(since)) => tenths_at(since, *slow_start, now),
                (Some(true), None) if grown => 1,
                (Some(true), None) => STEPS,
                _ => 0,
            }
        };
        groups.iter_mut().for_each(|group| group.arrange(turn, tenths, loads));
    }
}

/// How many tenths of its weight a node has, which came back then: from one to ten, linear.
fn tenths_at(came_back: Duration, slow_start: Duration, now: Duration) -> u64 {
    let passed = now.saturating_sub(came_back).as_nanos() * u128::from(STEPS - 1);
    let grown = passed.checked_div(slow_start.as_nanos()).unwrap_or_else(|| STEPS.into());
    u64::try_from(grown).unwrap_or(STEPS).saturating_add(1).min(STEPS)
}

/// When it gets its next tenth; `None` if it has all.
fn step_after(came_back: Duration, slow_start: Duration, now: Duration) -> Option<Duration> {
    let tenths = tenths_at(came_back, slow_start, now);
    let [tenths, of] = [tenths, STEPS - 1].map(|number| u32::try_from(number).unwrap_or(1));
    // A moment more than the share of the time: rounded down, the step would not be due yet.
    let after = (slow_start / of).saturating_mul(tenths) + Duration::from_micros(1);
    (u64::from(tenths) < STEPS).then(|| came_back.saturating_add(after))
}
