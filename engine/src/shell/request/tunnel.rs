//! After a 101: bytes both ways until both sides have said all, or nobody says anything.
//!
//! Each direction reads only what the other side has room for, and passes an end on as an end (FIN,
//! `close_notify`). A waiting tunnel holds two small buffers. It has no next request by which it could
//! be judged again, so it looks up by itself: once a second whether the configuration has changed or
//! the client's certificate (or what its verdict rests on) has run out, and then asks whether its request would still be admitted.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::lease::Lease;
use super::memory::ExchangeMemory;
use crate::exchange::fault::Fault;
use crate::exchange::outcome::{Ended, Outcome};
use crate::exchange::refusal::Refusal;
use crate::exchange::rewrite::upstream_name;
use crate::exchange::{ConnectionView, Scratch, admit, permit};
use crate::identity::{ClientIdentity, Verdict};
use crate::plan::facts::{ConnectionFacts, SessionFacts};
use crate::plan::upstream::TIMEOUT_DEFAULT;
use crate::plan::{Facts, HostBuf, ListenerId, Marks, NodePlan, Plan, ServerId};
use crate::report::Counter;
use crate::setup::Generation;
use crate::shell::client::binding::{Place, Settled, Standing};
use crate::shell::client::connection::Client;
use crate::shell::client::registry::Seat;
use crate::shell::client::route_identity::{Acting, by_trust};
use crate::shell::state::core::{Core, Live, LogCause};
use crate::shell::transport::buffers::Size;
use crate::shell::transport::deadlines::{Remote, Shut};
use crate::shell::transport::net::{self, Descriptor, Peek};
use crate::shell::transport::reader::Wait;
use crate::shell::transport::session::Opened;
use crate::shell::transport::stream::{Cut, Sink, Source};
use crate::tls::client::UpstreamFailure;
use crate::tls::peer::UpstreamPeer;

/// How often a tunnel looks whether it may live on.
pub const LOOK_TIME: Duration = Duration::from_secs(1);

/// A receive of so much means that large buffers are worth it.
const FLOWING_BYTES: usize = 16_384;

/// The upstream is lost.
const BROKEN: Ended = Ended::ResponseCutOff(Fault::BodyCutOff);

/// What both directions share.
struct Shared<'a> {
    core: &'a Core,
    /// How long nobody may say anything.
    idle: Duration,
    /// Why it ends, unless both sides have simply said all.
    end: Cell<Option<Ended>>,
    descriptors: [Descriptor; 2],
}

/// One direction.
struct Way {
    /// Of the side that is read.
    from: Descriptor,
    /// The other direction waits, too, and shall know that somebody speaks.
    other: Remote,
    /// How long the receiver may take.
    write: Duration,
    /// What it means if the side that is read is lost.
    source_lost: Ended,
    /// What it means if the side that is written to is lost.
    sink_lost: Ended,
    /// Where its bytes are counted on the upstream's side.
    counter: Counter,
    bytes: Cell<u64>,
}

/// Where a tunnel's connection stands. It follows every generation: what a tunnel keeps of one would
/// keep all of that alive, for as long as the tunnel is open.
struct Home<'a> {
    live: &'a mut Rc<Live>,
    listener: &'a mut ListenerId,
    server: &'a mut Option<ServerId>,
    identity: &'a mut Option<Rc<ClientIdentity>>,
    /// Who it is by the authorities of its route, where that has its own.
    acting: Acting<'a>,
    /// Route, upstream and node, as the generation counts them.
    outcome: &'a mut Outcome,
}

/// By what a tunnel is judged again.
struct Judged<'a> {
    core: &'a Core,
    home: Home<'a>,
    /// What conditions may read beside the request.
    facts: (&'a ConnectionFacts, Option<&'a SessionFacts>, &'a Marks),
    /// Its place on the roll, which may know of a reason to end before we do.
    seat: Option<&'a Seat>,
    head: &'a [u8],
    scratch: &'a mut Scratch,
    far: Far,
}

/// The tunnel's other end.
struct Far {
    /// Whom it leads to; `None` on plain HTTP. What it is judged by from here on is the tunnel's alone.
    peer: Option<UpstreamPeer>,
    /// The upstream's id.
    upstream: Box<str>,
    /// Its node, which the configuration may not have any more.
    node: Option<NodePlan>,
}

/// Counts a tunnel as open for as long as it lives.
struct Open<'a>(&'a Core);

impl<'a> Open<'a> {
    fn new(core: &'a Core) -> Self {
        core.count(Counter::TunnelsOpened);
        core.tunnels.set(core.tunnels.get() + 1);
        Self(core)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.count(Counter::TunnelsClosed);
        self.0.tunnels.set(self.0.tunnels.get().saturating_sub(1));
    }
}

impl Shared<'_> {
    fn note(&self, end: Ended) {
        if self.end.get().is_none() {
            self.end.set(Some(end));
        }
    }

    /// Ends both directions at once.
    fn cut(&self, end: Ended) {
        self.note(end);
        for descriptor in self.descriptors {
            descriptor.shut_both();
        }
    }

    /// The roll cuts a socket, which looks as if its client had left.
    fn explain(&self, seat: Option<&Seat>) {
        if let (Some(Ended::ClientLeft), Some(refusal)) =
            (self.end.get(), seat.and_then(Seat::why_ended))
        {
            self.end.set(Some(Ended::Refused(refusal)));
        }
    }

    /// Ends both directions; what was read already still goes out.
    fn rest(&self, end: Ended) {
        self.note(end);
        for descriptor in self.descriptors {
            descriptor.shut_read();
        }
    }
}

/// Carries bytes between the client and the upstream until it is over; `head` is that of the request
/// which asked for it, parsed in `work.request`.
pub async fn run(
    client: &mut Client,
    work: &mut ExchangeMemory,
    head: &[u8],
    mut lease: Box<Lease>,
    outcome: &mut Outcome,
) {
    let core = Rc::clone(&client.core);
    let _open = Open::new(&core);
    // Copied: nothing here may hold on to the generation.
    let plan = &client.live.generation.plan;
    let timeout = outcome.route.map_or(TIMEOUT_DEFAULT, |route| plan.route(route).timeout);
    let send_timeout = plan.http.send_timeout;
    let far = Far::of(plan, outcome, lease.peer.take().map(Rc::unwrap_or_clone));
    let (client_end, upstream_end) = (client.stream.descriptor(), lease.stream.descriptor());
    let shared = Shared {
        core: &core,
        idle: timeout.read,
        end: Cell::new(None),
        descriptors: [client_end, upstream_end],
    };
    let up = Way {
        from: client_end,
        other: lease.stream.read_remote(),
        write: timeout.send,
        source_lost: Ended::ClientLeft,
        sink_lost: BROKEN,
        counter: Counter::UpstreamBytesOut,
        bytes: Cell::new(0),
    };
    let down = Way {
        from: upstream_end,
        other: client.stream.read_remote(),
        write: send_timeout,
        source_lost: BROKEN,
        sink_lost: Ended::ClientLeft,
        counter: Counter::UpstreamBytesIn,
        bytes: Cell::new(0),
    };
    {
        let Client { stream, live, listener, server, identity, facts, session, seat, .. } = client;
        let Client { standings, acting, .. } = client;
        let acting = Acting { standings, at: acting };
        let home = Home { live, listener, server, identity, acting, outcome: &mut *outcome };
        let (session, seat) = (session.as_ref(), seat.as_ref());
        let (mut from_client, mut to_client) = stream.split();
        let (mut from_upstream, mut to_upstream) = lease.stream.split();
        let facts = (&*facts, session, &work.marks);
        let scratch = &mut work.request;
        let judged = Judged { core: &core, home, facts, seat, head, scratch, far };
        let both = async {
            monoio::join!(
                carry(&shared, &mut from_client, &mut to_upstream, &up),
                carry(&shared, &mut from_upstream, &mut to_client, &down)
            )
        };
        let mut both = pin!(both);
        let ended = monoio::select! {
            _ = &mut both => None,
            end = judged.last() => Some(end),
        };
        if let Some(end) = ended {
            shared.cut(end);
            both.await;
        }
        shared.explain(seat);
    }
    outcome.request_bytes += up.bytes.get();
    outcome.sent_bytes += down.bytes.get();
    outcome.body_bytes += down.bytes.get();
    outcome.ended = shared.end.get().unwrap_or(Ended::Answered);
    part(client, &mut lease, (outcome.ended, timeout.send)).await;
}

/// What each side is to make of the end.
async fn part(client: &mut Client, lease: &mut Lease, (ended, send): (Ended, Duration)) {
    match ended {
        Ended::Answered | Ended::TimedOut => lease.stream.finish(send).await,
        // The client must not take what it has for the whole.
        Ended::ResponseCutOff(_) => client.stream.abort(),
        // The upstream must not, either: it is closed without a goodbye.
        Ended::ClientLeft | Ended::Stopped | Ended::Refused(_) => {}
    }
    note(client, ended);
}

/// One direction, to its end.
async fn carry(shared: &Shared<'_>, source: &mut Source<'_>, sink: &mut Sink<'_>, way: &Way) {
    // Reading only: what the other side has said is still passed on.
    let wait = Wait { time: shared.idle, shut: Shut::Read, idle: false };
    let mut received = 0;
    loop {
        match move_ready(shared, source, sink, way).await {
            Ok(false) => {}
            Ok(true) => return pass_end_on(shared, sink, way).await,
            Err(end) => return shared.cut(end),
        }
        // A full small buffer may mean that there is more.
        let more = received >= Size::Small.bytes() && way.from.peek() == Peek::Bytes;
        let outcome = if more && received >= FLOWING_BYTES {
            source.fit(sink.room());
            let receive = async |source: &mut Source<'_>| source.receive(wait).await;
            let flush = pin!(sink.flush(way.write));
            let (outcome, flushed) = source.receive_beside(receive, flush).await;
            if let Err(cut) = flushed {
                return shared.cut(sink_end(&cut, way));
            }
            outcome
        } else {
            let flushed = {
                let flush = pin!(sink.flush(way.write));
                source.attend(flush, None).await.done
            };
            if let Err(cut) = flushed {
                return shared.cut(sink_end(&cut, way));
            }
            sink.rest();
            source.rest(!more);
            if shared.end.get().is_some() {
                return;
            }
            source.receive(wait).await
        };
        match outcome {
            Ok(count) => received = count,
            // Somebody has ended it, and shut what we read from.
            Err(_) if shared.end.get().is_some() => return,
            Err(Cut::TimedOut) => return shared.rest(Ended::TimedOut),
            Err(Cut::Ended) if !source.is_tls() => return pass_end_on(shared, sink, way).await,
            // Under TLS an end without close_notify may be anybody's doing.
            Err(Cut::Ended | Cut::Failed(_) | Cut::Tls(_)) => return shared.cut(way.source_lost),
        }
    }
}

/// Moves what was received already. True if the sender has said that nothing follows.
async fn move_ready(
    shared: &Shared<'_>,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    way: &Way,
) -> Result<bool, Ended> {
    sink.fit(source.load());
    loop {
        source.turn().give_way().await;
        if !sink.has_room() {
            let flush = pin!(sink.flush(way.write));
            source.attend(flush, None).await.done.map_err(|cut| sink_end(&cut, way))?;
        }
        let mut staged = Ok(());
        let mut moved = 0_u64;
        let opened = source.next_piece(|input| {
            staged = sink.stage(input);
            moved = u64::try_from(input.len()).unwrap_or(u64::MAX);
            input.len()
        });
        staged.map_err(|cut| sink_end(&cut, way))?;
        if moved > 0 {
            way.bytes.set(way.bytes.get().saturating_add(moved));
            shared.core.counters().add(way.counter, moved);
            way.other.prolong(shared.idle);
        }
        match opened {
            Ok(Opened::Data(())) => {}
            Ok(Opened::More) => return Ok(false),
            Ok(Opened::Closed) => return Ok(true),
            Err(_) => return Err(way.source_lost),
        }
    }
}

const fn sink_end(cut: &Cut, way: &Way) -> Ended {
    match cut {
        Cut::TimedOut => Ended::TimedOut,
        Cut::Ended | Cut::Failed(_) | Cut::Tls(_) => way.sink_lost,
    }
}

/// One side has said all; the other may still speak.
async fn pass_end_on(shared: &Shared<'_>, sink: &mut Sink<'_>, way: &Way) {
    if shared.end.get().is_none()
        && let Err(cut) = sink.finish(way.write).await
    {
        shared.cut(sink_end(&cut, way));
    }
}

impl Home<'_> {
    /// Moves to the newest generation, and lets go of the one before.
    fn follow(&mut self, core: &Core, settled: Settled<'_>) -> Result<Place, Refusal> {
        let before = Standing {
            live: Rc::clone(self.live),
            place: Place { listener: *self.listener, server: *self.server },
            identity: self.identity.clone(),
        };
        let Standing { live, place, identity } = before.follow(core, settled)?;
        if !Rc::ptr_eq(&live, self.live) {
            // Another generation counts them otherwise; where it went is kept in words.
            self.outcome.route = None;
            self.outcome.upstream = None;
            self.outcome.node = None;
        }
        *self.live = live;
        *self.listener = place.listener;
        *self.server = place.server;
        *self.identity = identity;
        self.acting.set(None);
        Ok(place)
    }
}

impl Far {
    /// What is copied of the generation that has connected it.
    fn of(plan: &Plan, outcome: &Outcome, peer: Option<UpstreamPeer>) -> Self {
        let upstream = outcome.upstream.map(|upstream| plan.upstream(upstream));
        let node = upstream.zip(outcome.node);
        let node = node.and_then(|(upstream, node)| upstream.nodes.get(node.0 as usize)).cloned();
        let upstream = upstream.map(|upstream| upstream.id.clone()).unwrap_or_default();
        Self { peer, upstream, node }
    }

    /// Would a connection to it be made now? The upstream of the same id vouches for it, whatever the
    /// other settings of that are. `host` is the client's, which may be the name that counts there.
    fn judge_again(&mut self, core: &Core, host: &HostBuf, now: i64) -> Result<(), Refusal> {
        let live = core.live();
        let Generation { plan, tls, .. } = &*live.generation;
        let at = plan.upstreams().iter().position(|upstream| upstream.id == self.upstream);
        let tls = at.and_then(|at| tls.upstreams.get(at)).and_then(Option::as_ref);
        let ends = at.and_then(|at| plan.upstreams().get(at)).zip(self.node.as_ref());
        let name = ends.map(|(upstream, node)| upstream_name(upstream, host, node));
        let name = std::str::from_utf8(name.unwrap_or_default()).unwrap_or_default();
        let judged = match (&mut self.peer, tls) {
            (Some(peer), tls) => peer.judge_again(tls, name, now),
            (None, Some(_)) => Err(UpstreamFailure::Plaintext),
            (None, None) => Ok(()),
        };
        judged.map_err(|failure| {
            core.count(Counter::UpstreamRevoked);
            if let Some(suppressed) = core.allow_log(LogCause::Revoked) {
                tracing::info!(
                    upstream = &*self.upstream,
                    reason = failure.text(),
                    suppressed,
                    "a connected upstream is not trusted any more"
                );
            }
            Refusal::UpstreamTls
        })
    }
}

impl Judged<'_> {
    /// Looks again and again, until there is a reason to end.
    async fn last(mut self) -> Ended {
        loop {
            net::sleep(LOOK_TIME).await;
            if self.core.stopping.get() {
                return Ended::Stopped;
            }
            if let Err(refusal) = self.look() {
                return Ended::Refused(refusal);
            }
        }
    }

    /// Would the request be admitted now?
    fn look(&mut self) -> Result<(), Refusal> {
        if let Some(refusal) = self.seat.and_then(Seat::why_ended) {
            return Err(refusal);
        }
        let now = self.core.clock.unix_seconds();
        let expired = [self.home.identity.as_deref(), self.home.acting.identity()];
        let expired = expired
            .into_iter()
            .flatten()
            .filter(|identity| identity.verdict == Verdict::Success)
            .any(|identity| identity.has_ended(now) || identity.is_stale(now));
        let far_expired = self.far.peer.as_ref().is_some_and(|peer| !peer.holds(now));
        if self.core.is_current(self.home.live) && !expired && !far_expired {
            return Ok(());
        }
        self.far.judge_again(self.core, &self.scratch.host, now)?;
        let place = self.home.follow(self.core, Settled::of(self.facts.1))?;
        let (live, identity) = (&*self.home.live, self.home.identity.as_ref());
        let plan = &live.generation.plan;
        if let (Some(seat), Some(identity)) = (self.seat, identity) {
            seat.follow(live, place, identity);
        }
        let client = identity.map(|identity| &**identity);
        let (connection, session, marks) = self.facts;
        let admission = self.core.clock.with_now(|now| {
            let facts = Facts {
                connection,
                session,
                client,
                request: None,
                now,
                log: None,
                marks: Some(marks),
            };
            let view = ConnectionView {
                listener: place.listener,
                policy: place.server.map(|server| plan.sni.policy(server)),
                client,
                now: now.unix_seconds,
                facts: Some(facts),
            };
            admit(plan, &view, self.head, self.scratch)
        })?;
        self.home.outcome.route = Some(admission.route);
        for route in self.scratch.demanding.iter().copied().chain([admission.route]) {
            let trust = plan.route(route).access.trust().filter(|_| place.server.is_some());
            let acting =
                trust.map(|trust| (trust, by_trust(live, (place.server, client), trust, now)));
            self.home.acting.set(acting);
            permit(plan, route, self.home.acting.identity().or(client), now)?;
        }
        if admission.upgrade { Ok(()) } else { Err(Refusal::RouteNotFound) }
    }
}

/// An operator who has taken somebody's right away wants to see that it worked.
fn note(client: &Client, end: Ended) {
    let Ended::Refused(refusal) = end else { return };
    if let Some(suppressed) = client.core.allow_log(LogCause::Tunnel) {
        tracing::info!(
            client = %client.facts.remote_addr,
            reason = refusal.word(),
            suppressed,
            "a tunnel was cut: its request would not be admitted any more"
        );
    }
}
