//! The protocol of the admin socket: a command as one line of JSON in, the answer as one line of JSON out.
//!
//! Only root and the user of this process are served; the kernel tells which user the peer is. No answer
//! holds a secret: keys and PEM texts never get here.

use std::sync::Arc;
use std::time::Duration;

use ferrule_config::Config;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connection::EndpointConnection;
use super::event_stream::EventReaders;
use super::upstream_answers::{self, NodeOrderFor};
use crate::control::process::clock;
use crate::control::state::certificates::certificates_json;
use crate::control::state::commands::{CommandQueue, TOO_LATE};
use crate::control::state::status::{ActiveGeneration, ProcessStatus, TakenReload};
use crate::health::NodeStates;
use crate::identity::verify::explain::hex;
use crate::limits::LimitCount;
use crate::report::meters::AuthorityUse;
use crate::report::{Counter, CounterSums, EventSums};
use crate::setup::CoreLink;
use crate::tls::authority_index::AuthorityName;
use crate::tls::load::loaded_crl::LoadedCrl;

/// The longest line that a command may be.
const COMMAND_BYTES_MAX: usize = 4 * 1024;
/// How long a client waits for a reload.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
/// How many warnings one answer lists at most.
const WARNINGS_MAX: usize = 1_000;
/// How many clients one answer lists at most.
const CLIENTS_MAX: usize = 1_000;
/// How many circuit breakers one answer lists at most.
const BREAKERS_MAX: usize = 1_000;
/// Likewise of limits of requests.
const LIMITS_MAX: usize = 1_000;
/// How many nodes that fail the status lists at most.
const FAILING_NODES_MAX: usize = 100;

/// A command, as it is on the wire.
#[derive(Debug, Deserialize, Serialize)]
#[serde(
    tag = "command",
    rename_all = "lowercase",
    deny_unknown_fields,
    expecting = "an object with a \"command\""
)]
pub(crate) enum AdminCommand {
    /// Tell what is in force and what the process does.
    Status,
    /// List the clients whose certificates expire soonest.
    Clients {
        /// How many of them.
        soonest: usize,
    },
    /// List the certificates and revocation lists in use.
    Certs,
    /// List the upstreams and their nodes, or one of them.
    Upstreams {
        /// Its id.
        upstream: Option<String>,
    },
    /// Send changes of nodes as they happen.
    Events {
        /// First, so many of the last ones.
        last: usize,
    },
    /// List the circuit breakers of routes.
    Breakers,
    /// List the limits of requests.
    Limits,
    /// Take a node's requests away, or give it some again.
    Node(NodeOrderFor),
    /// Load the configuration again.
    Reload {
        /// Answer when the reload has ended.
        wait: bool,
    },
}

/// The server side of the protocol.
#[derive(Debug)]
pub(crate) struct AdminProtocol {
    status: Arc<ProcessStatus>,
    commands: Arc<CommandQueue>,
    readers: EventReaders,
}

impl AdminProtocol {
    /// Answers with this status, and gives commands to this queue.
    pub(crate) fn new(status: Arc<ProcessStatus>, commands: Arc<CommandQueue>) -> Self {
        Self { status, commands, readers: EventReaders::default() }
    }

    /// Reads one command and answers it.
    pub(crate) fn serve(&self, connection: &mut EndpointConnection) {
        let own = rustix::process::geteuid().as_raw();
        let answer = match connection.peer_user() {
            Some(user) if user == 0 || user == own => match read_line(connection) {
                Some(line) => match self.answer(&line, connection) {
                    Some(answer) => answer,
                    None => return,
                },
                None => return,
            },
            _ => refuse("only root and the user that ferrule runs as may ask"),
        };
        let mut line = answer.to_string();
        line.push('\n');
        // A client that has left does not need its answer.
        drop(connection.write_all(line.as_bytes()));
    }

    /// `None` if everything has been said.
    fn answer(&self, line: &[u8], connection: &mut EndpointConnection) -> Option<Value> {
        Some(match serde_json::from_slice(line) {
            Ok(AdminCommand::Status) => self.status(),
            Ok(AdminCommand::Clients { soonest }) => self.clients(soonest),
            Ok(AdminCommand::Certs) => self.certs(),
            Ok(AdminCommand::Upstreams { upstream }) => {
                let answer = upstream_answers::upstreams(&self.status, upstream.as_deref());
                answer.unwrap_or_else(refuse)
            }
            Ok(AdminCommand::Breakers) => breakers_json(&self.status),
            Ok(AdminCommand::Limits) => limits_json(&self.status),
            Ok(AdminCommand::Node(wanted)) => {
                upstream_answers::order(&self.status, &wanted).unwrap_or_else(refuse)
            }
            Ok(AdminCommand::Reload { wait }) => {
                connection.deadline = clock::monotonic() + RELOAD_PATIENCE * 2;
                self.reload(wait, connection)
            }
            Ok(AdminCommand::Events { last }) => {
                let states = self.status.node_states();
                let events = Arc::clone(states.events());
                // A reader stays for long, and must not hold the states of a generation that is gone.
                drop(states);
                return self.readers.serve(&events, last, connection).err().map(refuse);
            }
            Err(error) => refuse(&format!("not understood: {error}")),
        })
    }

    fn status(&self) -> Value {
        let status = &self.status;
        let counters = CounterSums::sum(status.links.iter().map(|link| &link.counters));
        let current = status.current();
        let reloads = status.reloads();
        let [rented, budget] =
            EventSums::of(status.links.iter().map(|link| &link.events)).buffer_bytes;
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
            "failing_nodes": failing_json(&status.node_states()),
            "cores": status.links.iter().map(|link| core_json(link)).collect::<Vec<_>>(),
            "listeners": current.as_ref().map(listeners_json),
            "servers": current.as_ref().map(|active| servers_json(&active.generation.config)),
        })
    }

    fn clients(&self, soonest: usize) -> Value {
        let now = clock::unix_seconds();
        let clients = self.status.clients();
        let known = clients.len();
        let shown = clients.into_iter().take(soonest.min(CLIENTS_MAX)).map(|client| {
            json!({
                "subject": client.subject,
                "sha256": hex(&client.sha256),
                "server_name": client.server_name,
                "not_after": client.not_after,
                "days_left": client.not_after.saturating_sub(now).div_euclid(86_400),
                "last_seen": client.last_seen,
            })
        });
        json!({ "ok": true, "now": now, "known": known, "clients": shown.collect::<Vec<_>>() })
    }

    fn certs(&self) -> Value {
        let now = clock::unix_seconds();
        let current = self.status.current();
        let entries = current.as_ref().map(|current| &*current.certificates).unwrap_or_default();
        let crls = current.as_ref().map(|current| &*current.generation.tls.crls);
        let crls: Vec<Value> =
            crls.unwrap_or_default().iter().map(|list| crl_json(list, now)).collect();
        let authorities = self.status.totals().authorities;
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

    fn reload(&self, wait: bool, connection: &EndpointConnection) -> Value {
        let ticket = wait.then(|| self.status.open_ticket());
        if !self.commands.reload(ticket) {
            if let Some(ticket) = ticket {
                self.status.close_ticket(ticket);
            }
            return refuse(TOO_LATE);
        }
        let Some(ticket) = ticket else { return json!({ "ok": true }) };
        // A client that has left, or is closed to make room for another one, waits no longer.
        match self.status.wait_for_reload(ticket, RELOAD_PATIENCE, || !connection.is_closed()) {
            Some(Ok(TakenReload { generation, warnings })) => {
                json!({ "ok": true, "generation": generation, "warnings": warnings_json(warnings) })
            }
            Some(Err(errors)) => json!({ "ok": false, "errors": errors }),
            None => refuse("the reload has not come to an end within a minute"),
        }
    }
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

/// The circuit breakers of the routes in force.
fn breakers_json(status: &ProcessStatus) -> Value {
    let (breakers, now_ms) = (status.breakers(), status.node_states().now_ms(clock::monotonic()));
    let all = breakers.each().count();
    let shown = breakers.each().take(BREAKERS_MAX).map(|breaker| {
        let counts: serde_json::Map<_, _> = breaker
            .state
            .change_counts()
            .map(|(word, count)| (word.to_owned(), json!(count)))
            .collect();
        json!({
            "route": breaker.route,
            "broken_for_ms": breaker.state.broken_for_ms(|| now_ms),
            "failures": breaker.state.failures(),
            "failures_max": breaker.rules.failures,
            "breaks": breaker.state.breaks(),
            "changes": counts,
        })
    });
    let shown: Vec<_> = shown.collect();
    json!({ "ok": true, "left_out": all - shown.len(), "breakers": shown })
}

/// The limits of requests in force.
fn limits_json(status: &ProcessStatus) -> Value {
    let limits = status.limits();
    let all = limits.each().count();
    let shown = limits.each().take(LIMITS_MAX).map(|limit| {
        let kind: &str = limit.kind.into();
        json!({
            "limit": limit.name,
            "kind": kind,
            "keys": limit.keys(),
            "refused": limit.count(LimitCount::Refused),
            "delayed": limit.count(LimitCount::Delayed),
            "crowded": limit.count(LimitCount::Crowded),
        })
    });
    let shown: Vec<_> = shown.collect();
    json!({ "ok": true, "left_out": all - shown.len(), "limits": shown })
}

/// Warnings for an answer, whose length is bounded.
fn warnings_json(mut warnings: Vec<String>) -> Vec<String> {
    let more = warnings.len().saturating_sub(WARNINGS_MAX);
    warnings.truncate(WARNINGS_MAX);
    if more > 0 {
        warnings.push(format!("and {more} more, which are in the error log"));
    }
    warnings
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

fn refuse(error: &str) -> Value {
    json!({ "ok": false, "errors": [error] })
}

/// Reads the first line; `None` if it is too long or does not come in time.
fn read_line(connection: &mut EndpointConnection) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut piece = [0; 512];
    while line.len() <= COMMAND_BYTES_MAX {
        let count = connection.read(&mut piece).ok().filter(|count| *count > 0)?;
        line.extend_from_slice(piece.get(..count)?);
        if let Some(end) = memchr::memchr(b'\n', &line) {
            line.truncate(end);
            return Some(line);
        }
    }
    None
}
