//! A request is sent to an upstream: attempts, one after the other, until one comes to something.
//!
//! Which node is asked and whether a failure may be tried again is decided in `exchange`.

use super::attempt::{AttemptResult, ForwardResult, attempt};
use super::context::ExchangeContext;
use super::memory::ExchangeMemory;
use crate::exchange::balance::Tried;
use crate::exchange::outcome::Outcome;
use crate::exchange::refusal::Refusal;
use crate::exchange::retry::{Attempt, Retry, decide};
use crate::plan::NodeIndex;
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
        let failed = match attempt(request, client, memory, node, fresh, consumed, outcome).await {
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
