//! From a request head to a route, or to a refusal.
//!
//! In: a head that `wire` accepted, and what its connection brings along. Out: an [`Admission`], after
//! which nobody asks again by which route this request is served, or where it ends; and after
//! [`permit`](super::permit()) nobody asks again whether its client may take that route.
//!
//! The order of the questions: where does it end, is the method one we serve, what does it ask for,
//! may this client ask, may it ask *here* (421), is the body acceptable, is there a route.

use super::connection_view::ConnectionView;
use super::hop::Nominations;
use super::permit::{check_client, check_host};
use super::refusal::Refusal;
use super::route::{RouteQuery, find_route};
use super::scratch::Scratch;
use super::{binding, forwarded_cert, options, upgrade, via};
use crate::plan::{MethodSet, Plan, RouteId, UpstreamId};
use crate::wire::error::WireError;
use crate::wire::fields::{Known, eq_ignore_case};
use crate::wire::framing::{self, BodyLength};
use crate::wire::head::{Method, Version};
use crate::wire::span::Span;
use crate::wire::target::{self, Target};
use crate::wire::view::RequestView;

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
    /// It asks for a WebSocket, where the route allows one; the connection is not kept then.
    pub upgrade: bool,
    /// Do its credentials hold for the upstream's connection, which is nobody else's then?
    pub binds_connection: bool,
    /// What the client asks of the way it goes.
    pub features: RequestFeatures,
    /// OPTIONS: how often the next hop may still send it on.
    pub max_forwards: Option<u64>,
}

/// What a client asks of the way its request goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RequestFeatures {
    /// It waits for a 100 before it sends the body.
    pub expect_continue: bool,
    /// It takes trailers, on behalf of everybody behind it (RFC 9110, section 10.1.4).
    pub takes_trailers: bool,
    /// OPTIONS: it asks about the server as a whole; sent on as `*`.
    pub asks_the_server: bool,
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

/// Decides about a request head.
///
/// # Errors
/// Whatever is answered by ourselves; [`Scratch::keep_after_refusal`] then says whether the
/// connection may live on, unless [`Refusal::closes`].
pub fn admit(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    request: RequestView<'_>,
    scratch: &mut Scratch,
) -> Result<Admission, Refusal> {
    scratch.forget();
    let (method, version) = (request.method(), request.version());
    let fields = request.fields();
    let body = framing::request_body(request).map_err(Refusal::Malformed)?;
    let nominations =
        Nominations::of(fields).ok_or(Refusal::Malformed(WireError::TooManyNominations))?;
    let keep_alive = nominations.keep_connection(version);
    let has_body = !body.is_empty();
    // Behind CONNECT may follow anything, because the client hopes for a tunnel.
    scratch.keep_after_refusal = keep_alive && !has_body && method != Method::Connect;
    if matches!(method, Method::Connect | Method::Trace) {
        return Err(Refusal::MethodNotAllowed(MethodSet::ALL));
    }
    let target = target::request_target(request).map_err(Refusal::Malformed)?;
    let authority = read_resource(request, &target, scratch)?;
    let asks_the_server = options::asks_the_server(request, &target);
    if asks_the_server {
        // Judged and routed as what it is sent on as, whichever form it came in.
        scratch.path.clear();
        scratch.path.push(b'*');
        scratch.readings.clear();
    }
    check_client(plan, connection, Some(scratch))?;
    let scope = check_host(plan, connection, scratch.host.name(), method)?;
    if plan.http.via.as_ref().is_some_and(|name| via::loops(fields, name)) {
        return Err(Refusal::RequestLoop);
    }
    forwarded_cert::check(plan, fields)?;
    let max_forwards = options::max_forwards(request)?;
    let expect_continue = expects_continue(request)? && has_body;
    let query = RouteQuery { request, target: &target, scope, max_forwards, asks_the_server };
    let route = find_route(plan, connection, &query, scratch)?;
    if let (BodyLength::Length(len), Some(max)) = (body, plan.route(route).client_max_body_size)
        && len > max
    {
        return Err(Refusal::BodyTooLarge);
    }
    // A granted upgrade has no trailers.
    let upgrade = plan.route(route).websocket && upgrade::asks(request, body);
    let takes_trailers =
        !upgrade && version == Version::Http11 && fields.has_item(Known::Te, b"trailers");
    Ok(Admission {
        route,
        upstream: plan.route(route).upstream.unwrap_or(UpstreamId::NOWHERE),
        method,
        version,
        target,
        authority,
        // What asks for a tunnel has no body, and says nothing about one: some servers refuse it then.
        body: if upgrade { BodyLength::None } else { body },
        keep_alive: keep_alive && !upgrade,
        upgrade,
        binds_connection: binding::by_request(fields),
        features: RequestFeatures { expect_continue, takes_trailers, asks_the_server },
        max_forwards: max_forwards.map(|left| left.saturating_sub(1)),
    })
}

/// Reads host and path, the latter in every way that it may be taken. The authority, as it came.
pub(super) fn read_resource(
    request: RequestView<'_>,
    target: &Target,
    scratch: &mut Scratch,
) -> Result<Span, Refusal> {
    scratch.target = Some(*target);
    let authority = scratch.take_host(request, target)?;
    let Scratch { path, readings, .. } = scratch;
    target::normalise_path(request.text(target.path), path).map_err(Refusal::Malformed)?;
    readings.read(request.text(target.path), path).map_err(Refusal::Malformed)?;
    Ok(authority)
}

/// Only `100-continue` is known; in HTTP/1.0 no expectation means anything (RFC 9110, section
/// 10.1.1).
fn expects_continue(request: RequestView<'_>) -> Result<bool, Refusal> {
    if request.version() == Version::Http10 {
        return Ok(false);
    }
    let mut asked = false;
    for item in request.fields().items(Known::Expect) {
        if !eq_ignore_case(item, b"100-continue") {
            return Err(Refusal::ExpectationFailed);
        }
        asked = true;
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use ferrule_config::Config;
    use ferrule_config::model::ClientVerify::{Off, On, Optional, OptionalNoCa};

    use super::*;
    use crate::identity::{ClientIdentity, IdentityPlan, Verdict, VerifyFailure};
    use crate::plan::fixture::{config, route, server};
    use crate::plan::{ListenerId, ServerId};
    use crate::wire::head::{RequestHead, parse_request};

    const PLAIN: ConnectionView<'_> = ConnectionView {
        listener: Some(ListenerId(0)),
        policy: None,
        client: None,
        now: 1000,
        facts: None,
    };

    fn client(verdict: Verdict, not_after: i64) -> ClientIdentity {
        let nobody = ClientIdentity::none(&IdentityPlan::default());
        ClientIdentity { verdict, not_before: 0, not_after, ..nobody }
    }

    fn ask(
        plan: &Plan,
        connection: &ConnectionView<'_>,
        head: &str,
    ) -> (Result<Admission, Refusal>, Scratch) {
        let mut scratch = Scratch::default();
        let limits = plan.head_limits();
        let mut parsed = RequestHead::default();
        parse_request(head.as_bytes(), head.len(), limits, &mut parsed).unwrap();
        (admit(plan, connection, parsed.view(head.as_bytes()), &mut scratch), scratch)
    }

    fn plain(head: &str) -> (Result<Admission, Refusal>, Scratch) {
        let mut config = config();
        let mut get = route(&["get.test"], &["/*"]);
        get.methods = vec!["GET".to_owned()];
        let mut small = route(&["h"], &["/a/*"]);
        small.client_max_body_size = Some(10);
        config.routes = vec![small, get];
        ask(&Plan::build(&config), &PLAIN, head)
    }

    #[test]
    fn every_request_is_admitted_or_refused_for_its_reason() {
        let too_many =
            format!("GET /a/ HTTP/1.1\r\nHost: h\r\nConnection: {}\r\n\r\n", "a,".repeat(65));
        for (head, wanted) in [
            ("GET /a/b HTTP/1.1\r\nHost: h\r\n\r\n", 0),
            ("GET /a/b HTTP/1.1\r\nHost: H.:80\r\n\r\n", 0),
            ("GET //%61/b?x HTTP/1.1\r\nHost: h\r\n\r\n", 0),
            ("GET http://h:1/a/ HTTP/1.1\r\nHost: other\r\n\r\n", 0),
            ("GET /b HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            ("GET /a/ HTTP/1.1\r\nHost: other\r\n\r\n", 404),
            ("GET http://other/a/ HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            ("GET /a/ HTTP/1.0\r\n\r\n", 404),
            ("POST / HTTP/1.1\r\nHost: get.test\r\n\r\n", 405),
            ("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 405),
            ("TRACE /a/ HTTP/1.1\r\nHost: h\r\n\r\n", 405),
            ("get /a/ HTTP/1.1\r\nHost: h\r\n\r\n", 0),
            ("GETS /a/ HTTP/1.1\r\nHost: h\r\n\r\n", 0),
            ("propfind /a/ HTTP/1.1\r\nHost: h\r\n\r\n", 0),
            ("GET /a/ HTTP/1.1\r\n\r\n", 400),
            ("GET /a/ HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
            ("GET /a/ HTTP/1.1\r\nHost:\r\n\r\n", 400),
            ("GET /a/ HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
            ("GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /a/%0d HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("POST /a/ HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n", 0),
            ("POST /a/ HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", 413),
            (
                "POST /a/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            ("POST /a/ HTTP/1.1\r\nHost: h\r\nExpect: else\r\n\r\n", 417),
            (too_many.as_str(), 431),
        ] {
            let status = plain(head).0.map_or_else(Refusal::status, |_| 0);
            assert_eq!(status, wanted, "{head}");
        }
    }

    #[test]
    fn what_the_rest_of_the_way_needs_is_taken_out_of_the_head() {
        let head = "POST http://H.:80//a/%62?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\
                    Expect: 100-Continue\r\nConnection: close\r\n\r\n";
        let (admission, scratch) = plain(head);
        let admission = admission.unwrap();
        assert_eq!((scratch.host.as_bytes(), scratch.path.as_slice()), (&b"h"[..], &b"/a/b"[..]));
        assert_eq!(admission.authority.of(head.as_bytes()), b"H.:80");
        assert_eq!(admission.target.path_and_query.of(head.as_bytes()), b"//a/%62?q=1");
        assert_eq!(admission.body, BodyLength::Length(3));
        assert!(admission.features.expect_continue && !admission.keep_alive);
        assert!(!admission.is_idempotent());
    }

    #[test]
    fn a_connection_is_kept_when_the_client_means_it() {
        for (version, fields, wanted) in [
            ("1.1", "", true),
            ("1.1", "Connection: Keep-Alive, CLOSE\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: x\r\nConnection: keep-alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
        ] {
            let head = format!("GET /a/ HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
            assert_eq!(plain(&head).0.unwrap().keep_alive, wanted, "{head}");
        }
    }

    #[test]
    fn a_refused_request_leaves_a_usable_connection_only_if_its_end_is_known() {
        for (head, wanted) in [
            ("GET /b HTTP/1.1\r\nHost: h\r\n\r\n", true),
            ("GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false),
            ("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", true),
            ("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", false),
            ("POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            ("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", false),
        ] {
            let (admission, scratch) = plain(head);
            assert!(!admission.unwrap_err().closes());
            assert_eq!(scratch.keep_after_refusal, wanted, "{head}");
        }
    }

    fn mutual() -> Config {
        let mut config = config();
        config.routes = vec![route(&[], &["/*"])];
        config.servers = vec![
            server(&["a.test", "*.a.test"], Some(("a.pem", On))),
            server(&["same.test"], Some(("a.pem", On))),
            server(&["b.test"], Some(("b.pem", On))),
            server(&["opt.test"], Some(("a.pem", Optional))),
            server(&["any.test"], Some(("a.pem", OptionalNoCa))),
            server(&["open.test"], None),
            server(&["off.test"], Some(("a.pem", Off))),
        ];
        config
    }

    /// Every server name against every Host: only equal policies meet, unless neither asks for a
    /// certificate.
    #[test]
    fn a_host_of_another_policy_is_misdirected() {
        let plan = Plan::build(&mutual());
        let good = client(Verdict::Success, 2000);
        let hosts =
            ["a.test", "same.test", "b.test", "opt.test", "any.test", "open.test", "off.test"];
        let class = |at: usize| [0, 0, 1, 2, 3, 4, 4][at];
        let status = |used: usize, host: &str| {
            let used = ServerId(u32::try_from(used).unwrap());
            let policy = Some(plan.sni.policy(used));
            let connection = ConnectionView {
                listener: Some(ListenerId(1)),
                policy,
                client: Some(&good),
                now: 1000,
                facts: None,
            };
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let absolute = format!("GET http://{host}/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let status = ask(&plan, &connection, &head).0.map_or_else(Refusal::status, |_| 0);
            let other = ask(&plan, &connection, &absolute).0.map_or_else(Refusal::status, |_| 0);
            assert_eq!(status, other, "{host}");
            status
        };
        for used in 0..hosts.len() {
            for (asked, host) in hosts.iter().enumerate() {
                let wanted = if class(used) == class(asked) { 0 } else { 421 };
                assert_eq!(status(used, host), wanted, "{} -> {host}", hosts[used]);
            }
            let unknown = if class(used) == 4 { 0 } else { 421 };
            assert_eq!(status(used, "nowhere.test"), unknown, "{}", hosts[used]);
        }
        assert_eq!(status(0, "x.A.test.:443"), 0);
        assert_eq!(status(0, "x.y.a.test"), 421);
    }

    #[test]
    fn an_unknown_host_means_the_listeners_fallback() {
        let mut config = mutual();
        config.listens[1].fallback_sni = Some("a.test".to_owned());
        let plan = Plan::build(&config);
        let good = client(Verdict::Success, 2000);
        for (used, wanted) in [(0, None), (1, None), (2, Some(421)), (5, Some(421))] {
            let policy = Some(plan.sni.policy(ServerId(used)));
            let connection = ConnectionView {
                listener: Some(ListenerId(1)),
                policy,
                client: Some(&good),
                now: 1000,
                facts: None,
            };
            let answer = ask(&plan, &connection, "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n").0;
            assert_eq!(answer.err().map(Refusal::status), wanted, "{used}");
        }
    }

    /// Its listener may have kept unknown hosts out.
    #[test]
    fn without_its_listener_a_connection_reaches_named_hosts_alone() {
        let plan = Plan::build(&mutual());
        let policy = Some(plan.sni.policy(ServerId(5)));
        for (host, there, gone) in [
            ("open.test", None, None),
            ("off.test", None, None),
            ("nowhere.test", None, Some(421)),
            ("a.test", Some(421), Some(421)),
        ] {
            for (listener, wanted) in [(Some(ListenerId(1)), there), (None, gone)] {
                let connection =
                    ConnectionView { listener, policy, client: None, now: 1000, facts: None };
                let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
                let answer = ask(&plan, &connection, &head).0;
                assert_eq!(answer.err().map(Refusal::status), wanted, "{host} {listener:?}");
            }
        }
    }

    #[test]
    fn a_client_is_let_in_as_its_policy_says() {
        let plan = Plan::build(&mutual());
        let foreign = VerifyFailure::NoLocalIssuer;
        let bad = |failure| Some(Refusal::BadCertificate(failure));
        let expired = VerifyFailure::Expired;
        for (host, verdict, wanted) in [
            ("a.test", Verdict::None, Some(Refusal::NoCertificate)),
            ("a.test", Verdict::Failed(foreign), bad(foreign)),
            ("a.test", Verdict::Success, None),
            ("opt.test", Verdict::None, None),
            ("opt.test", Verdict::Failed(foreign), bad(foreign)),
            ("any.test", Verdict::None, None),
            ("any.test", Verdict::Failed(foreign), None),
            ("any.test", Verdict::Failed(expired), bad(expired)),
            ("open.test", Verdict::None, None),
            ("off.test", Verdict::Failed(foreign), None),
        ] {
            let identity = client(verdict, 2000);
            let policy = plan.server_for(Some(ListenerId(1)), Some(host.as_bytes()));
            let policy = policy.map(|server| plan.sni.policy(server));
            let at = |now| {
                let client = Some(&identity);
                let connection = ConnectionView {
                    listener: Some(ListenerId(1)),
                    policy,
                    client,
                    now,
                    facts: None,
                };
                ask(&plan, &connection, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).0.err()
            };
            assert_eq!(at(1999), wanted, "{host} {verdict:?}");
            if verdict == Verdict::Success {
                // As on a new connection: the end itself is over.
                assert_eq!(at(2000), Some(Refusal::CertificateExpired));
            }
        }
    }
}
