//! Notices another process that listens on an address of ours.
//!
//! In: our listening sockets, and the kernel's table of all. Out: lines in the error log. The holds of our
//! addresses keep others out (`setup/port_hold.rs`), but Linux leaves gaps: two processes that start at
//! the same moment, or an IPv6 wildcard that takes IPv4. The kernel then gives the other process a
//! part of the connections, and nothing else would show it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::control::process::port_owners::{self, SeenListener, SocketOwner};
use crate::setup::listeners::{BoundSockets, Listeners, overlap};

/// How often the kernel's table is read.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// How often a process that stays is reported.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The sockets of others that were reported.
pub(super) struct PortMonitor {
    checked: Instant,
    /// By inode.
    reported: BTreeMap<u64, Instant>,
}

impl PortMonitor {
    /// Checks from now on.
    pub(super) const fn new(now: Instant) -> Self {
        Self { checked: now, reported: BTreeMap::new() }
    }

    /// Reads the table if that is due, and logs what operators should know.
    pub(super) fn check(&mut self, listeners: &Listeners, now: Instant) {
        if now.saturating_duration_since(self.checked) < CHECK_EVERY {
            return;
        }
        self.checked = now;
        let others = foreign(&listeners.bound(), &port_owners::listeners());
        self.reported.retain(|inode, _| others.iter().any(|other| other.inode == *inode));
        for other in others {
            let last = self.reported.get(&other.inode);
            if last.is_some_and(|last| now.saturating_duration_since(*last) < REPORT_EVERY) {
                continue;
            }
            let owner = match port_owners::owner_of(&other) {
                // A reload is opening it.
                SocketOwner::Process(process) if process.id == std::process::id() => continue,
                SocketOwner::Process(process) => process.to_string(),
                SocketOwner::Hidden(_) | SocketOwner::Nobody => format!("user {}", other.user),
            };
            self.reported.insert(other.inode, now);
            tracing::error!(
                address = %other.address,
                "another process listens on an address of ours, and gets a part of the connections: \
                 {owner}"
            );
        }
    }
}

/// Those of the seen listeners that take connections from ours.
fn foreign(own: &[BoundSockets], seen: &[SeenListener]) -> Vec<SeenListener> {
    let is_foreign = |seen: &&SeenListener| {
        own.iter().any(|own| overlap(own.listen, seen.narrowest()))
            && !own.iter().any(|own| own.inodes.contains(&seen.inode))
    };
    seen.iter().filter(is_foreign).copied().collect()
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::ListenAddress;

    use super::*;

    #[test]
    fn only_others_on_our_addresses_are_foreign() {
        let listen =
            |text: &str, ipv6only| ListenAddress { address: text.parse().unwrap(), ipv6only };
        let own = [
            BoundSockets { listen: listen("127.0.0.1:443", true), inodes: [1, 2].into() },
            BoundSockets { listen: listen("[::]:445", false), inodes: [7].into() },
        ];
        let seen = |address: &str, inode| SeenListener {
            address: address.parse().unwrap(),
            user: 0,
            inode,
        };
        let others = [seen("127.0.0.1:443", 3), seen("0.0.0.0:443", 4), seen("127.0.0.1:445", 8)];
        let all = [
            seen("127.0.0.1:443", 1),
            seen("127.0.0.1:443", 2),
            others[0],
            seen("127.0.0.2:443", 5),
            seen("[::]:443", 9),
            seen("127.0.0.1:444", 6),
            others[1],
            others[2],
        ];
        assert_eq!(foreign(&own, &all), others);
    }
}
