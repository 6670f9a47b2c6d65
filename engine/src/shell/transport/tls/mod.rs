//! TLS over rented buffers: a session without a socket, and the state that both directions of a connection
//! share.
//!
//! [`Session`] decrypts and encrypts records, with rustls (`unbuffered`) or with our own record layer
//! (`fast`). `reseal` turns the records of one connection into those of another. Messages that TLS itself has
//! to send wait in [`TlsOutput`].

mod alert;
mod fast;
mod outcome;
mod output;
pub(crate) mod reseal;
mod rustls_connection;
mod security;
mod session;
mod unbuffered;

pub use outcome::{HandshakeProgress, Opened, SessionError};
pub use output::{TlsOutput, flush_pending};
pub(crate) use security::Security;
pub use session::{RECORD_OVERHEAD_MAX, Session};
