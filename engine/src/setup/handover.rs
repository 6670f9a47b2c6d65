//! What control hands to a core so that it can serve a new generation.

use std::net::TcpListener;
use std::sync::Arc;

use ferrule_config::model::ListenAddress;

use super::addresses::Addresses;
use super::generation::Generation;
use crate::health::{Breakers, NodeStates};
use crate::limits::Limits;
use crate::plan::ListenerId;
use crate::report::Meters;

/// Everything a core needs to serve one generation, in one piece: no core ever sees the plan of one
/// file with the listeners of another.
#[derive(Debug)]
pub struct Handover {
    /// The configuration, compiled.
    pub generation: Arc<Generation>,
    /// This core's sockets, all of them. One that was there before is the same socket (compare by
    /// address and slot): it is left alone. One that is missing now has been closed, or belongs to another
    /// process.
    pub listeners: Vec<OpenListener>,
    /// Where another process listens now by the sockets of this one: nothing is accepted there any more, not even
    /// in a drain.
    pub released: Vec<ListenAddress>,
    /// Addresses of the generation's nodes as far as they are known.
    pub addresses: Arc<Addresses>,
    /// What is known of the nodes; shared by all cores.
    pub node_states: Arc<NodeStates>,
    /// The circuit breakers of its routes; shared by all cores.
    pub breakers: Arc<Breakers>,
    /// Its limits of requests; shared by all cores.
    pub limits: Arc<Limits>,
    /// What this core counts under the generation; it is the only writer.
    pub meters: Arc<Meters>,
}

/// A bound, listening socket of one core.
#[derive(Clone, Debug)]
pub struct OpenListener {
    /// The address as configured (port 0 stays 0 here; ask the socket).
    pub address: ListenAddress,
    /// Its place among the sockets of this address.
    pub slot: usize,
    /// Its index in this generation; may differ from the one before.
    pub listener: ListenerId,
    /// The socket. Control keeps it open over reloads; a core works on a `try_clone` of it.
    pub socket: Arc<TcpListener>,
}
