//! Verdicts that this thread has come to, so that none is come to twice.
//!
//! A handshake asks in the middle (may this session be resumed later?) and at its end (who is it?), and
//! a client comes again and again. A verdict is a function of the policy's contents, the chain and the
//! time, so it is found by these. Good ones have room of their own: anybody can make up others, and of
//! those the oldest makes way. Digests are the keys, so nobody chooses where an entry goes.

use std::cell::RefCell;
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::anchors::Anchors;
use super::client_policy::ClientPolicy;
use super::digest::sha256_parts;
use super::raw_certificate::RawCertificate;
use super::revocation::Revocation;
use super::rules::VerificationRules;
use super::time::Clock;
use super::verdict::{Verdict, Verification};
use super::verify::verify_client_now;

/// Verdicts held at once; beyond that all are dropped.
const HELD_MAX: usize = 4096;
/// Refusals held at once: handshakes that run side by side on a core, and clients that keep trying.
const REFUSED_MAX: usize = 512;

/// The exact scope of a policy, and the digest of a chain.
type Key = ([u8; 32], [u8; 32]);

type Judgements = HashMap<Key, Verification, foldhash::fast::RandomState>;

/// The judgements of one thread.
#[derive(Debug, Default)]
pub struct VerdictCache {
    good: Judgements,
    refused: Judgements,
    /// The keys of `refused`, the oldest first.
    order: VecDeque<Key>,
    made: u64,
}

thread_local! {
    static JUDGED: RefCell<VerdictCache> = RefCell::default();
}

impl VerdictCache {
    /// The verdict on this chain, from memory where it is known and holds.
    pub fn judge(&mut self, chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verification {
        let key = (policy.exact_scope(), sha256_parts(chain));
        let held = self.good.get(&key).or_else(|| self.refused.get(&key));
        if let Some(held) = held
            && (held.from..held.until).contains(&now)
        {
            return *held;
        }
        let judgement = judge_anew(chain, policy, now);
        self.made += 1;
        self.keep(key, judgement);
        judgement
    }

    /// Judgements that were not remembered.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.made
    }

    fn keep(&mut self, key: Key, judgement: Verification) {
        if judgement.verdict == Verdict::Success {
            if self.good.len() >= HELD_MAX {
                self.good.clear();
            }
            self.good.insert(key, judgement);
            return;
        }
        self.good.remove(&key);
        if self.refused.insert(key, judgement).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > REFUSED_MAX
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
    JUDGED.with_borrow_mut(|judged| judged.judge(chain, policy, now))
}

fn judge_anew(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Verification {
    let VerificationRules { clock, revocation, .. } = policy.rules(now);
    let (from, until) = span(chain, (policy.anchors(), revocation), clock);
    Verification { from, until, ..verify_client_now(chain, policy, now) }
}

/// The time around `clock` in which no date passes that a verdict on this chain rests on: of its
/// certificates, of the anchors, of the lists. From the first second on, up to the other.
#[must_use]
pub fn span(
    chain: &[&[u8]],
    (anchors, revocation): (&Anchors, Option<&Revocation>),
    Clock { now, skew }: Clock,
) -> (i64, i64) {
    let (mut from, mut until) = (i64::MIN, i64::MAX);
    // Of a leaf that cannot be read to the end, the dates still choose the word.
    let of_chain = chain
        .iter()
        .copied()
        .filter_map(RawCertificate::read)
        .map(|raw| (raw.not_before.seconds(), raw.not_after.seconds()));
    let of_lists = revocation.into_iter().flat_map(Revocation::moments);
    for (start, end) in anchors.moments.iter().copied().chain(of_chain).chain(of_lists) {
        let start = start.map(|start| start.saturating_sub(skew));
        let end = end.map(|end| end.saturating_add(skew));
        for moment in [start, end].into_iter().flatten() {
            if moment <= now {
                from = from.max(moment);
            } else {
                until = until.min(moment);
            }
        }
    }
    (from, until)
}
