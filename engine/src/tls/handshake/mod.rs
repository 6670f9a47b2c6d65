//! What a handshake needs beside rustls: the `ClientHello` that chooses settings, notes that callbacks
//! leave for the connection, and the few places where rustls is shown or made to write other bytes.

pub mod alert_record;
pub mod hello;
pub mod hidden_name;
pub mod notes;
pub(crate) mod ticket_nonces;
pub mod transcript;
