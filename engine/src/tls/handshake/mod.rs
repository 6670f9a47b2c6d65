//! What a handshake needs in addition to rustls: the parser of the `ClientHello` that selects settings, notes
//! that callbacks leave for the connection, and the few places that change the bytes which rustls reads or
//! writes.

pub mod alert_record;
pub mod hello;
pub mod hidden_name;
pub mod notes;
pub(crate) mod ticket_nonces;
pub mod transcript;
