//! APISIX's own cases: configuration, request, expected answer, played against Ferrule.
//!
//! Each case is imported by `ferrule import apisix`, started, and asked; behind it stands an upstream that answers as
//! that of APISIX's suite does. A few cases and refusals of our own writing are played by every run, and prove the
//! runner. Cases that were taken as data from APISIX's files are played from a file of the same form, a case a line:
//!
//! ```sh
//! FERRULE_APISIX_CASES=cases.jsonl FERRULE_APISIX_REFUSALS=refusals.jsonl \
//!     cargo test -p ferrule-tests --test apisix -- --ignored --nocapture
//! ```
//!
//! It prints a table by feature, and each failure with its configuration and answer. What differs on purpose is listed
//! with its reason in `differences.tsv` and `accepted.tsv`: a case that is listed and passes fails the run, as one does
//! that is not listed and fails. For a file that the lists were not made for, `FERRULE_APISIX_LEAST=88` asks for
//! that many percent instead.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::panic, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

mod case;
mod compare;
mod differences;
mod gateway;
mod helper;
mod play;
mod ports;
mod refusals;
mod stage;
mod table;
mod transcript;

use std::fs;
use std::path::{Path, PathBuf};

use ferrule_tests::source_dir;

use case::Case;
use differences::Differences;
use stage::Stage;
use table::Table;

/// The value of a variable that tells which file to play.
#[expect(clippy::disallowed_methods, reason = "how the ignored tests are told their files")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn file_of(name: &str) -> PathBuf {
    let file = variable(name).unwrap_or_else(|| panic!("{name} must name a file to play"));
    PathBuf::from(file)
}

fn own(name: &str) -> PathBuf {
    source_dir().join("tests/tests/apisix").join(name)
}

/// The least part that must pass, in percent, if the lists do not hold.
fn least() -> Option<usize> {
    variable("FERRULE_APISIX_LEAST").map(|least| least.parse().expect("a number of percent"))
}

fn play_all(file: &Path, differences: &Differences, least: Option<usize>) {
    let text = fs::read_to_string(file).expect("a file of cases");
    let mut stage = Stage::new();
    let mut table = Table::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case = Case::read(line);
        let outcome = stage.play(&case);
        table.add(&case, outcome, differences);
    }
    table.print();
    table.judge(differences, least);
}

/// Cases of our own: the runner, the importer and the gateway together, in every run.
#[test]
fn our_own_cases_pass() {
    play_all(&own("cases.jsonl"), &Differences::none(), None);
}

/// A runner that passes everything is none: each of these cases expects something wrong.
#[test]
fn wrong_expectations_are_noticed() {
    let text = fs::read_to_string(own("wrong.jsonl")).expect("a file of cases");
    let mut stage = Stage::new();
    for line in text.lines() {
        let case = Case::read(line);
        let outcome = stage.play(&case);
        assert!(outcome.fault.is_some(), "{} passes: {}", case.title, outcome.seen);
    }
}

#[test]
#[ignore = "plays the file that FERRULE_APISIX_CASES names"]
fn the_cases_of_a_file() {
    let differences = Differences::read(&own("differences.tsv"));
    play_all(&file_of("FERRULE_APISIX_CASES"), &differences, least());
}

/// Refusals of our own.
#[test]
fn our_own_refusals_are_refused() {
    refusals::judge(&own("refusals.jsonl"), &Differences::none(), None);
}

#[test]
#[ignore = "judges the file that FERRULE_APISIX_REFUSALS names"]
fn the_refusals_of_a_file() {
    let accepted = Differences::read(&own("accepted.tsv"));
    refusals::judge(&file_of("FERRULE_APISIX_REFUSALS"), &accepted, least());
}
