//! A connection taken over from rustls, once its handshake is done.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{Error, ExtractedSecrets};

use super::cipher::Protection;
use super::key_schedule::KeySchedule;
use super::layer::RecordLayer;
use super::messages::Role;

impl RecordLayer {
    /// Takes over from rustls as a server. Everything rustls had to say must be encoded already, and
    /// it must have been shown nothing behind the client's Finished: what it knows of that is lost.
    ///
    /// # Errors
    /// The handshake is not over, is not TLS 1.3's, or the settings do not allow it.
    pub fn of_server(connection: UnbufferedServerConnection) -> Result<Self, Box<Error>> {
        let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
        Self::of(Role::Server, &secrets, Box::new(kernel))
    }

    /// As [`RecordLayer::of_server`], as a client.
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
        schedule: Box<dyn KeySchedule>,
    ) -> Result<Self, Box<Error>> {
        let read = Protection::of(secrets.rx.0, &secrets.rx.1);
        let write = Protection::of(secrets.tx.0, &secrets.tx.1);
        let (Some(read), Some(write)) = (read, write) else {
            return Err(Box::new(Error::HandshakeNotComplete));
        };
        Ok(Self::new(role, read, write, schedule))
    }
}
