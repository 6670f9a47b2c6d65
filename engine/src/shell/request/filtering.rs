//! A response whose body a route's filters search: held until it is whole, then changed, then sent.
//!
//! In: a response of which the client has nothing so far, and whose head has no length. Out: its whole body behind the
//! head, which says how long it is; or why not, while every other answer may still be given. Bounded by
//! `filter_max_body_size`, by the memory of the core (as bodies of requests are that are held) and by the time that the
//! upstream has for its next bytes, which is that of the whole body here.

use std::rc::Rc;
use std::time::Duration;

use super::held_body::SHARE;
use super::relay::RelayError;
use super::respond::{ResponseContext, ResponseMemory, ResponseProgress, bad_response};
use super::shaping::ResponseShape;
use crate::exchange::cause::ExchangeFailure;
use crate::exchange::flow::{Flow, FlowError, Framing};
use crate::exchange::outcome::byte_count;
use crate::exchange::response::Delivery;
use crate::exchange::response_fault::ResponseFault;
use crate::exchange::response_shape::end_with_body;
use crate::plan::body_filter::{BodyFiltersPlan, FilterFault, FilterRun, FilterTurn};
use crate::shell::transport::buffers::BufferPool;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::net;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::StreamReader;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;
use crate::wire::framing::BodyLength;

/// Memory beside the buffers that counts as theirs, until this is dropped.
pub(super) struct Reserved {
    buffers: Rc<BufferPool>,
    bytes: usize,
}

impl Reserved {
    fn grow(&mut self, bytes: usize) -> Result<(), ExchangeFailure> {
        if self.buffers.reserve(&mut self.bytes, bytes, SHARE) {
            Ok(())
        } else {
            Err(bad_response(ResponseFault::FilterNoMemory))
        }
    }

    /// No more than so much is needed any longer.
    fn shrink(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.buffers.unreserve(less);
        self.bytes -= less;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.buffers.unreserve(self.bytes);
    }
}

/// How much of a body is held.
#[derive(Clone, Copy)]
struct Bound {
    bytes_max: usize,
    /// What is beyond is left out, and not refused.
    cuts: bool,
}

impl Bound {
    /// The strictest of all filters that the body is for.
    fn of(context: &ResponseContext<'_>) -> Self {
        let strictest = |one: Self, filters: &BodyFiltersPlan| Self {
            bytes_max: one.bytes_max.min(filters.bytes_max),
            cuts: one.cuts && filters.cuts,
        };
        let all = context.shape.into_iter().flat_map(ResponseShape::filters);
        all.fold(Self { bytes_max: usize::MAX, cuts: true }, strictest)
    }

    /// Is nothing beyond this much of a body wanted?
    const fn is_reached(self, body: &[u8]) -> bool {
        self.cuts && body.len() >= self.bytes_max
    }
}

/// Reads the body, filters it and appends it to the head in `memory.out`; `delivery` has none to read any more. The
/// memory is to be kept until it is sent.
///
/// # Errors
/// Nothing was sent, and why; `progress` knows nothing of this response any more.
pub(super) async fn filter(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    memory: &mut ResponseMemory<'_>,
    progress: &mut ResponseProgress,
    delivery: &mut Delivery,
) -> Result<Reserved, ExchangeFailure> {
    let mut reserved = Reserved { buffers: Rc::clone(&context.core.buffers), bytes: 0 };
    let bound = Bound::of(context);
    let result = async {
        let body = read_whole(context, upstream, progress, delivery, bound, &mut reserved).await?;
        let run = search(context, body, bound.bytes_max, &mut reserved).await?;
        reserved.grow(run.bytes_held().saturating_add(run.body().len()))?;
        Ok(run)
    };
    match result.await {
        Ok(run) => {
            end_with_body(run.body(), memory.out);
            delivery.body = BodyLength::None;
            progress.own_body = run.body().len();
            // However slow its client is, it holds no more than what is sent.
            drop(run);
            reserved.shrink(memory.out.capacity());
            progress.delivery = Some(*delivery);
            Ok(reserved)
        }
        Err(failed) => {
            progress.delivery = None;
            progress.sent_status = None;
            Err(failed)
        }
    }
}

/// The whole body, as data.
async fn read_whole(
    context: &ResponseContext<'_>,
    upstream: &mut StreamReader<'_>,
    progress: &mut ResponseProgress,
    delivery: &mut Delivery,
    bound: Bound,
    reserved: &mut Reserved,
) -> Result<Vec<u8>, ExchangeFailure> {
    let most = Some(byte_count(bound.bytes_max)).filter(|_| !bound.cuts);
    if matches!((delivery.body, most), (BodyLength::Length(length), Some(most)) if length > most) {
        return Err(bad_response(ResponseFault::FilterTooLarge));
    }
    let mut flow = Flow::new(delivery.body, Framing::Raw, most)
        .with_trailer_limits(context.plan.response_limits());
    let mut body = Vec::new();
    let ends = context.core.clock.elapsed().saturating_add(context.read_timeout);
    let read = loop {
        match take(upstream, &mut flow, &mut body, bound, reserved).await {
            Ok(Taken::Whole) => break Ok(()),
            Ok(Taken::Ended) => break end(&mut flow, &mut body),
            Ok(Taken::More) => {}
            Err(failed) => break Err(failed),
        }
        let time = ends.saturating_sub(context.core.clock.elapsed());
        if time == Duration::ZERO {
            break Err(RelayError::Sender(StreamError::TimedOut).of_response());
        }
        let wait = Wait { time, shut: Shut::Both, idle: false };
        match upstream.receive(wait).await {
            Ok(_) => {}
            Err(StreamError::Ended) if !upstream.is_tls() => break end(&mut flow, &mut body),
            Err(cut) => break Err(RelayError::Sender(cut).of_response()),
        }
    };
    progress.received_bytes += flow.bytes_in();
    // What is not read to its end serves nobody else.
    delivery.upstream_reusable &= flow.is_done();
    if bound.cuts {
        body.truncate(bound.bytes_max);
    }
    read.map(|()| body)
}

/// How far a body is.
enum Taken {
    More,
    Ended,
    /// All that is wanted of it is there.
    Whole,
}

/// Takes what was received.
async fn take(
    upstream: &mut StreamReader<'_>,
    flow: &mut Flow<'_>,
    body: &mut Vec<u8>,
    bound: Bound,
    reserved: &mut Reserved,
) -> Result<Taken, ExchangeFailure> {
    while !flow.is_done() && !bound.is_reached(body) {
        upstream.work_budget().yield_if_spent().await;
        let mut failed = None;
        let opened = upstream.next_piece(|input| {
            let bytes = body.len().saturating_add(input.len());
            if let Err(no_memory) = reserved.grow(bytes.next_power_of_two()) {
                failed = Some(no_memory);
                return input.len();
            }
            flow.copy(input, body).map_or_else(
                |error| {
                    failed = Some(match error {
                        FlowError::TooLarge => bad_response(ResponseFault::FilterTooLarge),
                        broken @ FlowError::Malformed(_) => RelayError::Body(broken).of_response(),
                    });
                    input.len()
                },
                |copied| copied.consumed,
            )
        });
        if let Some(failed) = failed {
            return Err(failed);
        }
        match opened.map_err(|error| RelayError::Sender(error).of_response())? {
            Opened::Data(()) => {}
            Opened::More => return Ok(Taken::More),
            Opened::Closed => return Ok(Taken::Ended),
        }
    }
    Ok(Taken::Whole)
}

/// The upstream's connection ended: was that the end of the body?
fn end(flow: &mut Flow<'_>, body: &mut Vec<u8>) -> Result<(), ExchangeFailure> {
    if flow.handle_end(body) {
        Ok(())
    } else {
        Err(RelayError::Sender(StreamError::Ended).of_response())
    }
}

/// Leads the body through all filters, and lets others work between the turns.
async fn search(
    context: &ResponseContext<'_>,
    body: Vec<u8>,
    bytes_max: usize,
    reserved: &mut Reserved,
) -> Result<FilterRun, ExchangeFailure> {
    let mut run = FilterRun::new(body);
    let Some(shape) = context.shape else { return Ok(run) };
    for filter in shape.filters().flat_map(BodyFiltersPlan::each) {
        loop {
            let turn = run.advance(filter, bytes_max).map_err(|fault| {
                bad_response(match fault {
                    FilterFault::TooLarge => ResponseFault::FilterTooLarge,
                    FilterFault::TooManySteps => ResponseFault::FilterTooSlow,
                })
            })?;
            reserved.grow(run.bytes_held())?;
            if turn == FilterTurn::Done {
                break;
            }
            net::next_round().await;
        }
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_any_longer_is_there_for_others() {
        let buffers = Rc::new(BufferPool::within(SHARE * 1_000));
        let held = || Reserved { buffers: Rc::clone(&buffers), bytes: 0 };
        let (mut first, mut second) = (held(), held());
        first.grow(900).unwrap();
        assert!(second.grow(600).is_err());
        first.shrink(400);
        assert_eq!(buffers.rented_bytes(), 400);
        // It never grows by this.
        first.shrink(900);
        second.grow(600).unwrap();
        drop((first, second));
        assert_eq!(buffers.rented_bytes(), 0);
    }
}
