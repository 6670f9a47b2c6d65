//! Verdicts that this thread has come to, so that none is come to twice.
//!
//! A handshake asks in the middle (may this session be resumed later?) and at its end (who is it?), and
//! a client comes again and again. A verdict is a function of the policy's contents, the chain and the
//! time, so it is found by these. Good ones have room of their own: anybody can make up others, and of
//! those the oldest makes way. Digests are the keys, so nobody chooses where an entry goes.

use std::cell::RefCell;
use std::collections::VecDeque;

use hashbrown::HashMap;

use super::chain::{ClientPolicy, Judgement, Verdict, judge_anew, sha256};

/// Verdicts held at once; beyond that all are dropped.
const HELD_MAX: usize = 4096;
/// Refusals held at once: handshakes that run side by side on a core, and clients that keep trying.
const REFUSED_MAX: usize = 512;

/// The exact scope of a policy, and the digest of a chain.
type Key = ([u8; 32], [u8; 32]);

type Judgements = HashMap<Key, Judgement, foldhash::fast::RandomState>;

/// The judgements of one thread.
#[derive(Debug, Default)]
pub struct Judged {
    good: Judgements,
    refused: Judgements,
    /// The keys of `refused`, the oldest first.
    order: VecDeque<Key>,
    made: u64,
}

thread_local! {
    static JUDGED: RefCell<Judged> = RefCell::default();
}

impl Judged {
    /// The verdict on this chain, from memory where it is known and holds.
    pub fn judge(&mut self, chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Judgement {
        let key = (policy.exact_scope(), sha256(chain));
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

    fn keep(&mut self, key: Key, judgement: Judgement) {
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
pub fn judge_for_a_while(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Judgement {
    JUDGED.with_borrow_mut(|judged| judged.judge(chain, policy, now))
}
