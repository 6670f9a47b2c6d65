//! Why there is no connection to an upstream node.

use std::io;

use crate::exchange::cause::UpstreamCause;
use crate::shell::state::core::Core;
use crate::shell::state::load_shedding;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::SessionError;
use crate::tls::client::reason;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConnectError {
    /// The node's name has no address.
    NoAddress,
    /// We have no descriptor or memory left for a connection.
    NoRoom,
    /// TCP failed.
    Failed(io::ErrorKind),
    /// It took too long.
    TimedOut,
    /// TLS failed.
    Tls(SessionError),
}

impl ConnectError {
    /// What it means for the exchange that wanted the connection.
    #[must_use]
    pub(crate) const fn cause(&self) -> UpstreamCause {
        match self {
            Self::NoAddress => UpstreamCause::NoAddress,
            Self::NoRoom => UpstreamCause::NoRoom,
            Self::Failed(_) => UpstreamCause::ConnectFailed,
            Self::TimedOut => UpstreamCause::ConnectTimeout,
            Self::Tls(_) => UpstreamCause::HandshakeFailed,
        }
    }
}

impl From<rustls::Error> for ConnectError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(SessionError::Tls(Box::new(error)))
    }
}

impl From<StreamError> for ConnectError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::TimedOut => Self::TimedOut,
            StreamError::Tls(error) => Self::Tls(error),
            StreamError::Ended => Self::Tls(SessionError::Closed),
            StreamError::Failed(kind) => Self::Failed(kind),
        }
    }
}

/// What an error means; if we have run out of something, some of it is freed.
pub(super) fn failure(core: &Core, error: &io::Error) -> ConnectError {
    if load_shedding::is_exhaustion(error) {
        load_shedding::relieve(core, error);
        return ConnectError::NoRoom;
    }
    ConnectError::Failed(error.kind())
}

/// For the log: what went wrong, in words an operator can act on.
pub(super) fn describe(error: &ConnectError) -> String {
    match error {
        ConnectError::NoRoom => "no descriptor or memory is left".to_owned(),
        ConnectError::NoAddress => "its name has not been resolved".to_owned(),
        ConnectError::Failed(kind) => kind.to_string(),
        ConnectError::TimedOut => "it took too long".to_owned(),
        ConnectError::Tls(SessionError::Tls(error)) => format!("TLS: {}", reason(error)),
        ConnectError::Tls(SessionError::Record(fault)) => format!("TLS: {}", fault.text()),
        ConnectError::Tls(SessionError::Closed) => "TLS: it closed within the handshake".to_owned(),
        ConnectError::Tls(SessionError::Exhausted) => "TLS: no room".to_owned(),
    }
}
