//! From a request head to a route, or to a refusal.

use super::refusal::Refusal;
use crate::identity::ClientIdentity;
use crate::plan::{ListenerId, Plan, PolicyId, RouteId, UpstreamId};
use crate::wire::framing::BodyLength;
use crate::wire::head::{Method, RequestHead, Version};
use crate::wire::span::Span;
use crate::wire::target::Target;

/// What one exchange after the other is worked out in; reused, so it allocates only to grow.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The parsed head ([`parse_request`](crate::wire::head::parse_request) fills it).
    pub head: RequestHead,
    /// The target, once it was understood.
    pub target: Option<Target>,
    /// The host asked for: lower case, without port and trailing dot; empty if HTTP/1.0 named none.
    pub host: Vec<u8>,
    /// The path, normalised.
    pub path: Vec<u8>,
    /// After a refusal: do we know that the next request starts right behind this head, and does the
    /// client want to send one?
    pub keep_after_refusal: bool,
}

/// What a request's connection brings along.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionView<'a> {
    /// The listener it came in by.
    pub listener: ListenerId,
    /// The policy of the server name used; `None` on plain HTTP.
    pub policy: Option<PolicyId>,
    /// Who the client is; `None` on plain HTTP.
    pub client: Option<&'a ClientIdentity>,
    /// Unix seconds.
    pub now: i64,
}

/// A request that goes on, as far as the rest of its way needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// The route taken.
    pub route: RouteId,
    /// Its upstream.
    pub upstream: UpstreamId,
    /// What the method means.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// The target.
    pub target: Target,
    /// Host and port as the client sent them; empty if it did not.
    pub authority: Span,
    /// Where the body ends.
    pub body: BodyLength,
    /// Does the client want to keep the connection?
    pub keep_alive: bool,
    /// Does the client wait for our 100 before it sends the body?
    pub expect_continue: bool,
}

impl Admission {
    /// May it be sent twice (RFC 9110, section 9.2.2)?
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        unimplemented!()
    }
}

/// Decides about the request head in `scratch.head`.
///
/// # Errors
/// Whatever is answered by ourselves; [`Scratch::keep_after_refusal`] then says whether the
/// connection may live on, unless [`Refusal::closes`].
pub fn admit(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    buf: &[u8],
    scratch: &mut Scratch,
) -> Result<Admission, Refusal> {
    let _ = (plan, connection, buf, scratch);
    unimplemented!()
}
