//! A request is sent to an upstream: attempts, one after the other, until one comes to something.
//!
//! Which node is asked and whether a failure may be tried again is decided in `exchange`.

use std::time::Duration;

use super::attempt::{AttemptResult, FailedAttempt, ForwardResult, attempt};
use super::context::ExchangeContext;
use super::failure::{self, FailureReason};
use super::memory::ExchangeMemory;
use super::place_wait::{self, FailureSoFar};
use super::tries::Tries;
use super::try_report;
use crate::exchange::cause::UpstreamCause;
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::exchange::refusal::Refusal;
use crate::exchange::retry::{Attempt, Failure, Retry, decide};
use crate::health::TryResult;
use crate::plan::attempts::AttemptRecord;
use crate::plan::{Facts, NodeIndex};
use crate::report::NodeCounter;
use crate::shell::client::connection::Client;

/// Forwards the request; `consumed` becomes how much of what came after its head was its body.
pub(crate) async fn forward(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    consumed: &mut usize,
    outcome: &mut Outcome,
) -> ForwardResult {
    let hash = hash(request, client, memory);
    let Some(tries) = Tries::begin(request, hash) else {
        return ForwardResult::Refuse(Refusal::NoLiveNode, request.unread_bodies());
    };
    if request.upstream().queue.is_some()
        && let Err(end) = place_wait::queue_up(request, client, &tries, outcome).await
    {
        return end;
    }
    let mut failure = None;
    loop {
        // A response that is passed over has the next one chosen within the attempt.
        let node = tries.node();
        outcome.node = Some(node);
        memory.attempts.push(AttemptRecord {
            queue_micros: tries.waited_micros(),
            ..begin(request, node, tries.now())
        });
        let open = request.live.begin_try(request.node_id(node));
        let result = attempt(request, client, memory, &tries, consumed, outcome).await;
        if matches!(result, AttemptResult::Full) {
            // As if it had not been chosen.
            drop(open);
            memory.attempts.pop();
            outcome.node = memory.attempts.last().map(|attempt| attempt.node);
            match place_wait::after_full(request, client, &tries, outcome, failure).await {
                Ok(()) => continue,
                Err(end) => return end,
            }
        }
        let said = try_report::try_result(&result, outcome);
        end(request, memory, &result, said, outcome);
        open.end(|| Some(try_report::try_end(memory.attempt()?, said?)));
        let failed = match result {
            AttemptResult::Done(forwarded) => return forwarded,
            AttemptResult::PassedOver(_) | AttemptResult::Full => continue,
            AttemptResult::Failed(failed) => failed,
        };
        let decision = decide(Attempt {
            failure: failed.cause.failure(),
            reused: failed.reused,
            sent: failed.sent,
            repeatable: request.may_be_sent_twice(),
            nodes_left: tries.has_retries(),
            on: request.upstream().retry.on,
        });
        let goes_on = match decision {
            Retry::No => false,
            Retry::SameNodeFresh => tries.repeat_fresh(),
            Retry::NextNode => tries.move_on(failed.sent),
        };
        if !goes_on {
            return ForwardResult::Refuse(failed.cause.refusal(), failed.bodies);
        }
        failure = Some(FailureSoFar { refusal: failed.cause.refusal(), bodies: failed.bodies });
    }
}

/// The record of a try that begins now.
fn begin(request: &ExchangeContext<'_>, node: NodeIndex, now: Duration) -> AttemptRecord {
    let plan = request.upstream().nodes.get(node.0 as usize);
    let is_name = plan.is_some_and(|plan| plan.address.name().is_some());
    let (upstream, core) = (request.admission.upstream, request.core);
    let address = || request.live.address(upstream, node, || core.clock.elapsed_ms());
    let resolved = if is_name { address() } else { None };
    AttemptRecord::begin(node, resolved, now)
}

/// What the request is placed by, where its upstream asks for that.
fn hash(
    request: &ExchangeContext<'_>,
    client: &Client,
    memory: &mut ExchangeMemory,
) -> Option<u64> {
    let key = request.upstream().balance.hash_key.as_ref()?;
    let ExchangeMemory { head, request: scratch, request_ids, upload, .. } = memory;
    let route = request.live.generation.plan.route(request.admission.route);
    Some(request.core.clock.with_now(|now| {
        let facts = client
            .facts(now, Some(Client::request_facts(head.view(request.buf), scratch, &route.id)));
        key.hash(&Facts { request_ids: Some(request_ids), ..facts }, upload)
    }))
}

/// A try is over: notes how long it took, and the status of one that failed.
fn end(
    request: &ExchangeContext<'_>,
    memory: &mut ExchangeMemory,
    result: &AttemptResult,
    said: Option<TryResult>,
    outcome: &mut Outcome,
) {
    let now = request.core.clock.elapsed();
    let is_retry = memory.attempts.len() > 1;
    let Some(attempt) = memory.attempt() else { return };
    if is_retry {
        request.node_meters(attempt.node).count(NodeCounter::Retries);
    }
    attempt.response_micros = attempt.micros_until(now);
    let before = outcome.upstream_micros.unwrap_or(0);
    outcome.upstream_micros = Some(before.saturating_add(attempt.response_micros));
    match result {
        AttemptResult::Failed(failed) => attempt.status = Some(failed.cause.refusal().status()),
        AttemptResult::PassedOver(status) => attempt.status = Some(*status),
        // No other cause of this refusal is the client's.
        AttemptResult::Done(ForwardResult::Refuse(refusal @ Refusal::UpstreamTimeout, _)) => {
            attempt.status = Some(refusal.status());
        }
        AttemptResult::Done(_) | AttemptResult::Full => {}
    }
    request.node_meters(attempt.node).tried(attempt);
    if let Some(said) = said {
        try_report::report(request, attempt, said);
    }
    note(request, attempt.node, result, outcome);
}

/// A try has come to an end: counts and logs it if the node was why, and logs it if the node works again.
fn note(request: &ExchangeContext<'_>, node: NodeIndex, result: &AttemptResult, outcome: &Outcome) {
    let (fault, word) = match result {
        // The client was why, or tries before this one.
        AttemptResult::Failed(FailedAttempt {
            cause: UpstreamCause::TotalTimeout { by_node: false },
            ..
        }) => return,
        // Our own policy was why.
        AttemptResult::Failed(FailedAttempt { cause, .. })
            if cause.failure() == Failure::Unusable =>
        {
            return;
        }
        AttemptResult::Failed(FailedAttempt { cause, reused, .. }) => {
            let fault = cause.refusal();
            // Why there was no connection is logged where that is known in detail; that one from the pool had
            // died says nothing about the node.
            let elsewhere = match cause.failure() {
                Failure::Connect => true,
                Failure::Lost => *reused,
                Failure::Timeout | Failure::BadResponse | Failure::Unusable | Failure::Overdue => {
                    false
                }
            };
            (fault, (!elsewhere).then(|| fault.word()))
        }
        // It was a response, if not a welcome one.
        AttemptResult::PassedOver(_)
        | AttemptResult::Done(ForwardResult::Delivered { .. } | ForwardResult::Switched(_)) => {
            return failure::log_success(request.core, request.live, request.node_id(node));
        }
        // No other cause of this refusal is the client's.
        AttemptResult::Done(ForwardResult::Refuse(fault @ Refusal::UpstreamTimeout, _)) => {
            (*fault, Some(fault.word()))
        }
        AttemptResult::Done(ForwardResult::Aborted) if outcome.ended.lost_upstream() => {
            request.node_meters(node).count(NodeCounter::Lost);
            let fault = match outcome.ended {
                ExchangeEnd::ResponseCutOff(fault) => Refusal::BadResponse(fault),
                _ => Refusal::UpstreamTimeout,
            };
            (fault, Some(outcome.ended.word()))
        }
        // The client was why.
        AttemptResult::Done(ForwardResult::Aborted | ForwardResult::Refuse(..))
        | AttemptResult::Full => return,
    };
    request.node_meters(node).failed(fault);
    if let Some(text) = word {
        let limit = match fault {
            Refusal::BadResponse(fault) => fault.key(),
            _ => None,
        };
        let reason = FailureReason { text, name: None, limit };
        failure::log_failure(request.core, request.live, request.node_id(node), reason);
    }
}
