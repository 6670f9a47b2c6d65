//! After a 101: bytes both ways until both sides have ended, or have been silent for too long.
//!
//! Each direction reads only what the other side has room for, and passes an end on as an end (FIN,
//! `close_notify`). A waiting tunnel holds two small buffers. Whether it may live on is asked again and
//! again by a [`TunnelReview`]; where that ends it, both sides are told so by a close frame, if that cannot
//! land inside another frame ([`tunnel_goodbye`](super::tunnel_goodbye)).

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use super::lease::Lease;
use super::memory::ExchangeMemory;
use super::tunnel_bytes::TunnelBytes;
use super::tunnel_goodbye::{GOODBYE_TIME, say_goodbye};
use super::tunnel_review::{ClientSide, TunnelReview, UpstreamSide};
use crate::exchange::cause::{ClientCause, UpstreamCause};
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::plan::upstream::TIMEOUT_DEFAULT;
use crate::report::Counter;
use crate::shell::client::connection::Client;
use crate::shell::client::registry::Registration;
use crate::shell::state::core::Core;
use crate::shell::state::log_limits::LogCause;
use crate::shell::transport::buffers::BufferSize;
use crate::shell::transport::deadlines::{Shut, TimerHandle};
use crate::shell::transport::net::{self, Descriptor, Peek};
use crate::shell::transport::record_reader::Wait;
use crate::shell::transport::stream::{StreamReader, StreamWriter};
use crate::shell::transport::stream_error::StreamError;
use crate::shell::transport::tls::Opened;
use crate::wire::websocket::{FrameSender, FrameTracker};

/// A receive of so much means that large buffers are worth it.
const FLOWING_BYTES: usize = 16_384;

/// A tunnel's two directions, and how it ends.
struct TunnelState<'a> {
    core: &'a Core,
    /// How long both sides may be silent.
    idle: Duration,
    /// Why it ends, unless both sides have simply ended.
    ended: Cell<Option<ExchangeEnd>>,
    /// Something may be lost that was to be sent.
    severed: Cell<bool>,
    /// What it has carried.
    bytes: &'a TunnelBytes,
    descriptors: [Descriptor; 2],
    /// From the client to the upstream.
    up: TunnelDirection,
    /// From the upstream to the client.
    down: TunnelDirection,
}

/// One direction.
struct TunnelDirection {
    /// The socket that is read.
    from: Descriptor,
    /// Is it the one from the client to the upstream?
    is_up: bool,
    /// The wait of the other direction, which is prolonged while this one carries bytes.
    opposite: TimerHandle,
    /// How long the receiver may take.
    send_timeout: Duration,
    /// How the tunnel ends if the side that is read is lost.
    source_lost: ExchangeEnd,
    /// How the tunnel ends if the side that is written to is lost.
    sink_lost: ExchangeEnd,
    /// Where the frames end of what was passed on; `None` once its end was.
    frames: Cell<Option<FrameTracker>>,
}

impl TunnelDirection {
    /// Where its bytes are counted.
    const fn carried<'a>(&self, bytes: &'a TunnelBytes) -> &'a Cell<u64> {
        if self.is_up { &bytes.up } else { &bytes.down }
    }

    /// These bytes are passed on.
    fn track(&self, bytes: &[u8]) {
        let mut frames = self.frames.get();
        if let Some(frames) = &mut frames {
            frames.advance(bytes);
        }
        self.frames.set(frames);
    }

    /// Can a frame of our own follow what was passed on?
    fn takes_frame(&self) -> bool {
        self.frames.get().is_some_and(|frames| frames.is_between_frames())
    }
}

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

impl<'a> TunnelState<'a> {
    fn new(
        core: &'a Core,
        client: &Client,
        lease: &Lease,
        outcome: &Outcome,
        bytes: &'a TunnelBytes,
    ) -> Self {
        let plan = &client.live.generation.plan;
        let timeout = outcome
            .route
            .map_or(TIMEOUT_DEFAULT, |route| plan.route(route).timeout_at(outcome.upstream));
        let client_timeout = plan.http.send_timeout;
        let (client_end, upstream_end) = (client.stream.descriptor(), lease.stream.descriptor());
        Self {
            core,
            idle: timeout.read,
            ended: Cell::new(None),
            severed: Cell::new(false),
            bytes,
            descriptors: [client_end, upstream_end],
            up: TunnelDirection {
                is_up: true,
                from: client_end,
                opposite: lease.stream.read_timer(),
                send_timeout: timeout.send,
                source_lost: ClientCause::Left.end(),
                sink_lost: UpstreamCause::ConnectionLost.end(),
                frames: Cell::new(Some(FrameTracker::new(FrameSender::Client))),
            },
            down: TunnelDirection {
                is_up: false,
                from: upstream_end,
                opposite: client.stream.read_timer(),
                send_timeout: client_timeout,
                source_lost: UpstreamCause::ConnectionLost.end(),
                sink_lost: ClientCause::Left.end(),
                frames: Cell::new(Some(FrameTracker::new(FrameSender::Server))),
            },
        }
    }

    /// The first reason is the one that is logged.
    fn note(&self, ended: ExchangeEnd) {
        if self.ended.get().is_none() {
            self.ended.set(Some(ended));
        }
    }

    /// Ends both directions at once.
    fn cut(&self, ended: ExchangeEnd) {
        self.note(ended);
        self.severed.set(true);
        for descriptor in self.descriptors {
            descriptor.shut_both();
        }
    }

    /// Ends both directions; what was read already still goes out.
    fn stop_reading(&self, ended: ExchangeEnd) {
        self.note(ended);
        for descriptor in self.descriptors {
            descriptor.shut_read();
        }
    }

    /// Where the registry has cut the socket, it looks as if the client had left: the log has the
    /// refusal instead.
    fn blame_registry(&self, registration: Option<&Registration>) {
        if let (Some(ExchangeEnd::ClientLeft), Some(refusal)) =
            (self.ended.get(), registration.and_then(Registration::ending))
        {
            self.ended.set(Some(ExchangeEnd::Refused(refusal)));
        }
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
    let Client { registration, route_identities, sender, .. } = client;
    let registration = registration.as_ref();
    let review = TunnelReview {
        core: tunnel.core,
        client: ClientSide {
            live,
            listener,
            server,
            identity,
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
            tunnel.stop_reading(ended);
            pass_rest_on(tunnel, both, ended).await;
        }
        ended
    };
    if let Some(ended) = reviewed.filter(|_| !tunnel.severed.get()) {
        let client = tunnel.down.takes_frame().then_some(&mut to_client);
        let upstream = tunnel.up.takes_frame().then_some(&mut to_upstream);
        say_goodbye(tunnel.core, ended, client, upstream).await;
    }
    tunnel.blame_registry(registration);
}

/// What was read already goes out, until [`GOODBYE_TIME`] is over: whoever takes nothing does not hold it up.
async fn pass_rest_on<T>(
    tunnel: &TunnelState<'_>,
    mut both: Pin<&mut impl Future<Output = T>>,
    ended: ExchangeEnd,
) {
    let done = monoio::select! {
        _ = &mut both => true,
        () = net::sleep(GOODBYE_TIME) => false,
    };
    if !done {
        tunnel.cut(ended);
        both.await;
    }
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

/// One direction, to its end.
async fn carry(
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
            Err(ended) => return tunnel.cut(ended),
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
            ) => return tunnel.cut(direction.source_lost),
            CarryStep::SinkFailed(failed) => return tunnel.cut(sink_end(&failed, direction)),
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
    // Reading only: what the other side has said is still passed on.
    let wait = Wait { time: tunnel.idle, shut: Shut::Read, idle: false };
    // A full small buffer may mean that there is more.
    let more = received >= BufferSize::Small.bytes() && direction.from.peek() == Peek::Bytes;
    let (outcome, flushed) = if more && received >= FLOWING_BYTES {
        source.size_next_receive(sink.room());
        let receive = async |source: &mut StreamReader<'_>| source.receive(wait).await;
        let flush = pin!(sink.flush(direction.send_timeout));
        source.receive_during(receive, flush).await
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
        (source.receive(wait).await, Ok(()))
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
    direction.frames.set(None);
    if tunnel.ended.get().is_none()
        && let Err(cut) = sink.finish(direction.send_timeout).await
    {
        tunnel.cut(sink_end(&cut, direction));
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
