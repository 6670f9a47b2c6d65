//! The two directions of an exchange whose request, or its first part, has left.
//!
//! While the upstream is waited for, the client is heard: see
//! [`listen`](crate::shell::transport::stream::listen).

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::context::ExchangeContext;
use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::relay::{DRAIN_TIME, TransferTimes, drain, relay_body};
use super::respond::{ResponseContext, ResponseMemory, ResponseProgress, respond};
use crate::exchange::cause::{ClientCause, ExchangeFailure, UpstreamCause};
use crate::exchange::flow::Flow;
use crate::report::Counter;
use crate::shell::client::connection::Client;
use crate::shell::transport::deadlines::{Shut, TimerHandle};
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::net::Descriptor;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::listen::run_beside;
use crate::shell::transport::stream::{StreamReader, StreamWriter};

/// Nothing of the request is left to be sent: the response comes down.
pub(crate) async fn relay_response(
    context: &ResponseContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    lease: &mut Lease,
    progress: &mut ResponseProgress,
) -> Result<(), ExchangeFailure> {
    let ExchangeMemory { response, out, .. } = memory;
    let mut response_memory = ResponseMemory { head: response, out };
    let upstream = lease.stream.reader.shut_target();
    let mut from_upstream = lease.stream.source();
    let (mut from_client, mut to_client) = client.stream.split();
    let responding =
        pin!(respond(context, &mut from_upstream, &mut to_client, &mut response_memory, progress));
    let responded = from_client.run_while_listening(responding, Some(upstream)).await;
    blame_client(responded.lost, responded.done)
}

/// Where the client was lost, the upstream's connection was ended for that: not the upstream's fault.
fn blame_client(lost: bool, responded: Result<(), ExchangeFailure>) -> Result<(), ExchangeFailure> {
    if lost && responded.is_err() {
        Err(ExchangeFailure::Client(ClientCause::Left))
    } else {
        responded
    }
}

/// What came of both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayResult {
    /// The request's body has gone to the upstream, as far as it was still wanted.
    pub(crate) uploaded: Result<(), ExchangeFailure>,
    /// The response has gone to the client.
    pub(crate) responded: Result<(), ExchangeFailure>,
}

/// What each direction tells the other.
struct DuplexState {
    client_read: TimerHandle,
    upstream_read: TimerHandle,
    upstream: Descriptor,
    /// The response is over: the rest of the request's body is not needed.
    over: Cell<bool>,
    /// The response has failed on the upstream's side.
    upstream_failed: Cell<bool>,
    /// The upload's result, until the response has taken it.
    uploaded: Cell<Option<Result<(), ExchangeFailure>>>,
    /// The client was lost after its request was whole.
    client_lost: Cell<bool>,
}

impl DuplexState {
    /// Ends the connection to the upstream; whatever waits for it fails.
    fn shut_upstream(&self) {
        self.upstream_read.shut_both(self.upstream);
    }
}

/// The request's body goes up while the response comes down; whichever fails first ends the other.
pub(crate) async fn relay_with_upload(
    request: &ExchangeContext<'_>,
    context: &ResponseContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    lease: &mut Lease,
    flow: &mut Flow<'_>,
    progress: &mut ResponseProgress,
) -> RelayResult {
    let state = DuplexState {
        client_read: client.stream.read_timer(),
        upstream_read: lease.stream.read_timer(),
        upstream: lease.stream.descriptor(),
        over: Cell::new(false),
        upstream_failed: Cell::new(false),
        uploaded: Cell::new(None),
        client_lost: Cell::new(false),
    };
    let ExchangeMemory { response, out, upload, .. } = memory;
    let (mut from_client, mut to_client) = client.stream.split();
    let (mut from_upstream, mut to_upstream) = lease.stream.split();
    let up = async {
        let sending =
            send_body(&state, request, context, &mut from_client, &mut to_upstream, flow, upload);
        let result = sending.await;
        let waits = result.is_ok();
        state.uploaded.set(Some(result));
        if waits && from_client.listen(None).await {
            state.client_lost.set(true);
            state.shut_upstream();
        }
    };
    let down = async {
        let mut response_memory = ResponseMemory { head: response, out };
        let responded =
            respond(context, &mut from_upstream, &mut to_client, &mut response_memory, progress)
                .await;
        state.upstream_failed.set(matches!(responded, Err(ExchangeFailure::Upstream(_))));
        state.over.set(true);
        if !context.upload.complete.get() {
            state.shut_upstream();
            state.client_read.hasten(DRAIN_TIME);
        }
        let uploaded = poll_fn(|_| state.uploaded.take().map_or(Poll::Pending, Poll::Ready)).await;
        let responded = blame_client(state.client_lost.get(), responded);
        RelayResult { uploaded, responded }
    };
    run_beside(pin!(up), pin!(down)).await
}

/// Sends the request's body to the upstream.
///
/// # Errors
/// The upstream does not have the whole of it, for a reason that is not the response's.
async fn send_body(
    state: &DuplexState,
    request: &ExchangeContext<'_>,
    context: &ResponseContext<'_>,
    from_client: &mut StreamReader<'_>,
    to_upstream: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), ExchangeFailure> {
    let http = &request.live.generation.plan.http;
    let timeout = request.timeout();
    let times = TransferTimes {
        read: Wait { time: http.client_body_timeout, shut: Shut::Read, idle: false },
        write: timeout.send,
        sender_pace: MinRate::new(http.pacing.body_min_rate, http.pacing.grace),
        receiver_pace: MinRate::none(),
        clock: &request.core.clock,
        over: Some(&state.over),
    };
    let before = flow.bytes_out();
    let result = relay_body(from_client, to_upstream, flow, times, scratch).await;
    let result = result.map_err(|error| error.of_request());
    let sent = flow.bytes_out().saturating_sub(before);
    request.core.counters().add(Counter::UpstreamBytesOut, sent);
    context.upload.complete.set(result.is_ok());
    context.upload.running.set(false);
    state.upstream_read.hasten(timeout.read);
    if state.upstream_failed.get()
        && result != Err(ExchangeFailure::Upstream(UpstreamCause::SendTimeout))
    {
        // The upload was ended because the response had failed; that is not the client's fault.
        return Ok(());
    }
    if matches!(result, Err(ExchangeFailure::Client(_))) {
        // The request will never be whole: the upstream must not take it for that.
        state.shut_upstream();
    } else if result.is_err() {
        // The upstream has stopped reading; it may have answered. Read on, so that the client gets to
        // see that answer, but not for ever.
        let drained = drain(from_client, flow, &request.core.clock).await;
        drained.map_err(|error| error.of_request())?;
    }
    result
}
