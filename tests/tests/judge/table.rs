//! Runs cases on several stands at once, and counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::line::Below;
use super::stand::{Proxy, Stand};
use super::verdict::Verdict;

/// Cases at work at once; each has its own proxy and upstream.
const LANES: usize = 4;

/// What came of every case, by name.
pub(crate) type Outcomes = Vec<(String, Verdict)>;

/// One row.
pub(crate) struct Row {
    pub(crate) proxy: Proxy,
    pub(crate) below: Below,
    pub(crate) outcomes: Outcomes,
}

impl Row {
    /// Judges a proxy by all of these cases.
    pub(crate) fn judge<C: Sync>(
        (proxy, below): (Proxy, Below),
        cases: &[C],
        run: impl Fn(&Stand, &C, usize) -> (String, Verdict) + Sync,
    ) -> Self {
        let next = AtomicUsize::new(0);
        let outcomes = Mutex::new(Vec::with_capacity(cases.len()));
        thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    let stand = Stand::start(proxy, below);
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                        let number = next.fetch_add(0, Ordering::SeqCst);
                        let outcome = run(&stand, case, number);
                        let mut all = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                        all.push(outcome);
                    }
                    assert!(!stand.log().contains("panic"), "{}", stand.log());
                });
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.sort();
        Self { proxy, below, outcomes }
    }

    /// How many there are of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (_, verdict) in &self.outcomes {
            *counts.entry(verdict.word()).or_default() += 1;
        }
        counts
    }

    /// Those of which this holds, one a line.
    pub(crate) fn list(&self, wanted: impl Fn(&Verdict) -> bool) -> Vec<String> {
        let found = self.outcomes.iter().filter(|(_, verdict)| wanted(verdict));
        found.map(|(name, verdict)| format!("{name}: {verdict:?}")).collect()
    }
}

impl Verdict {
    /// Its column.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused(_) => "refused",
            Self::Policy(_) => "refused by policy",
            Self::ValidRefused(_) => "valid refused",
            Self::Repaired(_) => "repaired",
            Self::Guessed(_) => "guessed",
            Self::Malformed(_) => "malformed passed on",
            Self::Dangerous(_) => "dangerous",
        }
    }
}
