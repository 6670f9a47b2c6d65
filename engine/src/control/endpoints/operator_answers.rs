//! What operators are told of open connections, of the level of the error log, and of what a reload would change.

use ferrule_config::model::Level;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strum::VariantArray;

use crate::control::process::environment;
use crate::control::process::machine::READER_STACK_BYTES;
use crate::control::state::config_diff::{ConfigDifference, differences};
use crate::control::state::connection_survey::FoundConnection;
use crate::control::state::status::ProcessStatus;
use crate::identity::verify::explain::{hex, subject};
use crate::report::connection_list::{ConnectionQuestion, ListedSession};
use crate::setup::Generation;

/// How many connections one answer lists at most.
pub(crate) const CONNECTIONS_MAX: usize = 1_000;
/// How many differences one answer lists at most.
const DIFFERENCES_MAX: usize = 1_000;

/// Which connections are asked for, as it is on the wire.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectionFilter {
    /// Accepted by this listener, as it is configured.
    #[serde(default)]
    pub(crate) listener: Option<String>,
    /// With this server name.
    #[serde(default)]
    pub(crate) server_name: Option<String>,
    /// Of clients at this address.
    #[serde(default)]
    pub(crate) address: Option<String>,
    /// How many at most.
    pub(crate) limit: usize,
}

impl ConnectionFilter {
    fn question(&self) -> Result<ConnectionQuestion, String> {
        let wrong = |what: &str, text: &str, like: &str| {
            format!("{what}: {text:?} is none; write it as {like}")
        };
        let listener = self.listener.as_deref().map(|text| {
            text.parse()
                .map_err(|_| wrong("listener", text, "in the configuration, such as 0.0.0.0:443"))
        });
        let address = self.address.as_deref().map(|text| {
            text.parse().map_err(|_| wrong("address", text, "an IP address, such as 192.0.2.7"))
        });
        Ok(ConnectionQuestion {
            listener: listener.transpose()?,
            server_name: self.server_name.as_deref().map(str::to_ascii_lowercase),
            address: address.transpose()?,
            limit: self.limit.min(CONNECTIONS_MAX),
        })
    }
}

/// The open connections, the oldest first.
///
/// # Errors
/// What the filter gets wrong, in words.
pub(super) fn connections(
    status: &ProcessStatus,
    filter: &ConnectionFilter,
) -> Result<Value, String> {
    let found = status.survey.ask(&status.links, filter.question()?);
    let shown: Vec<Value> = found.oldest.iter().map(connection_json).collect();
    Ok(json!({
        "ok": true,
        "open": found.open,
        "matching": found.matching,
        "left_out": found.matching.saturating_sub(shown.len()),
        "cores_without_answer": found.unanswered,
        "connections": shown,
    }))
}

fn connection_json(found: &FoundConnection) -> Value {
    let connection = &found.connection;
    let session = connection.session.as_ref();
    let certificate = session.and_then(certificate_json);
    let state: &str = connection.state.into();
    json!({
        "core": found.core,
        "connection": connection.serial,
        "address": connection.address.to_string(),
        "listener": connection.listener.to_string(),
        "age_seconds": connection.age.as_secs(),
        "state": state,
        "requests": connection.requests,
        "tls": session.map(|session| session.protocol),
        "server_name": session.map(|session| &session.server_name).filter(|name| !name.is_empty()),
        "client": certificate,
    })
}

fn certificate_json(session: &ListedSession) -> Option<Value> {
    let leaf = session.leaf.as_deref()?;
    Some(json!({ "subject": subject(leaf), "sha256": hex(&session.leaf_sha256) }))
}

/// Sets the level of the error log.
///
/// # Errors
/// There is no such level, in words.
pub(super) fn set_log_level(status: &ProcessStatus, word: &str) -> Result<Value, String> {
    let level = Level::VARIANTS.iter().find(|level| <&str>::from(**level) == word);
    let Some(level) = level else {
        let words: Vec<&str> = Level::VARIANTS.iter().map(Into::into).collect();
        return Err(format!("there is no level {word:?}; write one of {}", words.join(", ")));
    };
    // A log that says less than before, or still too little, says why.
    let before = status.log_level.get().map(|view| view.level);
    if matches!(before, Some(Level::Error | Level::Warn)) {
        status.log_level.set(Level::Info);
    }
    tracing::info!(level = word, "the level of this log was set, until the next reload");
    status.log_level.set(*level);
    Ok(json!({ "ok": true, "log": log_level(status) }))
}

/// The level of the error log, and that of the configuration.
pub(super) fn log_level(status: &ProcessStatus) -> Value {
    let view = status.log_level.get();
    let word = |level: Level| -> &'static str { level.into() };
    json!({
        "level": view.map(|view| word(view.level)),
        "configured": view.map(|view| word(view.configured)),
    })
}

/// What the configuration on disk would change. It is read as a reload reads it, but no file that it names.
///
/// # Errors
/// There is no configuration in force, or every reason why the one on disk is refused.
pub(super) fn config_diff(status: &ProcessStatus) -> Result<Value, Vec<String>> {
    let active = status
        .current()
        .ok_or_else(|| vec![String::from("there is no configuration in force yet")])?;
    // The stack of a thread that answers is for questions, not for what is in a file.
    let thread = std::thread::Builder::new().name("ferrule-diff".into());
    let reading = thread.stack_size(READER_STACK_BYTES);
    std::thread::scope(|scope| {
        let reading = reading.spawn_scoped(scope, || compare(&active.generation));
        let reading = reading.map_err(|error| vec![format!("no thread to read it: {error}")])?;
        let panicked = |_| Err(vec![String::from("the thread that reads it has panicked")]);
        reading.join().unwrap_or_else(panicked)
    })
}

fn compare(generation: &Generation) -> Result<Value, Vec<String>> {
    let in_force = &generation.config;
    let draft = ferrule_config::read(&in_force.file, &environment::variable)
        .map_err(|problems| problems.error_lines().collect::<Vec<String>>())?;
    if !draft.problems.is_empty() {
        return Err(draft.problems.error_lines().collect());
    }
    let found = differences(in_force, &draft.config).map_err(|words| vec![words])?;
    let shown: Vec<Value> = found.iter().take(DIFFERENCES_MAX).map(difference_json).collect();
    Ok(json!({
        "ok": true,
        "same": found.is_empty(),
        "file": in_force.file.display().to_string(),
        "generation": generation.number,
        "left_out": found.len() - shown.len(),
        "differences": shown,
    }))
}

fn difference_json(difference: &ConfigDifference) -> Value {
    let ConfigDifference { table, id, key, in_force, on_disk } = difference;
    let change = match (in_force, on_disk) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    json!({
        "table": table,
        "id": id,
        "key": key,
        "change": change,
        "in_force": in_force.as_ref().filter(|_| key.is_some()),
        "on_disk": on_disk.as_ref().filter(|_| key.is_some()),
    })
}
