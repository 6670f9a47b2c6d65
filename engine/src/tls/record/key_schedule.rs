//! Where the keys come from: rustls did the handshake, and keeps the secrets behind them.
//!
//! A [`KeySchedule`] gives the next keys of a direction (RFC 8446, section 7.2) and keeps the tickets
//! that a client is given, so that resumption works as if rustls had read them itself.

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{Error, InvalidMessage};

use super::cipher::Protection;
use super::error::RecordError;

/// The secrets of one connection.
pub trait KeySchedule {
    /// The next keys for what we read.
    fn next_read(&mut self) -> Option<Protection>;
    /// The next keys for what we write.
    fn next_write(&mut self) -> Option<Protection>;
    /// Keeps a ticket, given the body of its message.
    ///
    /// # Errors
    /// It cannot be read.
    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), RecordError>;
}

impl KeySchedule for KernelConnection<ServerConnectionData> {
    fn next_read(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_rx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn next_write(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_tx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn keep_ticket(&mut self, _: &[u8]) -> Result<(), RecordError> {
        Err(RecordError::UnexpectedMessage)
    }
}

impl KeySchedule for KernelConnection<ClientConnectionData> {
    fn next_read(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_rx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn next_write(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_tx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), RecordError> {
        self.handle_new_session_ticket(body).map_err(|error| match error {
            Error::InvalidMessage(InvalidMessage::DuplicateExtension(_)) => {
                RecordError::IllegalMessage
            }
            Error::InvalidMessage(_) => RecordError::BrokenMessage,
            _ => RecordError::NoKeys,
        })
    }
}
