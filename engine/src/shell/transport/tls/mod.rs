//! TLS over rented buffers: a session without a socket, and what both directions of a connection share.
//!
//! [`Session`] opens and seals, by rustls (`unbuffered`) or by our own record layer (`fast`);
//! `reseal` makes the records of one connection those of another. What the protocol wants to send by
//! itself waits in [`TlsOutput`].

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
