//! Why a connection cannot be used any further, in terms of its bytes.

use std::io;

use super::tls::SessionError;

/// Why a connection cannot be used any further.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamError {
    /// The peer ended it; never said of a connection that we have shut ourselves.
    Ended,
    /// The kernel said so.
    Failed(io::ErrorKind),
    /// Our deadline passed.
    TimedOut,
    /// TLS cannot go on.
    Tls(SessionError),
}
