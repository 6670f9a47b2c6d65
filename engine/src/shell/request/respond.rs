//! From the first byte of an upstream's response to the last byte that the client gets of it.
//!
//! In: a request that has left, or is about to. Out: the response has gone to the client, interim ones
//! included; or which side has failed. What is passed on of a head is decided in `exchange::response`.

use std::cell::Cell;
use std::time::Duration;

use super::drain::DRAIN_TIME;
use super::held_body::HeldBody;
use super::relay::{RelayError, TransferTimes, relay_body};
use super::shaping::{ResponseShape, ShapeMoment};
use super::total_time::TotalTimer;
use super::tries::Tries;
use crate::exchange::cause::{ClientCause, ExchangeFailure, UpstreamCause};
use crate::exchange::flow::Flow;
use crate::exchange::outcome::byte_count;
use crate::exchange::response::{Delivery, PendingRequest, ResponseStep, admit_response};
use crate::exchange::response_block::ResponseBlock;
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::response_head::{client_head, granted_head, interim_head};
use crate::exchange::trailers::TrailerRules;
use crate::plan::Plan;
use crate::plan::request_ids::RequestIdField;
use crate::shell::client::accepted::ListenerConnections;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::{StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;
use crate::wire::head::{HeadScan, Method, ResponseHead, Version, parse_response};

/// Head and body leave together as long as they fit into one record.
const FIRST_SEND_BYTES: usize = 16_384;

/// What a response depends on beside the upstream.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct ResponseContext<'a> {
    /// The core.
    pub(crate) core: &'a Core,
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// The request's method.
    pub(crate) method: Method,
    /// The client's version.
    pub(crate) version: Version,
    /// Did it ask for a WebSocket?
    pub(crate) upgrade: bool,
    /// Was it sent over a connection from the pool, and may it be sent once more?
    pub(crate) repeatable: bool,
    /// Where all of the request is held and may be sent again: another node may be asked instead of passing
    /// on its response.
    pub(super) tries: Option<&'a Tries<'a>>,
    /// What ends the exchange when its time is over, where it has one.
    pub(super) total: Option<&'a TotalTimer>,
    /// May the client connection live on, as far as the client and we are concerned?
    pub(crate) keep_alive: bool,
    /// The connections of the client's listener.
    pub(crate) connections: &'a ListenerConnections,
    /// The client takes trailers.
    pub(crate) takes_trailers: bool,
    /// How far the request is.
    pub(crate) upload: &'a UploadState<'a>,
    /// How long the upstream may take for its next bytes.
    pub(crate) read_timeout: Duration,
    /// The field that holds the request's id.
    pub(crate) request_id: Option<RequestIdField<'a>>,
    /// What the route's policy makes of the response.
    pub(super) shape: Option<&'a ResponseShape<'a>>,
}

/// How far a request is whose response is waited for.
#[derive(Debug)]
pub(crate) struct UploadState<'a> {
    /// The client waits for a 100, and the upstream has its expectation.
    pub(crate) expect_forwarded: bool,
    /// The client waits for a 100, which is ours to send.
    pub(crate) awaits_continue: bool,
    /// The whole request has gone to the upstream.
    pub(crate) complete: Cell<bool>,
    /// Something of it is still on its way up. Before that has come, no answer is late.
    pub(crate) running: Cell<bool>,
    /// The client waits for a 100, whoever sends it, and nothing of its body has come.
    pub(crate) body_awaited: Cell<bool>,
    /// What is held of the body, so that it can be sent again.
    pub(super) held: Option<&'a HeldBody>,
}

impl<'a> UploadState<'a> {
    /// Nothing of the request has left. It has an expectation, which is passed on, if `forwards`; `waits` if
    /// nothing of its body came with its head, so that the client waits for a 100.
    ///
    /// If `held` shows that it was sent before, the client has sent some of its body, or was told to.
    #[must_use]
    pub(super) fn new(forwards: bool, waits: bool, held: Option<&'a HeldBody>) -> Self {
        let waits = waits && held.is_none_or(HeldBody::is_empty);
        let told = held.is_some_and(|held| held.is_welcomed() || !held.is_empty());
        let expect_forwarded = forwards && !told;
        Self {
            expect_forwarded,
            awaits_continue: waits && !forwards && !told,
            complete: Cell::new(false),
            running: Cell::new(true),
            body_awaited: Cell::new(waits),
            held,
        }
    }

    /// Is whatever was read of the body behind its head held, or was there nothing to hold?
    fn is_replayable(&self) -> bool {
        self.held.is_none_or(HeldBody::is_whole)
    }

    /// The client has got this interim response. A 100 says nothing of the answer: it is not sent twice, and
    /// that is all. True if there can be no other node's answer any more.
    fn note_interim(&self, status: u16) -> bool {
        match self.held {
            Some(held) if status == 100 => held.note_welcome(),
            Some(held) => held.give_up(),
            None => {}
        }
        self.held.is_none() || status != 100
    }

    /// A 100 promises nothing: a client that gets a final answer right behind it may leave its body out and send
    /// its next request on the same connection, as Python's aiohttp does. That would be read as the body. Only
    /// the body's first bytes tell that it follows.
    const fn is_body_under_way(&self) -> bool {
        self.complete.get() || !self.body_awaited.get()
    }
}

/// The memory that a response is read into and written from.
pub(crate) struct ResponseMemory<'a> {
    /// The response head.
    pub(crate) head: &'a mut ResponseHead,
    /// What is sent next: a head, then pieces of a body that is framed anew.
    pub(crate) out: &'a mut Vec<u8>,
}

/// How far a response got.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct ResponseProgress {
    /// Its final head was sent to the client: there is no other answer any more.
    pub(crate) begun: bool,
    /// The upstream has sent a 100.
    pub(crate) continued: bool,
    /// The client has got an interim response of the upstream.
    pub(super) told: bool,
    /// A response with this status was not passed on, because another node is asked.
    pub(super) passed_over: Option<u16>,
    /// A 101 was sent to the client: what follows is a tunnel.
    pub(crate) switched: bool,
    /// The final head's decision.
    pub(crate) delivery: Option<Delivery>,
    /// When that head, or that of the 101, was there, by the core's clock.
    pub(crate) head_at: Option<Duration>,
    /// Bytes sent to the client, heads and framing included.
    pub(crate) sent_bytes: u64,
    /// The status that the client got in the place of the upstream's.
    pub(super) sent_status: Option<u16>,
    /// Its body is to be filtered before anything is sent.
    pub(super) filtered: bool,
    /// Bytes of a body of ours, in the place of the upstream's.
    pub(super) own_body: usize,
    /// Bytes of body data.
    pub(crate) body_bytes: u64,
    /// Bytes that came from the upstream, heads and framing included.
    pub(crate) received_bytes: u64,
}

/// Waits for the head of the final response, and passes interim ones on; `None` after a 101. What the client
/// gets of that head is in `memory.out`, for [`deliver`].
///
/// # Errors
/// Which side has failed, and why; `progress` tells how far the response got.
pub(super) async fn await_final(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    client: &mut StreamWriter<'_>,
    memory: &mut ResponseMemory<'_>,
    progress: &mut ResponseProgress,
) -> Result<Option<Delivery>, ExchangeFailure> {
    let write_timeout = context.plan.http.send_timeout;
    let mut interims = 0;
    let delivery = loop {
        let len = read_head(context, upstream, memory, interims > 0).await?;
        progress.received_bytes += byte_count(len);
        memory.out.clear();
        let step = admit_head(context, upstream, memory, interims, progress)?;
        upstream.consume(len);
        match step {
            ResponseStep::Interim { .. } => {
                interims += 1;
                progress.continued |= memory.head.status == 100;
            }
            ResponseStep::Switch => {
                progress.switched = true;
                progress.head_at = Some(context.core.clock.elapsed());
            }
            ResponseStep::GivenUp => {
                return Err(ExchangeFailure::Upstream(UpstreamCause::ConnectionLost));
            }
            ResponseStep::Final(delivery) => {
                let replayable = !progress.told && context.upload.is_replayable();
                let tries = context.tries.filter(|_| replayable);
                if tries.is_some_and(|tries| tries.pass_over(delivery.status)) {
                    progress.passed_over = Some(delivery.status);
                    // To whoever asks next, it is as good as lost; the connection ends with what it holds.
                    return Err(ExchangeFailure::Upstream(UpstreamCause::ConnectionLost));
                }
                break delivery;
            }
        }
        // After an interim response any final one may follow, ours as well; but no other node's.
        if !memory.out.is_empty() {
            progress.sent_bytes += byte_count(memory.out.len());
            progress.told |= context.upload.note_interim(memory.head.status);
            client.write(memory.out, write_timeout).await.map_err(client_left)?;
            client.flush(write_timeout).await.map_err(client_left)?;
        }
        if progress.switched {
            return Ok(None);
        }
    };
    progress.delivery = Some(delivery);
    progress.head_at = Some(context.core.clock.elapsed());
    Ok(Some(delivery))
}

/// Decides on the head that was read, and renders what the client gets of it into `memory.out`.
fn admit_head(
    context: &ResponseContext<'_>,
    upstream: &StreamReader<'_>,
    memory: &mut ResponseMemory<'_>,
    interims: u32,
    progress: &mut ResponseProgress,
) -> Result<ResponseStep, ExchangeFailure> {
    let step = context.core.clock.with_now(|now| {
        let pending = PendingRequest {
            method: context.method,
            version: context.version,
            upgrade: context.upgrade,
            // A drain may have begun since the request was read, or its listener may be gone.
            keep_alive: context.keep_alive
                && !context.core.draining.get()
                && !context.connections.has_ended()
                && context.knows_what_follows(progress.continued)
                && context.upload.is_body_under_way(),
            repeatable: context.repeatable && context.upload.is_replayable(),
            interims,
            http_date: now.http_date,
            continue_wanted: context.upload.expect_forwarded,
            trailers: context.takes_trailers.then(|| context.trailer_rules(None)),
            via: context.plan.http.via.as_deref(),
            request_id: context.request_id,
        };
        let head = memory.head.view(upstream.plain());
        let mut step = admit_response(head, &pending)?;
        match &mut step {
            ResponseStep::Interim { forward: true } => {
                interim_head(head, &pending, memory.out);
            }
            ResponseStep::Interim { forward: false } | ResponseStep::GivenUp => {}
            ResponseStep::Switch => granted_head(head, &pending, memory.out),
            ResponseStep::Final(delivery) => match context.shape {
                None => client_head(head, delivery, &pending, memory.out),
                Some(shape) => {
                    let moment = ShapeMoment { now, elapsed: context.core.clock.elapsed() };
                    let shaped = shape.append(head, delivery, &pending, moment, memory.out)?;
                    *delivery = shaped.delivery;
                    progress.filtered = shaped.filtered;
                    progress.sent_status = Some(shaped.status);
                    progress.own_body = shaped.own_body;
                }
            },
        }
        Ok(step)
    });
    step.map_err(bad_response)
}

impl ResponseContext<'_> {
    /// After a final answer without the 100 that the client waits for, its body may follow, or its next
    /// request (RFC 9110, section 10.1.1).
    pub(super) fn knows_what_follows(&self, continued: bool) -> bool {
        continued || !self.upload.expect_forwarded || self.upload.complete.get()
    }

    /// Which trailers pass, where `block` changes the head.
    fn trailer_rules<'b>(&'b self, block: Option<&'b ResponseBlock>) -> TrailerRules<'b> {
        TrailerRules { identity: &self.plan.identity, block }
    }

    /// How long each side may take over the response's body.
    fn transfer_times(&self) -> TransferTimes<'_> {
        let http = &self.plan.http;
        TransferTimes {
            read: Wait { time: self.read_timeout, shut: Shut::Both, idle: false },
            write: http.send_timeout,
            sender_pace: MinRate::none(),
            receiver_pace: MinRate::new(http.pacing.send_min_rate, http.pacing.grace),
            unwanted: DRAIN_TIME,
            clock: &self.core.clock,
            demand: None,
            awaited: None,
            held: None,
        }
    }
}

/// The upstream's response is refused.
pub(super) const fn bad_response(fault: ResponseFault) -> ExchangeFailure {
    ExchangeFailure::Upstream(UpstreamCause::BadResponse(fault))
}

/// The client does not take what is sent to it.
fn client_left(_: StreamError) -> ExchangeFailure {
    ExchangeFailure::Client(ClientCause::Left)
}

/// Reads until a whole head is there and parses it; its length. `begun`: an interim head came before,
/// which the client may have seen, so there is no second attempt.
async fn read_head(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    memory: &mut ResponseMemory<'_>,
    begun: bool,
) -> Result<usize, ExchangeFailure> {
    let limits = context.plan.response_limits();
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
        upstream.read_plain(wait).await.map_err(|error| {
            ExchangeFailure::Upstream(match error {
                StreamError::TimedOut => UpstreamCause::ReadTimeout,
                _ if partial => UpstreamCause::BadResponse(ResponseFault::HeadCutOff),
                StreamError::Tls(_) => UpstreamCause::TlsFailed,
                StreamError::Ended | StreamError::Failed(_) => UpstreamCause::ConnectionLost,
            })
        })?;
        if upstream.is_unsolicited() {
            return Err(bad_response(ResponseFault::SpokeFirst));
        }
    }
}

/// Sends the head in `memory.out`, with as much of the body as is there, and then the rest.
///
/// # Errors
/// Which side has failed, and why; `progress` tells how far the response got.
pub(super) async fn deliver(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    client: &mut StreamWriter<'_>,
    memory: &mut ResponseMemory<'_>,
    progress: &mut ResponseProgress,
    delivery: Delivery,
) -> Result<(), ExchangeFailure> {
    let write_timeout = context.plan.http.send_timeout;
    let block = context.shape.filter(|_| delivery.trailers).map(ResponseShape::block);
    let trailers = delivery.trailers.then(|| context.trailer_rules(block.as_deref()));
    let mut flow = Flow::new(delivery.body, delivery.to_client, None)
        .with_trailers(trailers)
        .with_trailer_limits(context.plan.response_limits());
    debug_assert!(!memory.out.is_empty());
    let ready = take_ready(upstream, &mut flow, memory.out);
    progress.begun = true;
    if let Some(held) = context.upload.held {
        held.give_up();
    }
    if let Some(total) = context.total {
        total.include_client(context.core);
    }
    let staged = match progress.own_body {
        0 => client.write(memory.out, write_timeout).await,
        _ => write_own(context, client, memory.out).await,
    };
    progress.sent_bytes += byte_count(memory.out.len());
    staged.map_err(client_left)?;
    let result = match ready {
        Err(error) => {
            // The client sees the head and what came before the fault, and then the cut.
            let _ = client.flush(write_timeout).await;
            Err(error)
        }
        Ok(()) if flow.is_done() => client.flush(write_timeout).await.map_err(RelayError::Receiver),
        Ok(()) => {
            let before = flow.bytes_out();
            let times = context.transfer_times();
            let relayed = relay_body(upstream, client, &mut flow, times, memory.out).await;
            progress.sent_bytes += flow.bytes_out().saturating_sub(before);
            relayed
        }
    };
    progress.body_bytes = flow.data_bytes().saturating_add(byte_count(progress.own_body));
    progress.received_bytes += flow.bytes_in();
    result.map_err(|error| error.of_response())
}

/// Sends a head and a body of ours, at a pace that a client must keep with any other body as well. What is left of them
/// counts as what it holds.
async fn write_own(
    context: &ResponseContext<'_>,
    client: &mut StreamWriter<'_>,
    bytes: &Vec<u8>,
) -> Result<(), StreamError> {
    let times = context.transfer_times();
    let (mut pace, mut staged) = (times.receiver_pace, 0);
    client.hold_beside(bytes.capacity());
    let written = async {
        for piece in bytes.chunks(FIRST_SEND_BYTES) {
            if !client.has_room() {
                flush_in_time(client, &times, &mut pace, &mut staged).await?;
            }
            client.stage(piece)?;
            staged += piece.len();
        }
        flush_in_time(client, &times, &mut pace, &mut staged).await
    };
    let written = written.await;
    client.hold_beside(0);
    written
}

/// Sends what is staged, if the client has not been too slow so far.
async fn flush_in_time(
    client: &mut StreamWriter<'_>,
    times: &TransferTimes<'_>,
    pace: &mut MinRate,
    staged: &mut usize,
) -> Result<(), StreamError> {
    let wait = pace.next_wait(times.write).ok_or(StreamError::TimedOut)?;
    let (flushed, took) = times.measure(*pace, client.flush(wait)).await;
    pace.record(took, byte_count(std::mem::take(staged)));
    flushed
}

/// Copies what came of the body with the head, as far as both fit into one send.
fn take_ready(
    upstream: &mut StreamReader<'_>,
    flow: &mut Flow<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RelayError> {
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
            return Err(RelayError::Body(error));
        }
        match opened.map_err(RelayError::Sender)? {
            Opened::Data(()) => {}
            // Whether an end is the body's end is decided in `relay_body`, which finds the same end again.
            Opened::More | Opened::Closed => return Ok(()),
        }
    }
    Ok(())
}
