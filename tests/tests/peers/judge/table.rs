//! Runs cases on several stands at once, and counts.

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

/// The columns.
const WORDS: [&str; 8] = [
    "dangerous",
    "malformed passed on",
    "guessed",
    "repaired",
    "valid refused",
    "refused by policy",
    "refused",
    "passed",
];

/// The head of the table.
pub(crate) fn heading() -> String {
    let marks = "---:|".repeat(WORDS.len() + 1);
    format!("| proxy | over | side | cases | {} |\n|---|---|---|{marks}", WORDS.join(" | "))
}

/// One row.
pub(crate) struct Row {
    pub(crate) side: &'static str,
    pub(crate) proxy: Proxy,
    pub(crate) below: Below,
    pub(crate) outcomes: Outcomes,
}

impl Row {
    /// Judges a proxy by all of these cases.
    pub(crate) fn judge<C: Sync>(
        (proxy, below, side): (Proxy, Below, &'static str),
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
        Self { side, proxy, below, outcomes }
    }

    /// How many of the cases came out like this.
    fn count(&self, word: &str) -> usize {
        self.outcomes.iter().filter(|(_, verdict)| verdict.word() == word).count()
    }

    /// The line of the table.
    pub(crate) fn line(&self) -> String {
        let below = if self.below == Below::Plain { "plain" } else { "mTLS" };
        let counts: Vec<String> = WORDS.iter().map(|word| self.count(word).to_string()).collect();
        let (name, side, cases) = (self.proxy.name(), self.side, self.outcomes.len());
        format!("| {name} | {below} | {side} | {cases} | {} |", counts.join(" | "))
    }

    /// Everything that may not happen.
    pub(crate) fn findings(&self) -> Vec<String> {
        let fine = ["passed", "refused", "refused by policy"];
        self.list(|verdict| !fine.contains(&verdict.word()))
    }

    /// One finding of every kind, for the reader.
    pub(crate) fn examples(&self) -> Vec<String> {
        let first = |word: &&str| self.list(|verdict| verdict.word() == *word).into_iter().next();
        WORDS[..5].iter().filter_map(first).collect()
    }

    /// Those of which this holds, one a line.
    fn list(&self, wanted: impl Fn(&Verdict) -> bool) -> Vec<String> {
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
