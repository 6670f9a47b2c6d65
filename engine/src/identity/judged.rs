//! Verdicts that this thread has come to, so that none is come to twice.
//!
//! A handshake asks in the middle (may this session be resumed later?) and at its end (who is it?), and
//! a client comes again and again. A verdict is a function of the policy's contents, the chain and the
//! time, so it is found by these. Only good ones are held: anybody can make up others.

use std::cell::RefCell;

use hashbrown::HashMap;

use super::chain::{ClientPolicy, Judgement, Verdict, judge_anew, sha256};

/// Verdicts held at once; beyond that all are dropped.
const HELD_MAX: usize = 4096;

/// The exact scope of a policy, and the digest of a chain.
type Key = ([u8; 32], [u8; 32]);

#[derive(Default)]
struct Judged {
    good: HashMap<Key, Judgement, foldhash::fast::RandomState>,
    /// The last one, good or not.
    last: Option<(Key, Judgement)>,
}

thread_local! {
    static JUDGED: RefCell<Judged> = RefCell::default();
}

/// The verdict on a client's chain, leaf first, as DER, with the time in which it holds. `now` is
/// Unix seconds.
#[must_use]
pub fn judge_for_a_while(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> Judgement {
    let key = (policy.exact_scope(), sha256(chain));
    let held = JUDGED.with_borrow(|judged| {
        let last = judged.last.as_ref().filter(|(last, _)| *last == key);
        last.map(|(_, judgement)| *judgement).or_else(|| judged.good.get(&key).copied())
    });
    if let Some(judgement) = held
        && (judgement.from..judgement.until).contains(&now)
    {
        return judgement;
    }
    let judgement = judge_anew(chain, policy, now);
    JUDGED.with_borrow_mut(|judged| {
        judged.last = Some((key, judgement));
        if judgement.verdict == Verdict::Success {
            if judged.good.len() >= HELD_MAX {
                judged.good.clear();
            }
            judged.good.insert(key, judgement);
        }
    });
    judgement
}
