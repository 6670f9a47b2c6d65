//! How lookups of upstream nodes' names went: what the metrics and the admin socket say of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::control::names::{Found, LookUpKey};

/// Shared by the resolver, which writes, and the endpoints. No data core uses it.
#[derive(Debug, Default)]
pub struct NameStatus(Mutex<NameCounts>);

#[derive(Debug, Default)]
struct NameCounts {
    /// Lookups that found an address, and those that did not.
    lookups: [u64; 2],
    /// The configured names that have been looked up.
    names: BTreeMap<LookUpKey, NameAnswer>,
}

/// What is known of a name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NameAnswer {
    /// The last good answer.
    pub found: Vec<Found>,
    /// When it came; `None` if there was none so far.
    pub answered: Option<Instant>,
    /// When the name is looked up next.
    pub due: Option<Instant>,
    /// Lookups in a row that failed since.
    pub failures: u32,
}

/// How old the last good answer of a name is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerAge {
    /// The name.
    pub name: String,
    /// Since the answer came.
    pub age: Duration,
}

impl NameStatus {
    fn lock(&self) -> MutexGuard<'_, NameCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lookup has ended: what is known of the name now.
    pub fn record(&self, key: &LookUpKey, good: bool, mut answer: NameAnswer, now: Instant) {
        let mut counts = self.lock();
        counts.lookups[usize::from(!good)] += 1;
        let before = counts.names.get(key).and_then(|known| known.answered);
        answer.answered = if good { Some(now) } else { before };
        counts.names.insert(key.clone(), answer);
    }

    /// Forgets the names that are not configured any more.
    pub fn retain(&self, is_configured: impl Fn(&LookUpKey) -> bool) {
        self.lock().names.retain(|key, _| is_configured(key));
    }

    /// Lookups since the start that found an address, and those that did not.
    #[must_use]
    pub fn lookups(&self) -> [u64; 2] {
        self.lock().lookups
    }

    /// What is known of a name; `None` if it has not been looked up yet.
    #[must_use]
    pub fn get(&self, key: &LookUpKey) -> Option<NameAnswer> {
        self.lock().names.get(key).cloned()
    }

    /// The ages of the answers that are in use; names without one are left out. Of a name that is looked up as a
    /// host and as a service, the age of the older answer.
    #[must_use]
    pub fn ages(&self, now: Instant) -> Vec<AnswerAge> {
        let counts = self.lock();
        let mut ages: Vec<AnswerAge> = Vec::new();
        let known = counts.names.iter().filter_map(|(key, known)| Some((key, known.answered?)));
        for (key, answered) in known {
            let age = now.saturating_duration_since(answered);
            match ages.iter_mut().find(|known| known.name == key.name) {
                Some(known) => known.age = known.age.max(age),
                None => ages.push(AnswerAge { name: key.name.clone(), age }),
            }
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::process::clock;

    #[test]
    fn the_age_is_that_of_the_last_good_answer() {
        let (status, start) = (NameStatus::default(), clock::monotonic());
        let key = |service| LookUpKey { service, name: "app.test".to_owned() };
        let seconds = |count| start + Duration::from_secs(count);
        status.record(&key(false), false, NameAnswer::default(), start);
        assert_eq!((status.ages(start), status.lookups()), (vec![], [0, 1]));
        status.record(&key(false), true, NameAnswer::default(), seconds(5));
        let failed = NameAnswer { failures: 1, ..NameAnswer::default() };
        status.record(&key(false), false, failed, seconds(9));
        let known = status.get(&key(false)).unwrap();
        assert_eq!((known.answered, known.failures), (Some(seconds(5)), 1));
        status.record(&key(true), true, NameAnswer::default(), seconds(8));
        let age = AnswerAge { name: "app.test".to_owned(), age: Duration::from_secs(15) };
        assert_eq!(status.ages(seconds(20)), [age]);
        status.retain(|known| known.service);
        assert_eq!((status.get(&key(false)), status.lookups()), (None, [2, 2]));
    }
}
