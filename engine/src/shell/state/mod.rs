//! What one core holds and shares with no other: its generation, its idle upstream connections, its
//! limits. Nothing here knows who uses it.

pub mod core;
pub mod generation;
pub mod inspection;
pub mod load_shedding;
pub mod log_limits;
pub mod upstream_connection;
