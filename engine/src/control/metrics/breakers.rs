//! Metric families of circuit breakers, by route.

use super::families::{Family, number};
use crate::health::Breakers;

/// So many routes are shown.
const ROUTES_MAX: usize = 1_024;

/// The breakers of the routes that are configured now.
pub(super) fn breakers(breakers: &Breakers, now_ms: u64) -> [Family; 2] {
    let mut broken = Family::gauge(
        "ferrule_route_circuit_broken",
        "1 for each route whose circuit breaker keeps its upstream from being asked now; 0 for the others \
             that have one.",
    )
    .labelled(&["route"]);
    let mut changes = Family::counter(
        "ferrule_route_circuit_changes",
        "How often a route's circuit was broken, and has recovered.",
    )
    .labelled(&["route", "change"]);
    for breaker in breakers.each().take(ROUTES_MAX) {
        let route = || ("route", breaker.route.to_string());
        let is_broken = breaker.state.broken_for_ms(|| now_ms).is_some();
        broken.push(vec![route()], f64::from(u8::from(is_broken)));
        for (change, count) in breaker.state.change_counts() {
            changes.push(vec![route(), ("change", change.to_owned())], number(count));
        }
    }
    [broken, changes]
}
