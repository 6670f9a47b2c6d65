//! Which route does a request take?
//!
//! In: a request that may ask for its host, with the path as routing sees it. Out: its route, which this
//! host may lead to on this connection; or why there is none.

use super::permit::{HostStanding, check_route};
use super::refusal::Refusal;
use super::request::{ConnectionView, Scratch};
use crate::plan::facts::RequestFacts;
use crate::plan::{Facts, Found, MethodSet, Plan, RouteId};
use crate::wire::target::Target;

/// What is known of a request when its route is looked for, beside [`Scratch`].
pub(super) struct RouteQuestion<'a> {
    pub(super) buf: &'a [u8],
    pub(super) target: &'a Target,
    pub(super) standing: HostStanding,
    pub(super) max_forwards: Option<u64>,
    pub(super) asks_the_server: bool,
}

/// The route, or why there is none. OPTIONS ends here where it may go no further (RFC 9110, section
/// 7.6.2), and where it asks about a server that is no single upstream: then that server is us.
pub(super) fn find_route(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    asked: &RouteQuestion<'_>,
    scratch: &mut Scratch,
) -> Result<RouteId, Refusal> {
    let &RouteQuestion { buf, target, standing, max_forwards, asks_the_server } = asked;
    let Scratch { head, host, path, value, .. } = scratch;
    let request = RequestFacts { buf, head, target: Some(target), host, path, route_id: "" };
    let facts = connection.facts.map(|facts| Facts { request: Some(request), ..facts });
    let mut holds = |route: RouteId| {
        let (when, facts) = (plan.route(route).when.as_ref(), facts.as_ref());
        when.is_none_or(|when| facts.is_some_and(|facts| when.holds(facts, value)))
    };
    let host = host.name();
    match plan.table.lookup(host, path, head.method, &mut holds) {
        Found::Route(_) | Found::NotFound if asks_the_server && max_forwards == Some(0) => {
            Err(Refusal::Options(MethodSet::ALL))
        }
        Found::Route(found) => {
            check_route(plan, connection, standing, &found)?;
            if max_forwards == Some(0) {
                return Err(Refusal::Options(plan.table.allowed(host, path, &mut holds)));
            }
            Ok(found.route)
        }
        Found::MethodNotAllowed(methods) => Err(Refusal::MethodNotAllowed(methods)),
        Found::NotFound if asks_the_server => Err(Refusal::Options(MethodSet::ALL)),
        Found::NotFound => Err(Refusal::RouteNotFound),
    }
}
