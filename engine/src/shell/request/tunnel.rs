//! After a 101: bytes both ways until both sides have ended, or have been silent for too long.
//!
//! Each direction reads only what the other side has room for, and passes an end on as an end (FIN,
//! `close_notify`). A waiting tunnel holds two small buffers. Whether it may live on is asked again and
//! again by a [`TunnelReview`]; where that ends it, both sides are told so by a close frame, if that cannot
//! land inside another frame ([`tunnel_goodbye`](super::tunnel_goodbye)).

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::tunnel_bytes::TunnelBytes;
use super::tunnel_goodbye::{drop_rest, end_told, goodbye_unless, say_goodbye, wait_for_goodbyes};
use super::tunnel_review::{ClientSide, TunnelReview, UpstreamSide};
use super::tunnel_state::{TunnelDirection, TunnelState};
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::report::Counter;
use crate::shell::client::connection::Client;
use crate::shell::state::core::Core;
use crate::shell::state::log_limits::LogCause;
use crate::shell::transport::buffers::BufferSize;
use crate::shell::transport::deadlines::Shut;
use crate::shell::transport::net::Peek;
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::listen::run_beside;
use crate::shell::transport::stream::{StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;

/// A receive of so much means that large buffers are worth it.
const FLOWING_BYTES: usize = 16_384;

/// Counts a tunnel as open for as long as it lives.
struct OpenTunnel<'a>(&'a Core);

impl<'a> OpenTunnel<'a> {
    fn new(core: &'a Core) -> Self {
        core.count(Counter::TunnelsOpened);
        core.open_tunnels.set(core.open_tunnels.get() + 1);
        Self(core)
    }
}

impl Drop for OpenTunnel<'_> {
    fn drop(&mut self) {
        self.0.count(Counter::TunnelsClosed);
        self.0.open_tunnels.set(self.0.open_tunnels.get().saturating_sub(1));
    }
}

/// Carries bytes between the client and the upstream until it is over; `head` is that of the request
/// which asked for it, parsed in `memory.head`.
pub(crate) async fn run(
    client: &mut Client,
    memory: &mut ExchangeMemory,
    head: &[u8],
    mut lease: Box<Lease>,
    outcome: &mut Outcome,
) {
    let core = Rc::clone(&client.core);
    let _open = OpenTunnel::new(&core);
    // Copied: nothing here may hold on to the generation.
    let peer = lease.peer.take().map(Rc::unwrap_or_clone);
    let upstream = UpstreamSide::of(&client.live.generation.plan, outcome, peer);
    let bytes = TunnelBytes::default();
    let tunnel = TunnelState::new(&core, client, &lease, outcome, &bytes);
    carry_both(&tunnel, client, memory, head, &mut lease, upstream, outcome).await;
    bytes.count(&client.live.meters, outcome.node_id());
    outcome.request_bytes += bytes.up.get();
    outcome.sent_bytes += bytes.down.get();
    outcome.body_bytes += bytes.down.get();
    outcome.ended = tunnel.ended.get().unwrap_or(ExchangeEnd::Answered);
    close_both(client, &mut lease, outcome.ended, tunnel.up.send_timeout).await;
}

/// Both directions to their end, or until the review finds a reason to cut them.
async fn carry_both(
    tunnel: &TunnelState<'_>,
    client: &mut Client,
    memory: &mut ExchangeMemory,
    head: &[u8],
    lease: &mut Lease,
    upstream: UpstreamSide,
    outcome: &mut Outcome,
) {
    let Client { stream, live, listener, server, identity, facts, session, .. } = client;
    let Client { registration, route_identities, sender, card, .. } = client;
    let registration = registration.as_ref();
    let review = TunnelReview {
        core: tunnel.core,
        client: ClientSide {
            live,
            listener,
            server,
            identity,
            card,
            route_identities,
            connection: facts,
            session: session.as_ref(),
            sender: *sender,
            registration,
        },
        upstream,
        bytes: tunnel.bytes,
        head: memory.head.view(head),
        scratch: &mut memory.request,
        request_ids: &memory.request_ids,
        outcome,
    };
    let (mut from_client, mut to_client) = stream.split();
    let (mut from_upstream, mut to_upstream) = lease.stream.split();
    let reviewed = {
        let both = async {
            monoio::join!(
                carry(tunnel, &mut from_client, &mut to_upstream, &tunnel.up),
                carry(tunnel, &mut from_upstream, &mut to_client, &tunnel.down)
            )
        };
        let mut both = pin!(both);
        let ended = monoio::select! {
            _ = &mut both => None,
            ended = review.run() => Some(ended),
        };
        if let Some(ended) = ended {
            tunnel.leave(ended);
            wait_for_goodbyes(tunnel, both).await;
        }
        ended
    };
    if reviewed.is_some() {
        monoio::join!(
            end_told(&tunnel.down, &mut to_client),
            end_told(&tunnel.up, &mut to_upstream)
        );
    }
    tunnel.blame_registry(registration);
}

/// Closes both connections, each so that its peer understands how the tunnel ended.
async fn close_both(client: &mut Client, lease: &mut Lease, ended: ExchangeEnd, timeout: Duration) {
    match ended {
        ExchangeEnd::Answered | ExchangeEnd::TimedOut => lease.stream.finish(timeout).await,
        // The client must not take what it has for the whole.
        ExchangeEnd::ResponseCutOff(_) | ExchangeEnd::Overdue => client.stream.abort(),
        // The upstream must not, either: it is closed without a goodbye.
        ExchangeEnd::ClientLeft
        | ExchangeEnd::Stopped
        | ExchangeEnd::AnsweredHere
        | ExchangeEnd::Refused(_) => {}
    }
    log_refused(client, ended);
}

/// One direction, to its end; if the gateway ends the tunnel, with a goodbye.
async fn carry(
    tunnel: &TunnelState<'_>,
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
) {
    carry_bytes(tunnel, source, sink, direction).await;
    if tunnel.is_left() {
        say_goodbye(tunnel, sink, direction).await;
        drop_rest(tunnel, source).await;
    }
}

async fn carry_bytes(
    tunnel: &TunnelState<'_>,
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
) {
    let mut received = 0;
    loop {
        match move_ready(tunnel, source, sink, direction).await {
            Ok(false) => {}
            Ok(true) => return pass_end_on(tunnel, sink, direction).await,
            Err(ended) => return tunnel.fail(direction, ended),
        }
        match receive(tunnel, source, sink, direction, received).await {
            CarryStep::Received(count) => received = count,
            // What this direction reads from was shut.
            CarryStep::TunnelEnded => return,
            CarryStep::SourceFailed(_) if tunnel.ended.get().is_some() => return,
            CarryStep::SourceFailed(StreamError::TimedOut) => {
                return tunnel.stop_reading(ExchangeEnd::TimedOut);
            }
            CarryStep::SourceFailed(StreamError::Ended) if !source.is_tls() => {
                return pass_end_on(tunnel, sink, direction).await;
            }
            // Under TLS an end without close_notify may be anybody's doing.
            CarryStep::SourceFailed(
                StreamError::Ended | StreamError::Failed(_) | StreamError::Tls(_),
            ) => return tunnel.fail(direction, direction.source_lost),
            CarryStep::SinkFailed(failed) => {
                return tunnel.fail(direction, sink_end(&failed, direction));
            }
        }
    }
}

/// What came of sending what was staged, and of receiving more.
enum CarryStep {
    /// So many bytes came.
    Received(usize),
    /// The tunnel has ended meanwhile.
    TunnelEnded,
    /// The side that is read has failed, or ended.
    SourceFailed(StreamError),
    /// The side that is written to has failed.
    SinkFailed(StreamError),
}

/// Sends what is staged and receives more; the last receive brought `received` bytes.
async fn receive(
    tunnel: &TunnelState<'_>,
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
    received: usize,
) -> CarryStep {
    if tunnel.is_left() {
        // Whoever sends all the time is not served any longer, and is told.
        return CarryStep::TunnelEnded;
    }
    // Reading only: what the other side has said is still passed on.
    let wait = Wait { time: tunnel.idle, shut: Shut::Read, idle: false };
    // A full small buffer may mean that there is more.
    let more = received >= BufferSize::Small.bytes() && direction.from.peek() == Peek::Bytes;
    let arrived = Cell::new(false);
    let (outcome, flushed) = if more && received >= FLOWING_BYTES {
        source.size_next_receive(sink.room());
        let receive = async |source: &mut StreamReader<'_>| {
            let received = source.receive(wait).await;
            arrived.set(true);
            received
        };
        let work = pin!(async {
            sink.flush(direction.send_timeout).await?;
            goodbye_unless(tunnel, sink, direction, || arrived.get()).await;
            Ok(())
        });
        source.receive_during(receive, work).await
    } else {
        let flushed = {
            let flush = pin!(sink.flush(direction.send_timeout));
            source.run_while_listening(flush, None).await.done
        };
        if let Err(failed) = flushed {
            return CarryStep::SinkFailed(failed);
        }
        sink.rest();
        source.rest(!more);
        if tunnel.ended.get().is_some() {
            return CarryStep::TunnelEnded;
        }
        let received = Cell::new(None);
        let receive = pin!(async {
            received.set(Some(source.receive(wait).await));
            arrived.set(true);
        });
        let work = pin!(async {
            goodbye_unless(tunnel, sink, direction, || arrived.get()).await;
            poll_fn(|_| received.take().map_or(Poll::Pending, Poll::Ready)).await
        });
        (run_beside(receive, work).await, Ok(()))
    };
    match (outcome, flushed) {
        (_, Err(failed)) => CarryStep::SinkFailed(failed),
        (Err(failed), Ok(())) => CarryStep::SourceFailed(failed),
        (Ok(count), Ok(())) => CarryStep::Received(count),
    }
}

/// Moves what was received already. True if the sender has announced its end.
async fn move_ready(
    tunnel: &TunnelState<'_>,
    source: &mut StreamReader<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
) -> Result<bool, ExchangeEnd> {
    sink.fit(source.received_size());
    loop {
        source.work_budget().yield_if_spent().await;
        if !sink.has_room() {
            let flush = pin!(sink.flush(direction.send_timeout));
            source
                .run_while_listening(flush, None)
                .await
                .done
                .map_err(|cut| sink_end(&cut, direction))?;
        }
        let mut staged = Ok(());
        let mut moved = 0_u64;
        let opened = source.next_piece(|input| {
            staged = sink.stage(input);
            direction.track(input);
            moved = u64::try_from(input.len()).unwrap_or(u64::MAX);
            input.len()
        });
        staged.map_err(|cut| sink_end(&cut, direction))?;
        if moved > 0 {
            let carried = direction.carried(tunnel.bytes);
            carried.set(carried.get().saturating_add(moved));
            direction.opposite.prolong(tunnel.idle);
        }
        match opened {
            Ok(Opened::Data(())) => {}
            Ok(Opened::More) => return Ok(false),
            Ok(Opened::Closed) => return Ok(true),
            Err(_) => return Err(direction.source_lost),
        }
    }
}

/// What the receiver's failure means for the tunnel.
const fn sink_end(failed: &StreamError, direction: &TunnelDirection) -> ExchangeEnd {
    match failed {
        StreamError::TimedOut => ExchangeEnd::TimedOut,
        StreamError::Ended | StreamError::Failed(_) | StreamError::Tls(_) => direction.sink_lost,
    }
}

/// One side has ended; the other may still send.
async fn pass_end_on(
    tunnel: &TunnelState<'_>,
    sink: &mut StreamWriter<'_>,
    direction: &TunnelDirection,
) {
    direction.end_frames();
    if tunnel.ended.get().is_none()
        && let Err(cut) = sink.finish(direction.send_timeout).await
    {
        tunnel.fail(direction, sink_end(&cut, direction));
    }
}

/// Logs a tunnel that was cut: an operator who has revoked a certificate sees that it worked.
fn log_refused(client: &Client, ended: ExchangeEnd) {
    let ExchangeEnd::Refused(refusal) = ended else { return };
    if let Some(suppressed) = client.core.allow_log(LogCause::Tunnel) {
        tracing::info!(
            client = %client.facts.remote_addr,
            reason = refusal.word(),
            suppressed,
            "a tunnel was cut: its request would not be admitted any more"
        );
    }
}
