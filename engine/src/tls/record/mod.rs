//! TLS 1.3 after the handshake: records opened and sealed in place, with the keys that rustls agreed on.
//!
//! In: bytes of one connection, in order. Out: application data where it arrived, or one [`RecordError`] with
//! which the connection is over; and records for what we have to say. Nothing of a record that fails
//! to authenticate is handed on. No sockets, no clock, no allocation per record.
//!
//! Post-handshake messages are handled here (RFC 8446, section 4.6): `KeyUpdate` in both directions,
//! tickets by way of the [`KeySchedule`]. Where rustls is more lenient than the RFC, the RFC is followed.

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
