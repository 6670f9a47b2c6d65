//! What both directions of a tunnel know of each other: how it ends, and how far each is with its own end.

use std::cell::Cell;
use std::time::Duration;

use super::lease::Lease;
use super::tunnel_bytes::TunnelBytes;
use crate::exchange::cause::{ClientCause, UpstreamCause};
use crate::exchange::outcome::{ExchangeEnd, Outcome};
use crate::exchange::refusal::Refusal;
use crate::plan::upstream::TIMEOUT_DEFAULT;
use crate::shell::client::connection::Client;
use crate::shell::client::registry::Registration;
use crate::shell::state::core::Core;
use crate::shell::transport::deadlines::TimerHandle;
use crate::shell::transport::net::Descriptor;
use crate::wire::websocket::{FrameSender, FrameTracker};

/// A tunnel's two directions, and how it ends.
pub(super) struct TunnelState<'a> {
    pub(super) core: &'a Core,
    /// How long both sides may be silent.
    pub(super) idle: Duration,
    /// Why it ends, unless both sides have simply ended.
    pub(super) ended: Cell<Option<ExchangeEnd>>,
    leave: Cell<Leave>,
    /// What it has carried.
    pub(super) bytes: &'a TunnelBytes,
    /// From the client to the upstream.
    pub(super) up: TunnelDirection,
    /// From the upstream to the client.
    pub(super) down: TunnelDirection,
}

/// How far a tunnel is with its end that the gateway wants, if it does.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Leave {
    /// It does not.
    No,
    /// What was read already goes out, then the goodbye; what arrives is dropped.
    Begun,
    /// Nothing is read any more.
    Over,
}

/// One direction.
pub(super) struct TunnelDirection {
    /// The socket that is read.
    pub(super) from: Descriptor,
    /// The socket that is written to.
    pub(super) to: Descriptor,
    /// Is it the one from the client to the upstream?
    pub(super) is_up: bool,
    /// The wait of the other direction, which is prolonged while this one carries bytes.
    pub(super) opposite: TimerHandle,
    /// How long the receiver may take.
    pub(super) send_timeout: Duration,
    /// How the tunnel ends if the side that is read is lost.
    pub(super) source_lost: ExchangeEnd,
    /// How the tunnel ends if the side that is written to is lost.
    pub(super) sink_lost: ExchangeEnd,
    /// Where the frames end of what was passed on; `None` once its end was.
    frames: Cell<Option<FrameTracker>>,
    /// Something may be lost that was to be sent.
    pub(super) severed: Cell<bool>,
    /// How far it is with its goodbye.
    pub(super) goodbye: Cell<Goodbye>,
}

/// How far a direction is with its goodbye.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Goodbye {
    /// Not begun.
    None,
    /// What was read already is on its way.
    Resting,
    /// All of that has gone out.
    Rested,
    /// And so has a close frame.
    Told,
}

impl TunnelDirection {
    /// Where its bytes are counted.
    pub(super) const fn carried<'a>(&self, bytes: &'a TunnelBytes) -> &'a Cell<u64> {
        if self.is_up { &bytes.up } else { &bytes.down }
    }

    /// These bytes are passed on.
    pub(super) fn track(&self, bytes: &[u8]) {
        let mut frames = self.frames.get();
        if let Some(frames) = &mut frames {
            frames.advance(bytes);
        }
        self.frames.set(frames);
    }

    /// Its end is passed on.
    pub(super) fn end_frames(&self) {
        self.frames.set(None);
    }

    /// Can a frame of our own follow what was passed on?
    pub(super) fn takes_frame(&self) -> bool {
        !self.severed.get() && self.frames.get().is_some_and(|frames| frames.is_between_frames())
    }

    /// Nothing more is sent: whoever is stuck in it goes on. The other direction stays as it is.
    pub(super) fn sever(&self) {
        self.severed.set(true);
        self.to.shut_write();
    }
}

impl<'a> TunnelState<'a> {
    pub(super) fn new(
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
        let frames = |sender| Cell::new(Some(FrameTracker::new(sender)));
        Self {
            core,
            idle: timeout.read,
            ended: Cell::new(None),
            leave: Cell::new(Leave::No),
            bytes,
            up: TunnelDirection {
                is_up: true,
                from: client_end,
                to: upstream_end,
                opposite: lease.stream.read_timer(),
                send_timeout: timeout.send,
                source_lost: ClientCause::Left.end(),
                sink_lost: UpstreamCause::ConnectionLost.end(),
                frames: frames(FrameSender::Client),
                severed: Cell::new(false),
                goodbye: Cell::new(Goodbye::None),
            },
            down: TunnelDirection {
                is_up: false,
                from: upstream_end,
                to: client_end,
                opposite: client.stream.read_timer(),
                send_timeout: client_timeout,
                source_lost: UpstreamCause::ConnectionLost.end(),
                sink_lost: ClientCause::Left.end(),
                frames: frames(FrameSender::Server),
                severed: Cell::new(false),
                goodbye: Cell::new(Goodbye::None),
            },
        }
    }

    const fn directions(&self) -> [&TunnelDirection; 2] {
        [&self.up, &self.down]
    }

    /// The first reason is the one that is logged.
    fn note(&self, ended: ExchangeEnd) {
        if self.ended.get().is_none() {
            self.ended.set(Some(ended));
        }
    }

    /// A direction cannot go on, which ends both at once; while the tunnel is left, that one alone.
    pub(super) fn fail(&self, direction: &TunnelDirection, ended: ExchangeEnd) {
        if self.is_left() {
            direction.sever();
            return;
        }
        self.note(ended);
        for direction in self.directions() {
            direction.severed.set(true);
            direction.to.shut_both();
        }
    }

    /// Ends both directions; what was read already still goes out.
    pub(super) fn stop_reading(&self, ended: ExchangeEnd) {
        self.note(ended);
        for direction in self.directions() {
            direction.from.shut_read();
        }
    }

    /// The gateway ends it, for this reason. Both directions find out when they are polled next.
    pub(super) fn leave(&self, ended: ExchangeEnd) {
        self.note(ended);
        self.leave.set(Leave::Begun);
        if ended == ExchangeEnd::Refused(Refusal::UpstreamTls) {
            // Not even what was read already is for whoever is there.
            self.up.severed.set(true);
            self.up.to.shut_both();
        }
    }

    /// Does the gateway end it?
    pub(super) fn is_left(&self) -> bool {
        self.leave.get() != Leave::No
    }

    /// Is nothing read any more?
    pub(super) fn is_over(&self) -> bool {
        self.leave.get() == Leave::Over
    }

    /// A direction whose receiver has not taken by now what was read already gives that up.
    pub(super) fn sever_late(&self) {
        for direction in self.directions() {
            if direction.goodbye.get() < Goodbye::Rested {
                direction.sever();
            }
        }
    }

    /// What has not ended by now is not waited for.
    pub(super) fn end_reading(&self) {
        self.leave.set(Leave::Over);
        for direction in self.directions() {
            direction.from.shut_read();
        }
    }

    /// Where the registry has cut the socket, it looks as if the client had left: the log has the
    /// refusal instead.
    pub(super) fn blame_registry(&self, registration: Option<&Registration>) {
        if let (Some(ExchangeEnd::ClientLeft), Some(refusal)) =
            (self.ended.get(), registration.and_then(Registration::ending))
        {
            self.ended.set(Some(ExchangeEnd::Refused(refusal)));
        }
    }
}
