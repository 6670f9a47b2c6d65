//! How many connections does each client address hold, all cores together?
//!
//! Asked once when a connection is accepted and once when it ends, never on a request's way. A table
//! in shards, each behind its own lock: two cores meet only where two addresses share a shard. It holds
//! an entry for each address that has a connection, so it is bounded by the number of connections.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

const SHARDS: usize = 64;

/// Whom connections are counted for: an IPv4 address, or a /64 network of IPv6, which is what one
/// customer has at least.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Holder {
    V4(u32),
    V6(u64),
}

impl Holder {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                let network = [a, b, c, d];
                Self::V6(network.iter().fold(0, |sum, part| sum << 16 | u64::from(*part)))
            }
        }
    }
}

/// Connections by client address.
#[derive(Debug)]
pub struct Clients {
    shards: [Mutex<HashMap<Holder, u32, RandomState>>; SHARDS],
    /// Seeded at random, so that nobody can choose addresses that share a shard.
    hasher: RandomState,
}

impl Default for Clients {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::default() }
    }
}

impl Clients {
    /// One more connection, unless the address has `max` of them (0 is unlimited). Every `true`
    /// wants one [`Clients::leave`].
    #[must_use]
    fn enter(&self, address: IpAddr, max: u32) -> bool {
        let holder = Holder::of(address);
        let mut shard = self.shard(&holder).lock().unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(holder).or_insert(0);
        if max > 0 && *count >= max {
            return false;
        }
        *count = count.saturating_add(1);
        true
    }

    /// One connection less.
    fn leave(&self, address: IpAddr) {
        let holder = Holder::of(address);
        let mut shard = self.shard(&holder).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = shard.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&holder);
            }
        }
    }

    fn shard(&self, holder: &Holder) -> &Mutex<HashMap<Holder, u32, RandomState>> {
        let hash = self.hasher.hash_one(holder);
        // The low bits choose within the map.
        &self.shards[usize::from(hash.to_be_bytes()[0]) % SHARDS]
    }
}

/// One connection's place among those of its address; given up when dropped.
#[derive(Debug)]
pub struct Visit {
    clients: Arc<Clients>,
    address: Option<IpAddr>,
}

impl Visit {
    /// Of a connection whose client is not known yet.
    #[must_use]
    pub const fn new(clients: Arc<Clients>) -> Self {
        Self { clients, address: None }
    }

    /// Its client is known now: false if that address has `max` connections already (0 is unlimited).
    /// Known once, it stays the same.
    #[must_use]
    pub fn enter(&mut self, address: IpAddr, max: u32) -> bool {
        if self.address.is_none() {
            self.address = self.clients.enter(address, max).then_some(address);
        }
        self.address.is_some()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.clients.leave(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_holds_so_many_and_no_more() {
        let clients = Clients::default();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        assert!(clients.enter(one, 2) && clients.enter(one, 2));
        assert!(!clients.enter(one, 2));
        assert!(clients.enter(other, 2));
        clients.leave(one);
        assert!(clients.enter(one, 2));
        // The limit may change while connections are open.
        assert!(!clients.enter(one, 1));
        assert!(clients.enter(one, 0));
        for _ in 0..3 {
            clients.leave(one);
        }
        clients.leave(other);
        assert!(clients.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_visit_ends_by_itself_and_counts_once() {
        let clients = Arc::new(Clients::default());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut visit = Visit::new(Arc::clone(&clients));
        assert!(visit.enter(one, 1) && visit.enter(one, 1) && visit.enter(other, 1));
        let mut late = Visit::new(Arc::clone(&clients));
        assert!(!late.enter(one, 1));
        drop(visit);
        assert!(late.enter(one, 1));
        drop(late);
        assert!(clients.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_holder_and_mapped_addresses_are_ipv4() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(
                Holder::of(address(one)) == Holder::of(address(other)),
                same,
                "{one} {other}"
            );
        }
    }
}
