//! What is there: the time, what is due, every end and every listener, and the weather.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::ends::Half;
use super::random::Random;

/// How the network behaves in a run.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// The longest time under way, in milliseconds.
    pub delay_ms: usize,
    /// Segments of one send at most; 1 sends it as one.
    pub segments: usize,
    /// The most that may be under way and unread.
    pub room: usize,
    /// Of 100 operations, so many are not done at once, or not whole.
    pub hesitation: usize,
    /// Of 100 connects to a node, so many are refused, hang, or find no descriptor.
    pub no_connection: [usize; 3],
    /// Of 100 accepts, so many fail for want of a descriptor.
    pub no_accept: usize,
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
pub(crate) enum Event {
    /// Parcels for this end.
    Arrival(usize),
    /// Somebody waits for this moment.
    Wake(Waker),
}

/// A listener's queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(super) waiting: VecDeque<(usize, SocketAddr)>,
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
    due: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, Event>,
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

/// Has the peer of this end said anything that nobody has read, arrived or not?
#[must_use]
pub(crate) fn is_spoken_to(described: &impl super::Described) -> bool {
    with(|world| world.is_spoken_to(described.number()))
}

/// Has the peer of this end read everything that was sent to it?
#[must_use]
pub(crate) fn is_heard_out(described: &impl super::Described) -> bool {
    with(|world| world.is_heard_out(described.number()))
}

/// Changes the weather.
pub(crate) fn set_weather(weather: Weather) {
    with(|world| world.weather = weather);
}

/// A moment's hesitation, in some weathers.
pub(super) async fn pause() {
    let wait = with(|world| {
        let hesitation = world.weather.hesitation;
        if world.random.below(100) >= hesitation {
            return None;
        }
        let most = if world.random.below(8) == 0 { world.weather.delay_ms } else { 0 };
        Some(Duration::from_millis(world.random.below(most + 1) as u64))
    });
    if let Some(wait) = wait {
        super::tasks::sleep(wait).await;
    }
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
            due: BinaryHeap::new(),
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
    pub(super) fn schedule(&mut self, due: Duration, event: Event) {
        let serial = self.serial();
        self.events.insert(serial, event);
        self.due.push(Reverse((due, serial)));
    }

    /// Moves on to the next moment at which something is due; false if nothing is.
    pub(super) fn advance(&mut self) -> bool {
        let Some(Reverse((due, serial))) = self.due.pop() else { return false };
        self.now = self.now.max(due);
        match self.events.remove(&serial) {
            Some(Event::Arrival(end)) => self.arrive(end),
            Some(Event::Wake(waker)) => waker.wake(),
            None => {}
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

    /// Puts a connection into the queue of `address`; our end of it.
    pub(super) fn connect(&mut self, address: SocketAddr, local: SocketAddr) -> io::Result<usize> {
        if !self.queues.contains_key(&address) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = self.pair();
        let queue = self.queues.entry(address).or_default();
        queue.waiting.push_back((theirs, local));
        if let Some(acceptor) = queue.acceptor.take() {
            acceptor.wake();
        }
        Ok(ours)
    }
}
