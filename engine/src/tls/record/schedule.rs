//! Where the keys come from: rustls did the handshake, and keeps the secrets behind them.
//!
//! A [`Schedule`] gives the next keys of a direction (RFC 8446, section 7.2) and keeps the tickets
//! that a client is given, so that resumption works as if rustls had read them itself.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::{Error, ExtractedSecrets, InvalidMessage};

use super::cipher::Protection;
use super::fault::Fault;
use super::{Records, Role};

/// The secrets of one connection.
pub trait Schedule {
    /// The next keys for what we read.
    fn next_read(&mut self) -> Option<Protection>;
    /// The next keys for what we write.
    fn next_write(&mut self) -> Option<Protection>;
    /// Keeps a ticket, given the body of its message.
    ///
    /// # Errors
    /// It cannot be read.
    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), Fault>;
}

impl Schedule for KernelConnection<ServerConnectionData> {
    fn next_read(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_rx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn next_write(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_tx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn keep_ticket(&mut self, _: &[u8]) -> Result<(), Fault> {
        Err(Fault::UnexpectedMessage)
    }
}

impl Schedule for KernelConnection<ClientConnectionData> {
    fn next_read(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_rx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn next_write(&mut self) -> Option<Protection> {
        let (sequence, keys) = self.update_tx_secret().ok()?;
        Protection::of(sequence, &keys)
    }

    fn keep_ticket(&mut self, body: &[u8]) -> Result<(), Fault> {
        self.handle_new_session_ticket(body).map_err(|error| match error {
            Error::InvalidMessage(InvalidMessage::DuplicateExtension(_)) => Fault::IllegalMessage,
            Error::InvalidMessage(_) => Fault::BrokenMessage,
            _ => Fault::NoKeys,
        })
    }
}

impl Records {
    /// Takes over from rustls as a server. Everything rustls had to say must be encoded already, and
    /// it must have been shown nothing behind the client's Finished: what it knows of that is lost.
    ///
    /// # Errors
    /// The handshake is not over, is not TLS 1.3's, or the settings do not allow it.
    pub fn of_server(connection: UnbufferedServerConnection) -> Result<Self, Box<Error>> {
        let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
        Self::of(Role::Server, &secrets, Box::new(kernel))
    }

    /// As [`Records::of_server`], as a client.
    ///
    /// # Errors
    /// As there.
    pub fn of_client(connection: UnbufferedClientConnection) -> Result<Self, Box<Error>> {
        let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
        Self::of(Role::Client, &secrets, Box::new(kernel))
    }

    fn of(
        role: Role,
        secrets: &ExtractedSecrets,
        schedule: Box<dyn Schedule>,
    ) -> Result<Self, Box<Error>> {
        let read = Protection::of(secrets.rx.0, &secrets.rx.1);
        let write = Protection::of(secrets.tx.0, &secrets.tx.1);
        let protections = read.zip(write).ok_or_else(|| Box::new(Error::HandshakeNotComplete))?;
        Ok(Self::new(role, protections, schedule))
    }
}
