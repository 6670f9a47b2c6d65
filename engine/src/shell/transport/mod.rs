//! Bytes and time: sockets, buffers, deadlines, TLS records. It knows no HTTP and does not use `exchange`.

pub mod buffers;
pub(crate) mod clock;
pub(crate) mod deadlines;
pub(crate) mod driver;
#[cfg_attr(test, expect(dead_code, reason = "tests take the simulated network"))]
pub(crate) mod fd;
pub(crate) mod handshake;
pub(crate) mod min_rate;
pub(crate) mod net;
pub(crate) mod random;
pub(crate) mod record_reader;
pub(crate) mod record_writer;
pub(crate) mod sent_bytes;
pub(crate) mod stream;
pub(crate) mod stream_error;
pub mod tls;
pub(crate) mod work_budget;
