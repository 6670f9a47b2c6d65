//! From the first byte of an upstream's answer to the last byte of the client's.

use std::cell::Cell;

use super::relay::{PumpError, TransferTimes, pump};
use crate::exchange::flow::{Flow, FlowError};
use crate::exchange::refusal::Refusal;
use crate::exchange::response::{
    Asked, Delivery, ResponseStep, admit_response, client_head, interim_head,
};
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::retry::Failure;
use crate::exchange::upgrade::granted_head;
use crate::plan::Plan;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::{StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;
use crate::wire::head::{HeadScan, Method, ResponseHead, Version, parse_response};
use std::time::Duration;

/// Head and body leave together as long as they fit into one record.
const FIRST_SEND_BYTES: usize = 16_384;

/// What context needs to know.
#[derive(Clone, Copy)]
pub struct ResponseContext<'a> {
    /// The core.
    pub core: &'a Core,
    /// The plan.
    pub plan: &'a Plan,
    /// The request's method.
    pub method: Method,
    /// The client's version.
    pub version: Version,
    /// Did it ask for a WebSocket?
    pub upgrade: bool,
    /// May the client connection live on, as far as the client and we are concerned?
    pub keep_alive: bool,
    /// The client takes trailers.
    pub takes_trailers: bool,
    /// How far the request's body is.
    pub upload: &'a UploadState,
    /// How long the upstream may take for its next bytes.
    pub read_timeout: Duration,
    /// The header that holds the request's id, and the id.
    pub request_id: Option<(&'a str, &'a [u8])>,
}

/// How far the body of a request is, whose response is waited for.
#[derive(Debug)]
pub struct UploadState {
    /// The client waits for a 100, and the upstream has its expectation.
    pub expect_forwarded: bool,
    /// The whole body has gone to the upstream.
    pub complete: Cell<bool>,
    /// A body is still on its way up. Before that has come, no answer is late.
    pub running: Cell<bool>,
}

impl UploadState {
    /// The request's head has left.
    #[must_use]
    pub const fn new(running: bool, expect_forwarded: bool) -> Self {
        Self { expect_forwarded, complete: Cell::new(false), running: Cell::new(running) }
    }
}

/// Memory that responding works in.
pub struct ResponseMemory<'a> {
    /// The response head.
    pub head: &'a mut ResponseHead,
    /// What is sent next; behind the head, pieces of a body that is framed anew.
    pub out: &'a mut Vec<u8>,
}

/// How far a response got.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseProgress {
    /// Its final head was sent to the client: there is no other answer any more.
    pub begun: bool,
    /// A 101 was sent to the client: what follows is a tunnel.
    pub switched: bool,
    /// The final head's decision.
    pub delivery: Option<Delivery>,
    /// Bytes sent to the client, heads and framing included.
    pub sent_bytes: u64,
    /// Bytes of body data.
    pub body_bytes: u64,
    /// Bytes that came from the upstream, heads and framing included.
    pub received_bytes: u64,
}

/// Why a response did not get through.
#[derive(Clone, Debug, PartialEq)]
pub enum RespondError {
    /// The upstream failed; what that means if nothing was sent yet.
    Upstream(Failure, Refusal),
    /// The client's connection is cut.
    Client(StreamError),
}

/// Reads the response and passes it on, interim ones included.
///
/// # Errors
/// As [`RespondError`] says; `progress` tells how far it got.
pub async fn respond(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    client: &mut StreamWriter<'_>,
    memory: &mut ResponseMemory<'_>,
    progress: &mut ResponseProgress,
) -> Result<(), RespondError> {
    let write_timeout = context.plan.http.send_timeout;
    let mut interims = 0;
    let mut continued = false;
    let delivery = loop {
        let len = read_head(context, upstream, memory, interims > 0).await?;
        progress.received_bytes += bytes(len);
        memory.out.clear();
        let step = context.core.clock.with_now(|now| {
            let asked = Asked {
                method: context.method,
                version: context.version,
                upgrade: context.upgrade,
                // A drain may have begun since the request was read.
                keep_alive: context.keep_alive
                    && !context.core.draining.get()
                    && context.knows_what_follows(continued),
                interims,
                http_date: now.http_date,
                continue_wanted: context.upload.expect_forwarded,
                trailers: context.takes_trailers.then_some(&context.plan.identity),
                via: context.plan.http.via.as_deref(),
                request_id: context.request_id,
            };
            let head = memory.head.view(upstream.plain());
            let step = admit_response(head, &asked)?;
            match &step {
                ResponseStep::Interim { forward: true } => {
                    interim_head(head, &asked, memory.out);
                }
                ResponseStep::Interim { forward: false } => {}
                ResponseStep::Switch => granted_head(head, &asked, memory.out),
                ResponseStep::Final(delivery) => {
                    client_head(head, delivery, &asked, memory.out);
                }
            }
            Ok(step)
        });
        let step = step.map_err(bad_response)?;
        upstream.consume(len);
        match step {
            ResponseStep::Interim { .. } => {
                interims += 1;
                continued |= memory.head.status == 100;
            }
            ResponseStep::Switch => progress.switched = true,
            ResponseStep::Final(delivery) => break delivery,
        }
        // Behind an interim response any final one may follow, ours as well.
        if !memory.out.is_empty() {
            progress.sent_bytes += bytes(memory.out.len());
            client.write(memory.out, write_timeout).await.map_err(RespondError::Client)?;
            client.flush(write_timeout).await.map_err(RespondError::Client)?;
        }
        if progress.switched {
            return Ok(());
        }
    };
    progress.delivery = Some(delivery);
    deliver(context, upstream, client, memory, progress, delivery).await
}

impl ResponseContext<'_> {
    /// Behind a final answer without the 100 that the client waits for, nobody can tell whether its
    /// body or its next request follows (RFC 9110, section 10.1.1).
    fn knows_what_follows(&self, continued: bool) -> bool {
        continued || !self.upload.expect_forwarded || self.upload.complete.get()
    }
}

/// What the upstream said is no answer.
const fn bad_response(fault: ResponseFault) -> RespondError {
    RespondError::Upstream(Failure::BadResponse, Refusal::BadResponse(fault))
}

/// Reads until a whole head is there and parses it; its length. Behind another head, there is no
/// second try: the client may have seen that one.
async fn read_head(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    memory: &mut ResponseMemory<'_>,
    begun: bool,
) -> Result<usize, RespondError> {
    let limits = context.plan.head_limits();
    let bad = |error| bad_response(ResponseFault::Wire(error));
    let mut scan = HeadScan::default();
    loop {
        let buf = upstream.plain();
        if let Some(len) = scan.advance(buf, limits).map_err(bad)? {
            parse_response(buf, len, limits, memory.head).map_err(bad)?;
            return Ok(len);
        }
        let partial = begun || !buf.is_empty();
        let uploading = context.upload.running.get();
        if uploading && buf.is_empty() {
            // An answer is not expected yet, and the client may never get there.
            upstream.rest(true);
        }
        let time = if uploading { Duration::MAX } else { context.read_timeout };
        let wait = Wait { time, shut: Shut::Both, idle: false };
        upstream.read_plain(wait).await.map_err(|cut| match cut {
            StreamError::TimedOut => {
                RespondError::Upstream(Failure::Timeout, Refusal::UpstreamTimeout)
            }
            _ if partial => bad_response(ResponseFault::HeadCutOff),
            StreamError::Tls(_) => RespondError::Upstream(Failure::Lost, Refusal::UpstreamTls),
            StreamError::Ended | StreamError::Failed(_) => {
                RespondError::Upstream(Failure::Lost, Refusal::UpstreamLost)
            }
        })?;
        if upstream.spoke_unasked() {
            return Err(bad_response(ResponseFault::SpokeFirst));
        }
    }
}

/// Sends the head in `memory.out`, with as much of the body as is there, and then the rest.
async fn deliver(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    client: &mut StreamWriter<'_>,
    memory: &mut ResponseMemory<'_>,
    progress: &mut ResponseProgress,
    delivery: Delivery,
) -> Result<(), RespondError> {
    let write_timeout = context.plan.http.send_timeout;
    let trailers = delivery.trailers.then_some(&context.plan.identity);
    let mut flow = Flow::new(delivery.body, delivery.to_client, None).with_trailers(trailers);
    let head_bytes = memory.out.len();
    let ready = take_ready(upstream, &mut flow, memory.out);
    progress.begun = true;
    let staged = client.write(memory.out, write_timeout).await;
    progress.sent_bytes += bytes(memory.out.len());
    staged.map_err(RespondError::Client)?;
    let result = match ready {
        Err(error) => {
            // The client sees the head and what came before the fault, and then the cut.
            let _ = client.flush(write_timeout).await;
            Err(error)
        }
        Ok(()) if flow.is_done() => client.flush(write_timeout).await.map_err(PumpError::Sink),
        Ok(()) => {
            let read = Wait { time: context.read_timeout, shut: Shut::Both, idle: false };
            let pacing = &context.plan.http.pacing;
            let pace = MinRate::new(pacing.send_min_rate, pacing.grace);
            let clock = &context.core.clock;
            let times = TransferTimes {
                read,
                write: write_timeout,
                sender_pace: MinRate::free(),
                receiver_pace: pace,
                clock,
                over: None,
            };
            let before = flow.bytes_out();
            let pumped = pump(upstream, client, &mut flow, times, memory.out).await;
            progress.sent_bytes += flow.bytes_out().saturating_sub(before);
            pumped
        }
    };
    progress.body_bytes = flow.data_bytes();
    progress.received_bytes += flow.bytes_in();
    debug_assert!(head_bytes > 0);
    result.map_err(|error| match error {
        PumpError::Sink(cut) => RespondError::Client(cut),
        PumpError::Source(StreamError::TimedOut) => {
            RespondError::Upstream(Failure::Timeout, Refusal::UpstreamTimeout)
        }
        PumpError::Source(_) | PumpError::Flow(FlowError::TooLarge) => {
            bad_response(ResponseFault::BodyCutOff)
        }
        PumpError::Flow(FlowError::Malformed(error)) => bad_response(ResponseFault::Wire(error)),
    })
}

/// Copies what is there of the body behind the head, as far as both fit into one send.
fn take_ready(
    upstream: &mut StreamReader<'_>,
    flow: &mut Flow<'_>,
    out: &mut Vec<u8>,
) -> Result<(), PumpError> {
    while !flow.is_done() && out.len() < FIRST_SEND_BYTES {
        let room = FIRST_SEND_BYTES - out.len();
        let mut failed = None;
        let opened = upstream.next_piece(|input| {
            let piece = input.get(..room.min(input.len())).unwrap_or_default();
            flow.copy(piece, out).map_or_else(
                |error| {
                    failed = Some(error);
                    input.len()
                },
                |copied| copied.consumed,
            )
        });
        if let Some(error) = failed {
            return Err(PumpError::Flow(error));
        }
        match opened.map_err(PumpError::Source)? {
            Opened::Data(()) => {}
            // An end is the pump's to judge; it finds the same end again.
            Opened::More | Opened::Closed => return Ok(()),
        }
    }
    Ok(())
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
