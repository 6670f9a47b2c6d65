//! One thread: its connections, its part of the schedule, and the loop around them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use rustls::HandshakeKind;
use rustls::client::Resumption;

use super::connection::Connection;
use super::outcome::Outcome;
use super::plan::{Kind, Plan, TlsTarget, count};
use super::response::Answer;
use super::serial::serial;
use super::slot::{Slot, SlotStage, source};
use super::tickets::Tickets;
use crate::clock::{PATIENCE, now};

/// Connections that one thread makes at the same time while it warms up.
const AT_ONCE: usize = 64;
/// After a failure, so that a server that is gone is not asked in a busy loop.
const PAUSE: Duration = Duration::from_millis(10);
/// How often the loop looks for what takes too long.
const LOOK: Duration = Duration::from_millis(250);
/// The timer's mark among the events; connections have small numbers.
const TIMER: u64 = u64::MAX;

pub(super) struct Worker<'a> {
    plan: &'a Plan,
    tls: Option<TlsTarget>,
    schedule: Schedule,
    epoll: OwnedFd,
    timer: OwnedFd,
    /// What the timer is set to.
    armed: Option<Instant>,
    slots: Vec<Slot>,
    /// Slots with nothing to do, the one that waited longest first.
    idle: VecDeque<usize>,
    /// Slots that wait for their turn to connect (or, if held idle, to be asked).
    line: VecDeque<usize>,
    /// How many from that line are at it.
    admitted: usize,
    /// How many requests are under way.
    serving: usize,
    /// Slots that rest after a failure, the one that rests shortest first.
    resting: VecDeque<Rest>,
    phase: Phase,
    looked: Instant,
    buffer: Vec<u8>,
    outcome: Outcome,
}

/// A slot that rests after a failure.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Instant,
    slot: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Warm,
    Run,
}

/// Which requests of all are this thread's, and when.
struct Schedule {
    rate: u64,
    /// The next one's number among all.
    next: u64,
    step: u64,
    start: Instant,
    end: Instant,
}

impl Schedule {
    /// When the next request is due; `None` behind the last one.
    fn due(&self) -> Option<Instant> {
        let nanos = u128::from(self.next) * 1_000_000_000 / u128::from(self.rate.max(1));
        let due = self.start + Duration::from_nanos(u64::try_from(nanos).ok()?);
        (due < self.end).then_some(due)
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(plan: &'a Plan, number: usize, threads: usize) -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll instance");
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).expect("a timer");
        let edges = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), edges).expect("a timer to watch");
        let mut tls = plan.tls.clone();
        if let (Kind::Resumed, Some(target)) = (plan.kind, &mut tls) {
            let mut own = target.config.as_ref().clone();
            own.resumption = Resumption::store(Arc::new(Tickets::default()));
            target.config = Arc::new(own);
        }
        let slots = (0..plan.connections).skip(number).step_by(threads);
        let slots: Vec<Slot> = slots.map(|at| Slot::new(source(plan, at))).collect();
        let start = now();
        let schedule = Schedule {
            rate: plan.rate,
            next: count(number),
            step: count(threads),
            start,
            end: start,
        };
        Self {
            plan,
            tls,
            schedule,
            epoll,
            timer,
            armed: None,
            idle: VecDeque::with_capacity(slots.len()),
            line: (0..slots.len()).collect(),
            admitted: 0,
            serving: 0,
            resting: VecDeque::new(),
            slots,
            phase: Phase::Warm,
            looked: start,
            buffer: vec![0; 64 * 1024],
            outcome: Outcome::default(),
        }
    }

    /// Makes every connection that the run begins with.
    pub(super) fn warm_up(&mut self) {
        if self.plan.kind == Kind::Fresh {
            self.idle.extend(self.line.drain(..));
        }
        let mut events = Vec::with_capacity(256);
        while self.admit() > 0 {
            self.wait(&mut events, LOOK);
            self.look(now());
        }
    }

    pub(super) fn run(mut self, start: Instant) -> Outcome {
        self.phase = Phase::Run;
        self.schedule.start = start;
        self.schedule.end = start + self.plan.time;
        if self.plan.kind == Kind::Idle {
            self.line = (0..self.slots.len()).collect();
            self.idle.clear();
        }
        let mut events = Vec::with_capacity(256);
        loop {
            let at = now();
            self.wake(at);
            self.look(at);
            self.dispatch(at);
            let asking = self.admit();
            if self.is_over(at, asking) {
                break;
            }
            let left = self.arm(at);
            self.wait(&mut events, left);
        }
        for connection in self.slots.drain(..).filter_map(|slot| slot.connection) {
            connection.close();
        }
        self.outcome
    }

    fn is_over(&mut self, at: Instant, asking: usize) -> bool {
        if self.plan.kind == Kind::Idle {
            return asking == 0;
        }
        if at < self.schedule.end || self.serving > 0 {
            return false;
        }
        if self.schedule.rate > 0 && self.schedule.due().is_some() {
            if at < self.schedule.end + PATIENCE {
                return false;
            }
            while self.schedule.due().is_some() {
                self.outcome.fail("not sent in time");
                self.schedule.next += self.schedule.step;
            }
        }
        true
    }

    /// Lets slots from the line in; how many of them are at it?
    fn admit(&mut self) -> usize {
        while self.admitted < AT_ONCE {
            let Some(at) = self.line.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(at) else { continue };
            // At the end only those are asked that are still there.
            if self.phase == Phase::Run && self.plan.kind == Kind::Idle && slot.connection.is_none()
            {
                continue;
            }
            slot.admitted = true;
            self.admitted += 1;
            let asks = matches!(self.plan.kind, Kind::Resumed | Kind::Idle) || self.is_first();
            self.start(at, asks.then(now));
        }
        self.admitted
    }

    fn leave_line(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at)
            && std::mem::take(&mut slot.admitted)
        {
            self.admitted -= 1;
        }
    }

    /// Gives what is due to idle slots.
    fn dispatch(&mut self, at: Instant) {
        if self.phase == Phase::Warm || self.plan.kind == Kind::Idle {
            return;
        }
        loop {
            let due = if self.schedule.rate == 0 { Some(at) } else { self.schedule.due() };
            let due = due.filter(|due| *due <= at && *due < self.schedule.end);
            let Some(due) = due else { return };
            let Some(slot) = self.idle.pop_front() else { return };
            self.schedule.next += self.schedule.step;
            self.start(slot, Some(due));
        }
    }

    /// Sends a request on this slot, connecting first if need be; without a time only connects.
    fn start(&mut self, at: usize, due: Option<Instant>) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        slot.due = due;
        self.serving += usize::from(due.is_some());
        let result = match &mut slot.connection {
            Some(_) => self.send(at),
            None => self.connect(at),
        };
        if let Err(error) = result {
            self.fail(at, &error.to_string());
        }
    }

    fn send(&mut self, at: usize) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        slot.enter(SlotStage::Serving);
        let Some(connection) = &mut slot.connection else { return Ok(()) };
        connection.send(&self.plan.request)
    }

    fn connect(&mut self, at: usize) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(at) else { return Ok(()) };
        slot.enter(SlotStage::Connecting);
        let connection = Connection::open(self.plan, slot.source, self.tls.as_ref())?;
        let edges = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &connection.socket, EventData::new_u64(count(at)), edges)?;
        slot.connection = Some(connection);
        Ok(())
    }

    /// How long to wait at most; what has to be exact is left to the timer.
    fn arm(&mut self, at: Instant) -> Duration {
        let due = if self.idle.is_empty() || self.schedule.rate == 0 {
            None
        } else {
            self.schedule.due()
        };
        if due.is_some() && due != self.armed {
            self.armed = due;
            let left = due.map_or(LOOK, |due| due.saturating_duration_since(at));
            let left = left.max(Duration::from_nanos(1));
            let it_value = Timespec::try_from(left).expect("not long");
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Itimerspec { it_interval, it_value };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value).expect("a timer");
        }
        let end = (at < self.schedule.end).then_some(self.schedule.end);
        let rested = self.resting.front().map(|rest| rest.until);
        let next = [end, rested].into_iter().flatten().min();
        next.map_or(LOOK, |next| next.saturating_duration_since(at).min(LOOK))
    }

    fn wait(&mut self, events: &mut Vec<epoll::Event>, most: Duration) {
        // Whole milliseconds, as older kernels want it.
        let millis = i64::try_from(most.as_millis()).unwrap_or(1_000).min(500) + 1;
        let timeout = Timespec { tv_sec: 0, tv_nsec: millis * 1_000_000 };
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        for event in events.drain(..) {
            let (mark, flags) = (event.data.u64(), event.flags);
            if mark == TIMER {
                self.armed = None;
            } else {
                let end = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                let at = usize::try_from(mark).expect("a slot");
                self.advance(at, flags.intersects(end));
            }
            self.dispatch(now());
        }
    }

    fn advance(&mut self, at: usize, hung_up: bool) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let Some(connection) = &mut slot.connection else { return };
        match connection.advance(&self.plan.request, &mut self.buffer, hung_up) {
            Ok(progress) => {
                if progress.opened {
                    self.opened(at, progress.handshake);
                }
                if let Some(answer) = progress.answer {
                    self.answered(at, answer, progress.closed);
                } else if progress.closed {
                    self.ended(at);
                }
            }
            // It had said that it would go; how it went is its own affair.
            Err(_) if slot.stage == SlotStage::Leaving => self.close(at),
            Err(error) => self.fail(at, &error.to_string()),
        }
    }

    /// Is this what is needed before the run, and no part of it?
    fn is_gathering(&self) -> bool {
        self.plan.kind == Kind::Resumed && self.phase == Phase::Warm
    }

    /// Is it the first request of a connection that is kept? A handshake of TLS 1.3 is over for the client
    /// before the server has looked at its certificate, and behind a proxy there is another one to come:
    /// neither belongs to the latency of requests.
    fn is_first(&self) -> bool {
        self.plan.kind == Kind::Kept && self.phase == Phase::Warm
    }

    fn opened(&mut self, at: usize, handshake: Option<HandshakeKind>) {
        let gathering = self.is_gathering();
        let Some(slot) = self.slots.get_mut(at) else { return };
        if !gathering {
            self.outcome.connections += 1;
            match handshake {
                None => {}
                Some(HandshakeKind::Resumed) => self.outcome.resumed += 1,
                Some(_) => self.outcome.full += 1,
            }
        }
        let leaf = slot.connection.as_ref().and_then(Connection::leaf);
        if let Some(serial) = leaf.and_then(serial) {
            *self.outcome.serials.entry(serial).or_default() += 1;
        }
        if slot.due.is_none() {
            self.rest(at);
        } else if let Err(error) = self.send(at) {
            self.fail(at, &error.to_string());
        }
    }

    /// There is nothing to do on this slot now.
    fn rest(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.enter(SlotStage::Resting);
        }
        self.leave_line(at);
        self.idle.push_back(at);
    }

    fn answered(&mut self, at: usize, answer: Answer, closed: bool) {
        let uncounted = self.is_gathering() || self.is_first();
        let Some(slot) = self.slots.get_mut(at) else { return };
        let (Some(connection), Some(due)) = (&slot.connection, slot.due.take()) else { return };
        self.serving -= 1;
        let whole = connection.is_sent(&self.plan.request);
        if self.plan.kind == Kind::Idle {
            match self.phase {
                Phase::Warm => self.outcome.held += 1,
                Phase::Run => self.outcome.alive += 1,
            }
        }
        if !(200..400).contains(&answer.status) {
            self.outcome.fail(&format!("status {}", answer.status));
        } else if !uncounted {
            self.outcome.answered += 1;
            self.outcome.latency.record(now().saturating_duration_since(due));
            let upload = self.plan.request.body;
            self.outcome.bytes += if upload > 0 { upload } else { answer.body };
        }
        let keeps = matches!(self.plan.kind, Kind::Kept | Kind::Idle);
        if keeps && whole && !answer.closes && !closed {
            self.rest(at);
        } else if answer.closes && whole && !closed {
            // It is waited for, so that the end of its stream is not cut off by ours.
            slot.enter(SlotStage::Leaving);
        } else {
            self.close(at);
        }
    }

    /// The connection ends as it should; the slot goes on.
    fn close(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if let Some(connection) = slot.connection.take() {
            connection.close();
        }
        match self.plan.kind {
            Kind::Fresh | Kind::Resumed => self.rest(at),
            Kind::Kept => {
                slot.enter(SlotStage::Resting);
                self.leave_line(at);
                self.line.push_back(at);
            }
            Kind::Idle => self.fail(at, "closed with its response"),
        }
    }

    /// The server ended a connection on which nothing was asked.
    fn ended(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        match (slot.stage, self.plan.kind) {
            (SlotStage::Leaving, _) => self.close(at),
            // It may; another takes its place.
            (SlotStage::Resting, Kind::Kept) => {
                slot.connection = None;
                self.idle.retain(|idle| *idle != at);
                self.resting.push_back(Rest { until: now() + PAUSE, slot: at });
            }
            _ => self.fail(at, "closed by the server"),
        }
    }

    fn fail(&mut self, at: usize, reason: &str) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let held = self.plan.kind == Kind::Idle
            && (self.phase == Phase::Run || slot.stage == SlotStage::Resting);
        self.outcome.fail(if held { "cut while idle" } else { reason });
        let resting = slot.stage == SlotStage::Resting;
        self.serving -= usize::from(slot.due.take().is_some());
        slot.connection = None;
        slot.enter(SlotStage::Resting);
        self.leave_line(at);
        if resting {
            self.idle.retain(|idle| *idle != at);
        }
        if self.plan.kind != Kind::Idle {
            self.resting.push_back(Rest { until: now() + PAUSE, slot: at });
        }
    }

    /// Slots that have rested go on.
    fn wake(&mut self, at: Instant) {
        while self.resting.front().is_some_and(|rest| rest.until <= at) {
            let Some(Rest { slot, .. }) = self.resting.pop_front() else { return };
            match self.plan.kind {
                Kind::Fresh | Kind::Resumed => self.idle.push_back(slot),
                Kind::Kept | Kind::Idle => self.line.push_back(slot),
            }
        }
    }

    /// Ends what takes too long.
    fn look(&mut self, at: Instant) {
        if at < self.looked + LOOK {
            return;
        }
        self.looked = at;
        for number in 0..self.slots.len() {
            let Some(slot) = self.slots.get(number) else { return };
            let late = at.saturating_duration_since(slot.since) > PATIENCE;
            match slot.stage {
                SlotStage::Connecting if late => self.fail(number, "no connection in time"),
                SlotStage::Serving if late => self.fail(number, "no answer in time"),
                SlotStage::Leaving if late => self.fail(number, "not closed in time"),
                _ => {}
            }
        }
    }
}
