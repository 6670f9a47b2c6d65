//! What the admin socket answers about binary upgrades.

use std::time::Duration;

use serde_json::{Value, json};

use super::connection::EndpointConnection;
use crate::control::state::commands::CommandQueue;
use crate::control::state::status::ProcessStatus;
use crate::control::state::upgrades::UpgradedTo;

/// How long a client waits for the end of an upgrade: longer than the longest `runtime.upgrade_timeout` that
/// makes sense.
pub(super) const UPGRADE_PATIENCE: Duration = Duration::from_secs(600);

/// Begins one, and waits for its end if the client wants that.
///
/// # Errors
/// There is none to wait for, in words.
pub(super) fn upgrade(
    status: &ProcessStatus,
    commands: &CommandQueue,
    wait: bool,
    connection: &EndpointConnection,
) -> Result<Value, String> {
    let number = commands.upgrade()?;
    if !wait {
        return Ok(json!({ "ok": true }));
    }
    // A client that has left, or is closed to make room for another one, waits no longer.
    match status.upgrades.wait(number, UPGRADE_PATIENCE, || !connection.is_closed()) {
        Some(Ok(UpgradedTo { pid, version })) => {
            Ok(json!({ "ok": true, "pid": pid, "version": version }))
        }
        Some(Err(errors)) => Ok(json!({ "ok": false, "errors": errors })),
        None => Err(String::from("the upgrade has not come to an end")),
    }
}

/// How they went.
pub(super) fn upgrades(status: &ProcessStatus, commands: &CommandQueue) -> Value {
    let upgrades = status.upgrades.get();
    let last = upgrades.last.map(|end| match end.result {
        Ok(UpgradedTo { pid, version }) => {
            json!({ "at": end.at, "ok": true, "pid": pid, "version": version })
        }
        Err(errors) => json!({ "at": end.at, "ok": false, "errors": errors }),
    });
    json!({
        "taken": upgrades.taken,
        "refused": upgrades.refused,
        "under_way": commands.is_upgrading(),
        "last": last,
    })
}
