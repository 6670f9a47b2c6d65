//! The places of connections: one after the other is made in each.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use super::connection::Connection;
use super::plan::Plan;
use crate::clock::now;

/// Connections from one address, of the 28,000 ports that it has.
const PER_SOURCE: usize = 20_000;

/// The place of one connection after the other.
pub(super) struct Slot {
    pub(super) connection: Option<Connection>,
    pub(super) source: Option<Ipv4Addr>,
    pub(super) stage: SlotStage,
    /// Since when it is in this stage.
    pub(super) since: Instant,
    /// The intended time of the request that it is to serve.
    pub(super) due: Option<Instant>,
    /// Taken from the line.
    pub(super) admitted: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SlotStage {
    /// Nothing to do, connected or not.
    Resting,
    Connecting,
    Serving,
    /// Answered; the server said that it ends the connection.
    Leaving,
}

impl Slot {
    pub(super) fn new(source: Option<Ipv4Addr>) -> Self {
        let stage = SlotStage::Resting;
        Self { connection: None, source, stage, since: now(), due: None, admitted: false }
    }

    pub(super) fn enter(&mut self, stage: SlotStage) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Kind, Request};
    use std::time::Duration;

    /// Otherwise they would run out of ports, near 28,000.
    #[test]
    fn many_connections_come_from_several_addresses() {
        let mut plan = Plan {
            address: ([127, 0, 0, 1], 80).into(),
            tls: None,
            request: Request::get("a.test", "/", Kind::Idle),
            kind: Kind::Idle,
            nagle: false,
            connections: PER_SOURCE,
            threads: 1,
            time: Duration::ZERO,
            rate: 0,
        };
        assert_eq!(source(&plan, PER_SOURCE - 1), None);
        plan.connections = 50_000;
        let found = [0, 19_999, 20_000, 49_999].map(|number| source(&plan, number));
        let expected = [2, 2, 3, 4].map(|host| Some(Ipv4Addr::new(127, 0, 0, host)));
        assert_eq!(found, expected);
        // Elsewhere we have no other address.
        plan.address = ([192, 0, 2, 1], 80).into();
        assert_eq!(source(&plan, 0), None);
    }
}
