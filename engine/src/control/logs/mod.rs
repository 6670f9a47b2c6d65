//! The access log and the error log. One thread writes both, and no other thread waits for it.

mod datagram_socket;
pub mod diagnostics;
mod line;
pub(crate) mod log_file;
mod log_sink;
pub(crate) mod lost_lines;
pub mod output;
pub mod outputs;
mod patience;
mod record;
mod shorten;
pub mod writer;
