//! What a try says of its node: read once, for the node's health and for the balancer.

use std::time::Duration;

use super::attempt::{AttemptResult, FailedAttempt, ForwardResult};
use super::context::ExchangeContext;
use crate::exchange::balance::TryEnd;
use crate::exchange::cause::UpstreamCause;
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::exchange::refusal::Refusal;
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::retry::Failure;
use crate::health::announce::announce;
use crate::health::{Moment, Reported, TryResult};
use crate::plan::attempts::AttemptRecord;

/// A try is over: tells its node's health what it says.
pub(super) fn report(request: &ExchangeContext<'_>, attempt: &AttemptRecord, said: TryResult) {
    let (core, states) = (request.core, &request.live.node_states);
    let node = request.node_id(attempt.node);
    let when = || Moment {
        now_ms: states.now_ms(core.clock.instant()),
        unix_seconds: core.clock.unix_seconds().unsigned_abs(),
        took_ms: attempt.response_micros / 1_000,
    };
    let reported = states.report(node, said, when);
    if reported != Reported::default() {
        announce(states, node, reported, when());
    }
    if request.upstream().checks.passive.outliers.is_some() {
        tally(request, attempt, said);
    }
}

/// Counts a try for the comparison of nodes. How long it took counts only if no client had part in that: one that
/// sends its body slowly is not a slow node.
#[inline(never)]
fn tally(request: &ExchangeContext<'_>, attempt: &AttemptRecord, said: TryResult) {
    let micros = match said {
        TryResult::Answered(_) => attempt.header_micros,
        TryResult::TimedOut => Some(attempt.response_micros),
        TryResult::Broken => None,
    };
    let (node, core) = (request.node_id(attempt.node), request.core.link.core);
    request.live.node_states.tally(node, core, said, micros.filter(|_| request.is_held()));
}

/// What a try is to the balancer.
pub(super) fn try_end(attempt: &AttemptRecord, said: TryResult) -> TryEnd {
    let failed = match said {
        // What a node says that cannot answer, sooner than those that can.
        TryResult::Answered(status) => matches!(status, 502..=504),
        TryResult::Broken | TryResult::TimedOut => true,
    };
    let micros = attempt.header_micros.unwrap_or(attempt.response_micros);
    let now = attempt.started + Duration::from_micros(attempt.response_micros);
    TryEnd { now, micros, failed }
}

/// What a try says of its node; `None` if the client or we were why, or nobody can tell.
pub(super) fn try_result(result: &AttemptResult, outcome: &Outcome) -> Option<TryResult> {
    match result {
        AttemptResult::PassedOver(status) => Some(TryResult::Answered(*status)),
        AttemptResult::Done(ForwardResult::Delivered { .. } | ForwardResult::Switched(_)) => {
            Some(TryResult::Answered(outcome.status))
        }
        AttemptResult::Failed(FailedAttempt { cause, reused, .. }) => match cause {
            UpstreamCause::NoRoom => None,
            UpstreamCause::BadResponse(fault) => broken_by(*fault),
            UpstreamCause::TotalTimeout { by_node } => by_node.then_some(TryResult::TimedOut),
            UpstreamCause::ConnectTimeout
            | UpstreamCause::SendTimeout
            | UpstreamCause::ReadTimeout => Some(TryResult::TimedOut),
            // One from the pool had died: that says nothing about the node.
            _ if *reused && cause.failure() == Failure::Lost => None,
            _ => Some(TryResult::Broken),
        },
        // No other cause of this refusal is the client's.
        AttemptResult::Done(ForwardResult::Refuse(Refusal::UpstreamTimeout, _)) => {
            Some(TryResult::TimedOut)
        }
        AttemptResult::Done(ForwardResult::Aborted) => match outcome.ended {
            ExchangeEnd::ResponseCutOff(fault) => broken_by(fault),
            ExchangeEnd::TimedOut => Some(TryResult::TimedOut),
            ExchangeEnd::Answered
            | ExchangeEnd::Refused(_)
            | ExchangeEnd::AnsweredHere
            | ExchangeEnd::ClientLeft
            | ExchangeEnd::Overdue
            | ExchangeEnd::Stopped => None,
        },
        AttemptResult::Done(ForwardResult::Refuse(..)) | AttemptResult::Full => None,
    }
}

/// An answer that is none speaks against its node; one that is over a limit of ours does not: a client may know
/// what to ask for.
const fn broken_by(fault: ResponseFault) -> Option<TryResult> {
    if fault.key().is_some() || fault.is_of_policy() { None } else { Some(TryResult::Broken) }
}
