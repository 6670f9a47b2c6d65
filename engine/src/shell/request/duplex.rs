//! The two directions of an exchange: the request goes up while the response comes down.
//!
//! The response is waited for once the first part of the request has left. A node that has no room even for
//! that is listened to meanwhile, because it may have answered already. The client is heard for as long as
//! the exchange lasts: see [`listen`](crate::shell::transport::stream::listen).

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ferrule_config::model::HalfClose;

use super::context::ExchangeContext;
use super::drain::{DRAIN_TIME, drain};
use super::filtering::filter;
use super::held_body::HeldBody;
use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::relay::{Demand, RelayError, TransferTimes, relay_body};
use super::respond::{ResponseContext, ResponseMemory, ResponseProgress, await_final, deliver};
use crate::exchange::cause::{ClientCause, ExchangeFailure, UpstreamCause};
use crate::exchange::flow::Flow;
use crate::exchange::outcome::byte_count;
use crate::plan::NodeIndex;
use crate::report::NodeCounter;
use crate::shell::transport::deadlines::{Shut, ShutTarget, TimerHandle};
use crate::shell::transport::handshake::REFUSAL_TIME;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::net::Descriptor;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::listen::run_beside;
use crate::shell::transport::stream::{Stream, StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What came of both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayResult {
    /// The first part of the request has left: its head, and what had come of its body with it.
    pub(crate) first_left: bool,
    /// The whole request has gone to the upstream, as far as it was still wanted.
    pub(crate) uploaded: Result<(), ExchangeFailure>,
    /// The response has gone to the client.
    pub(crate) responded: Result<(), ExchangeFailure>,
}

/// What each direction tells the other.
struct DuplexState {
    client_read: TimerHandle,
    upstream_read: TimerHandle,
    upstream_write: TimerHandle,
    upstream: Descriptor,
    node: NodeIndex,
    /// What is shut down when a client has left whose request is whole. One that still sends its body is
    /// read, which tells as well.
    watched: Option<ShutTarget>,
    /// Has the first part left? `None` while it waits for room.
    first: Cell<Option<bool>>,
    /// Who wants the rest of the request.
    demand: Cell<Demand>,
    /// The response has failed on the upstream's side.
    upstream_failed: Cell<bool>,
    /// The upstream broke TLS, and may still take the alert that says so.
    alerting: Cell<bool>,
    /// The upload's result, until the response has taken it.
    uploaded: Cell<Option<Result<(), ExchangeFailure>>>,
    /// The client was lost after its request had left.
    client_lost: Cell<bool>,
}

impl DuplexState {
    fn new(client: &Stream, upstream: &Lease, watched: Option<ShutTarget>) -> Self {
        Self {
            client_read: client.read_timer(),
            upstream_read: upstream.stream.read_timer(),
            upstream_write: upstream.stream.write_timer(),
            upstream: upstream.stream.descriptor(),
            node: upstream.node,
            watched,
            first: Cell::new(None),
            demand: Cell::new(Demand::Full),
            upstream_failed: Cell::new(false),
            alerting: Cell::new(false),
            uploaded: Cell::new(None),
            client_lost: Cell::new(false),
        }
    }

    /// Waits for the upload's result. One that waits itself looks once more at whether anybody wants the rest.
    async fn take_uploaded(&self) -> Result<(), ExchangeFailure> {
        let mut asked = false;
        poll_fn(|context| {
            if let Some(uploaded) = self.uploaded.take() {
                return Poll::Ready(uploaded);
            }
            if !asked && matches!(self.demand.get(), Demand::Dropped(_)) {
                context.waker().wake_by_ref();
            }
            asked = true;
            Poll::Pending
        })
        .await
    }

    /// Ends the connection to the upstream; whatever waits for it fails.
    fn shut_upstream(&self) {
        self.upstream_read.shut_both(self.upstream);
    }

    /// The response has begun. A node that answers before it has the whole request may not read the rest until
    /// it has said what it has to say: that is no failure, and from here on the response's own times count.
    fn begin_response(&self) {
        if self.demand.get() == Demand::Full {
            self.demand.set(Demand::Answering);
            self.upstream_write.prolong(Duration::MAX);
        }
    }

    /// How long the upstream may take for more of the request.
    fn send_time(&self, request: &ExchangeContext<'_>) -> Duration {
        self.demand.get().limit(request.timeout().send)
    }

    /// The response is over, `whole` or not, and the request is not.
    ///
    /// A node that has answered may still want the rest: it reads that, or ends its connection (RFC 9112,
    /// section 9.3). Only an error that ends the connection says that it does not (section 9.5).
    fn end_response(
        &self,
        context: &ResponseContext<'_>,
        progress: &ResponseProgress,
        whole: bool,
        upstream: &StreamReader<'_>,
    ) {
        let silent = context.plan.http.lingering_timeout;
        let delivery = progress.delivery.filter(|_| whole && context.upload.running.get());
        let wanted = delivery.is_some_and(|delivery| {
            (delivery.upstream_reusable || delivery.status < 400)
                && context.knows_what_follows(progress.continued)
        });
        if wanted {
            self.demand.set(Demand::Answered(silent));
            self.upstream_write.hasten(silent);
        } else {
            // A client that has no answer so far waits for ours.
            self.end_upload(upstream, if whole { silent } else { DRAIN_TIME });
        }
    }

    /// Ends the upload, for whose rest the client may take `silent` to send more of it. A node that broke
    /// TLS while it was full gets the chance to read why; any other one has said what there was to say.
    fn end_upload(&self, upstream: &StreamReader<'_>, silent: Duration) {
        self.demand.set(Demand::Dropped(silent));
        if upstream.has_alert_waiting() {
            self.alerting.set(true);
            self.upstream_write.hasten(REFUSAL_TIME);
        } else {
            self.shut_upstream();
        }
        self.client_read.hasten(silent);
    }
}

/// Sends the request, whose first part is in `memory.upload`, and passes the response on; whichever
/// direction fails first ends the other.
pub(crate) async fn relay(
    request: &ExchangeContext<'_>,
    context: &ResponseContext<'_>,
    client: &mut Stream,
    memory: &mut ExchangeMemory,
    lease: &mut Lease,
    flow: &mut Flow<'_>,
    progress: &mut ResponseProgress,
) -> RelayResult {
    let spares = context.plan.http.client_half_close == HalfClose::Serve;
    let upstream = lease.stream.reader.shut_target().sparing_half_close(spares);
    let watched = flow.is_done().then_some(upstream);
    let state = DuplexState::new(client, lease, watched);
    let ExchangeMemory { response, out, upload, .. } = memory;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_upstream, mut to_upstream) = lease.stream.split();
    let mut result = {
        let up = async {
            let (source, sink) = (&mut from_client, &mut to_upstream);
            let result = send_request(&state, request, context, source, sink, flow, upload).await;
            let waits = !matches!(result, Err(ExchangeFailure::Client(_)));
            state.uploaded.set(Some(result));
            if waits && from_client.listen(state.watched).await {
                state.client_lost.set(true);
                state.shut_upstream();
            }
        };
        let down = async {
            from_upstream.wait_patiently(|| state.first.get().is_some()).await;
            let mut response_memory = ResponseMemory { head: response, out };
            let mut responded = welcome_body(&state, context, &mut to_client, progress).await;
            if responded.is_ok() {
                let (source, sink) = (&mut from_upstream, &mut to_client);
                let memory = &mut response_memory;
                responded = respond(&state, context, source, sink, memory, progress).await;
            }
            state.upstream_failed.set(matches!(responded, Err(ExchangeFailure::Upstream(_))));
            if !context.upload.complete.get() {
                state.end_response(context, progress, responded.is_ok(), &from_upstream);
            }
            let uploaded = state.take_uploaded().await;
            RelayResult { first_left: state.first.get() == Some(true), uploaded, responded }
        };
        run_beside(pin!(up), pin!(down)).await
    };
    if from_upstream.has_alert_waiting() {
        // It found no room, and nothing was sent that would have taken it along.
        let _ = to_upstream.flush(REFUSAL_TIME).await;
    }
    let left = state.watched.is_some() && from_client.end_watch();
    // Where the client was lost, the upstream's connection was ended for that: not the upstream's fault.
    if (left || state.client_lost.get()) && result.responded.is_err() {
        result.responded = Err(ExchangeFailure::Client(ClientCause::Left));
    }
    result
}

/// Passes the response on, interim ones included.
async fn respond(
    state: &DuplexState,
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    client: &mut StreamWriter<'_>,
    memory: &mut ResponseMemory<'_>,
    progress: &mut ResponseProgress,
) -> Result<(), ExchangeFailure> {
    let Some(delivery) = await_final(context, upstream, client, memory, progress).await? else {
        return Ok(());
    };
    if context.upload.running.get() {
        state.begin_response();
    }
    let mut delivery = delivery;
    let held = match progress.filtered {
        false => None,
        true => Some(filter(context, upstream, memory, progress, &mut delivery).await?),
    };
    let delivered = deliver(context, upstream, client, memory, progress, delivery).await;
    drop(held);
    delivered
}

/// Tells a client that waits for it to send its body, unless that is the upstream's to say.
async fn welcome_body(
    state: &DuplexState,
    context: &ResponseContext<'_>,
    client: &mut StreamWriter<'_>,
    progress: &mut ResponseProgress,
) -> Result<(), ExchangeFailure> {
    if !context.upload.awaits_continue || state.first.get() == Some(false) {
        return Ok(());
    }
    let left = |_| ExchangeFailure::Client(ClientCause::Left);
    let wait = context.plan.http.send_timeout;
    client.write(CONTINUE, wait).await.map_err(left)?;
    client.flush(wait).await.map_err(left)?;
    if let Some(held) = context.upload.held {
        held.note_welcome();
    }
    progress.sent_bytes += byte_count(CONTINUE.len());
    Ok(())
}

/// Sends the request: its first part, which is in `scratch`, and then the rest of its body as it comes.
///
/// # Errors
/// The upstream does not have the whole of it, for a reason that is not the response's.
async fn send_request(
    state: &DuplexState,
    request: &ExchangeContext<'_>,
    context: &ResponseContext<'_>,
    from_client: &mut StreamReader<'_>,
    to_upstream: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), ExchangeFailure> {
    let mut result = send_first(state, request, from_client, to_upstream, scratch).await;
    state.first.set(Some(result.is_ok()));
    let held = context.upload.held;
    if let Some(held) = held.filter(|held| result.is_ok() && !held.is_empty()) {
        result = send_again(state, request, from_client, to_upstream, flow, held, scratch).await;
    }
    if result.is_ok() && !flow.is_done() {
        let times = TransferTimes {
            awaited: Some(&context.upload.body_awaited),
            ..transfer_times(state, request, held)
        };
        result = send_body(state, request, from_client, to_upstream, flow, times, scratch).await;
    }
    context.upload.complete.set(result.is_ok());
    context.upload.running.set(false);
    state.upstream_read.hasten(request.timeout().read);
    let timed_out = result == Err(ExchangeFailure::Upstream(UpstreamCause::SendTimeout));
    if state.upstream_failed.get() && (!timed_out || state.alerting.get()) {
        // The upload was ended because the response had failed; that is not the client's fault.
        return Ok(());
    }
    match result {
        // The request will never be whole: the upstream must not take it for that.
        Err(ExchangeFailure::Client(_)) => state.shut_upstream(),
        // The upstream has stopped reading; it may have answered. The client is read on, so that it gets
        // to see that answer. Of a body that was not touched, nothing is lost so far.
        Err(ExchangeFailure::Upstream(_)) if state.first.get() == Some(true) => {
            let drained = drain(from_client, flow, transfer_times(state, request, held)).await;
            drained.map_err(|error| request.blame(&error))?;
        }
        Ok(()) | Err(ExchangeFailure::Upstream(_)) => {}
    }
    result
}

/// Sends what was rendered of the request, and hears the client meanwhile.
async fn send_first(
    state: &DuplexState,
    request: &ExchangeContext<'_>,
    from_client: &mut StreamReader<'_>,
    to_upstream: &mut StreamWriter<'_>,
    first: &[u8],
) -> Result<(), ExchangeFailure> {
    let sending = pin!(async {
        to_upstream.write(first, state.send_time(request)).await?;
        to_upstream.flush(state.send_time(request)).await?;
        // Waiting for the answer takes no memory to send with.
        to_upstream.rest();
        Ok::<(), StreamError>(())
    });
    let sent = from_client.run_while_listening(sending, state.watched).await;
    request.node_meters(state.node).add(NodeCounter::BytesOut, byte_count(first.len()));
    if sent.lost {
        return Err(ExchangeFailure::Client(ClientCause::Left));
    }
    sent.done.map_err(|error| request.blame(&RelayError::Receiver(error)))
}

/// Sends what a try before this one has read of the body. All of it goes through `flow`, which stands where the
/// client does then, even if the node takes nothing more.
async fn send_again(
    state: &DuplexState,
    request: &ExchangeContext<'_>,
    from_client: &mut StreamReader<'_>,
    to_upstream: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    held: &HeldBody,
    scratch: &mut Vec<u8>,
) -> Result<(), ExchangeFailure> {
    let (mut at, mut sent, mut result) = (0, 0, Ok(()));
    loop {
        scratch.clear();
        let copied = held.with_slice(at, |slice| flow.copy(slice, scratch));
        // It was understood before.
        let copied = copied.map_err(|error| request.blame(&RelayError::Body(error)))?;
        if copied.consumed == 0 {
            break;
        }
        at += copied.consumed;
        if result.is_ok() {
            let sending = pin!(async {
                to_upstream.write(scratch, state.send_time(request)).await?;
                to_upstream.flush(state.send_time(request)).await
            });
            result = from_client.run_while_listening(sending, None).await.done;
            sent += byte_count(scratch.len());
        }
    }
    to_upstream.rest();
    request.node_meters(state.node).add(NodeCounter::BytesOut, sent);
    result.map_err(|error| request.blame(&RelayError::Receiver(error)))
}

/// Sends the rest of the request's body.
async fn send_body(
    state: &DuplexState,
    request: &ExchangeContext<'_>,
    from_client: &mut StreamReader<'_>,
    to_upstream: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    times: TransferTimes<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), ExchangeFailure> {
    let before = flow.bytes_out();
    let result = relay_body(from_client, to_upstream, flow, times, scratch).await;
    let sent = flow.bytes_out().saturating_sub(before);
    request.node_meters(state.node).add(NodeCounter::BytesOut, sent);
    result.map_err(|error| request.blame(&error))
}

/// How long each side may take over the request's body.
fn transfer_times<'a>(
    state: &'a DuplexState,
    request: &'a ExchangeContext<'_>,
    held: Option<&'a HeldBody>,
) -> TransferTimes<'a> {
    let http = &request.live.generation.plan.http;
    TransferTimes {
        read: Wait { time: http.client_body_timeout, shut: Shut::Read, idle: false },
        write: request.timeout().send,
        sender_pace: MinRate::new(http.pacing.body_min_rate, http.pacing.grace),
        receiver_pace: MinRate::none(),
        unwanted: http.lingering_timeout,
        clock: &request.core.clock,
        demand: Some(&state.demand),
        awaited: None,
        held,
    }
}

impl ExchangeContext<'_> {
    /// Whose fault it is that the request's body did not get through.
    fn blame(&self, error: &RelayError) -> ExchangeFailure {
        error.of_request(self.live.generation.plan.http.client_half_close)
    }
}
