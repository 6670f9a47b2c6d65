//! Bytes and time: sockets, buffers, deadlines, records. No HTTP, and nothing of `exchange`.

pub mod buffers;
pub mod clock;
pub mod deadlines;
pub mod driver;
pub mod fd;
pub mod handshake;
pub mod min_rate;
pub mod net;
pub mod random;
pub mod record_reader;
pub mod record_writer;
pub mod sent_bytes;
pub mod stream;
pub mod stream_error;
pub mod tls;
pub mod work_budget;
