//! How many connections one client address may have, all cores together.

use std::net::IpAddr;

use crate::report::Counter;
use crate::setup::connection_counts::CountedConnection;
use crate::shell::state::core::Core;
use crate::shell::state::log_limits::LogCause;

/// Counts a connection for its client; false if the client has too many.
pub(crate) fn enter(core: &Core, counted: &mut CountedConnection, client: IpAddr) -> bool {
    let max = core.live().generation.plan.http.pacing.connections_per_address;
    if counted.count(client, max) {
        return true;
    }
    core.count(Counter::AcceptedOverAddress);
    if let Some(suppressed) = core.allow_log(LogCause::Address) {
        tracing::info!(%client, suppressed, "this address has too many connections");
    }
    false
}
