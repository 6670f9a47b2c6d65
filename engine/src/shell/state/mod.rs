//! What one core holds.

pub mod core;
pub mod inspection;
pub mod pooled_stream;
pub mod shed;
