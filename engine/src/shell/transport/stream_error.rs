//! Why a connection cannot be used any further, in terms of its bytes.

use std::io;

use super::tls::SessionError;

/// Why a connection cannot be used any further.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StreamError {
    /// The peer ended it. A connection that we shut down ourselves has timed out or failed.
    Ended,
    /// The kernel reported this error.
    Failed(io::ErrorKind),
    /// Our deadline passed.
    TimedOut,
    /// The TLS session has failed or is over.
    Tls(SessionError),
}
