//! What operators are told of clients: which certificates expire soonest, and which will not be renewed as
//! certificates of clients.

use serde_json::{Value, json};
use strum::VariantArray;

use crate::control::process::clock;
use crate::control::state::client_outlook;
use crate::control::state::status::ProcessStatus;
use crate::identity::verify::explain::hex;
use crate::report::{ExpiringClient, Finding};
use crate::setup::Generation;

/// How many clients one list of an answer has at most.
const CLIENTS_MAX: usize = 1_000;

/// The clients of the last 24 hours, so many of each list.
pub(super) fn clients(status: &ProcessStatus, soonest: usize) -> Value {
    let now = clock::unix_seconds();
    let clients = status.clients();
    let current = status.current();
    let shown = clients.verified.iter().take(soonest.min(CLIENTS_MAX));
    let shown: Vec<Value> = shown.map(|client| client_json(client, now)).collect();
    let findings: serde_json::Map<String, Value> = Finding::VARIANTS
        .iter()
        .zip(&clients.findings)
        .map(|(finding, found)| {
            let shown = found.iter().take(soonest.min(CLIENTS_MAX)).map(|client| {
                let generation = current.as_ref().map(|current| &*current.generation);
                finding_json(client, generation, now)
            });
            let shown: Vec<Value> = shown.collect();
            (finding.word().to_owned(), json!({ "known": found.len(), "clients": shown }))
        })
        .collect();
    json!({
        "ok": true,
        "now": now,
        "known": clients.verified.len(),
        "clients": shown,
        "client_auth": findings,
    })
}

fn client_json(client: &ExpiringClient, now: i64) -> Value {
    json!({
        "subject": client.subject,
        "sha256": hex(&client.sha256),
        "server_name": client.server_name,
        "not_after": client.not_after,
        "days_left": client.not_after.saturating_sub(now).div_euclid(86_400),
        "last_seen": client.last_seen,
    })
}

/// The same, with what it gets without `clientAuth`, and why that may come.
fn finding_json(client: &ExpiringClient, generation: Option<&Generation>, now: i64) -> Value {
    let mut value = client_json(client, now);
    let next = generation
        .map(|generation| client_outlook::without_client_auth(generation, &client.server_name));
    let issuer = client.issuer.map(|issuer| {
        json!({
            "organisation": issuer.organisation,
            "default_since": issuer.default_since,
            "ends": issuer.ends,
            "source": issuer.source,
        })
    });
    if let Some(value) = value.as_object_mut() {
        value.insert("without_client_auth".to_owned(), json!(next));
        value.insert("issuer".to_owned(), json!(issuer));
    }
    value
}
