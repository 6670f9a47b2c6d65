//! The circuit breaker of a request's route, where it has one.
//!
//! In: a request that is about to be sent, and what came of it. Out: whether it is sent at all, and the log line and
//! the event if the circuit has moved.

use super::context::ExchangeContext;
use super::memory::ExchangeMemory;
use crate::exchange::refusal::Refusal;
use crate::health::{BreakerChange, EventKind, NodeEvent};

/// Why the request is not sent: its upstream is left alone for a while.
#[cold]
pub(super) fn refusal(request: &ExchangeContext<'_>) -> Option<Refusal> {
    let breaker = request.live.breakers.get(request.admission.route)?;
    let left = breaker.state.broken_for_ms(|| now_ms(request));
    left.map(|_| Refusal::CircuitBroken(breaker.rules.response.status))
}

/// The exchange is over: tells the breaker how the upstream has answered, if it was asked.
#[cold]
pub(super) fn note(request: &ExchangeContext<'_>, memory: &mut ExchangeMemory) {
    let Some(breaker) = request.live.breakers.get(request.admission.route) else { return };
    let Some(status) = memory.attempt().and_then(|attempt| attempt.status) else { return };
    let change = breaker.state.answered(&breaker.rules, status, || now_ms(request));
    let Some(change) = change else { return };
    let route = &*breaker.route;
    let broken_seconds = match change {
        BreakerChange::Breaks { seconds } => {
            tracing::warn!(
                route,
                seconds,
                status,
                "the circuit of a route is broken: its upstream is not asked"
            );
            Some(seconds)
        }
        BreakerChange::Recovers => {
            tracing::info!(route, "the circuit of a route has recovered");
            None
        }
    };
    let plan = &request.live.generation.plan;
    request.live.node_states.events().push(NodeEvent {
        unix_seconds: request.core.clock.unix_seconds().try_into().unwrap_or_default(),
        upstream: plan.upstream(request.admission.upstream).id.clone(),
        what: EventKind::Circuit { route: route.into(), broken_seconds },
    });
}

fn now_ms(request: &ExchangeContext<'_>) -> u64 {
    request.live.node_states.now_ms(request.core.clock.instant())
}
