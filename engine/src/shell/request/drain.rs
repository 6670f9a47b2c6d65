//! The rest of a request's body that its node does not take any more.
//!
//! In: a client that may look for its answer only when it has sent everything. Out: as much of the body as
//! may be read for that; `flow` tells whether that was all.

use std::time::Duration;

use super::held_body::HeldBody;
use super::relay::{Demand, RelayError, TransferTimes, framing, keep};
use crate::exchange::flow::Flow;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::StreamReader;
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;

/// How long the rest of a body may take whose end would save the connection.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Bytes of a request body that we read for that, once it is answered. More are cheaper to drop unread, with
/// the connection.
const DRAIN_BYTES_MAX: u64 = 256 * 1_024;

/// Reads the rest of a body that its receiver does not take any more; `flow` tells whether that was all.
///
/// As long as the answer is awaited or on its way, all that comes is dropped: its client may look for it only
/// when it has sent everything. From then on, for a while and up to a bound. Of a body that is held, nothing
/// more is read once its receiver has failed.
///
/// # Errors
/// The body is broken: nothing after it can be read.
pub(crate) async fn drain(
    source: &mut StreamReader<'_>,
    flow: &mut Flow<'_>,
    times: TransferTimes<'_>,
) -> Result<(), RelayError> {
    let clock = times.clock;
    let mut pace = times.sender_pace;
    let mut unwanted = Unwanted::default();
    while !flow.is_done() && !times.is_stopped() {
        source.work_budget().yield_if_spent().await;
        let wait = match times.demand() {
            Demand::Full | Demand::Answering | Demand::Answered(_) => {
                pace.next_wait(times.read.time)
            }
            Demand::Dropped(silent) => unwanted.lasts(clock.elapsed()).then_some(silent),
        };
        let Some(time) = wait else { break };
        let (before, taken) = (framing(flow), flow.bytes_in());
        let opened = drop_piece(source, flow, times.held)?;
        source.work_budget().charge_framing(framing(flow).saturating_sub(before));
        unwanted.add(flow.bytes_in().saturating_sub(taken));
        match opened {
            Ok(Opened::Data(())) => {}
            Ok(Opened::More) => {
                let wait = Wait { time, shut: Shut::Read, idle: false };
                if times.is_held()
                    && source.await_unless(wait, || times.is_stopped()).await != Ok(true)
                {
                    break;
                }
                let (received, took) = times.measure(pace, source.receive(wait)).await;
                let Ok(count) = received else { break };
                pace.record(took, u64::try_from(count).unwrap_or(u64::MAX));
            }
            _ => break,
        }
    }
    Ok(())
}

/// What was dropped since nobody wants the body any more.
#[derive(Debug, Default)]
struct Unwanted {
    since: Option<Duration>,
    bytes: u64,
}

impl Unwanted {
    /// May there be more, as of `now`? Asked as soon as nobody wants it.
    fn lasts(&mut self, now: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        self.bytes < DRAIN_BYTES_MAX && now.saturating_sub(since) < DRAIN_TIME
    }

    const fn add(&mut self, bytes: u64) {
        if self.since.is_some() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

/// Drops the next piece that was received of a body.
fn drop_piece(
    source: &mut StreamReader<'_>,
    flow: &mut Flow<'_>,
    held: Option<&HeldBody>,
) -> Result<Result<Opened<()>, StreamError>, RelayError> {
    let mut broken = None;
    let opened = source.next_piece(|input| match flow.step(input) {
        Ok(piece) => {
            keep(held, input, piece.consumed);
            piece.consumed
        }
        Err(error) => {
            broken = Some(error);
            input.len()
        }
    });
    broken.map_or(Ok(opened), |error| Err(RelayError::Body(error)))
}
