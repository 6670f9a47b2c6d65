//! The two directions of an exchange whose request, or its first part, has left.
//!
//! While the upstream is waited for, the client is heard: see
//! [`attend`](crate::shell::transport::stream::attend).

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::context::ExchangeContext;
use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::relay::{DRAIN_TIME, PumpError, TransferTimes, drain, pump};
use super::respond::{RespondError, ResponseContext, ResponseMemory, ResponseProgress, respond};
use crate::exchange::flow::Flow;
use crate::report::Counter;
use crate::shell::client::connection::Client;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::attend::beside;
use crate::shell::transport::stream_error::StreamError;

/// Nothing of the request is left to be sent: the response comes down.
pub(crate) async fn relay_response(
    context: &ResponseContext<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    lease: &mut Lease,
    progress: &mut ResponseProgress,
) -> Result<(), RespondError> {
    let ExchangeMemory { response, out, .. } = memory;
    let mut response_memory = ResponseMemory { head: response, out };
    let upstream = lease.stream.reader.shut_target();
    let mut from_upstream = lease.stream.source();
    let (mut from_client, mut to_client) = client.stream.split();
    let responding =
        pin!(respond(context, &mut from_upstream, &mut to_client, &mut response_memory, progress));
    let responded = from_client.attend(responding, Some(upstream)).await;
    blame_client(responded.lost, responded.done)
}

/// A client that was lost made the upstream's connection end; that is not the upstream's fault.
fn blame_client(lost: bool, responded: Result<(), RespondError>) -> Result<(), RespondError> {
    if lost && responded.is_err() {
        Err(RespondError::Client(StreamError::Ended))
    } else {
        responded
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
) -> (Result<(), PumpError>, Result<(), RespondError>) {
    let plan = &request.live.generation.plan;
    let timeout = request.timeout();
    let read = Wait { time: plan.http.client_body_timeout, shut: Shut::Read, idle: false };
    let pacing = &plan.http.pacing;
    let pace = MinRate::new(pacing.body_min_rate, pacing.grace);
    let clock = &request.core.clock;
    let over = Cell::new(false);
    let times = TransferTimes {
        read,
        write: timeout.send,
        sender_pace: pace,
        receiver_pace: MinRate::free(),
        clock,
        over: Some(&over),
    };
    let upstream_descriptor = lease.stream.descriptor();
    let (client_read, upstream_read) = (client.stream.read_timer(), lease.stream.read_timer());
    let ExchangeMemory { response, out, upload, .. } = memory;
    let (mut from_client, mut to_client) = client.stream.split();
    let (mut from_upstream, mut to_upstream) = lease.stream.split();
    let upstream_failed = Cell::new(false);
    let (uploading, lost) = (Cell::new(None), Cell::new(false));
    let up = async {
        let result = async {
            let before = flow.bytes_out();
            let result = pump(&mut from_client, &mut to_upstream, flow, times, upload).await;
            let sent = flow.bytes_out().saturating_sub(before);
            request.core.counters().add(Counter::UpstreamBytesOut, sent);
            context.upload.complete.set(result.is_ok());
            context.upload.running.set(false);
            upstream_read.hasten(timeout.read);
            if upstream_failed.get()
                && !matches!(result, Err(PumpError::Sink(StreamError::TimedOut)))
            {
                // The upload was ended because the response had failed; that is not the client's
                // fault.
                return Ok(());
            }
            if matches!(result, Err(PumpError::Source(_) | PumpError::Flow(_))) {
                // The request will never be whole: the upstream must not take it for that.
                upstream_read.shut_both(upstream_descriptor);
            } else if result.is_err() {
                // The upstream has stopped reading; it may have answered. Read on, so that the client
                // gets to see that answer, but not for ever.
                drain(&mut from_client, flow, &request.core.clock).await?;
            }
            result
        };
        let result = result.await;
        let waits = result.is_ok();
        uploading.set(Some(result));
        if waits && from_client.hear(None).await {
            lost.set(true);
            upstream_read.shut_both(upstream_descriptor);
        }
    };
    let down = async {
        let mut response_memory = ResponseMemory { head: response, out };
        let result =
            respond(context, &mut from_upstream, &mut to_client, &mut response_memory, progress)
                .await;
        upstream_failed.set(matches!(result, Err(RespondError::Upstream(..))));
        over.set(true);
        if !context.upload.complete.get() {
            upstream_read.shut_both(upstream_descriptor);
            client_read.hasten(DRAIN_TIME);
        }
        let upload = poll_fn(|_| uploading.take().map_or(Poll::Pending, Poll::Ready)).await;
        (upload, blame_client(lost.get(), result))
    };
    beside(pin!(up), pin!(down)).await
}
