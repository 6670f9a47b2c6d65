//! May this client ask, may it ask for this host here, and may it take this route?
//!
//! Its certificate was judged and held against every list where its identity was made; what is left
//! for a request is to look the answers up, and to see that time has not overtaken them.

use ferrule_config::model::MtlsRoutes;

use super::connection_view::ConnectionView;
use super::refusal::Refusal;
use super::scratch::Scratch;
use crate::identity::{ClientIdentity, Verdict};
use crate::plan::hosts::{Cover, HostBuf};
use crate::plan::{Gate, HostMatch, HostName, Plan, RouteId, RouteMatch};
use crate::wire::head::Method;

/// May this client ask for anything? Its certificate was judged at the handshake, but connections
/// live on, so its dates are looked at again: two comparisons.
///
/// Without a request the question is whether it may ask for any at all. Exempt paths need no good
/// certificate, if they are exempt in whatever way they are read. But one that was good and has expired since is refused
/// there too: what is passed on of it would be true no more, and on a new connection it is.
///
/// # Errors
/// The reason why not.
pub fn check_client(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    request: Option<&Scratch>,
) -> Result<(), Refusal> {
    let Some(policy) = connection.policy else { return Ok(()) };
    let verdict = connection.client.map_or(Verdict::None, |client| client.verdict);
    let expired = connection.client.is_some_and(|client| has_expired(client, connection.now));
    let passed = match Gate::of(plan.sni.verify(policy), verdict) {
        Gate::NoCertificate => Err(Refusal::NoCertificate),
        Gate::BadCertificate(failure) => Err(Refusal::BadCertificate(failure)),
        Gate::Pass if expired => return Err(Refusal::CertificateExpired),
        Gate::Pass => plan.sni.check_lists(policy, connection.client).map_err(Refusal::Forbidden),
    };
    passed.or_else(|refusal| {
        let exempt = match request {
            Some(request) => {
                // Expressions are written for single slashes; each doubled reading has a merged one.
                let doubled = |path: &&[u8]| path.windows(2).any(|two| two == b"//");
                let mut merged = request.paths().filter(|path| !doubled(path));
                merged.all(|path| plan.sni.exempts(policy, path))
            }
            None => plan.sni.has_exempt(policy),
        };
        if exempt { Ok(()) } else { Err(refusal) }
    })
}

/// Has a certificate that was good expired since?
fn has_expired(client: &ClientIdentity, now: i64) -> bool {
    client.verdict == Verdict::Success && client.has_ended(now)
}

/// What a request's host means on its connection: for the question which routes it may lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostScope {
    matched: HostMatch,
    /// On plain HTTP: a server name that requires a certificate is meant. What it leads to may still
    /// demand one by itself, and say so.
    misdirected: bool,
}

/// May it ask for this host on this connection? If a certificate means anything under either
/// policy, the host must be of the very policy that the certificate was judged by. A host that the
/// listener's server names do not know has no policy, and is refused where there is one (nginx does
/// the same with its default server). So is one below of a wildcard server name by more than its
/// one label, unless that name has this policy: nginx would take it for that name.
pub(super) fn check_host(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    host: HostName<'_>,
    method: Method,
) -> Result<HostScope, Refusal> {
    let meaning = plan.host_meaning(connection.listener, host);
    let Some(used) = connection.policy else {
        let listener = connection.listener.map(|listener| plan.listener(listener));
        if let Some(port) = listener.and_then(|listener| listener.listen.https_port) {
            return Err(to_https(method, host, port));
        }
        let required = meaning.policy.is_some_and(|policy| plan.sni.requires_certificate(policy));
        let misdirected = required || !meaning.above.admit(None);
        return Ok(HostScope { matched: meaning.matched, misdirected });
    };
    if host.is_empty() {
        // HTTP/1.0 without Host asks for nothing but what the server name said.
        let assumed = meaning.policy == Some(used);
        let matched = if assumed { meaning.matched } else { HostMatch::Unknown };
        return Ok(HostScope { matched, misdirected: false });
    }
    // What an unknown host means is the listener's to say, and that may have been to keep it out.
    if connection.listener.is_none() && meaning.matched == HostMatch::Unknown {
        return Err(Refusal::MisdirectedRequest);
    }
    if connection.client.is_some_and(|client| !keeps_for(client, host, meaning.matched)) {
        return Err(Refusal::MisdirectedRequest);
    }
    let matters = |policy| plan.sni.asks_for_certificate(policy);
    let harmless =
        meaning.policy == Some(used) || !(matters(used) || meaning.policy.is_some_and(matters));
    if harmless && meaning.above.admit(Some(used)) {
        Ok(HostScope { matched: meaning.matched, misdirected: false })
    } else {
        Err(Refusal::MisdirectedRequest)
    }
}

/// The same by TLS. A client may ask by another method after a 301, but not after a 308 (RFC 9110, sections 15.4.2 and
/// 15.4.9).
#[cold]
const fn to_https(method: Method, host: HostName<'_>, port: u16) -> Refusal {
    match method {
        _ if host.is_empty() => Refusal::UnusableUri,
        Method::Get | Method::Head => Refusal::RedirectToHttps(301, port),
        _ => Refusal::RedirectToHttps(308, port),
    }
}

/// A verdict that was kept is for the connection's own server name: another of the same policy has
/// never trusted this client. Without a server name it is for what no name is meant for.
fn keeps_for(client: &ClientIdentity, host: HostName<'_>, matched: HostMatch) -> bool {
    match &client.kept {
        None => true,
        Some(kept) if kept.name.is_empty() => matched != HostMatch::Named,
        Some(kept) => HostBuf::default().read(kept.name.as_bytes()) == host,
    }
}

/// May a host with this scope lead to this route here? What is a server name itself was asked
/// about that. Any other must not reach, by a wider host pattern of a route, what a server name
/// with other demands leads to.
pub(super) fn check_route(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    host: HostScope,
    found: &RouteMatch,
) -> Result<(), Refusal> {
    let (used, route) = (connection.policy, plan.route(found.route));
    let fits = match host.matched {
        HostMatch::Named => true,
        HostMatch::Every | HostMatch::Fallback => {
            found.cover == Cover::Every || found.guards.admit(used)
        }
        HostMatch::Unknown if found.cover == Cover::Every => {
            route.reach.takes_strangers(&plan.sni, used)
        }
        HostMatch::Unknown => route.reach.guards().admit(used),
    };
    let listen = connection.listener.map(|listener| &plan.listener(listener).listen);
    let allowed = listen.is_some_and(|listen| listen.mtls_routes == Some(MtlsRoutes::Allow));
    let is_free = used.is_none() && (route.access.requires_certificate() || allowed);
    if is_free || (fits && !host.misdirected) { Ok(()) } else { Err(Refusal::MisdirectedRequest) }
}

/// May this client take this route, or what it leads to? To be asked of the route that a request was
/// admitted to, and of [`Scratch::demanding`]. `client` is who it is by the authorities of the route
/// ([`RouteAccess::trust`](crate::plan::RouteAccess::trust)).
///
/// # Errors
/// [`Refusal::Forbidden`], and why; or its certificate, good by those authorities, has expired.
pub fn permit(
    plan: &Plan,
    route: RouteId,
    client: Option<&ClientIdentity>,
    now: i64,
) -> Result<(), Refusal> {
    if client.is_some_and(|client| has_expired(client, now)) {
        return Err(Refusal::CertificateExpired);
    }
    plan.route(route).access.check(client).map_err(Refusal::Forbidden)
}
