//! What became of each object, for people and for machines.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::document::Spot;

/// What became of something.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It cannot be said in Ferrule's file, or is wrong: nothing is written.
    Refused,
    /// It let something through that nobody may have meant.
    Security,
    /// It is converted, and means something else than before.
    Changed,
    /// It was left out, as the command line asked.
    Skipped,
    /// It had no effect, and is left out.
    Dropped,
    /// It is converted, and means what it meant.
    Converted,
}

impl Kind {
    /// The word at the beginning of a line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Security => "SECURITY",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
            Self::Dropped => "dropped",
            Self::Converted => "converted",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Finding {
    /// Where in the source.
    pub spot: Spot,
    /// What became of it.
    pub kind: Kind,
    /// In which file, and where in its tables: `routes[0].plugins.cors`.
    pub path: String,
    /// In one sentence; never with a secret.
    pub message: String,
}

/// How it went as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All is converted, and means what it meant.
    Whole,
    /// All is converted; some of it means something else than before, or was left out.
    Changed,
    /// Something is refused, and nothing is written.
    Refused,
}

impl Outcome {
    /// The exit code: 0, 2 or 1.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Changed => 2,
            Self::Refused => 1,
        }
    }
}

/// What became of each object.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The file that was read.
    pub source: String,
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// What is different for every file that moves here.
    pub differences: Vec<&'static str>,
}

/// Gathers findings while objects are converted.
#[derive(Debug, Default)]
pub(crate) struct Log(RefCell<Vec<Finding>>);

impl Log {
    pub(crate) fn add(&self, kind: Kind, spot: Spot, path: &str, message: impl Into<String>) {
        // Names of the source's own may hold anything, and a terminal obeys some of it.
        let harmless = |text: &str| text.replace(|mark: char| mark.is_control(), "?");
        let finding =
            Finding { spot, kind, path: harmless(path), message: harmless(&message.into()) };
        self.0.borrow_mut().push(finding);
    }

    pub(crate) fn refused(&self) -> bool {
        self.0.borrow().iter().any(|finding| finding.kind == Kind::Refused)
    }

    /// Everything, in the order of the file, each thing once.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let all: BTreeSet<Finding> = self.0.into_inner().into_iter().collect();
        all.into_iter().collect()
    }
}

impl Report {
    /// How it went.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let any = |kind| self.findings.iter().any(|finding| finding.kind == kind);
        if any(Kind::Refused) {
            Outcome::Refused
        } else if any(Kind::Security) || any(Kind::Changed) || any(Kind::Skipped) {
            Outcome::Changed
        } else {
            Outcome::Whole
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.kind == kind)
    }

    fn counts(&self) -> String {
        let kinds = [
            Kind::Converted,
            Kind::Changed,
            Kind::Skipped,
            Kind::Dropped,
            Kind::Refused,
            Kind::Security,
        ];
        let counted = kinds.map(|kind| (self.of(kind).count(), kind.word()));
        let words = counted.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = words.map(|(count, word)| format!("{count} {word}")).collect();
        if words.is_empty() { String::from("nothing to convert") } else { words.join(", ") }
    }

    /// For a terminal: a line for each finding, then what the source let through, then what is different for all.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for finding in self.findings.iter().filter(|finding| finding.kind != Kind::Security) {
            let Finding { spot, kind, path, message } = finding;
            let _ = writeln!(out, "{}:{spot}: {}: {path}: {message}", self.source, kind.word());
        }
        if self.of(Kind::Security).next().is_some() {
            out.push_str("\nWhat this configuration let through:\n");
            for Finding { spot, path, message, .. } in self.of(Kind::Security) {
                let _ = writeln!(out, "  {}:{spot}: {path}: {message}", self.source);
            }
        }
        if self.outcome() != Outcome::Refused && !self.differences.is_empty() {
            out.push_str("\nWhat is different here for every configuration:\n");
            for line in &self.differences {
                let _ = writeln!(out, "  {line}");
            }
        }
        let _ = writeln!(out, "\n{}: {}", self.source, self.counts());
        out
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// To hand around.
    #[must_use]
    pub fn markdown(&self) -> String {
        let cell = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ");
        let source = cell(&self.source);
        let mut out = format!("# What became of {source}\n\n{}.\n", self.counts());
        out.push_str("\n| line | object | result | what to know |\n| --: | --- | --- | --- |\n");
        for Finding { spot, kind, path, message } in &self.findings {
            let (path, message) = (cell(path), cell(message));
            let _ = writeln!(out, "| {} | `{path}` | {} | {message} |", spot.line, kind.word());
        }
        if self.outcome() != Outcome::Refused && !self.differences.is_empty() {
            out.push_str("\nDifferent here for every configuration:\n\n");
            for line in &self.differences {
                let _ = writeln!(out, "* {line}");
            }
        }
        out
    }
}
