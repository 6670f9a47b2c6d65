//! A request is sent to an upstream: attempts, one after the other, until one comes to something.
//!
//! Which node is asked and whether a failure may be tried again is decided in `exchange`.

use ferrule_config::model::NodeAddress;

use super::attempt::{AttemptResult, ForwardResult, attempt};
use super::context::ExchangeContext;
use super::memory::ExchangeMemory;
use crate::exchange::balance::Tried;
use crate::exchange::outcome::Outcome;
use crate::exchange::refusal::Refusal;
use crate::exchange::retry::{Attempt, Retry, decide};
use crate::plan::NodeIndex;
use crate::plan::attempts::AttemptRecord;
use crate::shell::client::connection::Client;

/// Forwards the request; `consumed` becomes how much of what came after its head was its body.
pub(crate) async fn forward(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    consumed: &mut usize,
    outcome: &mut Outcome,
) -> ForwardResult {
    let mut tried = Tried::default();
    let mut retries_left = request.upstream().retries;
    let mut again: Option<NodeIndex> = None;
    let mut last = Refusal::NoLiveNode;
    loop {
        let fresh = again.is_some();
        let next =
            again.take().or_else(|| request.live.next_node(request.admission.upstream, &tried));
        let Some(node) = next else {
            return ForwardResult::Refuse(last, request.unread_bodies());
        };
        tried.insert(node);
        outcome.node = Some(node);
        memory.attempts.push(begin(request, node));
        let result = attempt(request, client, memory, node, fresh, consumed, outcome).await;
        end(request, memory, &result, outcome);
        let failed = match result {
            AttemptResult::Done(forwarded) => return forwarded,
            AttemptResult::Failed(failed) => failed,
        };
        last = failed.cause.refusal();
        request.core.events().upstream_fault(last);
        let decision = decide(Attempt {
            failure: failed.cause.failure(),
            reused: failed.reused,
            sent: failed.sent,
            idempotent: request.admission.is_idempotent(),
            nodes_left: retries_left > 0,
        });
        match decision {
            Retry::No => return ForwardResult::Refuse(last, failed.bodies),
            Retry::SameNodeFresh => again = Some(node),
            Retry::NextNode => retries_left = retries_left.saturating_sub(1),
        }
        outcome.retries += 1;
    }
}

/// The record of a try that begins now.
fn begin(request: &ExchangeContext<'_>, node: NodeIndex) -> AttemptRecord {
    let plan = request.upstream().nodes.get(node.0 as usize);
    let is_name = plan.is_some_and(|plan| matches!(plan.address, NodeAddress::Name { .. }));
    let upstream = request.admission.upstream;
    let resolved = if is_name { request.live.address(upstream, node) } else { None };
    AttemptRecord::begin(node, resolved, request.core.clock.elapsed())
}

/// A try is over: notes how long it took, and the status of one that failed.
fn end(
    request: &ExchangeContext<'_>,
    memory: &mut ExchangeMemory,
    result: &AttemptResult,
    outcome: &mut Outcome,
) {
    let now = request.core.clock.elapsed();
    let Some(attempt) = memory.attempt() else { return };
    attempt.response_micros = attempt.micros_until(now);
    let before = outcome.upstream_micros.unwrap_or(0);
    outcome.upstream_micros = Some(before.saturating_add(attempt.response_micros));
    match result {
        AttemptResult::Failed(failed) => attempt.status = Some(failed.cause.refusal().status()),
        // No other cause of this refusal is the client's.
        AttemptResult::Done(ForwardResult::Refuse(refusal @ Refusal::UpstreamTimeout, _)) => {
            attempt.status = Some(refusal.status());
        }
        AttemptResult::Done(_) => {}
    }
}
