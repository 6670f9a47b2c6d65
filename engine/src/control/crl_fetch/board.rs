//! What operators are told of the fetches.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrule_config::model::CrlUrl;

/// How the fetches of one list went since the start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CrlFetchRecord {
    /// Fetches that brought the list, new or as it was.
    pub(crate) successes: u64,
    /// Those that did not.
    pub(crate) failures: u64,
    /// The last success, Unix seconds.
    pub(crate) fetched_at: Option<i64>,
    /// Why the last one failed; `None` if it did not.
    pub(crate) error: Option<String>,
}

/// Shared by the threads that fetch, which write, and the endpoints. No data core uses it.
#[derive(Debug, Default)]
pub(crate) struct CrlFetchBoard(Mutex<BTreeMap<CrlUrl, CrlFetchRecord>>);

impl CrlFetchBoard {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<CrlUrl, CrlFetchRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are fetched from now on; the others are forgotten.
    pub(super) fn follow<'u>(&self, urls: impl Iterator<Item = &'u CrlUrl>) {
        let mut records = self.lock();
        let mut before = std::mem::take(&mut *records);
        *records = urls.map(|url| (url.clone(), before.remove(url).unwrap_or_default())).collect();
    }

    /// A fetch has ended. Is its result another one than before?
    pub(super) fn record(&self, url: &CrlUrl, result: Result<(), String>, now: i64) -> bool {
        let mut records = self.lock();
        let Some(record) = records.get_mut(url) else { return false };
        if result.is_ok() {
            record.successes += 1;
            record.fetched_at = Some(now);
        } else {
            record.failures += 1;
        }
        let error = result.err();
        let changed = record.error != error;
        record.error = error;
        changed
    }

    /// What is known of each list.
    pub(crate) fn records(&self) -> BTreeMap<CrlUrl, CrlFetchRecord> {
        self.lock().clone()
    }
}
