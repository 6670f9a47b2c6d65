//! Figures of the sources: what must be none, or not become more.
//!
//! The limits may only fall. `cargo run -p ferrule-tools --bin survey` shows the same figures room by room.

use std::fmt::Display;

use ferrule_tests::source_dir;
use ferrule_tools::survey::{Found, survey};

/// Sets of files that use each other: Rust allows them, people get lost in them.
const CIRCLES_MAX: usize = 0;
/// Parameters that are tuples: what they hold has no name.
const TUPLE_PARAMETERS_MAX: usize = 0;
/// Fields that hold tuples: `.validity.1` says nothing.
const TUPLE_FIELDS_MAX: usize = 0;
/// Types with a name that another type of the crate has.
const TWICE_NAMED_MAX: usize = 0;
/// Functions of more than 70 lines.
const TOO_LONG_MAX: usize = 0;
/// Passages that stand in the sources twice, tests not counted.
const PASSAGES_MAX: usize = 3;

/// Names that are there twice on purpose: the network of the simulation stands in for the kernel's.
const DELIBERATE_TWINS: [&str; 4] = ["Descriptor", "Random", "ReadHalf", "WriteHalf"];

fn at_most<T: Display>(most: usize, what: &str, found: &[T]) {
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.len() <= most, "{what}, {most} at most:\n  {}", shown.join("\n  "));
}

#[test]
fn the_figures_of_the_sources_hold() {
    let survey = survey(&source_dir());
    let twice: Vec<Found> = survey
        .twice
        .into_iter()
        .filter(|found| !DELIBERATE_TWINS.contains(&found.name.as_str()))
        .collect();
    let passages: Vec<_> = survey.passages.into_iter().filter(|it| !it.in_tests).collect();
    at_most(CIRCLES_MAX, "circles of files", &survey.circles);
    at_most(TUPLE_PARAMETERS_MAX, "parameters that are tuples", &survey.tuple_parameters);
    at_most(TUPLE_FIELDS_MAX, "fields that hold tuples", &survey.tuple_fields);
    at_most(TWICE_NAMED_MAX, "types that share their name", &twice);
    at_most(TOO_LONG_MAX, "functions of more than 70 lines", &survey.too_long);
    at_most(PASSAGES_MAX, "passages that stand here twice", &passages);
}
