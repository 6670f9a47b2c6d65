//! What is there: the time, what is due, every end and every listener, and the weather.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::half::Half;
use super::random::Random;

/// Seconds since 1970 at which every run begins.
const EPOCH: u64 = 1_795_301_728;

/// How the network behaves in a run.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// The longest time under way, in milliseconds.
    pub(crate) delay_ms: usize,
    /// Segments of one send at most; 1 sends it as one.
    pub(crate) segments: usize,
    /// The most that may be under way and unread.
    pub(crate) room: usize,
    /// Of 100 operations, so many are not done at once, or not whole.
    pub(crate) hesitation: usize,
    /// Of 100 connects to a node, so many are refused, hang, or find no descriptor.
    pub(crate) no_connection: [usize; 3],
    /// Of 100 accepts, so many fail for want of a descriptor.
    pub(crate) no_accept: usize,
}

impl Weather {
    /// Is what is sent at once received at once, if it is not much?
    pub(crate) const fn is_calm(&self) -> bool {
        self.segments == 1 && self.hesitation == 0 && self.room >= 1 << 16
    }
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            segments: 1,
            room: 1 << 16,
            hesitation: 0,
            no_connection: [0; 3],
            no_accept: 0,
        }
    }
}

/// Something that is due.
#[derive(Debug)]
pub(crate) enum ScheduledEvent {
    /// Parcels for this end.
    Arrival(usize),
    /// Somebody waits for this moment.
    Wake(Waker),
}

/// When an event happens; of two at the same time, the one that was scheduled first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct EventTime {
    due: Duration,
    serial: u64,
}

/// A connection that nobody has accepted yet.
#[derive(Debug)]
pub(super) struct Connecting {
    /// The listener's end of it.
    pub(super) end: usize,
    /// Who connects.
    pub(super) peer: SocketAddr,
}

/// A listener's queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(super) waiting: VecDeque<Connecting>,
    pub(super) acceptor: Option<Waker>,
}

/// Everything of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) base: Instant,
    pub(super) now: Duration,
    pub(super) random: Random,
    pub(super) weather: Weather,
    pub(super) ends: Vec<Half>,
    pub(super) queues: BTreeMap<SocketAddr, Queue>,
    /// Nobody who connects there hears anything.
    swallowed: BTreeSet<SocketAddr>,
    events: BTreeMap<EventTime, ScheduledEvent>,
    serial: u64,
    pub(super) misused: bool,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new(0, Weather::default()));
}

/// Runs `use_it` on this thread's world. No future may be polled or dropped within.
pub(super) fn with<R>(use_it: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(use_it)
}

/// As [`with`], unless the thread is ending.
pub(super) fn with_if_any(use_it: impl FnOnce(&mut World)) {
    let _ = WORLD.try_with(|world| use_it(&mut world.borrow_mut()));
}

/// Was a descriptor used whose end was closed? Its number may be another connection's by then.
#[must_use]
pub(crate) fn is_misused() -> bool {
    with(|world| world.misused)
}

/// A new world; what was there before must be gone.
pub(crate) fn begin(seed: u64, weather: Weather) {
    let old = WORLD.replace(World::new(seed, weather));
    drop(old);
}

/// The time since the run began.
#[must_use]
pub(crate) fn now() -> Duration {
    with(|world| world.now)
}

/// The simulated monotonic time.
#[must_use]
pub(crate) fn instant() -> Instant {
    with(|world| world.base + world.now)
}

/// The simulated time of day.
#[must_use]
pub(crate) fn system() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(EPOCH) + with(|world| world.now)
}

/// A number below `bound`, by the seed.
#[must_use]
pub(crate) fn below(bound: usize) -> usize {
    with(|world| world.random.below(bound))
}

/// True in so many of 100 cases.
#[must_use]
pub(crate) fn chance(percent: usize) -> bool {
    below(100) < percent
}

/// 64 bits, by the seed.
#[must_use]
pub(crate) fn draw() -> u64 {
    with(|world| world.random.draw())
}

/// Changes the weather.
pub(crate) fn set_weather(weather: Weather) {
    with(|world| world.weather = weather);
}

/// From now on, who connects there hears nothing, or is heard again.
pub(crate) fn set_swallowed(address: SocketAddr, swallowed: bool) {
    with(|world| {
        if swallowed {
            world.swallowed.insert(address);
        } else {
            world.swallowed.remove(&address);
        }
    });
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
    fn new(seed: u64, weather: Weather) -> Self {
        Self {
            base: Instant::now(),
            now: Duration::ZERO,
            random: Random::new(seed),
            weather,
            ends: Vec::new(),
            queues: BTreeMap::new(),
            swallowed: BTreeSet::new(),
            events: BTreeMap::new(),
            serial: 0,
            misused: false,
        }
    }

    /// A number that nothing else has.
    pub(super) const fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// An address for one more client.
    pub(super) fn next_client(&self) -> SocketAddr {
        let port = u16::try_from(1_024 + self.ends.len() % 60_000).unwrap_or(u16::MAX);
        (Ipv4Addr::new(10, 0, 0, 1), port).into()
    }

    /// `event` happens at `due`.
    pub(super) fn schedule(&mut self, due: Duration, event: ScheduledEvent) {
        let serial = self.serial();
        self.events.insert(EventTime { due, serial }, event);
    }

    /// Moves on to the next moment at which something is due; false if nothing is.
    pub(super) fn advance(&mut self) -> bool {
        let Some((time, event)) = self.events.pop_first() else { return false };
        self.now = self.now.max(time.due);
        match event {
            ScheduledEvent::Arrival(end) => self.arrive(end),
            ScheduledEvent::Wake(waker) => waker.wake(),
        }
        true
    }

    /// How long the next parcel is under way.
    pub(super) fn delay(&mut self) -> Duration {
        let most = self.weather.delay_ms;
        Duration::from_millis(self.random.below(most + 1) as u64)
    }

    /// How much of `len` bytes one operation takes.
    pub(super) fn portion(&mut self, len: usize) -> usize {
        if self.random.below(100) >= self.weather.hesitation {
            return len;
        }
        (1 + self.random.below(len.max(1))).min(len)
    }

    /// How long the next segment of `len` bytes is.
    pub(super) fn segment(&mut self, len: usize) -> usize {
        let segments = self.weather.segments;
        if segments <= 1 || len <= 1 {
            return len;
        }
        let shortest = len.div_ceil(segments * 2);
        let most = if self.random.below(4) == 0 { 3 } else { len };
        (shortest.max(1) + self.random.below(most)).min(len)
    }

    /// Does nobody there hear who connects?
    pub(super) fn swallows(&self, address: SocketAddr) -> bool {
        self.swallowed.contains(&address)
    }

    /// Puts a connection into the queue of `address`; our end of it.
    pub(super) fn connect(&mut self, address: SocketAddr, local: SocketAddr) -> io::Result<usize> {
        if !self.queues.contains_key(&address) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = self.pair();
        let queue = self.queues.entry(address).or_default();
        queue.waiting.push_back(Connecting { end: theirs, peer: local });
        if let Some(acceptor) = queue.acceptor.take() {
            acceptor.wake();
        }
        Ok(ours)
    }
}
