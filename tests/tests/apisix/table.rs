//! What was played, by feature, and every failure with what was seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::Case;
use crate::differences::Differences;
use crate::gateway::Outcome;

/// How the reason of a case begins that passes or fails by chance.
const SOMETIMES: &str = "sometimes: ";

#[derive(Default)]
struct Row {
    passed: usize,
    listed: usize,
    failed: usize,
}

/// All cases of a file.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, Row>,
    played: BTreeSet<String>,
    /// Listed, and passed all the same.
    stale: Vec<String>,
    failures: Vec<String>,
    passed: usize,
}

impl Table {
    pub(crate) fn add(&mut self, case: &Case, outcome: Outcome, differences: &Differences) {
        let name = case.name();
        let reason = differences.reason(&name);
        let row = self.rows.entry(case.feature.clone()).or_default();
        self.played.insert(name.clone());
        match (outcome.fault, reason) {
            (None, None) => {
                row.passed += 1;
                self.passed += 1;
            }
            (None, Some(reason)) => {
                row.passed += 1;
                self.passed += 1;
                if !reason.starts_with(SOMETIMES) {
                    self.stale.push(name);
                }
            }
            (Some(_), Some(_)) => row.listed += 1,
            (Some(fault), None) => {
                row.failed += 1;
                let Outcome { seen, configuration, .. } = outcome;
                let (title, request) = (&case.title, &case.request);
                println!(
                    "\n=== {} {title}\nfault: {fault}\nrequest: {request} {}\nseen:\n{seen}\nconfiguration:\n{configuration}",
                    case.file, case.more_headers
                );
                self.failures.push(format!("{name}: {fault}"));
            }
        }
    }

    pub(crate) fn print(&self) {
        println!("\n{:30} {:>6} {:>6} {:>6}", "feature", "pass", "differ", "fail");
        for (feature, row) in &self.rows {
            println!("{feature:30} {:>6} {:>6} {:>6}", row.passed, row.listed, row.failed);
        }
        println!("{} of {} pass ({} %)", self.passed, self.played.len(), self.percent());
        for failure in &self.failures {
            println!("FAIL {}", failure.chars().take(200).collect::<String>());
        }
    }

    fn percent(&self) -> usize {
        self.passed * 100 / self.played.len().max(1)
    }

    /// Fails if something differs that is not listed, or is listed and does not differ.
    pub(crate) fn judge(&self, differences: &Differences, least: Option<usize>) {
        assert!(!self.played.is_empty(), "there was nothing to play");
        if let Some(least) = least {
            let percent = self.percent();
            assert!(percent >= least, "{percent} % pass, and {least} % must");
            return;
        }
        let unplayed = differences.names().filter(|name| !self.played.contains(*name));
        let unplayed: Vec<&str> = unplayed.collect();
        assert!(self.failures.is_empty(), "{} fail that are not listed", self.failures.len());
        assert!(self.stale.is_empty(), "listed as different, and pass: {:?}", self.stale);
        assert!(unplayed.is_empty(), "listed as different, and not played: {unplayed:?}");
    }
}
