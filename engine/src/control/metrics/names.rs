//! Metric families of the names of upstream nodes. Labels are names of the configuration.

use super::families::{Family, number};
use crate::control::process::clock;
use crate::control::state::name_status::NameStatus;
use crate::report::meters::NODES_MAX;

/// How lookups went, and how old the answers are that are in use.
pub(super) fn names(status: &NameStatus) -> [Family; 2] {
    let mut lookups = Family::counter(
        "ferrule_upstream_name_lookups",
        "Lookups of the names of upstream nodes, by result: success if an address was found.",
    )
    .labelled(&["result"]);
    for (result, count) in ["success", "failure"].into_iter().zip(status.lookups()) {
        lookups.push(vec![("result", result.to_owned())], number(count));
    }
    let mut ages = Family::gauge(
        "ferrule_upstream_name_age_seconds",
        "Time since the last good answer for each name of an upstream node; it grows beyond the TTL while \
         lookups fail.",
    )
    .labelled(&["name"]);
    for answer in status.ages(clock::monotonic()).into_iter().take(NODES_MAX) {
        ages.push(vec![("name", answer.name)], answer.age.as_secs_f64());
    }
    [lookups, ages]
}
