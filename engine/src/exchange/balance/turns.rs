//! Turns by weight: nginx's smooth weighted round robin.
//!
//! At each turn every member gains its weight; the one with the most is chosen and pays what all have gained. The
//! order repeats after as many turns as the weights add up to, divided by their greatest common divisor. Where
//! that is short it is written down during the first round and read off from then on, so that a turn costs the same
//! for three members and for three hundred. Where it is long, some turns are worked out ahead at a time: what a turn
//! costs is to fetch every member's numbers from memory, and several turns fetch them once.

use crate::plan::ring::gcd;

/// The longest order that is written down, in turns: 2 KiB.
const ORDER_MAX: usize = 1_024;
/// So many turns of a longer order are worked out at a time.
const AHEAD: usize = 16;
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
    /// The order as far as it is written down, or some turns ahead.
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
        self.order.reserve_exact(if self.period > 0 { self.period } else { AHEAD });
        self.at = 0;
    }

    /// The member whose turn it is.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.period > 0 && self.order.len() == self.period {
            let member = self.order.get(self.at).copied()?;
            self.at = if self.at + 1 == self.period { 0 } else { self.at + 1 };
            return Some(member.into());
        }
        if self.period > 0 {
            let member = self.turn()?;
            self.order.push(u16::try_from(member).unwrap_or_default());
            return Some(member);
        }
        if self.at >= self.order.len() {
            self.look_ahead();
        }
        let Some(member) = self.order.get(self.at).copied() else { return self.turn() };
        self.at += 1;
        Some(member.into())
    }

    /// Works out some turns, unless there are more members than an entry can name.
    fn look_ahead(&mut self) {
        self.order.clear();
        self.at = 0;
        if u16::try_from(self.weights.len()).is_err() {
            return;
        }
        for _ in 0..AHEAD {
            let Some(member) = self.turn().and_then(|member| u16::try_from(member).ok()) else {
                return;
            };
            self.order.push(member);
        }
    }

    /// The next member that is accepted; the turns of others in between are left out.
    pub(super) fn next_of(&mut self, accept: impl Fn(usize) -> bool) -> Option<usize> {
        if self.period > 0 && self.order.len() == self.period {
            return (0..self.period).find_map(|_| self.next().filter(|member| accept(*member)));
        }
        if self.period > 0 {
            // What has been written down so far is no longer what follows.
            self.period = 0;
            self.order.clear();
            self.at = 0;
        }
        // The others keep the turns that they have ahead.
        let mut ahead = (self.at..).zip(self.order.get(self.at..).unwrap_or_default());
        if let Some((at, member)) = ahead.find(|(_, member)| accept(usize::from(**member))) {
            let member = usize::from(*member);
            self.order.remove(at);
            return Some(member);
        }
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

    /// Works out whose turn it is.
    fn turn(&mut self) -> Option<usize> {
        let best = self.gain()?;
        *self.gained.get_mut(best)? -= self.total;
        Some(best)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn turns_of(weights: &[u64]) -> Turns {
        let mut turns = Turns::default();
        turns.arrange(weights.iter().copied());
        turns
    }

    /// The rule in a few lines beside orders that are written down, and longer ones.
    #[test]
    fn turns_are_those_of_the_rule() {
        for members in [1, 2, 15, 16, 17, 100, 250] {
            for factor in [0, 1, 37] {
                let weights: Vec<u64> = (0..members).map(|at| 1 + at * factor % 101).collect();
                let mut turns = turns_of(&weights);
                let (mut gained, total) = (vec![0; weights.len()], weights.iter().sum::<u64>());
                let total = i64::try_from(total).unwrap();
                for _ in 0..3_000 {
                    for (gained, weight) in gained.iter_mut().zip(&weights) {
                        *gained += i64::try_from(*weight).unwrap();
                    }
                    let most = gained.iter().max().copied().unwrap();
                    let best = gained.iter().position(|gained| *gained == most).unwrap();
                    gained[best] -= total;
                    assert_eq!(turns.next(), Some(best), "{members} members");
                }
            }
        }
        assert_eq!(turns_of(&[]).next(), None);
        assert_eq!(turns_of(&[]).next_of(|_| true), None);
    }

    /// Of a long order, some turns are ahead: whoever is passed over now and then keeps its share, and who is not
    /// accepted is never chosen.
    #[test]
    fn turns_that_are_ahead_are_kept() {
        let weights: Vec<u64> = (0..40).map(|at| 20 + at * 7 % 61).collect();
        let (mut turns, total) = (turns_of(&weights), weights.iter().sum::<u64>());
        assert!(total > ORDER_MAX as u64);
        let mut counts = vec![0_u64; weights.len()];
        for turn in 0..total * 20 {
            let refused = usize::try_from(turn % 40).unwrap();
            let member = if turn % 3 == 0 {
                let found = turns.next_of(|member| member != refused).unwrap();
                assert_ne!(found, refused);
                found
            } else {
                turns.next().unwrap()
            };
            counts[member] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            assert!(count.abs_diff(weight * 20) <= 20 + weight / 4, "{counts:?}");
        }
        assert_eq!(turns.next_of(|_| false), None);
    }
}
