//! What one core holds.

pub mod core;
pub mod generation;
pub mod inspection;
pub mod log_limits;
pub mod pooled_stream;
pub mod shed;
