//! The access log and the error log: one thread writes both, and nobody waits for it.

pub mod diagnostics;
pub mod output;
pub mod writer;
