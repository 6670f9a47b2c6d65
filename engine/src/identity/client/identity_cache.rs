//! Identities of one core and one generation, shared by later connections of the same certificate.

use std::rc::Rc;

use hashbrown::HashMap;

use super::client_identity::ClientIdentity;
use super::identity_plan::IdentityPlan;
use crate::identity::digest::sha256_parts;
use crate::identity::verify::client_policy::ClientPolicy;
use crate::identity::verify::verdict::{Verdict, Verification};
use crate::identity::verify::verdict_cache;

/// Identities held at once; beyond that all are dropped and the cache fills anew.
const IDENTITIES_MAX: usize = 4096;
/// Bytes of their values and chains; a rendered chain may have two hundred thousand.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bounded; keyed by who asks and the digest of the whole chain. Only verified identities are
/// held: anybody can make up others.
#[derive(Debug, Default)]
pub struct IdentityCache {
    held: HashMap<IdentityKey, CachedIdentity, foldhash::fast::RandomState>,
    bytes: usize,
    /// The identity of clients without a certificate.
    anonymous: Option<Rc<ClientIdentity>>,
}

/// By whose trust a client is verified: the same chain may be good for one and not for another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TrustScope {
    /// The server object.
    pub server: u32,
    /// The authorities of a route that has its own; `None` for those of the server object.
    pub trust: Option<u32>,
}

impl From<u32> for TrustScope {
    fn from(server: u32) -> Self {
        Self { server, trust: None }
    }
}

/// What an identity is found by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct IdentityKey {
    scope: TrustScope,
    /// The digest of the whole chain.
    chain: [u8; 32],
}

#[derive(Debug)]
struct CachedIdentity {
    identity: Rc<ClientIdentity>,
    verification: Verification,
}

impl IdentityCache {
    /// An empty cache, for one core and one generation.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The identity behind this chain (leaf first, as DER), judged by the policy of who asks.
    /// Without a policy nobody was asked for a certificate. Judged anew as soon as any date of the
    /// chain or of an anchor has passed since.
    pub fn get_or_make(
        &mut self,
        scope: impl Into<TrustScope>,
        chain: &[&[u8]],
        policy: Option<&ClientPolicy>,
        wanted: &IdentityPlan,
        now: i64,
    ) -> Rc<ClientIdentity> {
        let (Some(policy), false) = (policy, chain.is_empty()) else {
            return Rc::clone(
                self.anonymous.get_or_insert_with(|| Rc::new(ClientIdentity::none(wanted))),
            );
        };
        let scope = scope.into();
        let key = IdentityKey { scope, chain: sha256_parts(chain) };
        if let Some(held) = self.held.get(&key)
            && held.verification.holds.contains(now)
        {
            return Rc::clone(&held.identity);
        }
        let verification = verdict_cache::cached_verification(chain, policy, now);
        debug_assert!(verification.verdict != Verdict::None, "the chain is not empty");
        let own_uris = wanted.own_uris(scope.server);
        let mut identity = ClientIdentity::from_verification(own_uris, chain, verification, wanted);
        identity.skew = policy.clock_skew();
        let identity = Rc::new(identity);
        if verification.verdict != Verdict::Success {
            return identity;
        }
        if self.held.len() >= IDENTITIES_MAX || self.bytes >= BYTES_MAX {
            self.held.clear();
            self.bytes = 0;
        }
        self.bytes += identity.bytes();
        self.held.insert(key, CachedIdentity { identity: Rc::clone(&identity), verification });
        identity
    }
}
