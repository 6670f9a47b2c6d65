//! The places of connections: one after the other is made in each.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use super::Plan;
use super::connection::Connection;
use crate::clock::now;

/// Connections from one address, of the 28,000 ports that it has.
const PER_SOURCE: usize = 20_000;

/// The place of one connection after the other.
pub(super) struct Slot {
    pub(super) connection: Option<Connection>,
    pub(super) source: Option<Ipv4Addr>,
    pub(super) stage: Stage,
    /// Since when it is in this stage.
    pub(super) since: Instant,
    /// The intended time of the request that it is to serve.
    pub(super) due: Option<Instant>,
    /// Taken from the line.
    pub(super) admitted: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Nothing to do, connected or not.
    Resting,
    Connecting,
    Serving,
    /// Answered; the server said that it ends the connection.
    Leaving,
}

impl Slot {
    pub(super) fn new(source: Option<Ipv4Addr>) -> Self {
        let stage = Stage::Resting;
        Self { connection: None, source, stage, since: now(), due: None, admitted: false }
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = now();
    }
}

/// The address that this connection comes from, if one has too few ports for all.
pub(super) fn source(plan: &Plan, number: usize) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = plan.address.ip() else { return None };
    if !address.is_loopback() || plan.connections <= PER_SOURCE {
        return None;
    }
    let host = u8::try_from(number / PER_SOURCE + 2).ok()?;
    Some(Ipv4Addr::new(127, 0, 0, host))
}
