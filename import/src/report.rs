//! What became of each object, for people and for machines.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::document::Spot;

/// The file of settings that may stand beside the source: its paths begin with its name.
const SETTINGS: &str = "config.yaml";

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
    /// The file, if it is not the one that was named but one that it includes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where in the source.
    pub spot: Spot,
    /// What became of it.
    pub kind: Kind,
    /// In which file, and where in its tables: `routes[0].plugins.cors`.
    pub path: String,
    /// In one sentence; never with a secret.
    pub message: String,
    /// The line of `ferrule.toml` at which begins what it became; none if nothing of it is there.
    pub target: Option<usize>,
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
pub(crate) struct Log {
    findings: RefCell<Vec<Finding>>,
    /// Something is refused that its own gateway does not take either.
    invalid: Cell<bool>,
}

impl Log {
    pub(crate) fn add(&self, kind: Kind, spot: Spot, path: &str, message: impl Into<String>) {
        self.add_in(kind, None, spot, path, message);
    }

    /// The same of a file that the source includes.
    pub(crate) fn add_in(
        &self,
        kind: Kind,
        file: Option<&str>,
        spot: Spot,
        path: &str,
        message: impl Into<String>,
    ) {
        // Names of the source's own may hold anything, and a terminal obeys some of it.
        let harmless = |text: &str| text.replace(|mark: char| mark.is_control(), "?");
        let finding = Finding {
            file: file.map(harmless),
            spot,
            kind,
            path: harmless(path),
            message: harmless(&message.into()),
            target: None,
        };
        self.findings.borrow_mut().push(finding);
    }

    /// Notes that what is refused next is wrong in its own gateway, too.
    pub(crate) fn found_invalid(&self) {
        self.invalid.set(true);
    }

    pub(crate) fn is_invalid(&self) -> bool {
        self.invalid.get()
    }

    /// The first thing that is refused.
    pub(crate) fn first_refused(&self) -> Option<Finding> {
        self.findings.borrow().iter().find(|finding| finding.kind == Kind::Refused).cloned()
    }

    pub(crate) fn refused(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.kind == Kind::Refused)
    }

    /// Everything, in the order of the file, each thing once.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let all: BTreeSet<Finding> = self.findings.into_inner().into_iter().collect();
        all.into_iter().collect()
    }
}

impl Finding {
    /// The file that it is about, and where in it.
    fn place(&self, source: &str) -> String {
        let settings = self.path.starts_with(SETTINGS).then_some(SETTINGS);
        let file = self.file.as_deref().or(settings).unwrap_or(source);
        format!("{file}:{}", self.spot)
    }

    /// Where it went.
    fn target(&self) -> String {
        self.target.map(|line| format!(" (ferrule.toml:{line})")).unwrap_or_default()
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
            let (place, target) = (finding.place(&self.source), finding.target());
            let Finding { kind, path, message, .. } = finding;
            let _ = writeln!(out, "{place}: {}: {path}: {message}{target}", kind.word());
        }
        if self.of(Kind::Security).next().is_some() {
            out.push_str("\nWhat this configuration let through:\n");
            for finding in self.of(Kind::Security) {
                let (place, target) = (finding.place(&self.source), finding.target());
                let _ = writeln!(out, "  {place}: {}: {}{target}", finding.path, finding.message);
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
        out.push_str("\n| line | object | result | line of ferrule.toml | what to know |\n");
        out.push_str("| --: | --- | --- | --: | --- |\n");
        for Finding { file, spot, kind, path, message, target } in &self.findings {
            let (path, message) = (cell(path), cell(message));
            let file = file.as_ref().map(|file| format!("{}:", cell(file))).unwrap_or_default();
            let target = target.map(|line| line.to_string()).unwrap_or_default();
            let word = kind.word();
            let _ =
                writeln!(out, "| {file}{} | `{path}` | {word} | {target} | {message} |", spot.line);
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
