//! The protocol of the admin socket: a command as one line of JSON in, the answer as one line of JSON out.
//!
//! Only root and the user of this process are served; the kernel tells which user the peer is. No answer
//! holds a secret: keys and PEM texts never get here.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client_answers;
use super::connection::EndpointConnection;
use super::event_stream::EventReaders;
use super::operator_answers::{self, ConnectionFilter};
use super::status_answers;
use super::upgrade_answers::{self, UPGRADE_PATIENCE};
use super::upstream_answers::{self, NODES_SHOWN_MAX, NodeOrderFor};
use crate::control::process::clock;
use crate::control::state::commands::{CommandQueue, TOO_LATE};
use crate::control::state::route_question::{self, RouteQuestion};
use crate::control::state::status::{ProcessStatus, ReloadAnswer, TakenReload};
use crate::limits::LimitCount;

/// The longest line that a command may be; one may hold a chain of certificates.
const COMMAND_BYTES_MAX: usize = 96 * 1024;
/// How long a client waits for a reload.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long the cores, or the files of a configuration, may take.
const QUESTION_PATIENCE: Duration = Duration::from_secs(60);
/// How many warnings one answer lists at most.
const WARNINGS_MAX: usize = 1_000;
/// How many circuit breakers one answer lists at most.
const BREAKERS_MAX: usize = 1_000;
/// Likewise of limits of requests.
const LIMITS_MAX: usize = 1_000;
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
    /// List the clients whose certificates expire soonest, and those that will lose `clientAuth`.
    Clients {
        /// How many of each.
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
    /// Tell which route a request would take, and why.
    Routes {
        /// As in a request line.
        method: String,
        /// `https://host/path`.
        url: String,
        /// The certificates that the client shows, as DER in base64, the leaf first.
        chain: Vec<String>,
    },
    /// List the open connections of clients.
    Connections(ConnectionFilter),
    /// Set the level of the error log until the next reload.
    #[serde(rename = "log-level")]
    LogLevel {
        /// As `log.error.level`.
        level: String,
    },
    /// Close the log files and open them again.
    #[serde(rename = "reopen-logs")]
    ReopenLogs,
    /// Tell what the configuration on disk would change.
    #[serde(rename = "config-diff")]
    ConfigDiff,
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
    /// Let a new process of the program, as it is on disk now, take the place of this one.
    Upgrade {
        /// Answer when it serves, or when it is known why it does not.
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
            Ok(AdminCommand::Status) => {
                let mut answer = status_answers::status(&self.status);
                if let Some(members) = answer.as_object_mut() {
                    let upgrades = upgrade_answers::upgrades(&self.status, &self.commands);
                    members.insert("upgrades".to_owned(), upgrades);
                    let log = operator_answers::log_level(&self.status);
                    members.insert("log".to_owned(), log);
                }
                answer
            }
            Ok(AdminCommand::Clients { soonest }) => client_answers::clients(&self.status, soonest),
            Ok(AdminCommand::Certs) => status_answers::certs(&self.status),
            Ok(AdminCommand::Upstreams { upstream }) => {
                let answer =
                    upstream_answers::upstreams(&self.status, upstream.as_deref(), NODES_SHOWN_MAX);
                answer.unwrap_or_else(refuse)
            }
            Ok(AdminCommand::Routes { method, url, chain }) => {
                self.route(&method, &url, &chain).unwrap_or_else(refuse)
            }
            Ok(AdminCommand::Connections(filter)) => {
                connection.deadline = clock::monotonic() + QUESTION_PATIENCE;
                let answer = operator_answers::connections(&self.status, &filter);
                answer.unwrap_or_else(|error| refuse(&error))
            }
            Ok(AdminCommand::LogLevel { level }) => {
                let answer = operator_answers::set_log_level(&self.status, &level);
                answer.unwrap_or_else(|error| refuse(&error))
            }
            Ok(AdminCommand::ReopenLogs) => {
                self.commands.reopen_logs();
                json!({ "ok": true })
            }
            Ok(AdminCommand::ConfigDiff) => {
                connection.deadline = clock::monotonic() + QUESTION_PATIENCE;
                let answer = operator_answers::config_diff(&self.status);
                answer.unwrap_or_else(|errors| json!({ "ok": false, "errors": errors }))
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
            Ok(AdminCommand::Upgrade { wait }) => {
                connection.deadline = clock::monotonic() + UPGRADE_PATIENCE * 2;
                upgrade_answers::upgrade(&self.status, &self.commands, wait, connection)
                    .unwrap_or_else(|reason| refuse(&reason))
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

    fn route(&self, method: &str, url: &str, chain: &[String]) -> Result<Value, &'static str> {
        let active = self.status.current().ok_or("there is no configuration in force yet")?;
        let chain: Result<Vec<Vec<u8>>, _> =
            chain.iter().map(|one| BASE64.decode(one.as_bytes())).collect();
        let chain = chain.map_err(|_| "a certificate is not base64")?;
        route_question::answer(&active.generation, RouteQuestion { method, url, chain: &chain })
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
            Some(Ok(ReloadAnswer::Taken(TakenReload { generation, warnings }))) => {
                json!({ "ok": true, "generation": generation, "warnings": warnings_json(warnings) })
            }
            Some(Ok(ReloadAnswer::PassedOn { pid })) => json!({ "ok": true, "passed_on": pid }),
            Some(Err(errors)) => json!({ "ok": false, "errors": errors }),
            None => refuse("the reload has not come to an end within a minute"),
        }
    }
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
