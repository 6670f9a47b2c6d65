//! Metric families by object of the configuration: listener, route, server object, client authority. Those by
//! upstream node are in `upstreams`.

use super::families::{Family, HistogramValue, number};
use crate::control::state::totals::ObjectTotals;
use crate::report::histogram::{DAYS, SLO_MICROS};

/// Requests and their times, days left of client certificates, and uses of client authorities.
pub(super) fn by_object(totals: &ObjectTotals) -> Vec<Family> {
    let mut requests = Family::counter(
        "ferrule_requests",
        "Requests, by listener (empty if it was taken away by a reload), route (empty if none was \
         found) and class of the status code.",
    )
    .labelled(&["listener", "route", "code"]);
    for (request, classes) in &totals.requests {
        for (class, count) in (1_u8..).zip(classes).filter(|(_, count)| **count > 0) {
            let labels = vec![
                ("listener", request.listener.to_string()),
                ("route", request.route.to_string()),
                ("code", format!("{class}xx")),
            ];
            requests.push(labels, number(*count));
        }
    }
    let mut times = Family::histogram(
        "ferrule_route_duration_seconds",
        "Time of requests by route (empty as above, or if there are more than 1,024), first byte of the head to \
         last byte of the answer; without tunnels.",
    )
    .labelled(&["route"]);
    for (route, spread) in &totals.route_times {
        times.push_histogram(
            vec![("route", route.to_string())],
            HistogramValue::of(spread, &SLO_MICROS, 1e6),
        );
    }
    let mut days = Family::histogram(
        "ferrule_client_certificate_days_left",
        "Days that the certificates of verified clients had left at their handshakes, by server \
         object.",
    )
    .labelled(&["server"]);
    for (server, spread) in &totals.days_left {
        days.push_histogram(
            vec![("server", server.to_string())],
            HistogramValue::of(spread, &DAYS, 1.0),
        );
    }
    let mut uses = Family::counter(
        "ferrule_client_ca_uses",
        "Handshakes of verified clients whose path ended at this authority, at whatever server object.",
    )
    .labelled(&["subject", "serial"]);
    let mut last = Family::gauge(
        "ferrule_client_ca_last_used_timestamp_seconds",
        "When a verified client's path last ended at this authority, Unix seconds; 0 if never \
         since the start.",
    )
    .labelled(&["subject", "serial"]);
    for (authority, usage) in &totals.authorities {
        let labels = vec![
            ("subject", authority.subject.to_string()),
            ("serial", authority.serial.to_string()),
        ];
        uses.push(labels.clone(), number(usage.count));
        last.push(labels, number(usage.last_used));
    }
    vec![requests, times, days, uses, last]
}
