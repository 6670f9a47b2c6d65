//! What the two processes of an upgrade say to each other. Every message is one JSON object; one that is not
//! understood ends the upgrade.

use std::net::SocketAddr;
use std::path::PathBuf;

use ferrule_config::model::ListenAddress;
use serde::{Deserialize, Serialize};

/// The environment variable that tells a process that it is started by an upgrade: the version of this
/// protocol, a colon, and the process that starts it.
pub(crate) const VARIABLE: &str = "FERRULE_UPGRADE";
/// The version of this protocol.
pub(crate) const VERSION: &str = "1";

/// All reasons of a refusal together have about so many bytes at most.
const REASON_BYTES_MAX: usize = 48 * 1024;

/// The address of a listener as configured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireAddress {
    address: SocketAddr,
    ipv6only: bool,
}

impl From<ListenAddress> for WireAddress {
    fn from(listen: ListenAddress) -> Self {
        Self { address: listen.address, ipv6only: listen.ipv6only }
    }
}

impl From<WireAddress> for ListenAddress {
    fn from(wire: WireAddress) -> Self {
        Self { address: wire.address, ipv6only: wire.ipv6only }
    }
}

/// What the former process says. The first four come with one descriptor each.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "message", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FromFormer {
    /// What keeps others from this address.
    Hold {
        /// Whose.
        listen: WireAddress,
    },
    /// A socket that listens there.
    Socket {
        /// Where.
        listen: WireAddress,
        /// Whose; they come in order.
        core: usize,
    },
    /// The listener of the metrics endpoint.
    Metrics {
        /// As configured.
        address: SocketAddr,
    },
    /// The admin socket.
    Admin {
        /// As configured.
        path: PathBuf,
    },
    /// Those were all.
    Complete {
        /// How many upgrades were taken before this one, by this process and those before it.
        taken: u64,
        /// Likewise, refused.
        refused: u64,
    },
    /// Accept connections.
    Go,
    /// The service manager has been told which process is the main one: the new one may speak to it. The end of the
    /// connection says the same.
    Named,
}

/// What the new process says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "message", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FromNew {
    /// It cannot serve.
    Failed {
        /// Why.
        reasons: Vec<String>,
        /// Its cores may have accepted connections.
        #[serde(default)]
        accepted: bool,
    },
    /// It could serve.
    Ready {
        /// The version of its program.
        version: String,
        /// The drivers of its cores.
        driver: String,
        /// Where it can be asked.
        tests: Vec<SelfTest>,
    },
    /// All its cores accept connections.
    Serving {
        /// By the sockets of these addresses.
        listeners: Vec<WireAddress>,
        /// It has taken the listener of the metrics endpoint over.
        metrics: bool,
        /// Likewise the admin socket.
        admin: bool,
    },
    /// It has written its number, and needs nothing more.
    Settled,
    /// Another process has taken over from it: from now on its end is not that of the service.
    Relieved,
    /// That other process has failed: nobody serves, and this one ends.
    Lost,
}

/// A listener of a new process on loopback, and how to speak to it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelfTest {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The server name to ask for, if it speaks TLS.
    pub(crate) server_name: Option<String>,
    /// Every connection begins with a PROXY protocol header. It may distrust one from loopback, and close.
    pub(crate) proxy_protocol: bool,
}

/// Why a new process does not serve.
#[derive(Debug)]
pub(crate) struct NotServing {
    /// Every reason.
    pub(crate) reasons: Vec<String>,
    /// Its cores may have accepted connections, which end with it.
    pub(crate) may_have_accepted: bool,
}

impl NotServing {
    /// It has accepted nothing.
    pub(crate) const fn untouched(reasons: Vec<String>) -> Self {
        Self { reasons, may_have_accepted: false }
    }
}

/// Reasons for a message, whose length is bounded.
pub(crate) fn bounded(reasons: Vec<String>) -> Vec<String> {
    let (mut left, all) = (REASON_BYTES_MAX, reasons.len());
    let mut kept: Vec<String> = reasons
        .into_iter()
        .take_while(|reason| {
            // JSON may take six bytes for one.
            left = left.saturating_sub(reason.len() * 2 + 8);
            left > 0
        })
        .collect();
    if kept.len() < all {
        kept.push(format!("and {} more", all - kept.len()));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_understood() {
        let understood = |text: &str| serde_json::from_str::<FromNew>(text).is_ok();
        assert!(understood(r#"{"message":"failed","reasons":[]}"#));
        assert!(!understood(r#"{"message":"failed","reasons":[],"more":1}"#));
        assert!(!understood(r#"{"message":"else"}"#) && !understood("ready"));
        let go = serde_json::to_string(&FromFormer::Go).unwrap();
        assert_eq!(go, r#"{"message":"go"}"#);
    }

    #[test]
    fn reasons_are_bounded() {
        assert_eq!(bounded(vec!["a".into()]), ["a"]);
        let many = bounded(vec!["x".repeat(1000); 1000]);
        assert!(many.len() < 30 && many.last().unwrap().starts_with("and 9"), "{}", many.len());
    }
}
