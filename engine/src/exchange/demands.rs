//! Is a request refused for its client's address, for a token's claim, or for a condition?
//!
//! In: a request that [`permit`](super::permit()) lets take a route, and what is known of its connection. Out: it goes
//! on, or why not. Asked of every route that a request may be meant for, and with every reading of its path.

use super::refusal::Refusal;
use super::rewritten::Rewritten;
use super::scratch::Scratch;
use crate::plan::captures::Captures;
use crate::plan::facts::RequestFacts;
use crate::plan::{Facts, HostBuf, RoutePlan};
use crate::wire::target::Target;
use crate::wire::view::RequestView;

/// Does a request pass what this route asks besides certificates? `connection` are facts without a request.
///
/// # Errors
/// [`Refusal::Forbidden`], and why.
#[cold]
pub fn check_demands(
    route: &RoutePlan,
    connection: &Facts<'_>,
    head: RequestView<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let Some(demands) = route.access.more() else { return Ok(()) };
    let Scratch { target, host, path, readings, judged, value, .. } = scratch;
    let reading = PathReading { route, connection, head, target: target.as_ref(), host: &*host };
    let forbidden = reading.with_facts(path, judged, |facts| demands.check_client(facts));
    forbidden.map_err(Refusal::Forbidden)?;
    for path in core::iter::once(path.as_slice()).chain(readings.others()) {
        let ask = |facts: &Facts<'_>| demands.check_conditions(facts, value);
        reading.with_facts(path, judged, ask).map_err(Refusal::Forbidden)?;
    }
    Ok(())
}

/// Does a request pass that as it is sent, too? What is sent is judged as what was asked for.
///
/// # Errors
/// As [`check_demands`].
#[cold]
pub fn check_rewritten(
    route: &RoutePlan,
    connection: &Facts<'_>,
    head: RequestView<'_>,
    scratch: &mut Scratch,
    rewritten: &Rewritten,
) -> Result<(), Refusal> {
    check_demands(route, connection, head, scratch)?;
    let Some(demands) = route.access.more() else { return Ok(()) };
    let Scratch { target, host, judged, value, .. } = scratch;
    let reading = PathReading { route, connection, head, target: target.as_ref(), host: &*host };
    for path in rewritten.paths() {
        let ask = |facts: &Facts<'_>| demands.check_conditions(facts, value);
        reading.with_facts(path, judged, ask).map_err(Refusal::Forbidden)?;
    }
    Ok(())
}

/// A request whose path is read in one way or another.
struct PathReading<'a> {
    route: &'a RoutePlan,
    connection: &'a Facts<'a>,
    head: RequestView<'a>,
    target: Option<&'a Target>,
    host: &'a HostBuf,
}

impl PathReading<'_> {
    /// Asks with what is known of the request if this is its path, what the route finds in that among it.
    fn with_facts<T>(
        &self,
        path: &[u8],
        captures: &mut Captures,
        ask: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        captures.clear();
        if let Some(policy) = &self.route.policy {
            policy.read_path(path, captures);
        }
        let request = RequestFacts {
            head: self.head,
            target: self.target,
            host: self.host.as_bytes(),
            path,
            captures: Some(captures),
            route_id: "",
        };
        ask(&Facts { request: Some(request), ..*self.connection })
    }
}
