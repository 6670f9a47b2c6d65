//! What makes one upstream connection different from another, as small keys.

use core::hash::BuildHasher;
use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;

/// Identities known at a time, unless more of them have idle connections. Names may come from
/// clients (SNI from their Host), so there may be any number over time.
const KEYS_MAX: usize = 4096;

/// Everything that must agree before a connection may serve another request (contract: an identity
/// that is missing here is an identity that leaks).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Identity<'a> {
    /// The upstream's id; connections are not shared between upstreams.
    pub upstream: &'a str,
    /// Where it leads.
    pub address: Address<'a>,
    /// TLS: what it was made with; `None` is plain HTTP.
    pub tls: Option<TlsIdentity<'a>>,
}

/// An address to connect to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Address<'a> {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(&'a Path),
}

/// What a TLS connection was made with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TlsIdentity<'a> {
    /// The name sent and checked, lower case.
    pub name: &'a [u8],
    /// A digest of the settings: own certificate, trust, verification, versions. By content, so
    /// that connections survive a reload that changes nothing of it.
    pub settings: [u8; 32],
}

/// An identity that the pool knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PoolKey {
    pub(super) at: u32,
    /// Keys that are not needed any more are given to other identities.
    generation: u32,
}

/// Identities and their keys.
#[derive(Debug)]
pub(super) struct KeyTable {
    pub(super) entries: Vec<KeyEntry>,
    index: HashTable<u32>,
    state: SeedableRandomState,
    /// Where the search for a key to forget goes on.
    hand: usize,
}

#[derive(Debug)]
pub(super) struct KeyEntry {
    identity: OwnIdentity,
    generation: u32,
    pub(super) upstream: u32,
    /// The newest idle connection.
    pub(super) newest: Option<u32>,
}

#[derive(Debug)]
struct OwnIdentity {
    upstream: Box<str>,
    address: OwnAddress,
    tls: Option<OwnTlsIdentity>,
}

#[derive(Debug)]
struct OwnTlsIdentity {
    name: Box<[u8]>,
    settings: [u8; 32],
}

#[derive(Debug)]
enum OwnAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl KeyEntry {
    /// What it is the key of.
    pub(super) fn identity(&self) -> Identity<'_> {
        self.identity.borrow()
    }
}

impl OwnIdentity {
    fn of(identity: &Identity<'_>) -> Self {
        Self {
            upstream: identity.upstream.into(),
            address: match identity.address {
                Address::Ip(address) => OwnAddress::Ip(address),
                Address::Unix(path) => OwnAddress::Unix(path.to_owned()),
            },
            tls: identity
                .tls
                .map(|tls| OwnTlsIdentity { name: tls.name.into(), settings: tls.settings }),
        }
    }

    fn borrow(&self) -> Identity<'_> {
        Identity {
            upstream: &self.upstream,
            address: match &self.address {
                OwnAddress::Ip(address) => Address::Ip(*address),
                OwnAddress::Unix(path) => Address::Unix(path),
            },
            tls: self
                .tls
                .as_ref()
                .map(|tls| TlsIdentity { name: &tls.name, settings: tls.settings }),
        }
    }
}

impl KeyTable {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            index: HashTable::new(),
            state: SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
            hand: 0,
        }
    }

    pub(super) fn find(&self, identity: &Identity<'_>) -> Option<PoolKey> {
        let hash = self.state.hash_one(identity);
        let known = |at: &u32| self.entries[*at as usize].identity.borrow() == *identity;
        let at = *self.index.find(hash, known)?;
        Some(PoolKey { at, generation: self.entries[at as usize].generation })
    }

    /// The entry of a key, unless it was forgotten.
    pub(super) fn current(&self, key: PoolKey) -> Option<&KeyEntry> {
        self.entries.get(key.at as usize).filter(|entry| entry.generation == key.generation)
    }

    /// Makes the keys stale of the identities that lead nowhere any more; they may get new ones.
    pub(super) fn retire(&mut self, leads: impl Fn(&Identity<'_>) -> bool) {
        for entry in &mut self.entries {
            if !leads(&entry.identity.borrow()) {
                entry.generation = entry.generation.wrapping_add(1);
            }
        }
    }

    /// Adds an identity that is not there.
    pub(super) fn insert(&mut self, identity: &Identity<'_>, upstream: u32) -> PoolKey {
        let mut entry =
            KeyEntry { identity: OwnIdentity::of(identity), generation: 0, upstream, newest: None };
        let forgotten = if self.entries.len() < KEYS_MAX { None } else { self.forget() };
        let key = if let Some(at) = forgotten {
            let place = &mut self.entries[at as usize];
            entry.generation = place.generation.wrapping_add(1);
            let generation = entry.generation;
            *place = entry;
            PoolKey { at, generation }
        } else {
            let at = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.entries.push(entry);
            PoolKey { at, generation: 0 }
        };
        let (entries, state) = (&self.entries, &self.state);
        let rehash = |at: &u32| state.hash_one(entries[*at as usize].identity.borrow());
        self.index.insert_unique(self.state.hash_one(identity), key.at, rehash);
        key
    }

    /// Takes an identity without idle connections out of the index, going round.
    fn forget(&mut self) -> Option<u32> {
        let len = self.entries.len();
        let at = (0..len)
            .map(|step| (self.hand + step) % len)
            .find(|at| self.entries[*at].newest.is_none())?;
        self.hand = at + 1;
        let hash = self.state.hash_one(self.entries[at].identity.borrow());
        let at = u32::try_from(at).ok()?;
        if let Ok(found) = self.index.find_entry(hash, |other| *other == at) {
            found.remove();
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(name: &[u8], settings: u8) -> Identity<'_> {
        Identity {
            upstream: "u",
            address: Address::Ip(([127, 0, 0, 1], 1).into()),
            tls: Some(TlsIdentity { name, settings: [settings; 32] }),
        }
    }

    #[test]
    fn every_difference_is_a_different_key() {
        let mut table = KeyTable::new(1);
        let plain = Identity { tls: None, ..tls(b"", 0) };
        let identities = [
            tls(b"a", 1),
            tls(b"b", 1),
            tls(b"a", 2),
            tls(b"", 1),
            plain,
            Identity { upstream: "v", ..plain },
            Identity { address: Address::Ip(([127, 0, 0, 1], 2).into()), ..plain },
            Identity { address: Address::Unix(Path::new("/a")), ..plain },
            Identity { address: Address::Unix(Path::new("/b")), ..plain },
        ];
        let keys: Vec<_> = identities.iter().map(|one| table.insert(one, 0)).collect();
        for (identity, key) in identities.iter().zip(&keys) {
            assert_eq!(table.find(identity), Some(*key));
            assert_eq!(keys.iter().filter(|other| *other == key).count(), 1);
        }
    }

    #[test]
    fn any_number_of_names_needs_a_bounded_number_of_keys() {
        let mut table = KeyTable::new(1);
        let first = table.insert(&tls(b"kept", 0), 0);
        table.entries[0].newest = Some(0);
        let second = table.insert(&tls(b"forgotten", 0), 0);
        for number in 0..3 * KEYS_MAX {
            let name = number.to_string();
            assert_eq!(table.find(&tls(name.as_bytes(), 0)), None);
            let key = table.insert(&tls(name.as_bytes(), 0), 0);
            assert_eq!(table.find(&tls(name.as_bytes(), 0)), Some(key));
        }
        assert_eq!(table.entries.len(), KEYS_MAX);
        assert!(table.current(first).is_some());
        // What a connection out there still holds leads nowhere, least of all to someone else's.
        assert!(table.current(second).is_none());
        assert_eq!(table.find(&tls(b"forgotten", 0)), None);
        assert_eq!(table.index.len(), KEYS_MAX);
    }

    /// A connection under such a key is not taken back.
    #[test]
    fn what_leads_nowhere_has_a_stale_key() {
        let mut table = KeyTable::new(1);
        let (gone, kept) = (table.insert(&tls(b"a", 0), 0), table.insert(&tls(b"b", 0), 0));
        table.retire(|identity| *identity == tls(b"b", 0));
        assert!(table.current(gone).is_none() && table.current(kept).is_some());
        let again = table.find(&tls(b"a", 0)).unwrap();
        assert!(again != gone && table.current(again).is_some());
        assert_eq!(table.find(&tls(b"b", 0)), Some(kept));
    }
}
