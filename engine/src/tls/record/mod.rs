//! TLS 1.3 after the handshake: decrypts and encrypts records in place, with the keys that rustls agreed on.
//!
//! In: the bytes of one connection, in order. Out: application data, in the buffer in which it arrived, or
//! one [`RecordError`], which ends the connection; and records to send. No byte of a record that fails to
//! authenticate is passed on. There are no sockets, no clock and no allocation per record.
//!
//! Post-handshake messages are handled here (RFC 8446, section 4.6): `KeyUpdate` in both directions, tickets
//! through the [`KeySchedule`]. Where rustls is more lenient than the RFC, this code follows the RFC.

pub mod cipher;
pub mod error;
mod header;
pub mod key_schedule;
mod layer;
mod messages;
pub mod reseal;
mod takeover;

pub use cipher::OVERHEAD_BYTES;
pub use error::{RecordError, SealError};
pub use header::CONTENT_BYTES_MAX;
pub use key_schedule::KeySchedule;
pub use layer::{KEY_UPDATE_BYTES, OpenedRecord, RecordContent, RecordLayer};
pub use messages::Role;
