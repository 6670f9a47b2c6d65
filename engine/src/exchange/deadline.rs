//! Which timer runs in which state, and what it leads to.

use std::time::Duration;

use ferrule_config::model::{Http, Listen, UpstreamTimeout};

use super::refusal::Refusal;

/// What is being waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// The client's TLS handshake, from accept to its end.
    Handshake,
    /// The first byte of a request on a new connection, or the rest of its head.
    RequestHead,
    /// The first byte of another request.
    NextRequest,
    /// More of a request body, before any byte of a response was sent.
    RequestBody,
    /// The client to take what we send.
    ClientWrite,
    /// An upstream connection, TLS included.
    UpstreamConnect,
    /// The upstream to take what we send.
    UpstreamWrite,
    /// The response head.
    ResponseHead,
    /// More of a response body, after its head was sent.
    ResponseBody,
}

/// A timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline {
    /// How long the wait may take.
    pub after: Duration,
    /// What happens then.
    pub expiry: Expiry,
}

/// What happens when a timer expires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// The connection is closed without a word: there is nobody to tell, or no way to tell it.
    Close,
    /// The request is answered.
    Refuse(Refusal),
}

/// The timer of a wait.
#[must_use]
pub const fn deadline(
    wait: Wait,
    http: &Http,
    listen: &Listen,
    upstream: &UpstreamTimeout,
) -> Deadline {
    let _ = (wait, http, listen, upstream);
    unimplemented!()
}
