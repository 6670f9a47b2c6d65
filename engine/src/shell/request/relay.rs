//! One body, from one connection to another.
//!
//! In: a sender, a receiver and the body's framing on each side. Out: the body is complete, or whose fault
//! it is that it is not. Bounded by two buffers: what does not fit waits in the sender's socket. The next
//! read is posted before the last write is awaited.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use ferrule_config::model::HalfClose;

use super::held_body::HeldBody;
use crate::exchange::cause::{ClientCause, ExchangeFailure, UpstreamCause};
use crate::exchange::flow::{Flow, FlowError};
use crate::exchange::response_fault::ResponseFault;
use crate::shell::transport::clock::CoreClock;
use crate::shell::transport::min_rate::MinRate;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::{StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;
use crate::shell::transport::tls::reseal::{PayloadUse, ResealError};

/// A body longer than this is worth large buffers.
const LARGE_BYTES: usize = 8_192;

/// Scratch memory that is kept while a receiver is full.
const SCRATCH_KEPT_BYTES: usize = 1_024;

/// Who still wants the rest of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Demand {
    /// Its receiver.
    Full,
    /// Its receiver, whose answer is on its way: it may take its time until that is over.
    Answering,
    /// Its receiver, who has answered it already, and may let nobody wait longer than this for taking more.
    Answered(Duration),
    /// Nobody. Its sender may be silent for this long.
    Dropped(Duration),
}

impl Demand {
    /// How long the receiver may take for more, where it is `ordinary` otherwise.
    pub(super) fn limit(self, ordinary: Duration) -> Duration {
        match self {
            Self::Answering => Duration::MAX,
            Self::Answered(most) => ordinary.min(most),
            Self::Full | Self::Dropped(_) => ordinary,
        }
    }
}

/// How long each side may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransferTimes<'a> {
    /// For the next bytes of the body.
    pub(crate) read: Wait,
    /// For the receiver to take some.
    pub(crate) write: Duration,
    /// How slow the sender may be.
    pub(crate) sender_pace: MinRate,
    /// How slow the receiver may be.
    pub(crate) receiver_pace: MinRate,
    /// How long the sender may be silent once the receiver takes nothing more.
    pub(crate) unwanted: Duration,
    /// Read only if a pace is demanded, or the body is dropped.
    pub(crate) clock: &'a CoreClock,
    /// Who still wants the rest; always its receiver if there is none.
    pub(crate) demand: Option<&'a Cell<Demand>>,
    /// Where somebody asks whether the sender has sent any: nothing has come so far.
    pub(crate) awaited: Option<&'a Cell<bool>>,
    /// Where the body is held while it is moved.
    pub(crate) held: Option<&'a HeldBody>,
}

impl TransferTimes<'_> {
    /// Who still wants the rest.
    pub(super) fn demand(&self) -> Demand {
        self.demand.map_or(Demand::Full, Cell::get)
    }

    /// Has whoever wanted the rest failed, while all of the body is held? Then somebody else may want it.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_held() && matches!(self.demand(), Demand::Dropped(_))
    }

    /// Is all of the body held, so far?
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some_and(HeldBody::is_whole)
    }

    /// How long the receiver may take to take some more.
    fn write_time(&self) -> Duration {
        self.demand().limit(self.write)
    }

    /// Runs `work`; how long it took, if `pace` demands a rate.
    pub(super) async fn measure<T>(
        &self,
        pace: MinRate,
        work: impl Future<Output = T>,
    ) -> (T, Duration) {
        if !pace.is_demanded() {
            return (work.await, Duration::ZERO);
        }
        let started = self.clock.elapsed();
        let done = work.await;
        (done, self.clock.elapsed().saturating_sub(started))
    }
}

/// How far a body is, on its way to the receiver.
struct Sending {
    pace: MinRate,
    /// Bytes of the body that the receiver's socket has taken.
    sent: u64,
}

impl Sending {
    /// Sends what is staged, if the receiver has not been too slow so far; `staged` bytes of the body
    /// are out then.
    async fn flush(
        &mut self,
        sink: &mut StreamWriter<'_>,
        staged: u64,
        times: &TransferTimes<'_>,
    ) -> Result<(), RelayError> {
        let Some(wait) = self.pace.next_wait(times.write_time()) else {
            return Err(RelayError::Receiver(StreamError::TimedOut));
        };
        let (flushed, took) = times.measure(self.pace, sink.flush(wait)).await;
        self.pace.record(took, staged.saturating_sub(self.sent));
        self.sent = staged;
        flushed.map_err(RelayError::Receiver)
    }
}

/// Why a body did not get through. Which side the sender is, only the caller knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RelayError {
    /// The sender's connection has failed, or ended too early.
    Sender(StreamError),
    /// The receiver's connection has failed.
    Receiver(StreamError),
    /// The body is broken or too large.
    Body(FlowError),
}

impl RelayError {
    /// Of a request's body, on its way from the client to the upstream.
    #[must_use]
    pub(crate) fn of_request(&self, half_close: HalfClose) -> ExchangeFailure {
        match self {
            Self::Sender(StreamError::Ended) if half_close == HalfClose::Serve => {
                ExchangeFailure::Client(ClientCause::Incomplete)
            }
            Self::Sender(StreamError::TimedOut) => {
                ExchangeFailure::Client(ClientCause::BodyTimeout)
            }
            Self::Sender(_) => ExchangeFailure::Client(ClientCause::Left),
            Self::Body(FlowError::Malformed(error)) => {
                ExchangeFailure::Client(ClientCause::MalformedBody(*error))
            }
            Self::Body(FlowError::TooLarge) => ExchangeFailure::Client(ClientCause::BodyTooLarge),
            Self::Receiver(StreamError::TimedOut) => {
                ExchangeFailure::Upstream(UpstreamCause::SendTimeout)
            }
            Self::Receiver(_) => ExchangeFailure::Upstream(UpstreamCause::ConnectionLost),
        }
    }

    /// Of a response's body, on its way from the upstream to the client.
    #[must_use]
    pub(crate) const fn of_response(&self) -> ExchangeFailure {
        match self {
            Self::Receiver(_) => ExchangeFailure::Client(ClientCause::Left),
            Self::Sender(StreamError::TimedOut) => {
                ExchangeFailure::Upstream(UpstreamCause::ReadTimeout)
            }
            Self::Sender(_) | Self::Body(FlowError::TooLarge) => {
                ExchangeFailure::Upstream(UpstreamCause::BadResponse(ResponseFault::BodyCutOff))
            }
            Self::Body(FlowError::Malformed(error)) => {
                ExchangeFailure::Upstream(UpstreamCause::BadResponse(ResponseFault::Wire(*error)))
            }
        }
    }
}

/// Moves a body until it is complete. `scratch` is memory to work in.
///
/// # Errors
/// The body is not complete; whoever received it must not take it for the whole.
pub(crate) async fn relay_body(
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    times: TransferTimes<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), RelayError> {
    let mut moved = 0_usize;
    let mut pace = times.sender_pace;
    let mut sending = Sending { pace: times.receiver_pace, sent: flow.data_bytes() };
    let (mut waited, mut seen) = (Duration::ZERO, flow.data_bytes());
    loop {
        let ended =
            move_ready(source, sink, flow, &times, scratch, &mut moved, &mut sending).await?;
        if flow.is_done() {
            return sending.flush(sink, flow.data_bytes(), &times).await;
        }
        if ended {
            return end(source, sink, flow, &times).await;
        }
        if moved >= LARGE_BYTES {
            let room = sink.room();
            source.size_next_receive(room);
            if room == 0 {
                release(scratch);
            }
        }
        let data = flow.data_bytes();
        pace.record(waited, data.saturating_sub(seen));
        seen = data;
        if matches!(times.demand(), Demand::Dropped(_)) {
            return Err(RelayError::Receiver(StreamError::Ended));
        }
        let Some(time) = pace.next_wait(times.read.time) else {
            return Err(RelayError::Sender(StreamError::TimedOut));
        };
        let wait = Wait { time, ..times.read };
        let received = if times.is_held() {
            receive_unless_stopped(source, sink, &times, pace, wait, &mut sending, data).await?
        } else {
            receive_beside_flush(source, sink, &times, pace, wait, &mut sending, data).await?
        };
        waited = received.1;
        match received.0 {
            Ok(_) => times.awaited.into_iter().for_each(|awaited| awaited.set(false)),
            // Plaintext has no other end; under TLS an end without close_notify is a cut.
            Err(StreamError::Ended) if !source.is_tls() => {
                return end(source, sink, flow, &times).await;
            }
            Err(cut) => return Err(RelayError::Sender(cut)),
        }
    }
}

/// Waits for more of the body, while what is staged goes out; and how long that took, if `pace` wants to
/// know. `data` bytes of the body are out then.
async fn receive_beside_flush(
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    times: &TransferTimes<'_>,
    pace: MinRate,
    wait: Wait,
    sending: &mut Sending,
    data: u64,
) -> Result<(Result<usize, StreamError>, Duration), RelayError> {
    let waiting = source.timer_handle();
    if sink.has_output() {
        let receive =
            async |source: &mut StreamReader<'_>| times.measure(pace, source.receive(wait)).await;
        let flush = pin!(async {
            let flushed = sending.flush(sink, data, times).await;
            if flushed.is_err() {
                // The sender may have nothing more to say for long.
                waiting.hasten(times.unwanted);
            } else {
                sink.rest();
            }
            flushed
        });
        let (received, flushed) = source.receive_during(receive, flush).await;
        flushed?;
        Ok(received)
    } else {
        sink.rest();
        Ok(times.measure(pace, source.receive(wait)).await)
    }
}

/// The same for a body that somebody else may want: the wait ends as soon as the receiver has failed, and
/// nothing of the body is lost with it. For that, what is staged goes out first.
async fn receive_unless_stopped(
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    times: &TransferTimes<'_>,
    pace: MinRate,
    wait: Wait,
    sending: &mut Sending,
    data: u64,
) -> Result<(Result<usize, StreamError>, Duration), RelayError> {
    if sink.has_output() {
        let flush = pin!(sending.flush(sink, data, times));
        source.run_while_listening(flush, None).await.done?;
    }
    sink.rest();
    let arrival = source.await_unless(wait, || times.is_stopped());
    match times.measure(pace, arrival).await {
        (Ok(true), took) => Ok((source.receive(wait).await, took)),
        (Ok(false), _) => Err(RelayError::Receiver(StreamError::Ended)),
        (Err(error), took) => Ok((Err(error), took)),
    }
}

/// Moves what was received already. True if the sender has announced its end.
async fn move_ready(
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    times: &TransferTimes<'_>,
    scratch: &mut Vec<u8>,
    moved: &mut usize,
    sending: &mut Sending,
) -> Result<bool, RelayError> {
    if *moved >= LARGE_BYTES {
        sink.fit(source.received_size());
    }
    while !flow.is_done() {
        source.work_budget().yield_if_spent().await;
        if !sink.has_room() {
            if sink.room() == 0 {
                // What is left here may be little.
                source.rest(false);
                release(scratch);
            }
            let flush = pin!(sending.flush(sink, flow.data_bytes(), times));
            source.run_while_listening(flush, None).await.done?;
        }
        let opened = match reseal_ready(source, sink, flow, times.held, moved) {
            Some(resealed) => resealed?,
            None => copy_piece(source, sink, flow, times.held, scratch, moved)?,
        };
        match opened {
            Opened::Data(()) => {}
            Opened::More => return Ok(false),
            Opened::Closed => return Ok(true),
        }
    }
    Ok(false)
}

/// The receiver is full, and may take its time: scratch memory goes back.
fn release(scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.shrink_to(SCRATCH_KEPT_BYTES);
}

/// Every whole record that was received, sealed again where it lies; `None` if that cannot be done.
fn reseal_ready(
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    held: Option<&HeldBody>,
    moved: &mut usize,
) -> Option<Result<Opened<()>, RelayError>> {
    if !flow.is_verbatim() {
        return None;
    }
    let mut failed = None;
    let resealed = source.reseal(sink, |input| match flow.step(input) {
        Ok(piece) => {
            *moved += piece.consumed;
            keep(held, input, piece.consumed);
            PayloadUse { consumed: piece.consumed, forwarded: piece.data, done: piece.done }
        }
        Err(error) => {
            failed = Some(RelayError::Body(error));
            PayloadUse { consumed: input.len(), done: true, ..PayloadUse::default() }
        }
    })?;
    if let Some(error) = failed {
        return Some(Err(error));
    }
    Some(resealed.map_err(|broken| match broken {
        ResealError::Sender(error) => RelayError::Sender(StreamError::Tls(error)),
        ResealError::Receiver(error) => RelayError::Receiver(StreamError::Tls(error)),
    }))
}

/// The next piece that was received, staged.
fn copy_piece(
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    held: Option<&HeldBody>,
    scratch: &mut Vec<u8>,
    moved: &mut usize,
) -> Result<Opened<()>, RelayError> {
    let mut result = Ok(());
    let before = framing(flow);
    let opened = source.next_piece(|input| {
        let (used, outcome) = carry(input, sink, flow, scratch);
        *moved += used;
        keep(held, input, used);
        result = outcome;
        used
    });
    result?;
    source.work_budget().charge_framing(framing(flow).saturating_sub(before));
    opened.map_err(RelayError::Sender)
}

/// The first `used` bytes of the input are taken off it: they are held, where that is wanted.
pub(super) fn keep(held: Option<&HeldBody>, input: &[u8], used: usize) {
    if let Some(held) = held {
        held.keep(input.get(..used).unwrap_or_default());
    }
}

/// What was read of a body that is no data: the sizes of its chunks.
pub(super) fn framing(flow: &Flow<'_>) -> usize {
    usize::try_from(flow.bytes_in().saturating_sub(flow.data_bytes())).unwrap_or(usize::MAX)
}

/// One piece: straight through where nothing is framed anew, else by way of `scratch`.
fn carry(
    input: &[u8],
    sink: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    scratch: &mut Vec<u8>,
) -> (usize, Result<(), RelayError>) {
    if flow.is_verbatim() {
        return match flow.step(input) {
            Ok(piece) => {
                let data = input.get(piece.data.clone()).unwrap_or_default();
                (piece.consumed, sink.stage(data).map_err(RelayError::Receiver))
            }
            Err(error) => (input.len(), Err(RelayError::Body(error))),
        };
    }
    scratch.clear();
    match flow.copy(input, scratch) {
        Ok(copied) => (copied.consumed, sink.stage(scratch).map_err(RelayError::Receiver)),
        Err(error) => (input.len(), Err(RelayError::Body(error))),
    }
}

/// The sender's connection ended: was that the end of the body?
async fn end(
    source: &StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    flow: &mut Flow<'_>,
    times: &TransferTimes<'_>,
) -> Result<(), RelayError> {
    debug_assert!(source.plain().is_empty());
    let mut last = Vec::new();
    if !flow.handle_end(&mut last) {
        // What was staged still goes out: the receiver sees where it was cut.
        sink.flush(times.write_time()).await.map_err(RelayError::Receiver)?;
        return Err(RelayError::Sender(StreamError::Ended));
    }
    sink.write(&last, times.write_time()).await.map_err(RelayError::Receiver)?;
    sink.flush(times.write_time()).await.map_err(RelayError::Receiver)
}
