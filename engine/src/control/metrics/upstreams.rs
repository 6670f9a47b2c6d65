//! Metric families by upstream node, and the bytes of both sides.
//!
//! Labels are the upstream's id and the node as the configuration writes it.

use std::collections::BTreeSet;

use super::families::{Family, HistogramValue, LabelSet, number};
use crate::control::checks::CheckBoard;
use crate::control::state::node_totals::{NodeLabels, NodeTotals};
use crate::exchange::refusal::Refusal;
use crate::health::NodeStates;
use crate::report::histogram::{HistogramSums, SLO_MICROS};
use crate::report::meters::NODES_MAX;
use crate::report::node_meters::TIME_BUCKETS;
use crate::report::{Counter, CounterSums, NodeCounter, NodeSums};

fn labels(node: &NodeLabels) -> LabelSet {
    vec![("upstream", node.upstream.to_string()), ("node", node.node.to_string())]
}

/// Everything that is counted by node.
pub(super) fn by_node(totals: &NodeTotals) -> Vec<Family> {
    let mut all = vec![requests(totals), faults(totals)];
    all.extend(counters(totals));
    all.push(connections(totals));
    all.extend(times(totals));
    all
}

fn requests(totals: &NodeTotals) -> Family {
    const CODES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
    let mut requests = Family::counter(
        "ferrule_upstream_requests",
        "Tries at each upstream node, by class of the status that it answered with; none if it gave no answer.",
    )
    .labelled(&["upstream", "node", "code"]);
    for (node, sums) in totals {
        for (code, count) in CODES.into_iter().zip(sums.results).filter(|(_, count)| *count > 0) {
            let mut labels = labels(node);
            labels.push(("code", code.to_owned()));
            requests.push(labels, number(count));
        }
    }
    requests
}

fn faults(totals: &NodeTotals) -> Family {
    let mut faults = Family::counter(
        "ferrule_upstream_faults",
        "Tries at an upstream node that failed, by reason, whether or not another one followed.",
    )
    .labelled(&["upstream", "node", "reason"]);
    for (node, sums) in totals {
        for (reason, count) in Refusal::words().zip(&sums.faults).filter(|(_, count)| **count > 0) {
            let mut labels = labels(node);
            labels.push(("reason", reason.to_owned()));
            faults.push(labels, number(*count));
        }
    }
    faults
}

/// The families with one value for each node; from the start, so that the first increase is seen.
fn counters(totals: &NodeTotals) -> impl Iterator<Item = Family> + '_ {
    let families = [
        (
            NodeCounter::Connects,
            "ferrule_upstream_connects",
            "Connections opened to an upstream node.",
        ),
        (NodeCounter::Reuses, "ferrule_upstream_reuses", "Tries over a connection from the pool."),
        (
            NodeCounter::ConnectFailures,
            "ferrule_upstream_connect_failures",
            "Connections to an upstream node that could not be opened.",
        ),
        (
            NodeCounter::Lost,
            "ferrule_upstream_lost",
            "Responses that an upstream node cut off after they had begun.",
        ),
        (
            NodeCounter::Surplus,
            "ferrule_upstream_surplus",
            "Responses followed by bytes that nobody asked for; their connections were closed.",
        ),
        (
            NodeCounter::Unasked,
            "ferrule_upstream_unasked",
            "Idle connections to an upstream node closed because they said something unasked.",
        ),
        (
            NodeCounter::Revoked,
            "ferrule_upstream_revoked",
            "Idle connections and tunnels to an upstream node ended because the trust in its \
             certificate has changed or expired.",
        ),
        (
            NodeCounter::Retries,
            "ferrule_upstream_retries",
            "Tries at an upstream node that followed a failed one, at this node or another.",
        ),
        (
            NodeCounter::OverBudget,
            "ferrule_upstream_retries_over_budget",
            "Failed tries at an upstream node after which no other node was asked because \
             `retry_budget` was used up.",
        ),
    ];
    families.into_iter().map(move |(counter, name, help)| {
        let mut family = Family::counter(name, help).labelled(&["upstream", "node"]);
        for (node, sums) in totals {
            family.push(labels(node), number(sums.get(counter)));
        }
        family
    })
}

fn connections(totals: &NodeTotals) -> Family {
    let mut family = Family::gauge(
        "ferrule_upstream_connections",
        "Open connections to each upstream node: idle in the pool, or active with a request or a tunnel.",
    )
    .labelled(&["upstream", "node", "state"]);
    for (node, sums) in totals {
        let connections = sums.connections;
        for (state, count) in [("idle", connections.idle), ("active", connections.active())] {
            let mut labels = labels(node);
            labels.push(("state", state.to_owned()));
            family.push(labels, number(count));
        }
    }
    family
}

/// Gives one of the histograms of a node.
type TimesOf = fn(&NodeSums) -> &HistogramSums<TIME_BUCKETS>;

fn times(totals: &NodeTotals) -> impl Iterator<Item = Family> + '_ {
    let families: [(TimesOf, _, _); 4] = [
        (
            |sums| &sums.queue,
            "ferrule_upstream_queue_duration_seconds",
            "Time that requests have waited because every node had as many connections as it takes, by the node that had a place for them then.",
        ),
        (
            |sums| &sums.connect,
            "ferrule_upstream_connect_duration_seconds",
            "Time to open a connection to an upstream node, TLS included.",
        ),
        (
            |sums| &sums.header,
            "ferrule_upstream_header_duration_seconds",
            "Time from the beginning of a try, connecting included, to the head of the response.",
        ),
        (
            |sums| &sums.response,
            "ferrule_upstream_response_duration_seconds",
            "Time from the beginning of a try, connecting included, to the end of the response; without tunnels.",
        ),
    ];
    families.into_iter().map(move |(of, name, help)| {
        let mut family = Family::histogram(name, help).labelled(&["upstream", "node"]);
        for (node, sums) in totals.iter().filter(|(_, sums)| of(sums).count() > 0) {
            family.push_histogram(labels(node), HistogramValue::of(of(sums), &SLO_MICROS, 1e6));
        }
        family
    })
}

/// The nodes that fail now. Those that are not counted one by one are left out.
pub(super) fn failing(states: &NodeStates, now: u64) -> Family {
    let mut failing = Family::gauge(
        "ferrule_upstream_node_failing",
        "1 for each upstream node whose last tries failed, until one is answered again; no sample otherwise.",
    )
    .labelled(&["upstream", "node"]);
    let mut seen = BTreeSet::new();
    for node in states.nodes().iter().take(NODES_MAX) {
        // One upstream may name the same node twice; a sample may not.
        if node.state.log.failing(now).is_some() && seen.insert((&node.upstream, &node.node)) {
            let labels =
                vec![("upstream", node.upstream.to_string()), ("node", node.node.to_string())];
            failing.push(labels, 1.0);
        }
    }
    failing
}

/// How many connections nodes take, and who waits for one. Nodes that are not counted one by one are left out.
pub(super) fn limits(states: &NodeStates) -> [Family; 2] {
    let mut most = Family::gauge(
        "ferrule_upstream_connections_max",
        "`max_connections` of each upstream node that has a limit.",
    )
    .labelled(&["upstream", "node"]);
    let mut seen = BTreeSet::new();
    for node in states.nodes().iter().take(NODES_MAX) {
        let Some(max) = node.state.places.max() else { continue };
        // One upstream may name the same node twice; a sample may not.
        if seen.insert((&node.upstream, &node.node)) {
            let labels =
                vec![("upstream", node.upstream.to_string()), ("node", node.node.to_string())];
            most.push(labels, f64::from(max));
        }
    }
    let mut waiting = Family::gauge(
        "ferrule_upstream_waiting",
        "Requests that wait because every node of the upstream has as many connections as it takes.",
    )
    .labelled(&["upstream"]);
    for (id, name, nodes) in states.upstreams().take(NODES_MAX) {
        if nodes.iter().any(|node| node.state.places.max().is_some()) {
            let count = states.waits(id).map_or(0, |waits| waits.count());
            waiting.push(vec![("upstream", name.to_owned())], f64::from(count));
        }
    }
    [most, waiting]
}

/// What is known of the nodes' health. Nodes that are not counted one by one are left out.
pub(super) fn health(states: &NodeStates, now_ms: u64) -> [Family; 3] {
    let mut state = Family::gauge(
        "ferrule_upstream_node_state",
        "1 for the state of each upstream node: usable, set-aside, probing, unhealthy, draining or disabled.",
    )
    .labelled(&["upstream", "node", "state"]);
    let mut changes = Family::counter(
        "ferrule_upstream_node_changes",
        "Changes of an upstream node's state: why it was set aside, that it is used again, what an operator wants.",
    )
    .labelled(&["upstream", "node", "change"]);
    let mut seen = BTreeSet::new();
    for node in states.nodes().iter().take(NODES_MAX) {
        // One upstream may name the same node twice; a sample may not.
        if !seen.insert((&node.upstream, &node.node)) {
            continue;
        }
        let labels = |name, value: &str| -> LabelSet {
            vec![
                ("upstream", node.upstream.to_string()),
                ("node", node.node.to_string()),
                (name, value.to_owned()),
            ]
        };
        let health = &node.state.health;
        state.push(labels("state", health.status(now_ms).state), 1.0);
        for (kind, count) in health.change_counts().filter(|(_, count)| *count > 0) {
            changes.push(labels("change", kind.word()), number(count));
        }
    }
    let mut panic = Family::gauge(
        "ferrule_upstream_panic",
        "1 for each upstream that has so few healthy nodes that all of them are asked; else 0.",
    )
    .labelled(&["upstream"]);
    for (id, name, _) in states.upstreams().take(NODES_MAX) {
        let is_panic = states.view(id).is_panic();
        panic.push(vec![("upstream", name.to_owned())], f64::from(u8::from(is_panic)));
    }
    [state, changes, panic]
}

/// Active checks of the nodes that are configured now. Those that are not counted one by one are left out.
pub(super) fn checks(board: &CheckBoard) -> Family {
    let mut checks = Family::counter(
        "ferrule_upstream_checks",
        "Active checks of each upstream node, by what they came to.",
    )
    .labelled(&["upstream", "node", "result"]);
    for node in board.nodes().iter().take(NODES_MAX) {
        for (word, count) in node.counts().filter(|(_, count)| *count > 0) {
            let labels = vec![
                ("upstream", node.upstream.to_string()),
                ("node", node.node.to_string()),
                ("result", word.to_owned()),
            ];
            checks.push(labels, number(count));
        }
    }
    checks
}

/// The bytes of both sides; those of the upstreams by node.
pub(super) fn bytes(counters: &CounterSums, totals: &NodeTotals) -> Family {
    let mut bytes = Family::counter(
        "ferrule_bytes",
        "Bytes of HTTP from (in) and to (out) clients and upstreams; those of upstreams by node.",
    )
    .labelled(&["side", "direction", "upstream", "node"]);
    let directed = |side: &str, direction: &str| -> LabelSet {
        vec![("side", side.to_owned()), ("direction", direction.to_owned())]
    };
    for (direction, counter) in [("in", Counter::ClientBytesIn), ("out", Counter::ClientBytesOut)] {
        bytes.push(directed("client", direction), number(counters.get(counter)));
    }
    for (node, sums) in totals {
        for (direction, counter) in [("in", NodeCounter::BytesIn), ("out", NodeCounter::BytesOut)] {
            let labels = [directed("upstream", direction), labels(node)].concat();
            bytes.push(labels, number(sums.get(counter)));
        }
    }
    bytes
}
