//! How many connections does each client address hold, on all cores together?
//!
//! Asked once when a connection is accepted and once when it ends, never for a request. The table is in
//! shards, each with a lock of its own: two cores wait for each other only where two addresses share a
//! shard. It has an entry for each address with an open connection, so connections bound its size.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

const SHARDS: usize = 64;

/// What connections are counted by: an IPv4 address, or a /64 network of IPv6, the least that one
/// customer is given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum CountedAddress {
    V4(u32),
    V6(u64),
}

impl CountedAddress {
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
pub struct ConnectionCounts {
    shards: [Mutex<HashMap<CountedAddress, u32, RandomState>>; SHARDS],
    /// Seeded at random, so that nobody can choose addresses that share a shard.
    hasher: RandomState,
}

impl Default for ConnectionCounts {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::default() }
    }
}

impl ConnectionCounts {
    /// Counts one more connection, unless the address has `max` of them (0 is unlimited). Every `true`
    /// is followed by one [`ConnectionCounts::remove`].
    #[must_use]
    fn add(&self, address: IpAddr, max: u32) -> bool {
        let key = CountedAddress::of(address);
        let mut shard = self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner);
        let count = shard.entry(key).or_insert(0);
        if max > 0 && *count >= max {
            return false;
        }
        *count = count.saturating_add(1);
        true
    }

    /// Counts one connection less.
    fn remove(&self, address: IpAddr) {
        let key = CountedAddress::of(address);
        let mut shard = self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = shard.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&key);
            }
        }
    }

    fn shard(&self, key: &CountedAddress) -> &Mutex<HashMap<CountedAddress, u32, RandomState>> {
        let hash = self.hasher.hash_one(key);
        // The low bits choose within the map.
        &self.shards[usize::from(hash.to_be_bytes()[0]) % SHARDS]
    }
}

/// A connection that is counted for its client's address until it is dropped.
#[derive(Debug)]
pub struct CountedConnection {
    counts: Arc<ConnectionCounts>,
    address: Option<IpAddr>,
}

impl CountedConnection {
    /// A connection whose client is not known yet; it is not counted.
    #[must_use]
    pub const fn new(counts: Arc<ConnectionCounts>) -> Self {
        Self { counts, address: None }
    }

    /// Counts the connection for this address; false if the address has `max` connections already (0 is
    /// unlimited). Once counted, a connection keeps its address.
    #[must_use]
    pub fn count(&mut self, address: IpAddr, max: u32) -> bool {
        if self.address.is_none() {
            self.address = self.counts.add(address, max).then_some(address);
        }
        self.address.is_some()
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.counts.remove(address);
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
        let counts = ConnectionCounts::default();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        assert!(counts.add(one, 2) && counts.add(one, 2));
        assert!(!counts.add(one, 2));
        assert!(counts.add(other, 2));
        counts.remove(one);
        assert!(counts.add(one, 2));
        // The limit may change while connections are open.
        assert!(!counts.add(one, 1));
        assert!(counts.add(one, 0));
        for _ in 0..3 {
            counts.remove(one);
        }
        counts.remove(other);
        assert!(counts.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_counted_connection_ends_by_itself_and_counts_once() {
        let counts = Arc::new(ConnectionCounts::default());
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut connection = CountedConnection::new(Arc::clone(&counts));
        assert!(connection.count(one, 1) && connection.count(one, 1) && connection.count(other, 1));
        let mut late = CountedConnection::new(Arc::clone(&counts));
        assert!(!late.count(one, 1));
        drop(connection);
        assert!(late.count(one, 1));
        drop(late);
        assert!(counts.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
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
                CountedAddress::of(address(one)) == CountedAddress::of(address(other)),
                same,
                "{one} {other}"
            );
        }
    }
}
