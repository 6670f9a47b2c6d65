//! One attempt to have a request answered by one node.
//!
//! In: an admitted request and a node. Out: the response has gone to the client, or why not, and
//! whether another attempt may still answer. The client is heard while the upstream is waited for.

use std::pin::pin;

use ferrule_config::model::{Expect, HttpReuse};

use super::connect_error::ConnectError;
use super::context::ExchangeContext;
use super::duplex::{RelayResult, relay};
use super::held_body::HeldBody;
use super::lease::{
    Lease, LeaseError, LeaseRequest, check_new, give_back, give_back_unused, obtain,
};
use super::memory::ExchangeMemory;
use super::respond::{ResponseContext, ResponseProgress, UploadState};
use super::shaping::{KeptRequest, ResponseShape, ShapedClient};
use super::total_time::TotalTimer;
use super::tries::Tries;
use crate::exchange::cause::{ClientCause, ExchangeFailure, Resolution, UpstreamCause, resolve};
use crate::exchange::flow::{Flow, FlowError, Framing};
use crate::exchange::keep_alive::KeepAliveHint;
use crate::exchange::outcome::Outcome;
use crate::exchange::refusal::Refusal;
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::retry::{Sent, SentParts};
use crate::exchange::reuse::{self, Bodies, UpstreamEnd};
use crate::exchange::rewrite::{Destination, rewritten_name, upstream_head, upstream_name};
use crate::plan::{Facts, NodeIndex, NodePlan, RequestIds};
use crate::report::NodeCounter;
use crate::shell::client::accepted::ListenerConnections;
use crate::shell::client::connection::Client;
use crate::shell::transport::record_reader::IdleCheck;
use crate::shell::transport::stream::listen::WatchedResult;
use crate::wire::framing::BodyLength;

/// What came of forwarding a request, for the client's connection.
pub(crate) enum ForwardResult {
    /// The upstream has granted a WebSocket, and the client knows: a tunnel is to follow.
    Switched(Box<Lease>),
    /// The response was sent whole.
    Delivered {
        /// What its head announced.
        keep_alive: bool,
        /// Whether the request's body was read to its end as well.
        bodies: Bodies,
    },
    /// Nothing was sent to the client, who is to get this answer.
    Refuse(Refusal, Bodies),
    /// The client must see that the response was cut, or is gone.
    Aborted,
}

/// What came of one attempt.
pub(super) enum AttemptResult {
    /// There will be no other.
    Done(ForwardResult),
    /// Nothing was sent to the client: another attempt may answer.
    Failed(FailedAttempt),
    /// Another attempt is to answer instead of this response, of which the client knows nothing.
    PassedOver(u16),
    /// The node has no place for another connection: it was not asked.
    Full,
}

/// An attempt that failed before anything was sent to the client.
pub(super) struct FailedAttempt {
    pub(super) cause: UpstreamCause,
    /// Did the connection come from the pool?
    pub(super) reused: bool,
    /// How much of the request has left.
    pub(super) sent: Sent,
    /// How the bodies stand if the client is refused.
    pub(super) bodies: Bodies,
}

/// One attempt, at the node that `tries` has come to.
pub(super) async fn attempt(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    tries: &Tries<'_>,
    consumed: &mut usize,
    outcome: &mut Outcome,
) -> AttemptResult {
    let (upstream, node) = (request.upstream(), tries.node());
    let Some(node_plan) = upstream.nodes.get(node.0 as usize) else {
        let bodies = request.unread_bodies();
        return AttemptResult::Done(ForwardResult::Refuse(Refusal::Internal, bodies));
    };
    let obtained = lease(request, client, memory, tries, node_plan).await;
    if obtained.lost {
        return client_left(outcome);
    }
    let mut lease = match obtained.done {
        Ok(lease) => lease,
        Err(LeaseError::NodeFull) => return AttemptResult::Full,
        Err(LeaseError::Connect(error)) => {
            let overdue = tries.overdue(true).filter(|_| error == ConnectError::TimedOut);
            return AttemptResult::Failed(FailedAttempt {
                cause: overdue.unwrap_or_else(|| error.cause()),
                reused: false,
                sent: Sent::Nothing,
                bodies: request.unread_bodies(),
            });
        }
    };
    if let Some(attempt) = memory.attempt() {
        attempt.pooled = lease.reused;
        if attempt.resolved.is_some() {
            attempt.resolved = lease.address;
        }
        // The clock is read only where time has passed.
        let micros = || attempt.micros_until(request.core.clock.elapsed());
        attempt.connect_micros = Some(if lease.reused { 0 } else { micros() });
    }
    let flow = match render(request, client, memory, node_plan) {
        Ok((flow, used)) => {
            *consumed = used;
            flow
        }
        Err(refusal) => {
            give_back_unused(request.core, upstream, lease);
            let bodies = request.unread_bodies();
            return AttemptResult::Done(ForwardResult::Refuse(refusal, bodies));
        }
    };
    if let Some(cause) = check_before_first(&mut lease) {
        let bodies = request.unread_bodies();
        let (sent, reused) = (Sent::Nothing, lease.reused);
        return AttemptResult::Failed(FailedAttempt { cause, reused, sent, bodies });
    }
    exchange(request, client, memory, lease, flow, tries, outcome).await
}

/// Gets a connection, and hears the client meanwhile.
async fn lease(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &ExchangeMemory,
    tries: &Tries<'_>,
    node_plan: &NodePlan,
) -> WatchedResult<Result<Lease, LeaseError>> {
    let upstream = request.upstream();
    let proxy_header = match &upstream.proxy {
        Some(proxy) => client.proxy_header(proxy),
        None => Vec::new(),
    };
    let policy = request.live.generation.plan.route(request.admission.route).policy.as_deref();
    let host = policy.and_then(|policy| policy.rewrite.as_ref()?.host.as_deref());
    let server_name = match host {
        Some(host) => rewritten_name(upstream, host, node_plan),
        None => upstream_name(upstream, &memory.request.host, node_plan),
    };
    let wanted = LeaseRequest {
        upstream: request.admission.upstream,
        node: tries.node(),
        server_name,
        timeout: tries.connect_time(),
        fresh: tries.is_fresh()
            || !(upstream.http_reuse == HttpReuse::Always || request.is_repeatable()),
        proxy_header: &proxy_header,
        waiting: upstream.queue.is_some().then_some(&tries.waiting),
        goes_first: !tries.is_first(),
    };
    let obtaining = pin!(obtain(request.core, request.live, wanted));
    client.stream.source().run_while_listening(obtaining, None).await
}

/// The last look at a connection before its first request; why it is of no use.
fn check_before_first(lease: &mut Lease) -> Option<UpstreamCause> {
    if lease.requests > 0 {
        return None;
    }
    match check_new(&mut lease.stream) {
        IdleCheck::Silent => None,
        IdleCheck::Unsolicited => {
            let fault = ResponseFault::SpokeFirst;
            Some(UpstreamCause::BadResponse(fault))
        }
        IdleCheck::Closed => Some(UpstreamCause::ConnectionLost),
    }
}

/// The client is gone, or its connection was ended for a breach of the protocol: no answer is awaited.
const fn client_left(outcome: &mut Outcome) -> AttemptResult {
    outcome.ended = ClientCause::Left.end();
    AttemptResult::Done(ForwardResult::Aborted)
}

/// Renders the upstream head, followed by as much of the body as is there, into `memory.upload`. With the
/// body's flow, how much of what came after the head was body.
fn render(
    request: &ExchangeContext<'_>,
    client: &Client,
    memory: &mut ExchangeMemory,
    node: &NodePlan,
) -> Result<(Flow<'static>, usize), Refusal> {
    let plan = &request.live.generation.plan;
    let ExchangeMemory { head, request: scratch, request_ids, rewritten, upload: out, .. } = memory;
    out.clear();
    let route = plan.route(request.admission.route);
    request.core.clock.with_now(|now| {
        let facts = client
            .facts(now, Some(Client::request_facts(head.view(request.buf), scratch, &route.id)));
        let facts = Facts { request_ids: Some(request_ids), ..facts };
        let destination = Destination {
            node,
            identity_block: client.request_identity_block(),
            forwarded: &client.forwarded,
            rewritten,
            keep_alive: request.upstream().keeps_connections(),
        };
        upstream_head(plan, request.admission, &facts, &destination, out)
    })?;
    let framing = match request.admission.body {
        BodyLength::None | BodyLength::UntilClose => Framing::None,
        BodyLength::Length(length) => Framing::Length(length),
        BodyLength::Chunked => Framing::Chunked,
    };
    let mut flow = Flow::new(request.admission.body, framing, route.client_max_body_size);
    if flow.is_done() {
        return Ok((flow, 0));
    }
    match flow.copy(request.after_head, out) {
        Ok(copied) => Ok((flow, copied.consumed)),
        Err(FlowError::Malformed(error)) => Err(Refusal::Malformed(error)),
        Err(FlowError::TooLarge) => Err(Refusal::BodyTooLarge),
    }
}

/// Sends the request and takes the answer.
async fn exchange(
    request: &ExchangeContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    mut lease: Lease,
    mut flow: Flow<'_>,
    tries: &Tries<'_>,
    outcome: &mut Outcome,
) -> AttemptResult {
    let uploads = !flow.is_done();
    let held = if uploads { held_body(request, memory, &flow, tries, &lease) } else { None };
    let upload = upload_state(request, uploads, held.as_ref());
    // Copied, because the rest of the memory it stands in is worked in.
    let answers = &request.live.generation.plan.http.answers;
    let request_ids = answers.request_id.is_some().then_some(memory.request_ids);
    let keep_alive = client.may_keep(request.admission.keep_alive);
    let connections = client.membership.connections();
    let context = response_context(request, &upload, connections, request_ids.as_ref());
    let repeatable = lease.reused && (request.is_repeatable() || held.is_some());
    let ends = tries.ends();
    let total =
        ends.map(|ends| TotalTimer::begin(request.core, ends, &client.stream, &lease.stream));
    // Of an upload that is not held, a part is gone.
    let next = Some(tries).filter(|_| (!uploads || held.is_some()) && request.may_be_sent_twice());
    let context =
        ResponseContext { repeatable, keep_alive, tries: next, total: total.as_ref(), ..context };
    let policy = request.live.generation.plan.route(request.admission.route).policy.as_deref();
    let policy = policy.filter(|policy| policy.shapes_responses() || !memory.block.is_empty());
    let kept = policy.map(|_| KeptRequest::take(memory));
    let shape = policy.zip(kept.as_ref());
    let shape = shape.map(|(policy, kept)| {
        let identity = match client.route_identities.selected() {
            Some(selected) => Some(&*selected.identity),
            None => client.identity.as_deref(),
        };
        let (connection, session) = (&client.facts, client.session.as_ref());
        ResponseShape::new(request, policy, kept, ShapedClient { connection, session, identity })
    });
    let context = ResponseContext { shape: shape.as_ref(), ..context };
    let (mut progress, stream) = (ResponseProgress::default(), &mut client.stream);
    let mut relayed =
        relay(request, &context, stream, memory, &mut lease, &mut flow, &mut progress).await;
    if let Some(kept) = kept {
        kept.give_back(memory);
    }
    if let Some(cause) = total.and_then(|total| overdue(&total, tries, &upload, &relayed)) {
        relayed.responded = Err(ExchangeFailure::Upstream(cause));
        relayed.uploaded = Ok(());
    }
    let sent = SentParts {
        uploads,
        first_left: relayed.first_left,
        held: held.as_ref().is_some_and(HeldBody::is_whole),
        told: progress.told,
    };
    if let Some(held) = held {
        memory.held = held;
    }
    record(request, lease.node, &progress, memory, outcome);
    // Of the last attempt: each takes what came before it again.
    outcome.request_bytes = flow.bytes_in();
    conclude(request, lease, &flow, sent.sent(), relayed, &progress, outcome)
}

/// What is held of the rest of the body, or is to be held from now on; `None` if nothing of it is to be sent
/// again.
fn held_body(
    request: &ExchangeContext<'_>,
    memory: &mut ExchangeMemory,
    flow: &Flow<'_>,
    tries: &Tries<'_>,
    lease: &Lease,
) -> Option<HeldBody> {
    let bytes_max = request.upstream().retry.buffer;
    if bytes_max == 0 || !request.may_be_sent_twice() {
        return None;
    }
    if !memory.held.has_begun() {
        let fits = !matches!(request.admission.body, BodyLength::Length(len) if len > bytes_max);
        if !fits || !(tries.has_retries() || lease.reused) {
            return None;
        }
        // What came with the head is held anyway.
        let rest = usize::try_from(bytes_max.saturating_sub(flow.bytes_in())).unwrap_or(usize::MAX);
        memory.held.begin(&request.core.buffers, rest);
    }
    Some(std::mem::take(&mut memory.held))
}

/// How far the request is before anything of it has left in this try.
fn upload_state<'a>(
    request: &ExchangeContext<'_>,
    uploads: bool,
    held: Option<&'a HeldBody>,
) -> UploadState<'a> {
    let expects = uploads && request.admission.features.expect_continue;
    // Passed on, the expectation is the upstream's to answer. A client whose body is coming already does
    // not wait (RFC 9110, section 10.1.1).
    let forwards = expects && request.live.generation.plan.http.expect == Expect::Forward;
    UploadState::new(forwards, expects && request.after_head.is_empty(), held)
}

/// Was the time of the whole exchange over when it failed? Then that is why, whatever else went wrong.
fn overdue(
    total: &TotalTimer,
    tries: &Tries<'_>,
    upload: &UploadState<'_>,
    relayed: &RelayResult,
) -> Option<UpstreamCause> {
    let failure = relayed.responded.err()?;
    let cause = tries.overdue(upload.complete.get());
    if total.has_passed() {
        return Some(cause.unwrap_or(UpstreamCause::TotalTimeout { by_node: false }));
    }
    cause.filter(|_| matches!(failure, ExchangeFailure::Upstream(_)))
}

/// What is made of both directions, now that they are over.
fn conclude(
    request: &ExchangeContext<'_>,
    lease: Lease,
    flow: &Flow<'_>,
    sent: Sent,
    relayed: RelayResult,
    progress: &ResponseProgress,
    outcome: &mut Outcome,
) -> AttemptResult {
    let RelayResult { uploaded, responded, .. } = relayed;
    // What the client sent may have been read to its end without all of it reaching the upstream.
    let lost = matches!(uploaded, Err(ExchangeFailure::Client(_)));
    let bodies = bodies(flow.is_done() && !lost);
    match responded {
        Ok(()) if progress.switched => {
            AttemptResult::Done(ForwardResult::Switched(Box::new(lease)))
        }
        Ok(()) => {
            let reached = self::bodies(uploaded.is_ok() && flow.is_done());
            release(request, lease, progress, reached);
            let keep_alive = progress.delivery.is_some_and(|delivery| delivery.client_keep_alive);
            AttemptResult::Done(ForwardResult::Delivered { keep_alive, bodies })
        }
        Err(failed) => {
            let reused = lease.reused;
            drop(lease);
            let resolution = resolve(uploaded, failed, progress.begun);
            match resolution {
                Resolution::Cut(ended) => {
                    outcome.ended = ended;
                    AttemptResult::Done(ForwardResult::Aborted)
                }
                Resolution::Refuse(refusal) => {
                    AttemptResult::Done(ForwardResult::Refuse(refusal, bodies))
                }
                Resolution::AttemptFailed(_) if let Some(status) = progress.passed_over => {
                    AttemptResult::PassedOver(status)
                }
                Resolution::AttemptFailed(cause) => {
                    AttemptResult::Failed(FailedAttempt { cause, reused, sent, bodies })
                }
            }
        }
    }
}

/// What the response depends on beside the upstream.
fn response_context<'a>(
    request: &ExchangeContext<'a>,
    upload: &'a UploadState<'a>,
    connections: &'a ListenerConnections,
    request_ids: Option<&'a RequestIds>,
) -> ResponseContext<'a> {
    let (plan, admission) = (&request.live.generation.plan, request.admission);
    ResponseContext {
        request_id: request_ids.and_then(|request_ids| request_ids.id_field(&plan.http)),
        core: request.core,
        plan,
        method: admission.method,
        version: admission.version,
        upgrade: admission.upgrade,
        repeatable: false,
        tries: None,
        total: None,
        keep_alive: false,
        connections,
        takes_trailers: admission.features.takes_trailers,
        upload,
        read_timeout: request.timeout().read,
        shape: None,
    }
}

/// Notes in the outcome, and in the record of the try, how far the response got.
fn record(
    request: &ExchangeContext<'_>,
    node: NodeIndex,
    progress: &ResponseProgress,
    memory: &mut ExchangeMemory,
    outcome: &mut Outcome,
) {
    outcome.sent_bytes += progress.sent_bytes;
    outcome.body_bytes += progress.body_bytes;
    let switched = progress.switched.then_some(101);
    if let Some(status) = progress.delivery.map(|delivery| delivery.status).or(switched) {
        outcome.status = progress.sent_status.unwrap_or(status);
        if let Some(attempt) = memory.attempt() {
            attempt.status = Some(status);
            attempt.header_micros = progress.head_at.map(|at| attempt.micros_until(at));
        }
    }
    request.node_meters(node).add(NodeCounter::BytesIn, progress.received_bytes);
}

/// How the bodies stand where the client got a whole answer, be it ours.
const fn bodies(request_complete: bool) -> Bodies {
    if request_complete { Bodies::Complete } else { Bodies::RequestUnfinished }
}

/// Gives the connection of a whole response back to the pool, or closes it.
fn release(
    request: &ExchangeContext<'_>,
    mut lease: Lease,
    progress: &ResponseProgress,
    bodies: Bodies,
) {
    let upstream = request.upstream();
    let left = lease.stream.check_leftover();
    if left == IdleCheck::Unsolicited {
        request.node_meters(lease.node).count(NodeCounter::Surplus);
    }
    let delivery = progress.delivery;
    let hint = delivery.map_or_else(KeepAliveHint::default, |delivery| delivery.keep_alive);
    let requests = lease.requests + 1;
    lease.requests_max = lease.requests_max.min(hint.requests_max(requests));
    let end = UpstreamEnd {
        head_allows: delivery.is_some_and(|delivery| delivery.upstream_reusable)
            && upstream.keeps_connections()
            && !request.admission.binds_connection,
        bodies,
        surplus: left != IdleCheck::Silent,
        requests,
        requests_max: upstream.pool.requests.min(lease.requests_max),
    };
    if reuse::upstream(end) {
        lease.requests = requests;
        give_back(request.core, hint.narrow(upstream.pool), lease);
        if !request.core.is_current(request.live) {
            request.core.inspection.expect_outdated();
        }
    }
}
