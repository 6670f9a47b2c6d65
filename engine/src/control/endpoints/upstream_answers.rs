//! What the admin socket says of upstreams, and what it does to their nodes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ferrule_config::model::NodeAddress;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::control::names::LookUpKey;
use crate::control::process::clock;
use crate::control::state::node_totals::NodeLabels;
use crate::control::state::status::ProcessStatus;
use crate::exchange::refusal::Refusal;
use crate::health::announce::announce;
use crate::health::{Admin, AdminOrder, Moment, NamedNode, NodeStates, UpstreamView};
use crate::plan::UpstreamPlan;
use crate::report::histogram::{HistogramSums, SLO_MICROS};
use crate::report::node_meters::TIME_BUCKETS;
use crate::report::{NodeCounter, NodeSums};

/// How many nodes one answer lists at most.
pub(super) const NODES_SHOWN_MAX: usize = 10_000;
/// How many of the last changes one answer lists at most.
const CHANGES_SHOWN_MAX: usize = 50;
/// How many addresses of one node's name an answer lists at most.
const ADDRESSES_SHOWN_MAX: usize = 8;

/// What an operator wants of a node, as it is on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NodeOrder {
    Enable,
    Drain,
    Disable,
}

/// An order for one node.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeOrderFor {
    /// The upstream's id.
    pub(crate) upstream: String,
    /// The node as the configuration writes it.
    pub(crate) node: String,
    /// What is wanted.
    pub(crate) order: NodeOrder,
    /// It is over with the next configuration that is put in force.
    pub(crate) until_reload: bool,
}

/// Every upstream with its nodes (so many at most), or one of them; and what has changed last.
pub(super) fn upstreams(
    status: &ProcessStatus,
    only: Option<&str>,
    nodes_max: usize,
) -> Result<Value, &'static str> {
    let (states, totals) = (status.node_states(), status.totals().nodes);
    let (now, current) = (clock::monotonic(), status.current());
    let now_ms = states.now_ms(now);
    let plans = current.as_ref().map(|current| current.generation.plan.upstreams());
    let mut room = nodes_max;
    let mut shown = Vec::new();
    let wanted = states.upstreams().filter(|(_, name, _)| only.is_none_or(|only| only == *name));
    for (id, name, nodes) in wanted {
        let view = states.view(id);
        let plan = plans.unwrap_or_default().get(id.0 as usize).filter(|plan| *plan.id == *name);
        let listed: Vec<Value> = (0..)
            .zip(nodes)
            .take(room)
            .map(|(at, node)| {
                let mut value = node_json(node, view, totals.get(&labels(node)), now_ms);
                let names = address_of(plan, at, node)
                    .and_then(|address| addresses_json(status, name, address, now));
                if let (Some(names), Some(value)) = (names, value.as_object_mut()) {
                    value.insert("name".to_owned(), names);
                }
                value
            })
            .collect();
        room -= listed.len();
        shown.push(json!({
            "id": name,
            "healthy": view.healthy,
            "eligible": view.eligible,
            "panic_since": states.panic_since(id),
            "waiting": states.waits(id).map_or(0, |waits| waits.count()),
            "nodes": listed,
            "nodes_left_out": nodes.len() - listed.len(),
        }));
    }
    if shown.is_empty() && only.is_some() {
        return Err("there is no upstream of this id");
    }
    Ok(json!({
        "ok": true,
        "now": clock::unix_seconds(),
        "upstreams": shown,
        "changes": changes_json(&states, only),
    }))
}

fn labels(node: &NamedNode) -> NodeLabels {
    NodeLabels { upstream: (&*node.upstream).into(), node: (&*node.node).into() }
}

/// Where a node is, as the configuration in force has it. That may be a newer one than the states'.
fn address_of<'a>(
    plan: Option<&'a UpstreamPlan>,
    at: usize,
    node: &NamedNode,
) -> Option<&'a NodeAddress> {
    let plan = plan?.nodes.get(at).filter(|plan| plan.text == node.node)?;
    Some(&plan.address)
}

/// Where the name of a node leads; `None` if it has none.
fn addresses_json(
    status: &ProcessStatus,
    upstream: &str,
    address: &NodeAddress,
    now: Instant,
) -> Option<Value> {
    let known = status.names.get(&LookUpKey::of(address)?).unwrap_or_default();
    let own_port = if let NodeAddress::Name { port, .. } = address { *port } else { 0 };
    let shown = known.found.iter().take(ADDRESSES_SHOWN_MAX).map(|found| {
        let address = SocketAddr::new(found.address, found.port.unwrap_or(own_port));
        let fails = status.checks.fails(upstream, address);
        json!({ "address": address.to_string(), "fails_check": fails })
    });
    let seconds = |time: Duration| time.as_secs();
    Some(json!({
        "addresses": shown.collect::<Vec<_>>(),
        "addresses_left_out": known.found.len().saturating_sub(ADDRESSES_SHOWN_MAX),
        "age_seconds": known.answered.map(|at| seconds(now.saturating_duration_since(at))),
        "again_in_seconds": known.due.map(|due| seconds(due.saturating_duration_since(now))),
        "failed_lookups": known.failures,
    }))
}

fn node_json(
    node: &NamedNode,
    view: UpstreamView<'_>,
    sums: Option<&NodeSums>,
    now_ms: u64,
) -> Value {
    let (found, places) = (node.state.health.status(now_ms), &node.state.places);
    // Those with a limit are counted at each change, the others once a second.
    let counted = places.max().map(|_| u64::from(places.taken()));
    let mut value = json!({
        "node": node.node,
        "weight": node.weight,
        "state": found.state,
        "asked_in_panic": view.is_panic() && !matches!(found.state, "draining" | "disabled"),
        "why": found.why,
        "check_reason": node.state.health.check_reason(),
        "since": found.since,
        "asked_again_in_ms": found.until_ms.map(|until| until.saturating_sub(now_ms)),
        "ejections": found.ejections,
        "connections": counted.or_else(|| Some(sums?.connections.open)),
        "max_connections": places.max(),
    });
    // Nodes that are not counted one by one have no figures.
    if let (Some(sums), Some(value)) = (sums, value.as_object_mut()) {
        value.insert("tries".to_owned(), json!(sums.results.iter().sum::<u64>()));
        value.insert("failures".to_owned(), json!(sums.faults.iter().sum::<u64>()));
        let faults = Refusal::words().zip(&sums.faults).filter(|(_, count)| **count > 0);
        let faults = faults.map(|(word, count)| (word.to_owned(), json!(count)));
        value.insert("faults".to_owned(), faults.collect::<serde_json::Map<_, _>>().into());
        value.insert("connects".to_owned(), json!(sums.get(NodeCounter::Connects)));
        value.insert("idle_connections".to_owned(), json!(sums.connections.idle));
        value.insert("p50_ms".to_owned(), json!(quantile_ms(&sums.header, 50)));
        value.insert("p99_ms".to_owned(), json!(quantile_ms(&sums.header, 99)));
    }
    value
}

/// Within which time of the histogram's so many percent of the heads of responses were there; `None` if none
/// was, or it took longer than the last bound.
fn quantile_ms(times: &HistogramSums<TIME_BUCKETS>, percent: u64) -> Option<u64> {
    let wanted = (times.count() * percent).div_ceil(100);
    let mut below = 0;
    let found = times.counts.iter().zip(SLO_MICROS).find(|(count, _)| {
        below += **count;
        below >= wanted.max(1)
    });
    found.map(|(_, bound)| bound / 1_000)
}

/// The last changes of all nodes, the newest first.
fn changes_json(states: &NodeStates, only: Option<&str>) -> Vec<Value> {
    let nodes =
        states.nodes().iter().filter(|node| only.is_none_or(|only| only == &*node.upstream));
    let mut all: Vec<_> = nodes
        .flat_map(|node| node.state.health.last_changes().map(move |change| (change, node)))
        .collect();
    all.sort_by_key(|(change, _)| std::cmp::Reverse(change.unix_seconds));
    let shown = all.into_iter().take(CHANGES_SHOWN_MAX).map(|(change, node)| {
        json!({
            "at": change.unix_seconds,
            "upstream": node.upstream,
            "node": node.node,
            "change": change.kind.word(),
        })
    });
    shown.collect()
}

/// Carries out an order.
pub(super) fn order(status: &ProcessStatus, wanted: &NodeOrderFor) -> Result<Value, &'static str> {
    let states = status.node_states();
    let Some(node) = states.find(&wanted.upstream, &wanted.node) else {
        return Err("there is no such node: `ferrule ctl upstreams` lists them");
    };
    let admin = match wanted.order {
        NodeOrder::Enable => Admin::Enabled,
        NodeOrder::Drain => Admin::Draining,
        NodeOrder::Disable => Admin::Disabled,
    };
    let when = Moment {
        now_ms: states.now_ms(clock::monotonic()),
        unix_seconds: clock::unix_seconds().unsigned_abs(),
        took_ms: 0,
    };
    let order = AdminOrder { admin, until_reload: wanted.until_reload };
    let reported = states.set_admin(node, order, when.unix_seconds);
    announce(&states, node, reported, when);
    Ok(json!({ "ok": true, "changed": reported.change.is_some() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let mut times = HistogramSums::<TIME_BUCKETS>::default();
        assert_eq!(quantile_ms(&times, 50), None);
        times.counts[0] = 98;
        times.counts[4] = 2;
        assert_eq!((quantile_ms(&times, 50), quantile_ms(&times, 99)), (Some(1), Some(50)));
        times.counts[TIME_BUCKETS - 1] = 1_000;
        assert_eq!(quantile_ms(&times, 99), None);
    }
}
