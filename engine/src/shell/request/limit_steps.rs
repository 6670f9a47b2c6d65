//! The limits of a request's route: it goes on, is held back until its time, or is refused.
//!
//! What a limit says is decided in `limits`; here a request waits, and its client is heard meanwhile: one that
//! leaves is not waited for.

use std::pin::pin;
use std::time::Duration;

use ferrule_config::model::HalfClose;

use super::context::ExchangeContext;
use super::memory::ExchangeMemory;
use crate::exchange::refusal::Refusal;
use crate::limits::{LimitAnswer, Quota, show_quota, show_retry};
use crate::plan::request_limits::WrongNumber;
use crate::plan::{Facts, LimitId, RoutePolicy};
use crate::shell::client::connection::Client;
use crate::shell::transport::net;

/// How often it is found out whether the client is still there.
const CLIENT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a request is among the limits of its route.
#[derive(Default)]
pub(super) struct LimitWalk {
    /// So many have been asked.
    asked: usize,
    /// The window with the least left, of those that answers tell.
    least: Option<Quota>,
}

/// What comes next.
pub(super) enum LimitStep {
    /// No limit has anything against it.
    Passed,
    /// A limit is reached.
    Refused(Refusal),
    /// It goes on so much later, to the limits that are left.
    HeldBack(Duration),
}

/// Asks the limits of the route that are left, until one holds the request back. What is under way from now on is
/// counted in `memory`.
pub(super) fn next(
    policy: &RoutePolicy,
    walk: &mut LimitWalk,
    request: &ExchangeContext<'_>,
    client: &Client,
    memory: &mut ExchangeMemory,
) -> LimitStep {
    let plan = &request.live.generation.plan;
    while let Some(id) = policy.limits.get(walk.asked).copied() {
        walk.asked += 1;
        let limit = plan.limit(id);
        let shown = |quota: Option<Quota>| quota.filter(|_| limit.shows_headers());
        match ask(id, request, client, memory) {
            Err(WrongNumber) => {
                memory.permits.clear();
                return LimitStep::Refused(Refusal::LimitNumber);
            }
            Ok(None) => {}
            Ok(Some(LimitAnswer::StoreAway)) => {
                memory.permits.clear();
                return LimitStep::Refused(Refusal::LimitStoreAway);
            }
            Ok(Some(LimitAnswer::Refused { retry_ns, quota })) => {
                memory.permits.clear();
                memory.limited = Some(id);
                if let Some(quota) = shown(quota) {
                    show_quota(quota, &mut memory.block);
                }
                if let Some(retry) = retry_ns.filter(|_| quota.is_none() || limit.shows_headers()) {
                    show_retry(retry, &mut memory.block);
                }
                let limit = &limit.limit;
                return LimitStep::Refused(Refusal::Limited(limit.rule.kind(), limit.status));
            }
            Ok(Some(LimitAnswer::Passes { delay_ns, quota, permit })) => {
                memory.permits.extend(permit);
                if let Some(quota) = shown(quota) {
                    let less = walk.least.filter(|one| one.remaining <= quota.remaining);
                    walk.least = less.or(Some(quota));
                }
                if delay_ns > 0 {
                    return LimitStep::HeldBack(Duration::from_nanos(delay_ns));
                }
            }
        }
    }
    if let Some(quota) = walk.least {
        show_quota(quota, &mut memory.block);
    }
    LimitStep::Passed
}

/// The exchange is over: what it held is given back.
pub(super) fn end(request: &ExchangeContext<'_>, memory: &mut ExchangeMemory) {
    if memory.permits.is_empty() {
        return;
    }
    let now = request.live.limits.shared().now_ns(request.core.clock.instant());
    memory.permits.drain(..).for_each(|permit| permit.end(now));
}

fn ask(
    id: LimitId,
    request: &ExchangeContext<'_>,
    client: &Client,
    memory: &mut ExchangeMemory,
) -> Result<Option<LimitAnswer>, WrongNumber> {
    let ExchangeMemory { head, request: scratch, request_ids, upload, .. } = memory;
    let (plan, limits) = (&request.live.generation.plan, &request.live.limits);
    let route = plan.route(request.admission.route);
    request.core.clock.with_now(|now| {
        let asked = Client::request_facts(head.view(request.buf), scratch, &route.id);
        let facts = client.facts(now, Some(asked));
        let facts = Facts { request_ids: Some(request_ids), ..facts };
        let now = limits.shared().now_ns(request.core.clock.instant());
        let limit = plan.limit(id);
        let told = limit.told_rule(&facts, upload)?;
        Ok(limit.key.with_key(&facts, upload, |key| limits.ask_by(id, key, told, now)))
    })
}

/// Waits so long. False if the client has left.
pub(super) async fn hold_back(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    delay: Duration,
) -> bool {
    let spares = request.live.generation.plan.http.client_half_close == HalfClose::Serve;
    let stream = &mut client.stream;
    let has_left = stream.leaving(spares);
    let waited = {
        let wait = pin!(wait(request, delay, has_left));
        stream.source().run_while_listening(wait, None).await
    };
    waited.done && !waited.lost
}

async fn wait(request: &ExchangeContext<'_>, delay: Duration, has_left: impl Fn() -> bool) -> bool {
    let clock = &request.core.clock;
    let ends = clock.elapsed().saturating_add(delay);
    loop {
        let left = ends.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return true;
        }
        let pause = left.min(CLIENT_LOOK_EVERY);
        // It never comes: its time is what is waited for.
        let _ = net::timeout(pause, std::future::pending::<()>()).await;
        if has_left() {
            return false;
        }
    }
}
