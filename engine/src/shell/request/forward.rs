//! One request: to an upstream and back. Attempts, retries, and both bodies side by side.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use ferrule_config::model::Expect;

use super::duplex::{one_way, side_by_side};
use super::faults;
use super::lease::{ConnectError, Lease, Wanted, give_back, look, obtain};
use super::memory::ExchangeMemory;
use super::relay::PumpError;
use super::respond::{Answering, Progress, RespondError};
use crate::exchange::Admission;
use crate::exchange::balance::Tried;
use crate::exchange::fault::Fault;
use crate::exchange::flow::{Flow, FlowError, Framing};
use crate::exchange::outcome::{Ended, Outcome};
use crate::exchange::refusal::Refusal;
use crate::exchange::retry::{Attempt, Failure, Retry, Sent, decide};
use crate::exchange::reuse::{self, Bodies, UpstreamEnd};
use crate::exchange::rewrite::{Towards, upstream_head, upstream_name};
use crate::plan::{Facts, NodeIndex, UpstreamPlan};
use crate::report::Counter;
use crate::shell::client::connection::Client;
use crate::shell::state::core::Core;
use crate::shell::state::generation::Live;
use crate::shell::transport::reader::Idle;
use crate::shell::transport::stream::attend::Attended;
use crate::shell::transport::stream_error::Cut;
use crate::wire::framing::BodyLength;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How an exchange ended for the client's connection.
pub enum Forwarded {
    /// The upstream has granted a WebSocket, and the client knows: a tunnel is to follow.
    Switched(Box<Lease>),
    /// The response was sent whole.
    Delivered {
        /// What its head announced.
        keep_alive: bool,
        /// Whether the request's body was read to its end as well.
        bodies: Bodies,
    },
    /// Nothing was sent: answer this.
    Refuse(Refusal, Bodies),
    /// The client must see that the response was cut, or is gone.
    Cut,
}

/// A request on its way.
pub struct Request<'a> {
    /// The core.
    pub core: &'a Core,
    /// The generation.
    pub live: &'a Live,
    /// What was decided about it.
    pub admission: &'a Admission,
    /// Its head and what came with it.
    pub buf: &'a [u8],
    /// What came behind its head.
    pub behind: &'a [u8],
}

/// A try that failed before anything was sent to the client.
struct Failed {
    failure: Failure,
    refusal: Refusal,
    reused: bool,
    sent: Sent,
    bodies: Bodies,
}

/// What one try came to.
enum Tryout {
    Done(Forwarded),
    Failed(Failed),
}

/// Forwards the request; `consumed` becomes how much of `behind` was its body.
pub async fn forward(
    request: &Request<'_>,
    client: &mut Client,
    work: &mut ExchangeMemory,
    consumed: &mut usize,
    outcome: &mut Outcome,
) -> Forwarded {
    let upstream = request.live.generation.plan.upstream(request.admission.upstream);
    let mut tried = Tried::default();
    let mut retries_left = upstream.retries;
    let mut again: Option<NodeIndex> = None;
    let mut last = Refusal::NoLiveNode;
    loop {
        let fresh = again.is_some();
        let next =
            again.take().or_else(|| request.live.next_node(request.admission.upstream, &tried));
        let Some(node) = next else { return Forwarded::Refuse(last, unread(request)) };
        tried.insert(node);
        outcome.node = Some(node);
        let attempt =
            attempt(request, client, work, (node, fresh), (&mut *consumed, &mut *outcome)).await;
        let failed = match attempt {
            Tryout::Done(forwarded) => return forwarded,
            Tryout::Failed(failed) => failed,
        };
        last = failed.refusal;
        request.core.events().upstream_fault(failed.refusal);
        let decision = decide(Attempt {
            failure: failed.failure,
            reused: failed.reused,
            sent: failed.sent,
            idempotent: request.admission.is_idempotent(),
            nodes_left: retries_left > 0,
        });
        match decision {
            Retry::No => return Forwarded::Refuse(failed.refusal, failed.bodies),
            Retry::SameNodeFresh => again = Some(node),
            Retry::NextNode => retries_left = retries_left.saturating_sub(1),
        }
        outcome.retries += 1;
    }
}

/// Nothing of the request's body beyond what came with its head was read.
const fn unread(request: &Request<'_>) -> Bodies {
    match request.admission.body {
        BodyLength::None | BodyLength::Length(0) => Bodies::Complete,
        BodyLength::Length(_) | BodyLength::Chunked | BodyLength::UntilClose => {
            Bodies::RequestUnfinished
        }
    }
}

async fn attempt(
    request: &Request<'_>,
    client: &mut Client,
    work: &mut ExchangeMemory,
    (node, fresh): (NodeIndex, bool),
    (consumed, outcome): (&mut usize, &mut Outcome),
) -> Tryout {
    let plan = &request.live.generation.plan;
    let upstream = plan.upstream(request.admission.upstream);
    let timeout = plan.route(request.admission.route).timeout;
    let Some(node_plan) = upstream.nodes.get(node.0 as usize) else {
        return Tryout::Done(Forwarded::Refuse(Refusal::Internal, unread(request)));
    };
    let name = upstream_name(upstream, &work.request.host, node_plan);
    let proxy_header = match &upstream.proxy {
        Some(proxy) => client.proxy_header(proxy),
        None => Vec::new(),
    };
    let wanted = Wanted {
        upstream: request.admission.upstream,
        node,
        name,
        timeout: timeout.connect,
        fresh,
        proxy_header: &proxy_header,
    };
    let obtained = {
        let obtaining = pin!(obtain(request.core, request.live, wanted));
        client.stream.source().attend(obtaining, None).await
    };
    if obtained.lost {
        return left(outcome);
    }
    let mut lease = match obtained.done {
        Ok(lease) => lease,
        Err(error) => return Tryout::Failed(not_connected(request, &error)),
    };
    let mut flow = match render(request, client, work, node) {
        Ok((flow, used)) => {
            *consumed = used;
            flow
        }
        Err(refusal) => {
            give_back(request.core, upstream, lease);
            return Tryout::Done(Forwarded::Refuse(refusal, unread(request)));
        }
    };
    let reused = lease.reused;
    let fail = |failure, refusal, sent| {
        Tryout::Failed(Failed { failure, refusal, reused, sent, bodies: unread(request) })
    };
    match if reused { Idle::Silent } else { look(&mut lease.stream) } {
        Idle::Silent => {}
        Idle::Spoke => {
            let fault = Fault::SpokeFirst;
            faults::note(request.core, &upstream.id, fault);
            return fail(Failure::BadResponse, Refusal::BadResponse(fault), Sent::Nothing);
        }
        Idle::Over => return fail(Failure::Lost, Refusal::UpstreamLost, Sent::Nothing),
    }
    let sent = send(client, &mut lease, &work.out, timeout.send).await;
    request.core.counters().add(Counter::UpstreamBytesOut, bytes(work.out.len()));
    if sent.lost {
        return left(outcome);
    }
    match sent.done {
        Ok(()) => {}
        Err(Cut::TimedOut) => {
            return fail(Failure::Timeout, Refusal::UpstreamTimeout, Sent::Replayable);
        }
        // A node that refuses a request while it is being sent may have said why.
        Err(_) if flow.is_done() => {}
        Err(_) => return fail(Failure::Lost, Refusal::UpstreamLost, Sent::Replayable),
    }
    exchange(request, client, work, (lease, &mut flow), outcome).await
}

/// Sends the first part of a request.
async fn send(
    client: &mut Client,
    lease: &mut Lease,
    out: &[u8],
    timeout: Duration,
) -> Attended<Result<(), Cut>> {
    let mut sink = lease.stream.sink();
    let sending = pin!(async {
        sink.write(out, timeout).await?;
        sink.flush(timeout).await?;
        // Waiting for the answer takes no memory to send with.
        sink.rest();
        Ok(())
    });
    client.stream.source().attend(sending, None).await
}

/// The client is gone, or was told that it broke the protocol: nobody waits for an answer.
const fn left(outcome: &mut Outcome) -> Tryout {
    outcome.ended = Ended::ClientLeft;
    Tryout::Done(Forwarded::Cut)
}

fn not_connected(request: &Request<'_>, error: &ConnectError) -> Failed {
    let (failure, refusal) = match error {
        ConnectError::NoAddress => (Failure::Connect, Refusal::NoLiveNode),
        ConnectError::NoRoom => (Failure::Connect, Refusal::Overloaded),
        ConnectError::Failed(_) => (Failure::Connect, Refusal::UpstreamConnect),
        ConnectError::TimedOut => (Failure::Connect, Refusal::UpstreamTimeout),
        ConnectError::Tls(_) => (Failure::Connect, Refusal::UpstreamTls),
    };
    Failed { failure, refusal, reused: false, sent: Sent::Nothing, bodies: unread(request) }
}

/// Renders the upstream head, and behind it as much of the body as is there, into `work.out`.
fn render(
    request: &Request<'_>,
    client: &Client,
    work: &mut ExchangeMemory,
    node: NodeIndex,
) -> Result<(Flow<'static>, usize), Refusal> {
    let plan = &request.live.generation.plan;
    let upstream = plan.upstream(request.admission.upstream);
    let Some(node_plan) = upstream.nodes.get(node.0 as usize) else {
        return Err(Refusal::Internal);
    };
    let ExchangeMemory { request: scratch, marks, out, .. } = work;
    out.clear();
    let route = plan.route(request.admission.route);
    request.core.clock.with_now(|now| {
        let facts = client.facts(now, Some(Client::request_facts(request.buf, scratch, &route.id)));
        let facts = Facts { marks: Some(marks), ..facts };
        let towards = Towards {
            node: node_plan,
            identity_block: client.request_identity_block(),
            forwarded: &client.forwarded,
            keep_alive: upstream.keeps_connections(),
        };
        upstream_head(plan, request.admission, &facts, &towards, out)
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
    match flow.copy(request.behind, out) {
        Ok(copied) => Ok((flow, copied.consumed)),
        Err(FlowError::Malformed(error)) => Err(Refusal::Malformed(error)),
        Err(FlowError::TooLarge) => Err(Refusal::BodyTooLarge),
    }
}

/// The request has left, or its first part; takes the answer, and sends the rest beside it.
async fn exchange(
    request: &Request<'_>,
    client: &mut Client,
    work: &mut ExchangeMemory,
    (mut lease, flow): (Lease, &mut Flow<'_>),
    outcome: &mut Outcome,
) -> Tryout {
    let plan = &request.live.generation.plan;
    let upstream = plan.upstream(request.admission.upstream);
    let uploads = !flow.is_done();
    let (uploaded, uploading) = (Cell::new(false), Cell::new(uploads));
    // Passed on, the expectation is the upstream's to answer.
    let expects = uploads && request.admission.wishes.expect_continue;
    let passed_on = expects && plan.http.expect == Expect::Forward;
    // Copied, because the rest of the memory it stands in is worked in.
    let marks = plan.http.answers.request_id.is_some().then_some(work.marks);
    let answering = Answering {
        request_id: marks.as_ref().and_then(|marks| marks.named(plan)),
        core: request.core,
        plan,
        method: request.admission.method,
        version: request.admission.version,
        upgrade: request.admission.upgrade,
        keep_alive: client.may_keep(request.admission.keep_alive),
        takes_trailers: request.admission.wishes.takes_trailers,
        uploaded: passed_on.then_some(&uploaded),
        uploading: &uploading,
        read_timeout: plan.route(request.admission.route).timeout.read,
    };
    let mut progress = Progress::default();
    let started = request.core.clock.elapsed();
    let (upload, responded) = if uploads {
        // A client whose body is coming already does not wait (RFC 9110, section 10.1.1).
        let waits = expects && !passed_on && request.behind.is_empty();
        if waits && client.send_now(CONTINUE).await.is_err() {
            outcome.ended = Ended::ClientLeft;
            return Tryout::Done(Forwarded::Cut);
        }
        if waits {
            outcome.sent_bytes += bytes(CONTINUE.len());
        }
        let way = (&mut lease, &mut *flow, &mut progress);
        side_by_side(request, (&answering, &uploaded), client, work, way).await
    } else {
        (Ok(()), one_way(&answering, client, work, &mut lease, &mut progress).await)
    };
    note(request, &progress, started, outcome);
    // Of the last try: each takes what came with the head again.
    outcome.request_bytes = flow.bytes_in();
    // What the client sent may have been read to its end without all of it reaching the upstream.
    let lost = matches!(upload, Err(PumpError::Source(_) | PumpError::Flow(_)));
    let bodies = bodies(flow.is_done() && !lost);
    match responded {
        Ok(()) if progress.switched => Tryout::Done(Forwarded::Switched(Box::new(lease))),
        Ok(()) => {
            let sent = self::bodies(upload.is_ok() && flow.is_done());
            let bound = request.admission.binds_connection;
            finish_upstream((request.core, upstream), lease, (&progress, sent), bound);
            let keep_alive = progress.delivery.is_some_and(|delivery| delivery.client_keep_alive);
            Tryout::Done(Forwarded::Delivered { keep_alive, bodies })
        }
        Err(error) => {
            let how = (&upload, &progress, bodies);
            let failed = failed((lease, uploads), &error, how, outcome);
            let again = match &failed {
                Tryout::Failed(failed) => Some(failed.refusal),
                Tryout::Done(_) => None,
            };
            faults::note_failed(request.core, &upstream.id, (outcome.ended, again));
            failed
        }
    }
}

fn note(request: &Request<'_>, progress: &Progress, started: Duration, outcome: &mut Outcome) {
    outcome.sent_bytes += progress.sent_bytes;
    outcome.body_bytes += progress.body_bytes;
    let switched = progress.switched.then_some(101);
    if let Some(status) = progress.delivery.map(|delivery| delivery.status).or(switched) {
        outcome.status = status;
        outcome.upstream_status = Some(status);
        let took = request.core.clock.elapsed().saturating_sub(started);
        outcome.upstream_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        outcome.upstream_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    }
    request.core.counters().add(Counter::UpstreamBytesIn, progress.received_bytes);
}

/// How the bodies stand where the client got a whole answer, be it ours.
const fn bodies(request_complete: bool) -> Bodies {
    if request_complete { Bodies::Complete } else { Bodies::RequestUnfinished }
}

fn finish_upstream(
    (core, plan): (&Core, &UpstreamPlan),
    mut lease: Lease,
    (progress, bodies): (&Progress, Bodies),
    bound: bool,
) {
    let left = lease.stream.leftover();
    if left == Idle::Spoke {
        core.count(Counter::UpstreamSurplus);
    }
    let end = UpstreamEnd {
        head_allows: progress.delivery.is_some_and(|delivery| delivery.upstream_reusable)
            && plan.keeps_connections()
            && !bound,
        bodies,
        surplus: left != Idle::Silent,
        requests: lease.requests + 1,
        requests_max: plan.pool.requests,
    };
    if reuse::upstream(end) {
        give_back(core, plan, lease);
    }
}

/// The response failed: may another answer be given, and which?
fn failed(
    (lease, uploads): (Lease, bool),
    error: &RespondError,
    (uploaded, progress, bodies): (&Result<(), PumpError>, &Progress, Bodies),
    outcome: &mut Outcome,
) -> Tryout {
    // What the upload says about it comes before what the response says.
    let reason = match uploaded {
        Err(PumpError::Flow(FlowError::Malformed(error))) => Some(Refusal::Malformed(*error)),
        Err(PumpError::Flow(FlowError::TooLarge)) => Some(Refusal::BodyTooLarge),
        Err(PumpError::Source(Cut::TimedOut)) => Some(Refusal::BodyTimeout),
        Err(PumpError::Source(_)) => {
            outcome.ended = Ended::ClientLeft;
            return Tryout::Done(Forwarded::Cut);
        }
        // Written to in vain, it had no chance to answer.
        Err(PumpError::Sink(Cut::TimedOut)) => Some(Refusal::UpstreamTimeout),
        Err(PumpError::Sink(_)) | Ok(()) => None,
    };
    let reused = lease.reused;
    drop(lease);
    match error {
        RespondError::Client(_) => {
            outcome.ended = Ended::ClientLeft;
            Tryout::Done(Forwarded::Cut)
        }
        RespondError::Upstream(failure, refusal) if progress.begun => {
            outcome.ended = match (reason, *failure, *refusal) {
                // It was cut by us, and not by the upstream.
                (Some(Refusal::UpstreamTimeout), ..) | (None, Failure::Timeout, _) => {
                    Ended::TimedOut
                }
                (Some(refusal), ..) => Ended::Refused(refusal),
                (None, _, Refusal::BadResponse(fault)) => Ended::ResponseCutOff(fault),
                (None, Failure::Connect | Failure::Lost | Failure::BadResponse, _) => {
                    Ended::ResponseCutOff(Fault::BodyCutOff)
                }
            };
            Tryout::Done(Forwarded::Cut)
        }
        RespondError::Upstream(failure, refusal) => {
            let refusal = reason.unwrap_or(*refusal);
            if reason.is_some() {
                return Tryout::Done(Forwarded::Refuse(refusal, bodies));
            }
            let sent = if uploads { Sent::Gone } else { Sent::Replayable };
            Tryout::Failed(Failed { failure: *failure, refusal, reused, sent, bodies })
        }
    }
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
