//! The access log and the error log. One thread writes both, and no other thread waits for it.

pub mod diagnostics;
pub mod output;
pub mod writer;
