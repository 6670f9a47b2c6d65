//! Draws a node by weight in constant time: Walker's alias method, the table laid out as Vose does (1991).
//!
//! Every node has one slot. A draw takes a slot, and there either its own node or the alias, so that it fetches one
//! line of memory, where sums of weights that are searched take one for each step (100 nodes: see the bench `balance`).

use super::member::Member;
use super::random::Random;
use crate::plan::NodeIndex;

/// Draws before the next node around is taken instead.
const DRAWS_MAX: usize = 4;

/// The nodes that can be drawn.
#[derive(Debug, Default)]
pub(super) struct AliasTable {
    slots: Vec<AliasSlot>,
}

/// A node that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) node: NodeIndex,
    pub(super) weight: f32,
}

#[derive(Debug)]
struct AliasSlot {
    own: Drawn,
    alias: Drawn,
    /// How many of 2^32 draws of this slot are its own node.
    own_share: u32,
}

/// What a node's weight still has to be laid out, in units of which a slot takes as many as all weights add up to.
struct Rest {
    at: usize,
    units: u128,
}

impl AliasTable {
    /// Lays out these nodes.
    pub(super) fn arrange(&mut self, members: &[Member]) {
        let slot_units: u128 = members.iter().map(|member| u128::from(member.weight)).sum();
        self.slots.clear();
        self.slots.extend(members.iter().map(|member| {
            let own = Drawn { node: member.node, weight: member.divisor() };
            AliasSlot { own, alias: own, own_share: u32::MAX }
        }));
        let rests = members.iter().enumerate().map(|(at, member)| {
            let units = u128::from(member.weight) * members.len() as u128;
            Rest { at, units }
        });
        let (mut small, mut large): (Vec<_>, Vec<_>) =
            rests.partition(|rest| rest.units < slot_units);
        while let (Some(less), Some(more)) = (small.pop(), large.last_mut()) {
            self.fill(&less, more.at, slot_units);
            more.units -= slot_units - less.units;
            if more.units < slot_units
                && let Some(rest) = large.pop()
            {
                small.push(rest);
            }
        }
    }

    /// The slot of a node that has too little for it goes on with another one.
    fn fill(&mut self, less: &Rest, alias: usize, slot_units: u128) {
        let Some(alias) = self.slots.get(alias).map(|slot| slot.own) else { return };
        let Some(slot) = self.slots.get_mut(less.at) else { return };
        slot.alias = alias;
        let share = (less.units << 32).checked_div(slot_units).unwrap_or_default();
        slot.own_share = u32::try_from(share).unwrap_or(u32::MAX);
    }

    /// Draws a node by weight.
    pub(super) fn draw(&self, random: &mut Random) -> Option<Drawn> {
        let wide = u128::from(random.draw()) * self.slots.len() as u128;
        // The whole part is the slot, and the fraction decides within it.
        let slot = self.slots.get(usize::try_from(wide >> 64).unwrap_or_default())?;
        let fraction = u32::try_from((wide >> 32) & u128::from(u32::MAX)).unwrap_or_default();
        Some(if fraction <= slot.own_share { slot.own } else { slot.alias })
    }

    /// Draws one that is accepted: by weight, and after a few draws that are not the next around.
    pub(super) fn draw_accepted(
        &self,
        random: &mut Random,
        accept: impl Fn(NodeIndex) -> bool,
    ) -> Option<Drawn> {
        let mut last = None;
        for _ in 0..DRAWS_MAX {
            let drawn = self.draw(random)?;
            if accept(drawn.node) {
                return Some(drawn);
            }
            last = Some(drawn.node);
        }
        let from = self.slots.iter().position(|slot| Some(slot.own.node) == last).unwrap_or(0);
        let (front, back) = self.slots.split_at_checked(from)?;
        back.iter().chain(front).map(|slot| slot.own).find(|drawn| accept(drawn.node))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(weights: &[u64]) -> Vec<Member> {
        let nodes = (0..).map(NodeIndex).zip(weights);
        nodes.map(|(node, weight)| Member { node, weight: *weight }).collect()
    }

    /// How many of 2^32 draws of each slot are which node's, added up.
    fn shares(table: &AliasTable, nodes: usize) -> Vec<u128> {
        let mut shares = vec![0; nodes];
        for slot in &table.slots {
            let own = u128::from(slot.own_share) + 1;
            shares[slot.own.node.0 as usize] += own;
            shares[slot.alias.node.0 as usize] += (1 << 32) - own;
        }
        shares
    }

    proptest! {
        /// The table holds each weight but for what 32 bits round off, however far apart they are.
        #[test]
        fn every_weight_has_its_share(weights in prop::collection::vec(1_u64..=10 << 32, 1..300)) {
            let mut table = AliasTable::default();
            table.arrange(&members(&weights));
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            let shares = shares(&table, weights.len());
            for (share, weight) in shares.iter().zip(&weights) {
                let due = (u128::from(*weight) * weights.len() as u128) << 32;
                // One for each slot that it is in.
                prop_assert!((share * sum).abs_diff(due) <= sum * weights.len() as u128 * 2);
            }
        }
    }

    #[test]
    fn nobody_is_drawn_from_nobody() {
        let mut table = AliasTable::default();
        let mut random = Random::new(1);
        assert_eq!(table.draw(&mut random), None);
        assert_eq!(table.draw_accepted(&mut random, |_| true), None);
        table.arrange(&members(&[3]));
        assert_eq!(table.draw(&mut random).map(|drawn| drawn.node), Some(NodeIndex(0)));
        assert_eq!(table.draw_accepted(&mut random, |_| false), None);
    }

    /// A node that is hardly ever drawn is found all the same when no other may be.
    #[test]
    fn the_only_one_that_is_accepted_is_found() {
        let mut table = AliasTable::default();
        let mut weights = [1 << 32; 100];
        weights[40] = 1;
        table.arrange(&members(&weights));
        let mut random = Random::new(1);
        for _ in 0..100 {
            let drawn = table.draw_accepted(&mut random, |node| node.0 == 40);
            assert_eq!(drawn.map(|drawn| drawn.node), Some(NodeIndex(40)));
        }
    }
}
