//! What comes of opening a record, of a step of a handshake, and of a session that fails.

use crate::tls::record::RecordError;

/// What opening found.
#[derive(Debug, Eq, PartialEq)]
pub enum Opened<R> {
    /// A payload, and what the caller made of it.
    Data(R),
    /// There is no whole record; read more.
    More,
    /// The peer has said that nothing follows (`close_notify`).
    Closed,
}

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeProgress {
    /// It needs more from the peer; what is pending must be sent first.
    NeedsRead,
    /// Done; what is pending may be sent together with the first message.
    Done,
}

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionError {
    /// rustls refused; an alert is pending.
    Tls(Box<rustls::Error>),
    /// Our own record layer refused; an alert is pending.
    Record(RecordError),
    /// The peer closed within its handshake.
    Closed,
    /// The output did not fit, or the keys are used up: our own fault or the end of a connection.
    Exhausted,
}
