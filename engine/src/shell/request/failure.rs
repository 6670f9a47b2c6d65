//! What a try says of its node, for the node's health and for the log.
//!
//! Of a node that fails on and on there is one line, one when it is set aside, and another when it works
//! again: see [`health`](crate::health).

use super::attempt::{AttemptResult, FailedAttempt, ForwardResult};
use super::context::ExchangeContext;
use crate::exchange::cause::UpstreamCause;
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::exchange::refusal::Refusal;
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::retry::Failure;
use crate::health::announce::announce;
use crate::health::{Moment, NodeChange, Reported, TryResult};
use crate::plan::NodeId;
use crate::plan::attempts::AttemptRecord;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;

/// Why a try failed, for the log: words of a fixed list, and the name that was sent to the node if that may
/// have mattered.
#[derive(Clone, Copy)]
pub(crate) struct FailureReason<'a> {
    /// What went wrong, in words an operator can act on.
    pub(crate) text: &'a str,
    /// The server name of a handshake.
    pub(crate) name: Option<&'a str>,
    /// The key of the limit that a response was over.
    pub(crate) limit: Option<&'a str>,
}

/// A try failed: logs it if that is news.
pub(super) fn log_failure(
    core: &Core,
    live: &LiveGeneration,
    node: NodeId,
    reason: FailureReason<'_>,
) {
    let Some(state) = live.node_states.get(node) else { return };
    let Some(change) = state.log.failed(reason.text, core.clock.unix_seconds().unsigned_abs())
    else {
        return;
    };
    let plan = live.generation.plan.upstream(node.upstream);
    let text = plan.nodes.get(node.node.0 as usize).map_or("", |node| &*node.text);
    let FailureReason { text: reason, name, limit } = reason;
    match change {
        NodeChange::Fails => {
            tracing::warn!(
                upstream = &*plan.id,
                node = text,
                name,
                reason,
                limit,
                "an upstream node fails"
            );
        }
        NodeChange::FailsOtherwise(failures) => tracing::warn!(
            upstream = &*plan.id,
            node = text,
            name,
            reason,
            limit,
            failed = failures.tries,
            seconds = failures.seconds,
            "an upstream node fails for another reason"
        ),
        NodeChange::StillFails(failures) | NodeChange::WorksAgain(failures) => tracing::warn!(
            upstream = &*plan.id,
            node = text,
            name,
            reason,
            failed = failures.tries,
            seconds = failures.seconds,
            "an upstream node still fails"
        ),
    }
}

/// A try was answered: logs it if that is news.
pub(super) fn log_success(core: &Core, live: &LiveGeneration, node: NodeId) {
    let Some(state) = live.node_states.get(node) else { return };
    let change = state.log.worked(core.clock.unix_seconds().unsigned_abs());
    let Some(NodeChange::WorksAgain(failures)) = change else { return };
    let plan = live.generation.plan.upstream(node.upstream);
    let text = plan.nodes.get(node.node.0 as usize).map_or("", |node| &*node.text);
    tracing::info!(
        upstream = &*plan.id,
        node = text,
        failed = failures.tries,
        seconds = failures.seconds,
        "an upstream node works again"
    );
}

/// A try is over: tells its node's health what it came to.
pub(super) fn report(
    request: &ExchangeContext<'_>,
    attempt: &AttemptRecord,
    result: &AttemptResult,
    outcome: &Outcome,
) {
    let Some(result) = try_result(result, outcome) else { return };
    let (core, states) = (request.core, &request.live.node_states);
    let node = request.node_id(attempt.node);
    let when = || Moment {
        now_ms: states.now_ms(core.clock.instant()),
        unix_seconds: core.clock.unix_seconds().unsigned_abs(),
        took_ms: attempt.response_micros / 1_000,
    };
    let reported = states.report(node, result, when);
    if reported != Reported::default() {
        announce(states, node, reported, when());
    }
}

/// What a try says of its node; `None` if the client or we were why, or nobody can tell.
fn try_result(result: &AttemptResult, outcome: &Outcome) -> Option<TryResult> {
    match result {
        AttemptResult::PassedOver(status) => Some(TryResult::Answered(*status)),
        AttemptResult::Done(ForwardResult::Delivered { .. } | ForwardResult::Switched(_)) => {
            Some(TryResult::Answered(outcome.status))
        }
        AttemptResult::Failed(FailedAttempt { cause, reused, .. }) => match cause {
            UpstreamCause::NoRoom => None,
            UpstreamCause::BadResponse(fault) => broken_by(*fault),
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
            | ExchangeEnd::ClientLeft
            | ExchangeEnd::Stopped => None,
        },
        AttemptResult::Done(ForwardResult::Refuse(..)) => None,
    }
}

/// An answer that is none speaks against its node; one that is over a limit of ours does not: a client may know
/// what to ask for.
const fn broken_by(fault: ResponseFault) -> Option<TryResult> {
    match fault.key() {
        Some(_) => None,
        None => Some(TryResult::Broken),
    }
}
