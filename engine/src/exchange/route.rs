//! Which route does a request take, and which others have to be passed?
//!
//! In: a request that may ask for its host, with its path in every reading. Out: the route of the
//! normal form, which this host may lead to on this connection; or why there is none. Routes that other
//! readings lead to, because the upstream may read the path like that, are held to the same
//! rule; those that demand something of the client are noted. So is what another
//! reading of the method leads to, and of a value that a condition asks for.

use super::connection_view::ConnectionView;
use super::permit::{HostScope, check_route};
use super::refusal::Refusal;
use super::scratch::Scratch;
use crate::plan::captures::Captures;
use crate::plan::facts::RequestFacts;
use crate::plan::{
    Condition, Facts, HostBuf, LookupResult, MethodSet, Plan, RouteId, RouteMatch, Truth,
};
use crate::wire::head::Method;
use crate::wire::target::Target;
use crate::wire::view::RequestView;

/// What is known of a request when its route is looked for, beside [`Scratch`].
pub(super) struct RouteQuery<'a> {
    pub(super) request: RequestView<'a>,
    pub(super) target: &'a Target,
    pub(super) scope: HostScope,
    pub(super) max_forwards: Option<u64>,
    pub(super) asks_the_server: bool,
}

/// The route, or why there is none. OPTIONS ends here where it may go no further (RFC 9110, section
/// 7.6.2), and where it asks about a server that is no single upstream: then that server is us.
pub(super) fn find_route(
    plan: &Plan,
    connection: &ConnectionView<'_>,
    query: &RouteQuery<'_>,
    scratch: &mut Scratch,
) -> Result<RouteId, Refusal> {
    let &RouteQuery { request, scope, max_forwards, asks_the_server, .. } = query;
    let Scratch { host, path, readings, demanding, captures, value, .. } = scratch;
    let target = query.target;
    let mut lookup = RouteLookup { plan, connection, request, target, host, captures, value };
    let route = match lookup.find(path, request.method()) {
        LookupResult::Route(_) | LookupResult::NotFound
            if asks_the_server && max_forwards == Some(0) =>
        {
            return Err(Refusal::Options(MethodSet::ALL));
        }
        LookupResult::Route(found) => {
            check_route(plan, connection, scope, &found)?;
            found.route
        }
        LookupResult::MethodNotAllowed(methods) if plan.http.wrong_method_status == 405 => {
            return Err(Refusal::MethodNotAllowed(methods));
        }
        LookupResult::MethodNotAllowed(_) => return Err(Refusal::RouteNotFound),
        LookupResult::NotFound if asks_the_server => return Err(Refusal::Options(MethodSet::ALL)),
        LookupResult::NotFound => return Err(Refusal::RouteNotFound),
    };
    let methods = method_readings(request.method(), request.method_text());
    let [_, other, _] = methods;
    // What was found is what the first of each means, unless conditions leave a doubt. Almost every
    // request is read in one way (`exchange/request`: -1 %).
    let doubt = plan.has_ambiguous_conditions();
    if doubt || other.is_some() || readings.others().next().is_some() {
        for (reading, method) in core::iter::once(path.as_slice())
            .chain(readings.others())
            .flat_map(|reading| methods.iter().flatten().map(move |method| (reading, *method)))
            .skip(usize::from(!doubt))
        {
            let mut refused = None;
            lookup.each_possible(reading, method, &mut |found| {
                refused = refused.or_else(|| check_route(plan, connection, scope, found).err());
                let new = found.route != route && !demanding.contains(&found.route);
                if new && plan.route(found.route).access.demands() {
                    demanding.push(found.route);
                }
            });
            refused.map_or(Ok(()), Err)?;
        }
    }
    if max_forwards == Some(0) {
        return Err(Refusal::Options(lookup.allowed(path)));
    }
    Ok(route)
}

/// What a method may be taken for, itself first.
pub(super) fn method_readings(method: Method, text: &[u8]) -> [Option<Method>; 3] {
    let other = method.may_be_read_as(text);
    let another = other.and_then(|method| method.may_be_read_as(text));
    [Some(method), other, another]
}

/// Looks paths up for one request.
pub(super) struct RouteLookup<'a> {
    pub(super) plan: &'a Plan,
    pub(super) connection: &'a ConnectionView<'a>,
    pub(super) request: RequestView<'a>,
    pub(super) target: &'a Target,
    pub(super) host: &'a HostBuf,
    pub(super) captures: &'a mut Captures,
    pub(super) value: &'a mut Vec<u8>,
}

impl<'a> RouteLookup<'a> {
    /// The route of this path for this method; conditions see the same path.
    pub(super) fn find(&mut self, path: &[u8], method: Method) -> LookupResult {
        let (plan, host) = (self.plan, self.host.name());
        plan.table.lookup(host, path, method, &mut |route| self.holds(route, path))
    }

    /// Every route that this path and method may mean to some upstream.
    fn each_possible(&mut self, path: &[u8], method: Method, found: &mut dyn FnMut(&RouteMatch)) {
        let (plan, host) = (self.plan, self.host.name());
        let judge = &mut |route| self.decide(route, path, Condition::judge).unwrap_or(Truth::Yes);
        plan.table.possible(host, path, method, judge, found);
    }

    /// The methods of this path.
    fn allowed(&mut self, path: &[u8]) -> MethodSet {
        let (plan, host) = (self.plan, self.host.name());
        plan.table.allowed(host, path, &mut |route| self.holds(route, path))
    }

    pub(super) fn holds(&mut self, route: RouteId, path: &[u8]) -> bool {
        self.decide(route, path, Condition::holds).unwrap_or(true)
    }

    /// What is found out about the conditions of a route, with what the route finds in this path; `None` if it has
    /// none. Where nothing is known of the connection, nothing holds.
    fn decide<T: Default>(
        &mut self,
        route: RouteId,
        path: &[u8],
        ask: impl Fn(&Condition, &Facts<'_>, &mut Vec<u8>) -> T,
    ) -> Option<T> {
        let Self { plan, connection, request, target, host, captures, value } = self;
        let route = plan.route(route);
        let when = route.when.as_ref()?;
        if let Some(policy) = &route.policy {
            captures.clear();
            policy.read_path(path, captures);
        }
        let request = RequestFacts {
            head: *request,
            target: Some(target),
            host,
            path,
            captures: Some(captures),
            route_id: "",
        };
        let facts = connection.facts.map(|facts| Facts { request: Some(request), ..facts });
        let found = facts.map_or_else(T::default, |facts| ask(when, &facts, value));
        if route.policy.is_some() {
            // It may be another route that is taken.
            captures.clear();
        }
        Some(found)
    }
}
