//! What one core holds.

pub mod core;
pub mod generation;
pub mod inspection;
pub mod load_shedding;
pub mod log_limits;
pub mod upstream_connection;
