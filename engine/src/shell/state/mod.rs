//! The state that one core holds and shares with no other: its generation, its idle upstream connections, its
//! limits. Nothing here depends on the code that uses it.

pub(crate) mod connection_cards;
pub(crate) mod core;
pub(crate) mod generation;
pub(crate) mod inspection;
pub(crate) mod load_shedding;
pub(crate) mod log_limits;
pub(crate) mod node_connections;
pub(crate) mod place_queue;
pub(crate) mod upstream_connection;
