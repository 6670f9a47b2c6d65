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
use crate::plan::facts::RequestFacts;
use crate::plan::{Facts, HostBuf, LookupResult, MethodSet, Plan, RouteId, RouteMatch, Truth};
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
    let Scratch { host, path, readings, demanding, value, .. } = scratch;
    let mut lookup = RouteLookup { plan, connection, query, host, value };
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
        LookupResult::MethodNotAllowed(methods) => return Err(Refusal::MethodNotAllowed(methods)),
        LookupResult::NotFound if asks_the_server => return Err(Refusal::Options(MethodSet::ALL)),
        LookupResult::NotFound => return Err(Refusal::RouteNotFound),
    };
    let text = request.method_text();
    let other = request.method().may_be_read_as(text);
    let another = other.and_then(|method| method.may_be_read_as(text));
    let methods = [Some(request.method()), other, another];
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

/// Looks paths up for one request.
struct RouteLookup<'a> {
    plan: &'a Plan,
    connection: &'a ConnectionView<'a>,
    query: &'a RouteQuery<'a>,
    host: &'a HostBuf,
    value: &'a mut Vec<u8>,
}

impl<'a> RouteLookup<'a> {
    /// The route of this path for this method; conditions see the same path.
    fn find(&mut self, path: &[u8], method: Method) -> LookupResult {
        let (plan, host) = (self.plan, self.host.name());
        plan.table.lookup(host, path, method, &mut |route| self.holds(route, path))
    }

    /// Every route that this path and method may mean to some upstream.
    fn each_possible(&mut self, path: &[u8], method: Method, found: &mut dyn FnMut(&RouteMatch)) {
        let (plan, host) = (self.plan, self.host.name());
        let judge = &mut |route| {
            let Some(when) = plan.route(route).when.as_ref() else { return Truth::Yes };
            self.facts(path).map_or(Truth::No, |facts| when.judge(&facts, self.value))
        };
        plan.table.possible(host, path, method, judge, found);
    }

    /// The methods of this path.
    fn allowed(&mut self, path: &[u8]) -> MethodSet {
        let (plan, host) = (self.plan, self.host.name());
        plan.table.allowed(host, path, &mut |route| self.holds(route, path))
    }

    fn holds(&mut self, route: RouteId, path: &[u8]) -> bool {
        let Some(when) = self.plan.route(route).when.as_ref() else { return true };
        self.facts(path).is_some_and(|facts| when.holds(&facts, self.value))
    }

    /// What conditions may read.
    fn facts<'f>(&self, path: &'f [u8]) -> Option<Facts<'f>>
    where
        'a: 'f,
    {
        let request = RequestFacts {
            head: self.query.request,
            target: Some(self.query.target),
            host: self.host,
            path,
            route_id: "",
        };
        self.connection.facts.map(|facts| Facts { request: Some(request), ..facts })
    }
}
