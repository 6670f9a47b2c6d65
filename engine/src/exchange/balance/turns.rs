//! Turns by weight: nginx's smooth weighted round robin.
//!
//! At each turn every member gains its weight; the one with the most is chosen and pays what all have gained. The
//! order repeats after as many turns as the weights add up to, divided by their greatest common divisor. Where
//! that is short it is written down during the first round and read off from then on, so that a turn costs the same
//! for three members and for three hundred.

use crate::plan::ring::gcd;

/// The longest order that is written down, in turns: 2 KiB.
const ORDER_MAX: usize = 1_024;
/// Weights are scaled down to add up to less, so that no sum overflows.
const TOTAL_MAX: u64 = 1 << 30;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By member.
    weights: Vec<i32>,
    /// What each has gained and not paid.
    gained: Vec<i32>,
    total: i32,
    order: Vec<u16>,
    /// How long the order is; 0 if it is not written down.
    period: usize,
    /// The next turn of the order.
    at: usize,
}

impl Turns {
    /// Starts anew with these weights.
    pub(super) fn arrange(&mut self, weights: impl Iterator<Item = u64> + Clone) {
        let (mut sum, mut divisor) = (0_u64, 0_u32);
        for weight in weights.clone() {
            sum += weight;
            divisor = gcd(divisor, u32::try_from(weight).unwrap_or(1));
        }
        let divisor = u64::from(divisor.max(1));
        // Beyond what 32 bits hold, shares are exact to a few millionths.
        let scale = (sum / divisor).div_ceil(TOTAL_MAX).max(1) * divisor;
        self.weights.clear();
        self.weights.extend(weights.map(|w| i32::try_from((w / scale).max(1)).unwrap_or(1)));
        self.gained.clear();
        self.gained.resize(self.weights.len(), 0);
        self.total = self.weights.iter().sum();
        let period = usize::try_from(self.total).unwrap_or(usize::MAX);
        self.period = if period <= ORDER_MAX { period } else { 0 };
        self.order.clear();
        self.order.reserve_exact(self.period);
        self.at = 0;
    }

    /// The member whose turn it is.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.period > 0 && self.order.len() == self.period {
            let member = self.order.get(self.at).copied()?;
            self.at = if self.at + 1 == self.period { 0 } else { self.at + 1 };
            return Some(member.into());
        }
        let best = self.gain()?;
        *self.gained.get_mut(best)? -= self.total;
        if self.period > 0 {
            self.order.push(u16::try_from(best).unwrap_or_default());
        }
        Some(best)
    }

    /// The next member that is accepted; the turns of others in between are left out.
    pub(super) fn next_of(&mut self, accept: impl Fn(usize) -> bool) -> Option<usize> {
        if self.period > 0 && self.order.len() == self.period {
            return (0..self.period).find_map(|_| self.next().filter(|member| accept(*member)));
        }
        // What has been written down so far is no longer what follows.
        self.period = 0;
        let shares = self.gained.iter_mut().zip(&self.weights).enumerate();
        let (mut best, mut most, mut total) = (None, i32::MIN, 0);
        for (member, (gained, weight)) in shares.filter(|(member, _)| accept(*member)) {
            *gained += weight;
            total += weight;
            if *gained > most {
                (best, most) = (Some(member), *gained);
            }
        }
        *self.gained.get_mut(best?)? -= total;
        best
    }

    /// Gives every member its weight, and finds the first that has the most. Two passes without a branch inside:
    /// both become vector instructions (100 members: see the bench `balance`).
    fn gain(&mut self) -> Option<usize> {
        let mut most = i32::MIN;
        for (gained, weight) in self.gained.iter_mut().zip(&self.weights) {
            *gained += weight;
            most = most.max(*gained);
        }
        self.gained.iter().position(|gained| *gained == most)
    }
}
