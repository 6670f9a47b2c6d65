//! What operators are told of the process as a whole: what is in force, what its cores do, which certificates it has.

use ferrule_config::Config;
use serde_json::{Value, json};

use crate::control::process::clock;
use crate::control::state::certificates::certificates_json;
use crate::control::state::status::{ActiveGeneration, ProcessStatus};
use crate::health::NodeStates;
use crate::report::meters::AuthorityUse;
use crate::report::{Counter, CounterSums, EventSums};
use crate::setup::CoreLink;
use crate::tls::authority_index::AuthorityName;
use crate::tls::load::loaded_crl::LoadedCrl;

/// How many nodes that fail the status lists at most.
const FAILING_NODES_MAX: usize = 100;

/// What is in force and what the process does.
pub(super) fn status(status: &ProcessStatus) -> Value {
    let counters = CounterSums::sum(status.links.iter().map(|link| &link.counters));
    let current = status.current();
    let reloads = status.reloads();
    let [rented, budget] = EventSums::of(status.links.iter().map(|link| &link.events)).buffer_bytes;
    json!({
        "ok": true,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_seconds": status.started.elapsed().as_secs(),
        "started": status.started_unix,
        "config": current.as_ref().map(|active| active.generation.config.file.display().to_string()),
        "generation": current.as_ref().map(|current| current.generation.number),
        "driver": status.drivers(),
        "phase": status.links.first().map(|link| format!("{:?}", link.phase.get()).to_lowercase()),
        "connections": status.links.iter().map(|link| link.connections()).sum::<u64>(),
        "requests": counters.requests(),
        "handshakes": {
            "full": counters.get(Counter::HandshakesFull),
            "resumed": counters.get(Counter::HandshakesResumed),
            "failed": counters.get(Counter::HandshakesFailed),
        },
        "panics": counters.get(Counter::Panics),
        "buffers": {
            "rented_bytes": rented,
            "budget_bytes": budget,
            "stalled_ended": counters.get(Counter::Stalled),
        },
        "reloads": {
            "taken": reloads.taken,
            "refused": reloads.refused,
            "last_at": reloads.last_at,
            "last_ok": !matches!(reloads.last, Some(Err(_))),
        },
        "crl_fetches": crl_fetches_json(status),
        "failing_nodes": failing_json(&status.node_states()),
        "cores": status.links.iter().map(|link| core_json(link)).collect::<Vec<_>>(),
        "listeners": current.as_ref().map(listeners_json),
        "servers": current.as_ref().map(|active| servers_json(&active.generation.config)),
    })
}

/// The certificates and revocation lists in use, and which authorities clients came by.
pub(super) fn certs(status: &ProcessStatus) -> Value {
    let now = clock::unix_seconds();
    let current = status.current();
    let entries = current.as_ref().map(|current| &*current.certificates).unwrap_or_default();
    let crls = current.as_ref().map(|current| &*current.generation.tls.crls);
    let crls: Vec<Value> =
        crls.unwrap_or_default().iter().map(|list| crl_json(list, now)).collect();
    let authorities = status.totals().authorities;
    let uses: Vec<Value> =
        authorities.iter().map(|(name, usage)| authority_json(name, *usage)).collect();
    json!({
        "ok": true,
        "now": now,
        "certificates": certificates_json(entries, now),
        "crls": crls,
        "client_cas": uses,
    })
}

/// How fetches of revocation lists went.
fn crl_fetches_json(status: &ProcessStatus) -> Vec<Value> {
    let records = status.crl_fetches.records().into_iter().map(|(url, record)| {
        json!({
            "url": url.text(),
            "fetched": record.successes,
            "failed": record.failures,
            "fetched_at": record.fetched_at,
            "error": record.error,
        })
    });
    records.collect()
}

/// The upstream nodes that fail, as many as are read at a glance.
fn failing_json(states: &NodeStates) -> Vec<Value> {
    let now = clock::unix_seconds().unsigned_abs();
    let failing =
        states.nodes().iter().filter_map(|node| Some((node, node.state.log.failing(now)?)));
    let shown = failing.take(FAILING_NODES_MAX).map(|(node, failures)| {
        json!({
            "upstream": node.upstream,
            "node": node.node,
            "seconds": failures.seconds,
            "failed": failures.tries,
        })
    });
    shown.collect()
}

fn core_json(link: &CoreLink) -> Value {
    json!({
        "core": link.core,
        "generation": link.seen_generation(),
        "connections": link.connections(),
        "requests": link.counters.snapshot().requests(),
    })
}

fn listeners_json(active: &ActiveGeneration) -> Vec<Value> {
    let listens = active.generation.config.listens.iter().zip(&active.bound);
    listens
        .map(|(listen, bound)| json!({ "address": bound.to_string(), "tls": listen.tls }))
        .collect()
}

fn servers_json(config: &Config) -> Vec<Value> {
    let servers = config.servers.iter().map(|server| {
        let names: Vec<String> = server.snis.iter().map(ToString::to_string).collect();
        json!({ "id": server.id, "names": names })
    });
    servers.collect()
}

fn crl_json(list: &LoadedCrl, now: i64) -> Value {
    json!({
        "key": list.keys.to_string(),
        "keys": list.keys.count(),
        "source": list.sources.to_string(),
        "issuer": list.issuer,
        "this_update": list.this_update,
        "next_update": list.next_update,
        "days_left": list.next_update.map(|next| next.saturating_sub(now).div_euclid(86_400)),
        "revoked": list.count,
    })
}

fn authority_json(name: &AuthorityName, usage: AuthorityUse) -> Value {
    json!({
        "subject": &*name.subject,
        "serial": &*name.serial,
        "uses": usage.count,
        "last_used": usage.last_used,
    })
}
