//! The verdicts of this thread, so that no chain is verified twice.
//!
//! A handshake asks in the middle (may this session be resumed later?) and at its end (who is it?), and
//! a client comes again and again. A verdict is a function of the policy's contents, the chain and the
//! time, so it is found by these. Good ones have room of their own: anybody can make up others, and of
//! those the oldest makes way. Digests are the keys, so nobody chooses where an entry goes.

use std::cell::RefCell;
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::anchors::Anchors;
use super::chain::verify_client_now;
use super::client_policy::ClientPolicy;
use super::revocation::Revocation;
use super::rules::VerificationRules;
use super::verdict::{Verdict, Verification};
use crate::identity::digest::sha256_parts;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::time::{Clock, TimeBounds, TimeRange};

/// Verdicts held at once; beyond that all are dropped.
const VERDICTS_MAX: usize = 4096;
/// Refusals held at once: handshakes that run side by side on a core, and clients that keep trying.
const REFUSALS_MAX: usize = 512;

/// What a verdict is found by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct VerdictKey {
    /// The exact scope of the policy.
    policy: [u8; 32],
    /// The digest of the chain.
    chain: [u8; 32],
}

type Verifications = HashMap<VerdictKey, Verification, foldhash::fast::RandomState>;

/// The verdicts of one thread.
#[derive(Debug, Default)]
pub struct VerdictCache {
    good: Verifications,
    refused: Verifications,
    /// The keys of `refused`, the oldest first.
    order: VecDeque<VerdictKey>,
    misses: u64,
}

thread_local! {
    static VERDICTS: RefCell<VerdictCache> = RefCell::default();
}

impl VerdictCache {
    /// The verdict on this chain, from memory where it is known and holds.
    pub fn get_or_verify(
        &mut self,
        chain: &[&[u8]],
        policy: &ClientPolicy,
        now: i64,
    ) -> Verification {
        let key = VerdictKey { policy: policy.exact_scope(), chain: sha256_parts(chain) };
        let held = self.good.get(&key).or_else(|| self.refused.get(&key));
        if let Some(held) = held
            && held.holds.contains(now)
        {
            return *held;
        }
        let verification = verify_anew(chain, policy, now);
        self.misses += 1;
        self.keep(key, verification);
        verification
    }

    /// Verdicts that were not in the cache.
    #[must_use]
    pub const fn misses(&self) -> u64 {
        self.misses
    }

    fn keep(&mut self, key: VerdictKey, verification: Verification) {
        if verification.verdict == Verdict::Success {
            if self.good.len() >= VERDICTS_MAX {
                self.good.clear();
            }
            self.good.insert(key, verification);
            return;
        }
        self.good.remove(&key);
        if self.refused.insert(key, verification).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > REFUSALS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }
}

/// The verdict on a client's chain, leaf first, as DER, with the time in which it holds. `now` is
/// Unix seconds.
#[must_use]
pub fn cached_verification(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verification {
    VERDICTS.with_borrow_mut(|verdicts| verdicts.get_or_verify(chain, policy, now))
}

fn verify_anew(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verification {
    let VerificationRules { clock, revocation, .. } = policy.rules(now);
    let holds = unchanged_around(chain, policy.anchors(), revocation, clock);
    Verification { holds, ..verify_client_now(chain, policy, now) }
}

/// The time around `clock` in which no date passes that a verdict on this chain rests on: of its
/// certificates, of the anchors, of the revocation lists.
#[must_use]
pub fn unchanged_around(
    chain: &[&[u8]],
    anchors: &Anchors,
    revocation: Option<&Revocation>,
    Clock { now, skew }: Clock,
) -> TimeRange {
    let mut range = TimeRange::ALWAYS;
    // Even where a leaf cannot be read to the end, its dates decide which failure is reported.
    let of_chain = chain
        .iter()
        .copied()
        .filter_map(RawCertificate::read)
        .map(|raw| TimeBounds { start: raw.not_before.seconds(), end: raw.not_after.seconds() });
    let of_lists = revocation.into_iter().flat_map(Revocation::time_bounds);
    for TimeBounds { start, end } in
        anchors.time_bounds.iter().copied().chain(of_chain).chain(of_lists)
    {
        let start = start.map(|start| start.saturating_sub(skew));
        let end = end.map(|end| end.saturating_add(skew));
        for date in [start, end].into_iter().flatten() {
            if date <= now {
                range.from = range.from.max(date);
            } else {
                range.until = range.until.min(date);
            }
        }
    }
    range
}
