//! What one core holds.

pub mod core;
pub mod inspection;
pub mod shed;
