//! How lookups of upstream nodes' names went: what the metrics say of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by the resolver, which writes, and the metrics. No data core uses it.
#[derive(Debug, Default)]
pub struct NameStatus(Mutex<NameCounts>);

#[derive(Debug, Default)]
struct NameCounts {
    /// Lookups that found an address, and those that did not.
    lookups: [u64; 2],
    /// When the last good answer of each configured name came.
    answered: BTreeMap<String, Instant>,
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

    /// A lookup has ended.
    pub fn count(&self, name: &str, good: bool, now: Instant) {
        let mut counts = self.lock();
        counts.lookups[usize::from(!good)] += 1;
        if good {
            match counts.answered.get_mut(name) {
                Some(at) => *at = now,
                None => drop(counts.answered.insert(name.to_owned(), now)),
            }
        }
    }

    /// Forgets the names that are not configured any more.
    pub fn retain(&self, is_configured: impl Fn(&str) -> bool) {
        self.lock().answered.retain(|name, _| is_configured(name));
    }

    /// Lookups since the start that found an address, and those that did not.
    #[must_use]
    pub fn lookups(&self) -> [u64; 2] {
        self.lock().lookups
    }

    /// The ages of the answers that are in use; names without one are left out.
    #[must_use]
    pub fn ages(&self, now: Instant) -> Vec<AnswerAge> {
        let counts = self.lock();
        let age = |(name, at): (&String, &Instant)| AnswerAge {
            name: name.clone(),
            age: now.saturating_duration_since(*at),
        };
        counts.answered.iter().map(age).collect()
    }
}
