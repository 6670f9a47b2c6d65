//! Which route would a request take, and why not the others?
//!
//! In: a request head, and what is known of its connection. Out: every candidate in the order in which it is asked,
//! with what becomes of it. The same lookup as that of a real request finds them. May the client take the route?
//! That is [`admit`](super::request::admit)'s business, whoever asks.

use super::connection_view::ConnectionView;
use super::refusal::Refusal;
use super::request::read_resource;
use super::route::RouteLookup;
use super::scratch::Scratch;
use crate::plan::hosts::Cover;
use crate::plan::{CandidateVerdict, LookupResult, Plan, RouteId};
use crate::wire::target;
use crate::wire::view::RequestView;

/// Candidates that one trace tells of; the others are counted.
pub const STEPS_MAX: usize = 64;

/// The way of one request through the routes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouteTrace {
    /// The route that takes it.
    pub taken: Option<RouteId>,
    /// The candidates, in the order in which they are asked; the last one takes it, if one does.
    pub steps: Vec<TraceStep>,
    /// Candidates that were passed over without being listed.
    pub unlisted: usize,
}

/// One candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceStep {
    /// The route.
    pub route: RouteId,
    /// How its host covers that of the request.
    pub cover: Cover,
    /// What becomes of it.
    pub verdict: CandidateVerdict,
}

/// Traces this request.
///
/// # Errors
/// Its target or its host cannot be understood: it is refused before routes are asked.
pub fn trace(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    request: RequestView<'_>,
    scratch: &mut Scratch,
) -> Result<RouteTrace, Refusal> {
    scratch.forget();
    let target = target::request_target(request).map_err(Refusal::Malformed)?;
    read_resource(request, &target, scratch)?;
    let Scratch { host, path, captures, value, .. } = scratch;
    let target = &target;
    let mut lookup = RouteLookup { plan, connection, request, target, host, captures, value };
    let mut trace = RouteTrace::default();
    let holds = &mut |route| lookup.holds(route, path);
    plan.table.trace(host.name(), path, request.method(), holds, &mut |found, verdict| {
        let step = TraceStep { route: found.route, cover: found.cover, verdict };
        let taken = verdict == CandidateVerdict::Taken;
        trace.taken = taken.then_some(found.route);
        if taken || trace.steps.len() < STEPS_MAX {
            trace.steps.push(step);
        } else {
            trace.unlisted += 1;
        }
    });
    Ok(trace)
}

/// The route that a request asked for which was refused before it had one: what the lookup says, whatever its client
/// may take. For the choice of log lines alone. `None`: it is not understood so far, or leads nowhere.
#[cold]
pub fn asked_route(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    request: RequestView<'_>,
) -> Option<RouteId> {
    let mut scratch = Scratch::default();
    let target = target::request_target(request).ok()?;
    read_resource(request, &target, &mut scratch).ok()?;
    let Scratch { host, path, captures, value, .. } = &mut scratch;
    let target = &target;
    let mut lookup = RouteLookup { plan, connection, request, target, host, captures, value };
    match lookup.find(path, request.method()) {
        LookupResult::Route(found) => Some(found.route),
        LookupResult::MethodNotAllowed(_) | LookupResult::NotFound => None,
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::model::ClientVerify;

    use super::*;
    use crate::exchange::request::admit;
    use crate::identity::{ClientIdentity, IdentityPlan, Verdict, VerifyFailure};
    use crate::plan::fixture::{config, route, server};
    use crate::plan::{ListenerId, ServerId};
    use crate::wire::head::{RequestHead, parse_request};

    /// The trace ends where admission does, for every request that both understand.
    #[test]
    fn a_trace_ends_at_the_route_that_is_taken() {
        let mut config = config();
        let mut post = route(&["x.test"], &["/a/*"]);
        post.methods = vec!["POST".to_owned()];
        config.routes = vec![
            post,
            route(&["x.test"], &["/*"]),
            route(&["*.test"], &["/a/b"]),
            route(&[], &["/c"]),
        ];
        let plan = Plan::build(&config);
        let connection = ConnectionView {
            listener: Some(ListenerId(0)),
            policy: None,
            client: None,
            now: 1_000,
            facts: None,
        };
        for (line, host, steps) in [
            ("GET /a/b", "x.test", &[0_u32, 1][..]),
            ("POST /a/b", "x.test", &[0]),
            ("GET /%61/b", "y.test", &[2]),
            ("GET /c", "other", &[3]),
            ("GET /d", "other", &[]),
            ("PUT /c", "z.z.test", &[3]),
        ] {
            let text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let mut head = RequestHead::default();
            parse_request(text.as_bytes(), text.len(), plan.head_limits(), &mut head).unwrap();
            let view = head.view(text.as_bytes());
            let mut scratch = Scratch::default();
            let found = trace(&plan, &connection, view, &mut scratch).unwrap();
            let asked: Vec<u32> = found.steps.iter().map(|step| step.route.0).collect();
            assert_eq!(asked, steps, "{line} {host}");
            let admitted = admit(&plan, &connection, view, &mut scratch).ok();
            assert_eq!(found.taken, admitted.map(|admitted| admitted.route), "{line} {host}");
        }
    }

    /// A refused request has asked for a route: whoever asks, and wherever the way to it ended.
    #[test]
    fn the_route_that_was_asked_for_is_found_whoever_asks() {
        let mut config = config();
        config.routes = vec![route(&["a.test"], &["/pay/*"]), route(&[], &["/*"])];
        config.servers = vec![
            server(&["a.test"], Some(("a.pem", ClientVerify::On))),
            server(&["b.test"], Some(("b.pem", ClientVerify::On))),
        ];
        let plan = Plan::build(&config);
        let who = |verdict| {
            let nobody = ClientIdentity::none(&IdentityPlan::default());
            ClientIdentity { verdict, not_after: 2_000, ..nobody }
        };
        let nobody = who(Verdict::None);
        let revoked = who(Verdict::Failed(VerifyFailure::Revoked));
        let other = who(Verdict::Success);
        for (server, client, path, status, asked) in [
            (0, &nobody, "/pay/x", 400, Some(0)),
            (0, &revoked, "/pay/x", 400, Some(0)),
            (1, &other, "/pay/x", 421, Some(0)),
            (0, &nobody, "/x", 400, Some(1)),
        ] {
            let connection = ConnectionView {
                listener: Some(ListenerId(1)),
                policy: Some(plan.sni.policy(ServerId(server))),
                client: Some(client),
                now: 1_000,
                facts: None,
            };
            let text = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let mut head = RequestHead::default();
            parse_request(text.as_bytes(), text.len(), plan.head_limits(), &mut head).unwrap();
            let view = head.view(text.as_bytes());
            let refused = admit(&plan, &connection, view, &mut Scratch::default()).unwrap_err();
            assert_eq!(refused.status(), status, "{path}");
            assert_eq!(asked_route(&plan, &connection, view), asked.map(RouteId), "{path}");
        }
    }

    #[test]
    fn a_long_way_is_cut_and_counted() {
        let mut config = config();
        config.routes = (0..200)
            .map(|_| {
                let mut one = route(&[], &["/*"]);
                one.methods = vec!["POST".to_owned()];
                one
            })
            .chain([route(&[], &["/*"])])
            .collect();
        let plan = Plan::build(&config);
        let connection =
            ConnectionView { listener: None, policy: None, client: None, now: 0, facts: None };
        let text = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut head = RequestHead::default();
        parse_request(text, text.len(), plan.head_limits(), &mut head).unwrap();
        let found = trace(&plan, &connection, head.view(text), &mut Scratch::default()).unwrap();
        assert_eq!((found.steps.len(), found.unlisted), (STEPS_MAX + 1, 200 - STEPS_MAX));
        assert_eq!(found.taken, Some(RouteId(200)));
    }
}
