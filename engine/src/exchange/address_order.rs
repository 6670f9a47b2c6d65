//! Which address of a node is asked, and which follow it if it does not answer.
//!
//! In: the addresses that the node's name leads to, whose turn it is, and what failed lately. Out: an order
//! (RFC 8305, section 4: families take turns). Nothing here is for nodes with one address.

use core::net::SocketAddr;

/// How long an address that gave no connection is asked after the others.
pub const FAULT_MS: u64 = 10_000;
/// Faults remembered on a core; the oldest makes room.
const FAULTS_MAX: usize = 64;

/// Addresses that failed lately, on one core.
#[derive(Debug, Default)]
pub struct AddressFaults {
    faults: Vec<AddressFault>,
}

#[derive(Debug)]
struct AddressFault {
    address: SocketAddr,
    until_ms: u64,
}

impl AddressFaults {
    /// Nothing failed lately. Faults whose time is over count until somebody looks.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// There was no connection to this address.
    pub fn insert(&mut self, address: SocketAddr, now_ms: u64) {
        self.faults.retain(|fault| fault.until_ms > now_ms && fault.address != address);
        if self.faults.len() >= FAULTS_MAX {
            self.faults.remove(0);
        }
        self.faults.push(AddressFault { address, until_ms: now_ms.saturating_add(FAULT_MS) });
    }

    /// There was one.
    pub fn remove(&mut self, address: SocketAddr) {
        self.faults.retain(|fault| fault.address != address);
    }

    fn failed(&self, address: SocketAddr, now_ms: u64) -> bool {
        self.faults.iter().any(|fault| fault.address == address && fault.until_ms > now_ms)
    }
}

/// Whose turn it is: the next of `turns` (indices into `all`) from `turn` on that has not failed lately, else the
/// first of all that has not, else the one whose turn it was.
#[must_use]
pub fn first(
    all: &[SocketAddr],
    turns: &[u8],
    turn: usize,
    faults: &AddressFaults,
    now_ms: u64,
) -> Option<SocketAddr> {
    let len = turns.len();
    let at = |step: usize| {
        let index = turns.get(turn.wrapping_add(step) % len.max(1))?;
        all.get(usize::from(*index)).copied()
    };
    let own = at(0)?;
    if faults.is_empty() {
        return Some(own);
    }
    let good = |address: &SocketAddr| !faults.failed(*address, now_ms);
    let found = (0..len).filter_map(at).find(good);
    found.or_else(|| all.iter().copied().find(good)).or(Some(own))
}

/// The order in which a connection is tried for: `first`, then the others, those that failed lately last, and
/// otherwise as they stand in `all` with the families taking turns.
#[must_use]
pub fn order(
    all: &[SocketAddr],
    first: SocketAddr,
    faults: &AddressFaults,
    now_ms: u64,
) -> Vec<SocketAddr> {
    let others = || all.iter().copied().filter(|address| *address != first);
    let mut order = vec![first];
    for failed in [false, true] {
        let of = |wanted: bool| {
            others().filter(move |address| {
                faults.failed(*address, now_ms) == failed && address.is_ipv4() == wanted
            })
        };
        let other_family = order.last().is_none_or(SocketAddr::is_ipv6);
        let (mut these, mut those) = (of(other_family), of(!other_family));
        loop {
            let pair = [these.next(), those.next()];
            if pair == [None, None] {
                break;
            }
            order.extend(pair.into_iter().flatten());
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_what_failed_comes_last() {
        let all = list(&["[::1]:1", "[::2]:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let mut faults = AddressFaults::default();
        let found = order(&all, all[0], &faults, 0);
        assert_eq!(found, list(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "10.0.0.3:1"]));
        faults.insert(all[2], 0);
        let found = order(&all, all[3], &faults, FAULT_MS - 1);
        assert_eq!(found, list(&["10.0.0.2:1", "[::1]:1", "10.0.0.3:1", "[::2]:1", "10.0.0.1:1"]));
    }

    #[test]
    fn who_failed_misses_its_turns_for_a_while() {
        let all = list(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let mut faults = AddressFaults::default();
        let at =
            |faults: &AddressFaults, turn, now| first(&all, &[0, 1], turn, faults, now).unwrap();
        assert_eq!([0, 1, 2].map(|turn| at(&faults, turn, 0)), [all[0], all[1], all[0]]);
        faults.insert(all[0], 5);
        assert_eq!([0, 1, 2].map(|turn| at(&faults, turn, 6)), [all[1], all[1], all[1]]);
        faults.insert(all[1], 5);
        assert_eq!(at(&faults, 0, 6), all[2], "another priority is better than what failed");
        faults.insert(all[2], 5);
        assert_eq!(at(&faults, 1, 6), all[1]);
        assert_eq!(at(&faults, 0, 5 + FAULT_MS), all[0]);
        faults.remove(all[0]);
        assert_eq!(at(&faults, 0, 6), all[0]);
        assert_eq!(first(&[], &[], 3, &faults, 0), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut faults = AddressFaults::default();
        for port in 0..1_000 {
            faults.insert(([10, 0, 0, 1], port).into(), 0);
        }
        assert_eq!(faults.faults.len(), FAULTS_MAX);
    }
}
