//! From a request head to a route, or to a refusal.
//!
//! In: a head that `wire` accepted, and what its connection brings along. Out: an [`Admission`], after
//! which nobody asks again whether this request may be served, by which route, or where it ends.
//!
//! The order of the questions: where does it end, is the method one we serve, what does it ask for,
//! may this client ask, may it ask *here* (421), is the body acceptable, is there a route.

use ferrule_config::model::ClientVerify;

use super::hop;
use super::refusal::Refusal;
use crate::identity::{ClientIdentity, Verdict};
use crate::plan::{Found, ListenerId, MethodSet, Plan, PolicyId, RouteId, UpstreamId};
use crate::wire::error::WireError;
use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::framing::{self, BodyLength};
use crate::wire::head::{Method, RequestHead, Version};
use crate::wire::span::Span;
use crate::wire::target::{self, Target};

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
    /// client mean to send one?
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
    /// Does the client mean to keep the connection?
    pub keep_alive: bool,
    /// Does the client wait for our 100 before it sends the body?
    pub expect_continue: bool,
}

impl Admission {
    /// May it be sent twice (RFC 9110, section 9.2.2)?
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        match self.method {
            Method::Delete
            | Method::Get
            | Method::Head
            | Method::Options
            | Method::Put
            | Method::Trace => true,
            Method::Connect | Method::Patch | Method::Post | Method::Purge | Method::Other => false,
        }
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
    scratch.reset();
    let (method, version) = (scratch.head.method, scratch.head.version);
    let body = framing::request_body(buf, &scratch.head).map_err(Refusal::Malformed)?;
    if hop::Nominations::of(buf, &scratch.head.fields).is_none() {
        return Err(Refusal::Malformed(WireError::TooManyFields));
    }
    let keep_alive = hop::keeps_alive(buf, &scratch.head.fields, version);
    let has_body = !matches!(body, BodyLength::None | BodyLength::Length(0));
    // Behind CONNECT may follow anything, because the client hopes for a tunnel.
    scratch.keep_after_refusal = keep_alive && !has_body && method != Method::Connect;
    if matches!(method, Method::Connect | Method::Trace) {
        return Err(Refusal::MethodNotAllowed(MethodSet::ALL));
    }
    let target =
        target::parse_target(buf, method, scratch.head.target).map_err(Refusal::Malformed)?;
    scratch.target = Some(target);
    let authority = scratch.take_host(buf, &target)?;
    target::normalise_path(target.path.of(buf), &mut scratch.path).map_err(Refusal::Malformed)?;
    check_client(plan, connection)?;
    check_host(plan, connection, &scratch.host)?;
    if let (BodyLength::Length(len), Some(max)) = (body, plan.http.client_max_body_size)
        && len > max
    {
        return Err(Refusal::BodyTooLarge);
    }
    let expect_continue = expects_continue(buf, &scratch.head)? && has_body;
    match plan.table.lookup(&scratch.host, &scratch.path, method) {
        Found::Route(route) => Ok(Admission {
            route,
            upstream: plan.route(route).upstream,
            method,
            version,
            target,
            authority,
            body,
            keep_alive,
            expect_continue,
        }),
        Found::MethodNotAllowed(methods) => Err(Refusal::MethodNotAllowed(methods)),
        Found::NotFound => Err(Refusal::RouteNotFound),
    }
}

impl Scratch {
    fn reset(&mut self) {
        self.target = None;
        self.host.clear();
        self.path.clear();
        self.keep_after_refusal = false;
    }

    /// Fills in the host, and returns it with its port, as it came.
    fn take_host(&mut self, buf: &[u8], target: &Target) -> Result<Span, Refusal> {
        let authority = target::request_authority(buf, &self.head, target)
            .map_err(Refusal::Malformed)?
            .unwrap_or_default();
        if !authority.is_empty() {
            let (host, _) =
                target::parse_authority(authority.of(buf)).map_err(Refusal::Malformed)?;
            let host = host.strip_suffix(b".").unwrap_or(host);
            self.host.extend(host.iter().map(u8::to_ascii_lowercase));
        }
        Ok(authority)
    }
}

/// May this client ask for anything? Its certificate was judged at the handshake, but connections
/// live on, so its dates are looked at again: two comparisons.
fn check_client(plan: &Plan, connection: &ConnectionView<'_>) -> Result<(), Refusal> {
    let Some(policy) = connection.policy else { return Ok(()) };
    let verify = plan.sni.verify(policy);
    let verdict = connection.client.map_or(Verdict::None, |client| client.verdict);
    match (verify, verdict) {
        (ClientVerify::Off, _) => Ok(()),
        (ClientVerify::On, Verdict::None) => Err(Refusal::NoCertificate),
        (ClientVerify::Optional | ClientVerify::OptionalNoCa, Verdict::None) => Ok(()),
        (ClientVerify::OptionalNoCa, Verdict::Failed(failure)) if is_untrusted(failure.text()) => {
            Ok(())
        }
        (_, Verdict::Failed(failure)) => Err(Refusal::BadCertificate(failure)),
        (_, Verdict::Success) => {
            let expired =
                connection.client.is_some_and(|client| client.validity.1 < connection.now);
            if expired { Err(Refusal::CertificateExpired) } else { Ok(()) }
        }
    }
}

/// The failures that nginx's `optional_no_ca` lets pass: nobody we know vouches for the chain.
/// Whatever else may be wrong with a certificate is refused there too.
fn is_untrusted(openssl_text: &str) -> bool {
    matches!(
        openssl_text,
        "self-signed certificate"
            | "self-signed certificate in certificate chain"
            | "unable to get local issuer certificate"
            | "unable to verify the first certificate"
            | "certificate not trusted"
    )
}

/// May it ask for this host on this connection? If a certificate means anything under either
/// policy, the host must be of the very policy that the certificate was judged by. A host that the
/// listener's server names do not know has no policy, and is refused where there is one (nginx does
/// the same with its default server).
fn check_host(plan: &Plan, connection: &ConnectionView<'_>, host: &[u8]) -> Result<(), Refusal> {
    let Some(used) = connection.policy else { return Ok(()) };
    if host.is_empty() {
        // HTTP/1.0 without Host asks for nothing but what the server name said.
        return Ok(());
    }
    let asked =
        plan.server_for(connection.listener, Some(host)).map(|server| plan.sni.policy(server));
    let matters = |policy| plan.sni.asks_for_certificate(policy);
    let harmless = asked == Some(used) || !(matters(used) || asked.is_some_and(matters));
    if harmless { Ok(()) } else { Err(Refusal::MisdirectedRequest) }
}

/// Only `100-continue` is known (RFC 9110, section 10.1.1); HTTP/1.0 may not ask for it.
fn expects_continue(buf: &[u8], head: &RequestHead) -> Result<bool, Refusal> {
    let mut asked = false;
    for field in head.fields.all(Known::Expect) {
        if !eq_ignore_case(field.value.of(buf), b"100-continue") {
            return Err(Refusal::ExpectationFailed);
        }
        asked = true;
    }
    Ok(asked && head.version == Version::Http11)
}
