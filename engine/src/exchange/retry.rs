//! May a failure be tried again? One truth table.

/// What went wrong before the client got any byte of a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// No connection: neither TCP nor TLS got to the point where a request can be sent.
    Connect,
    /// The connection ended before the first byte of a response.
    Lost,
    /// No answer in time.
    Timeout,
    /// An answer that is not one.
    BadResponse,
}

/// How much of a request has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// Not a byte.
    Nothing,
    /// Something, and all of it is still held: head and whatever there was of the body.
    Replayable,
    /// Body bytes that are gone.
    Gone,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// What went wrong.
    pub failure: Failure,
    /// Did the connection come from the pool?
    pub reused: bool,
    /// How much of the request has left.
    pub sent: Sent,
    /// May the request be sent twice?
    pub idempotent: bool,
    /// Further nodes that may be asked, as `retries` and the balancer allow.
    pub nodes_left: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Refuse.
    No,
    /// Once more, same node, on a fresh connection.
    SameNodeFresh,
    /// On another node.
    NextNode,
}

/// Decides.
#[must_use]
pub const fn decide(attempt: Attempt) -> Retry {
    let _ = attempt;
    unimplemented!()
}
