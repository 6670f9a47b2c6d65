//! A request waits for its turn, because every node that it could be sent to has as many connections as it takes.
//!
//! Off the path of every request that finds one. The client is heard meanwhile: one that leaves frees its place.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::{HalfClose, UpstreamQueue};

use super::attempt::ForwardResult;
use super::context::ExchangeContext;
use super::tries::Tries;
use crate::exchange::cause::{ClientCause, UpstreamCause};
use crate::exchange::outcome::Outcome;
use crate::exchange::refusal::Refusal;
use crate::exchange::reuse::Bodies;
use crate::shell::client::connection::Client;
use crate::shell::state::place_queue::{PlaceQueue, QueuePlace, WaitStart};
use crate::shell::transport::net;

/// How often the first of a queue looks whether another core has given a place back.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How often it is found out whether the client is still there.
const CLIENT_LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a request would be answered with if nobody else could be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailureSoFar {
    pub(super) refusal: Refusal,
    pub(super) bodies: Bodies,
}

/// What came of waiting.
enum WaitEnd {
    /// There may be a place now.
    Turn,
    /// The time is over.
    TimedOut,
    /// The client has left.
    Left,
}

/// A request has come, and its upstream has limits: it stands behind those that wait already.
pub(super) async fn queue_up(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    tries: &Tries<'_>,
    outcome: &mut Outcome,
) -> Result<(), ForwardResult> {
    let Some(queue) = request.live.queue(request.admission.upstream) else { return Ok(()) };
    if queue.is_empty() {
        return Ok(());
    }
    Box::pin(wait(request, client, tries, outcome)).await
}

/// The node that `tries` has come to has no place: another one is chosen, or it is waited for.
pub(super) async fn after_full(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    tries: &Tries<'_>,
    outcome: &mut Outcome,
    failure: Option<FailureSoFar>,
) -> Result<(), ForwardResult> {
    if tries.skip_full() {
        return Ok(());
    }
    // Those that wait may be sent to every node. One that has failed at some of them would hold the others up: it
    // ends as it has failed.
    if !tries.has_failed_nowhere() {
        let FailureSoFar { refusal, bodies } = failure.unwrap_or_else(|| FailureSoFar {
            refusal: Refusal::UpstreamQueueFull(queue_of(request).status),
            bodies: request.unread_bodies(),
        });
        return Err(ForwardResult::Refuse(refusal, bodies));
    }
    Box::pin(wait(request, client, tries, outcome)).await
}

/// Waits, and chooses the node anew.
async fn wait(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    tries: &Tries<'_>,
    outcome: &mut Outcome,
) -> Result<(), ForwardResult> {
    let (settings, core) = (queue_of(request), request.core);
    let refuse = |refusal| Err(ForwardResult::Refuse(refusal, request.unread_bodies()));
    let place = match tries.waiting.take() {
        Some(place) => place,
        None => match join(request, settings) {
            Some(place) => place,
            None => return refuse(Refusal::UpstreamQueueFull(settings.status)),
        },
    };
    let began = place.since().at;
    let ends = began.saturating_add(settings.timeout);
    let ends = tries.ends().map_or(ends, |whole| ends.min(whole));
    let spares = request.live.generation.plan.http.client_half_close == HalfClose::Serve;
    let waited = {
        let stream = &mut client.stream;
        let has_left = stream.leaving(spares);
        let turn = pin!(turn(request, &place, ends, has_left));
        stream.source().run_while_listening(turn, None).await
    };
    tries.set_waited(core.clock.elapsed().saturating_sub(began));
    match waited.done {
        WaitEnd::Left => {
            outcome.ended = ClientCause::Left.end();
            Err(ForwardResult::Aborted)
        }
        _ if waited.lost => {
            outcome.ended = ClientCause::Left.end();
            Err(ForwardResult::Aborted)
        }
        // Waiting is part of the whole exchange.
        WaitEnd::TimedOut => refuse(tries.overdue(false).map_or_else(
            || Refusal::UpstreamQueueTimeout(settings.status),
            UpstreamCause::refusal,
        )),
        WaitEnd::Turn => {
            tries.waiting.set(Some(place));
            // Whoever may be asked by now.
            if tries.choose_again() { Ok(()) } else { refuse(Refusal::NoLiveNode) }
        }
    }
}

fn join(request: &ExchangeContext<'_>, settings: UpstreamQueue) -> Option<QueuePlace> {
    let core = request.core;
    let since = WaitStart {
        at: core.clock.elapsed(),
        shared_ms: request.live.node_states.now_ms(core.clock.instant()),
    };
    queue_here(request)?.join(settings.size, since)
}

/// Waits until it is this request's turn, the time is over, or the client has left.
async fn turn(
    request: &ExchangeContext<'_>,
    place: &QueuePlace,
    deadline: Duration,
    has_left: impl Fn() -> bool,
) -> WaitEnd {
    let (core, upstream) = (request.core, request.admission.upstream);
    let mut client_look = core.clock.elapsed().saturating_add(CLIENT_LOOK_EVERY);
    loop {
        let now = core.clock.elapsed();
        let left = deadline.saturating_sub(now);
        if left.is_zero() {
            return WaitEnd::TimedOut;
        }
        let first = place.is_first();
        let pause = if first { LOOK_EVERY } else { client_look.saturating_sub(now) };
        let called = net::timeout(pause.max(LOOK_EVERY).min(left), place.called()).await.is_ok();
        let now = core.clock.elapsed();
        if now >= client_look {
            if has_left() {
                return WaitEnd::Left;
            }
            client_look = now.saturating_add(CLIENT_LOOK_EVERY);
        }
        let is_turn =
            || queue_here(request).is_none_or(|queue| queue.is_turn_of(place.since().shared_ms));
        if called || (place.is_first() && request.live.has_place(upstream) && is_turn()) {
            return WaitEnd::Turn;
        }
    }
}

fn queue_here(request: &ExchangeContext<'_>) -> Option<Rc<PlaceQueue>> {
    request.live.queue(request.admission.upstream)
}

/// Its settings; without any, nobody waits.
fn queue_of(request: &ExchangeContext<'_>) -> UpstreamQueue {
    const NONE: UpstreamQueue = UpstreamQueue {
        size: 0,
        timeout: Duration::ZERO,
        status: ferrule_config::model::QueueStatus::Unavailable,
    };
    request.upstream().queue.unwrap_or(NONE)
}
