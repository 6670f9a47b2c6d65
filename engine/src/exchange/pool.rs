//! Idle upstream connections of one core, keyed by everything that makes them different.
//!
//! In: connections, and what they were made with. Out: one that was made with exactly the same. The
//! pool never looks into a connection; whether one is still good is found out before it is used.

use ferrule_config::model::KeepalivePool;

use super::keep_alive;
use super::pool_key::KeyTable;
pub use super::pool_key::{Address, Identity, PoolKey, TlsIdentity};
use crate::identity::TimeRange;

/// A connection between two requests.
#[derive(Debug)]
pub struct Idle<C> {
    /// The connection.
    pub connection: C,
    /// Requests it has served.
    pub requests: u32,
    /// The most that its other end takes.
    pub requests_max: u32,
    /// When it was opened, in microseconds of the caller's clock.
    pub opened_us: u64,
    /// When its idle time or its age is over, in milliseconds of the caller's clock. [`Pool::put`] sets it.
    pub until_ms: u64,
    /// The seconds in which what was proved of its other end stays true.
    pub holds: TimeRange,
}

impl<C> Idle<C> {
    /// Does it still stand?
    #[must_use]
    pub fn holds(&self, now: i64) -> bool {
        self.holds.contains(now)
    }
}

/// The idle connections of one core.
///
/// Every connection stands in two lists: of its key, newest first, because the newest is the least
/// likely to have been closed by the other side; and of its upstream, oldest first, because those go
/// first when there are too many or their time is over. The lists are links between slots, so
/// nothing moves and nothing is allocated once there are slots enough.
#[derive(Debug)]
pub struct Pool<C> {
    slots: Vec<Slot<C>>,
    /// The first of the empty slots, linked by `key_next`.
    free: Link,
    keys: KeyTable,
    upstreams: Vec<UpstreamList>,
    len: usize,
}

/// How far a walk over all connections is. Connections do not move, so it may rest at any place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk(u32);

type Link = Option<u32>;

/// How many connections of a key are looked at for one whose time is not over: their times differ where an
/// upstream names its own.
const TAKE_LOOKS_MAX: u32 = 8;

#[derive(Debug)]
struct Slot<C> {
    idle: Option<Idle<C>>,
    key: u32,
    key_next: Link,
    key_previous: Link,
    newer: Link,
    older: Link,
}

#[derive(Debug)]
struct UpstreamList {
    id: Box<str>,
    len: u32,
    oldest: Link,
    newest: Link,
}

impl<C> Pool<C> {
    /// An empty pool. The seed keeps clients from choosing names that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: None,
            keys: KeyTable::new(seed),
            upstreams: Vec::new(),
            len: 0,
        }
    }

    /// The key of an identity; allocates only for one that was not there before. Their number is
    /// bounded: one without idle connections is forgotten for a new one.
    pub fn key(&mut self, identity: &Identity<'_>) -> PoolKey {
        if let Some(key) = self.keys.find(identity) {
            return key;
        }
        let upstream = self.upstreams.iter().position(|list| *list.id == *identity.upstream);
        let upstream = upstream.unwrap_or_else(|| {
            let id = identity.upstream.into();
            self.upstreams.push(UpstreamList { id, len: 0, oldest: None, newest: None });
            self.upstreams.len() - 1
        });
        self.keys.insert(identity, index(upstream))
    }

    /// The connection that was put back last of those whose time is not over. Connections whose time is
    /// over stay for [`Self::expire`] and [`Self::look`]; behind too many of them, none is found.
    pub fn take(&mut self, key: PoolKey, now_ms: u64) -> Option<Idle<C>> {
        let mut next = self.keys.current(key)?.newest;
        for _ in 0..TAKE_LOOKS_MAX {
            let slot = self.slots.get(next? as usize)?;
            if slot.idle.as_ref().is_some_and(|idle| idle.until_ms > now_ms) {
                return self.unlink(next?);
            }
            next = slot.key_next;
        }
        None
    }

    /// Puts a connection (back) in. What comes out has to be closed: the upstream's oldest one if
    /// it has too many, or the very same one if it may not be kept.
    pub fn put(
        &mut self,
        key: PoolKey,
        idle: Idle<C>,
        limits: &KeepalivePool,
        now_ms: u64,
    ) -> Option<C> {
        let Some(entry) = self.keys.current(key) else { return Some(idle.connection) };
        let upstream = entry.upstream;
        let used_up = idle.requests >= limits.requests.min(idle.requests_max);
        if limits.size == 0 || used_up || limits.idle_timeout.is_zero() {
            return Some(idle.connection);
        }
        let ends_ms = keep_alive::ends_ms(limits.max_age, idle.opened_us);
        if ends_ms <= now_ms {
            return Some(idle.connection);
        }
        let list = self.upstreams.get(upstream as usize);
        let oldest = list.filter(|list| list.len >= limits.size).and_then(|list| list.oldest);
        let evicted = oldest.and_then(|oldest| self.unlink(oldest));
        let idle_ms = u64::try_from(limits.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        let until_ms = now_ms.saturating_add(idle_ms).min(ends_ms);
        self.link(key.at, upstream, Idle { until_ms, ..idle });
        evicted.map(|idle| idle.connection)
    }

    /// Takes out connections whose idle time is over, until `close` says that this is enough. One whose
    /// time is shorter than that of an older one stays until [`Self::look`] finds it.
    pub fn expire(&mut self, now_ms: u64, mut close: impl FnMut(C) -> bool) {
        for upstream in 0..self.upstreams.len() {
            while let Some(oldest) = self.upstreams[upstream].oldest
                && self.slots[oldest as usize]
                    .idle
                    .as_ref()
                    .is_none_or(|idle| idle.until_ms <= now_ms)
                && let Some(idle) = self.unlink(oldest)
            {
                if !close(idle.connection) {
                    return;
                }
            }
        }
    }

    /// A connection that is out now and leads nowhere any more is not taken back; those that are here are found
    /// by [`Self::look`].
    pub fn retire(&mut self, leads: impl Fn(&Identity<'_>) -> bool) {
        self.keys.retire(leads);
    }

    /// Looks at the next connection of a walk, and takes it out if it is not good any more; what
    /// stays in the pool during a walk is looked at once. `None` if there is none left.
    pub fn look(
        &mut self,
        walk: &mut Walk,
        is_good: impl FnOnce(&Identity<'_>, &mut Idle<C>) -> bool,
    ) -> Option<()> {
        loop {
            let at = walk.0;
            let slot = self.slots.get_mut(at as usize)?;
            walk.0 += 1;
            let Some(idle) = &mut slot.idle else { continue };
            let identity = self.keys.entries[slot.key as usize].identity();
            if !is_good(&identity, idle) {
                // Closed by being dropped.
                self.unlink(at);
            }
            return Some(());
        }
    }

    /// Takes out every connection.
    pub fn clear(&mut self, mut close: impl FnMut(C)) {
        self.expire(u64::MAX, |connection| {
            close(connection);
            true
        });
    }

    /// Connections in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Is it empty?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn link(&mut self, key: u32, upstream: u32, idle: Idle<C>) {
        let entry = &mut self.keys.entries[key as usize];
        let list = &mut self.upstreams[upstream as usize];
        let slot = Slot {
            idle: Some(idle),
            key,
            key_next: entry.newest,
            key_previous: None,
            newer: None,
            older: list.newest,
        };
        let at = if let Some(at) = self.free {
            self.free = self.slots[at as usize].key_next;
            self.slots[at as usize] = slot;
            at
        } else {
            self.slots.push(slot);
            index(self.slots.len() - 1)
        };
        if let Some(next) = entry.newest.replace(at) {
            self.slots[next as usize].key_previous = Some(at);
        }
        match list.newest.replace(at) {
            Some(older) => self.slots[older as usize].newer = Some(at),
            None => list.oldest = Some(at),
        }
        list.len += 1;
        self.len += 1;
    }

    fn unlink(&mut self, at: u32) -> Option<Idle<C>> {
        let slot = self.slots.get_mut(at as usize)?;
        let idle = slot.idle.take()?;
        let (key, next, previous) = (slot.key, slot.key_next, slot.key_previous);
        let (newer, older) = (slot.newer, slot.older);
        slot.key_next = self.free.replace(at);
        let entry = &mut self.keys.entries[key as usize];
        match previous {
            Some(previous) => self.slots[previous as usize].key_next = next,
            None => entry.newest = next,
        }
        if let Some(next) = next {
            self.slots[next as usize].key_previous = previous;
        }
        let list = &mut self.upstreams[entry.upstream as usize];
        match newer {
            Some(newer) => self.slots[newer as usize].older = older,
            None => list.newest = older,
        }
        match older {
            Some(older) => self.slots[older as usize].newer = newer,
            None => list.oldest = newer,
        }
        list.len -= 1;
        self.len -= 1;
        Some(idle)
    }
}

fn index(at: usize) -> u32 {
    // A core has far fewer descriptors than this.
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    pub(in crate::exchange) const LIMITS: KeepalivePool = KeepalivePool {
        size: 3,
        idle_timeout: Duration::from_millis(100),
        requests: 10,
        max_age: Duration::MAX,
        min_idle: 0,
    };

    pub(in crate::exchange) fn identity(upstream: &str, port: u16) -> Identity<'_> {
        Identity { upstream, address: Address::Ip(([127, 0, 0, 1], port).into()), tls: None }
    }

    pub(in crate::exchange) fn idle(connection: u32) -> Idle<u32> {
        let (requests_max, holds) = (u32::MAX, TimeRange::ALWAYS);
        Idle { connection, requests: 1, requests_max, opened_us: 0, until_ms: 0, holds }
    }

    #[test]
    fn the_newest_connection_of_a_key_is_taken_first() {
        let mut pool = Pool::new(1);
        let (a, b) = (pool.key(&identity("u", 1)), pool.key(&identity("u", 2)));
        assert_eq!(pool.put(a, idle(1), &LIMITS, 0), None);
        assert_eq!(pool.put(b, idle(2), &LIMITS, 0), None);
        assert_eq!(pool.put(a, idle(3), &LIMITS, 0), None);
        assert_eq!(pool.take(a, 0).map(|idle| idle.connection), Some(3));
        assert_eq!(pool.take(a, 0).map(|idle| idle.connection), Some(1));
        assert!(pool.take(a, 0).is_none());
        assert_eq!(pool.take(b, 0).map(|idle| idle.connection), Some(2));
        assert!(pool.is_empty());
    }

    #[test]
    fn the_oldest_of_the_upstream_makes_room_whatever_its_key() {
        let mut pool = Pool::new(1);
        let (a, b) = (pool.key(&identity("u", 1)), pool.key(&identity("u", 2)));
        let other = pool.key(&identity("v", 1));
        for (key, connection) in [(a, 1), (b, 2), (a, 3), (other, 9)] {
            assert_eq!(pool.put(key, idle(connection), &LIMITS, 0), None);
        }
        assert_eq!(pool.put(b, idle(4), &LIMITS, 0), Some(1));
        assert_eq!(pool.put(b, idle(5), &LIMITS, 0), Some(2));
        assert_eq!(pool.len(), 4);
        assert_eq!(pool.take(other, 0).map(|idle| idle.connection), Some(9));
    }

    /// Looks at everything at once.
    fn retain(
        pool: &mut Pool<u32>,
        mut is_good: impl FnMut(&Identity<'_>, &mut Idle<u32>) -> bool,
    ) {
        let mut walk = Walk::default();
        while pool.look(&mut walk, &mut is_good).is_some() {}
    }

    #[test]
    fn every_connection_is_looked_at_and_the_bad_ones_go() {
        let mut pool = Pool::new(1);
        let (a, b) = (pool.key(&identity("u", 1)), pool.key(&identity("u", 2)));
        for (key, connection) in [(a, 1), (b, 2), (a, 3)] {
            assert_eq!(pool.put(key, idle(connection), &LIMITS, 0), None);
        }
        let mut seen = Vec::new();
        retain(&mut pool, |_, idle| {
            seen.push(idle.connection);
            idle.connection == 3
        });
        assert_eq!((seen, pool.len()), (vec![1, 2, 3], 1));
        assert!(pool.take(b, 0).is_none());
        assert_eq!(pool.take(a, 0).map(|idle| idle.connection), Some(3));
    }

    #[test]
    fn idle_time_and_requests_are_bounded() {
        let mut pool = Pool::new(1);
        let key = pool.key(&identity("u", 1));
        // As many requests as both ends allow.
        for (requests, requests_max) in [(10, u32::MAX), (10, 99), (4, 4)] {
            let idle = Idle { requests, requests_max, ..idle(7) };
            assert_eq!(pool.put(key, idle, &LIMITS, 0), Some(7));
        }
        let none = KeepalivePool { size: 0, ..LIMITS };
        assert_eq!(pool.put(key, idle(7), &none, 0), Some(7));
        pool.put(key, idle(1), &LIMITS, 0);
        pool.put(key, idle(2), &LIMITS, 50);
        let mut closed = Vec::new();
        let expire = |pool: &mut Pool<u32>, now_ms, closed: &mut Vec<u32>| {
            pool.expire(now_ms, |connection| {
                closed.push(connection);
                false
            });
        };
        expire(&mut pool, 99, &mut closed);
        assert!(closed.is_empty());
        expire(&mut pool, 150, &mut closed);
        assert_eq!(closed, [1]);
        pool.clear(|connection| closed.push(connection));
        assert_eq!(closed, [1, 2]);
        assert!(pool.is_empty());
    }

    /// It is closed behind its last exchange, or while it is idle, however often it was used.
    #[test]
    fn a_connection_grows_no_older_than_it_may() {
        let mut pool = Pool::new(1);
        let key = pool.key(&identity("u", 1));
        let limits = KeepalivePool { max_age: Duration::from_millis(1_000), ..LIMITS };
        let opened_us = 5_000_000;
        let ends_ms = keep_alive::ends_ms(limits.max_age, opened_us);
        assert!((5_900..=6_000).contains(&ends_ms), "{ends_ms}");
        let put = |pool: &mut Pool<u32>, now_ms| {
            pool.put(key, Idle { opened_us, ..idle(7) }, &limits, now_ms)
        };
        for now_ms in (5_000..5_850).step_by(50) {
            assert_eq!(put(&mut pool, now_ms), None);
            assert_eq!(pool.take(key, now_ms + 40).map(|idle| idle.opened_us), Some(opened_us));
        }
        assert_eq!(put(&mut pool, ends_ms - 1), None);
        assert!(pool.take(key, ends_ms).is_none(), "its idle time would go on");
        pool.clear(drop);
        assert_eq!(put(&mut pool, ends_ms), Some(7));
        // The limit in force counts, not the one that it was opened under.
        assert_eq!(pool.put(key, Idle { opened_us, ..idle(8) }, &LIMITS, ends_ms), None);
    }

    #[test]
    fn what_is_proved_no_more_goes() {
        let mut pool = Pool::new(1);
        let (kept, gone) = (pool.key(&identity("u", 1)), pool.key(&identity("v", 1)));
        let range = |from, until| TimeRange { from, until };
        let spans = [
            (1, TimeRange::ALWAYS),
            (2, range(10, 20)),
            (3, range(20, 30)),
            (4, range(i64::MIN, 19)),
        ];
        for (key, first) in [(kept, 0), (gone, 10)] {
            for (connection, holds) in spans {
                let limits = KeepalivePool { size: 9, ..LIMITS };
                pool.put(key, Idle { holds, ..idle(first + connection) }, &limits, 0);
            }
        }
        let mut left = Vec::new();
        retain(&mut pool, |identity, idle| identity.upstream == "u" && idle.holds(19));
        retain(&mut pool, |_, idle| {
            left.push(idle.connection);
            idle.holds(20)
        });
        assert_eq!((left, pool.len()), (vec![1, 2], 1));
        assert!(
            pool.take(kept, 0).is_some_and(|idle| idle.connection == 1 && idle.holds(i64::MAX - 1))
        );
    }

    #[test]
    fn a_connection_whose_time_is_over_is_not_taken() {
        let mut pool = Pool::new(1);
        let key = pool.key(&identity("u", 1));
        let short = KeepalivePool { idle_timeout: Duration::from_millis(10), ..LIMITS };
        pool.put(key, idle(1), &LIMITS, 0);
        pool.put(key, idle(2), &short, 0);
        assert_eq!(pool.take(key, 9).map(|idle| idle.connection), Some(2));
        pool.put(key, idle(2), &short, 0);
        assert_eq!(pool.take(key, 10).map(|idle| (idle.connection, idle.until_ms)), Some((1, 100)));
        assert!(pool.take(key, 10).is_none());
        assert_eq!(pool.len(), 1, "whoever looks at it closes it");
        // It is no more than so many that are passed over.
        let limits = KeepalivePool { size: 64, ..LIMITS };
        let short = KeepalivePool { size: 64, ..short };
        pool.put(key, idle(3), &limits, 0);
        for connection in 0..TAKE_LOOKS_MAX {
            pool.put(key, idle(10 + connection), &short, 0);
        }
        assert!(pool.take(key, 50).is_none());
    }
}
