//! The client connections that are open, as one core tells them to whoever asks: what is asked, and the answer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use strum::IntoStaticStr;

/// Places of its table of connections that a core looks at in one tick: a millisecond's work at most.
pub const PLACES_PER_TICK: usize = 16_384;
/// The same in a second, for a core that has nothing else to do.
pub const PLACES_PER_SECOND: usize = 10 * PLACES_PER_TICK;

/// Which connections are to be told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConnectionQuestion {
    /// Those that this listener accepted, as it is configured.
    pub listener: Option<SocketAddr>,
    /// Those that asked for this server name, in lower case.
    pub server_name: Option<String>,
    /// Those of clients at this address.
    pub address: Option<IpAddr>,
    /// How many at most: the oldest.
    pub limit: usize,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
pub enum ConnectionState {
    /// It has not finished its PROXY protocol header and its TLS handshake.
    Handshake,
    /// It waits for a request.
    Idle,
    /// A request is under way.
    Request,
    /// It is a WebSocket.
    Tunnel,
    /// It says goodbye.
    Closing,
}

/// An open connection.
#[derive(Clone, Debug)]
pub struct ListedConnection {
    /// Its number on this core, as `$connection`.
    pub serial: u64,
    /// Its client: the kernel's address, or that of a PROXY protocol header.
    pub address: SocketAddr,
    /// The listener that accepted it, as it was configured.
    pub listener: SocketAddr,
    /// How long it has been open.
    pub age: Duration,
    /// What it does.
    pub state: ConnectionState,
    /// Requests so far.
    pub requests: u64,
    /// Its TLS session; `None` before the end of the handshake, and on plain HTTP.
    pub session: Option<ListedSession>,
}

/// The TLS session of an open connection.
#[derive(Clone, Debug)]
pub struct ListedSession {
    /// As `$ssl_protocol`.
    pub protocol: &'static str,
    /// What it asked for; empty for none.
    pub server_name: Box<str>,
    /// Its certificate, as DER; `None` without one.
    pub leaf: Option<Box<[u8]>>,
    /// The SHA-256 of that.
    pub leaf_sha256: [u8; 32],
}

/// The answer of one core.
#[derive(Clone, Debug, Default)]
pub struct ConnectionList {
    /// Which question it answers, as its mailbox counts them.
    pub question: u64,
    /// How many connections are open.
    pub open: usize,
    /// How many of them were asked for.
    pub matching: usize,
    /// The oldest of these, the oldest first.
    pub oldest: Vec<ListedConnection>,
}
