//! One data core: its thread, its runtime, its listeners, its drain.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::{IoDriver, ListenAddress};
use strum::EnumCount;

use super::accept::{self, ListenerState};
use super::service::ConnectionService;
use crate::report::{Counter, LogProducer};
use crate::setup::connection_counts::ConnectionCounts;
use crate::setup::{CoreLink, Driver, Handover, LinkCursor, LinkUpdates, OpenListener, Phase};
use crate::shell::client::accepted::AcceptedBy;
use crate::shell::request::warm_up;
use crate::shell::state::core::{Core, DRAIN_GRACE};
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::buffers::BufferSize;
use crate::shell::transport::deadlines::TICK;
use crate::shell::transport::driver;
use crate::shell::transport::net::{self, Canceller, TcpListener};

/// What one worker is given.
pub struct WorkerSettings {
    /// The core it is pinned to.
    pub pin: Option<usize>,
    /// Its link to control.
    pub link: Arc<CoreLink>,
    /// Its lines for the access log.
    pub log: LogProducer,
    /// Which kernel interface drives its sockets.
    pub io_driver: IoDriver,
    /// Submission queue entries of its ring.
    pub ring_entries: u32,
    /// Client connections it accepts.
    pub connections_max: u32,
    /// TLS 1.3 by our own record layer.
    pub tls_fast_path: bool,
    /// Bytes that its buffers may take.
    pub buffer_bytes: usize,
    /// Connections by client address, all cores together.
    pub connection_counts: Arc<ConnectionCounts>,
}

/// A tunnel is reviewed once in
/// [`REVIEW_INTERVAL`](crate::shell::request::tunnel_review::REVIEW_INTERVAL); as long again is more than its goodbye
/// may take.
const STOP_TICKS: u32 = 20;
/// How often memory is given back: what was not needed for two seconds.
const TRIM_TICKS: u32 = 20;
/// How often idle upstream connections are inspected: once a second.
const INSPECT_TICKS: u32 = 10;

/// The worker's thread, on the best driver to be had.
pub fn run(settings: WorkerSettings) {
    match driver::choose(settings.io_driver, settings.ring_entries) {
        Ok(driver) => run_on(settings, driver),
        Err(error) => {
            let worker = settings.link.core;
            tracing::error!(worker, %error, "the worker could not run");
        }
    }
}

/// The worker's thread, on this rung of the ladder.
pub fn run_on(settings: WorkerSettings, driver: Driver) {
    let number = settings.link.core;
    if let Some(id) = settings.pin
        && !core_affinity::set_for_current(core_affinity::CoreId { id })
    {
        tracing::warn!(worker = number, core = id, "the worker could not be pinned to its core");
    }
    tracing::info!(worker = number, core = settings.pin, driver = driver.text(), "worker starts");
    if let Err(error) = driver::block_on(driver, settings.ring_entries, serve(settings, driver)) {
        tracing::error!(worker = number, %error, "the worker could not run");
    }
}

/// A listener at work, and how to end it.
struct RunningListener {
    state: Rc<ListenerState>,
    canceller: Canceller,
}

/// What tells the listening sockets of a core apart.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
struct SocketPlace {
    address: ListenAddress,
    slot: usize,
}

impl SocketPlace {
    const fn of(open: &OpenListener) -> Self {
        Self { address: open.address, slot: open.slot }
    }
}

struct Worker {
    core: Rc<Core>,
    service: Rc<ConnectionService>,
    running: HashMap<SocketPlace, RunningListener>,
    /// Shared with every accept loop that has not ended.
    accept_loops: Rc<()>,
    driver: Driver,
    connections_max: u32,
    connection_counts: Arc<ConnectionCounts>,
    cursor: LinkCursor,
    /// What was posted last, as long as not all of its listeners accept.
    pending: Option<Arc<Handover>>,
    busy: Duration,
    /// Ticks that tunnels have to end and be logged, once there is no more time.
    stop_ticks: u32,
}

async fn serve(settings: WorkerSettings, driver: Driver) {
    let mut cursor = LinkCursor::default();
    let Some(first) = settings.link.updates(&mut cursor).handover else {
        tracing::error!("a worker was started before it had anything to serve");
        return;
    };
    if let Err(error) = net::open_rounds(driver == Driver::Epoll) {
        tracing::warn!(%error, "no sockets to let others go first by: who does so sleeps");
    }
    let seed = u64::from(settings.link.core);
    let live = LiveGeneration::new(&first, settings.link.core, seed);
    let core = Core::new(
        Arc::clone(&settings.link),
        settings.log,
        live,
        seed,
        settings.tls_fast_path,
        settings.buffer_bytes,
    );
    let core = Rc::new(core);
    let mut worker = Worker {
        service: Rc::new(ConnectionService::new(Rc::clone(&core))),
        core,
        running: HashMap::new(),
        accept_loops: Rc::new(()),
        driver,
        connections_max: settings.connections_max,
        connection_counts: settings.connection_counts,
        cursor,
        pending: None,
        busy: Duration::ZERO,
        stop_ticks: STOP_TICKS,
    };
    worker.core.live().warm_up(worker.core.clock.elapsed());
    worker.core.link.driver.set(driver);
    worker.accept_by(first, true);
    worker.run().await;
}

impl Worker {
    /// Ticks, until the process is to end.
    async fn run(&mut self) {
        let mut ticks = 0_u32;
        let mut wakes = Wakes { last: self.core.clock.elapsed() };
        loop {
            wait_for_tick(&self.service).await;
            let late = wakes.note(self.core.clock.elapsed()).as_micros();
            self.core.events().woke_late(u64::try_from(late).unwrap_or(u64::MAX));
            ticks = ticks.wrapping_add(1);
            self.tick(ticks);
            self.take_updates();
            if self.has_ended() {
                return;
            }
        }
    }

    /// What is done once a tick, or once in so many.
    fn tick(&mut self, ticks: u32) {
        if ticks.is_multiple_of(TRIM_TICKS) {
            self.service.trim();
        }
        let core = &self.core;
        core.tick();
        core.shed_stalled();
        if ticks.is_multiple_of(INSPECT_TICKS) {
            core.inspection.begin();
            let live = core.live();
            live.connections.publish(&live.meters);
        }
        core.give_up_places();
        warm_up::tick(core);
        core.link.beat();
        core.link.set_connections(u64::from(core.open_connections.get()));
        self.measure_busy();
        self.publish_holdings();
        let core = &self.core;
        if core.link.clients_requested(&mut self.cursor.clients_requests) {
            let clients = core.expiry_tracker.borrow_mut().copy(core.clock.unix_seconds());
            core.link.clients.post(Arc::new(clients));
        }
        core.cards.answer(&core.link, core.clock.elapsed());
        self.service.registry.tick(core);
    }

    /// Does what the phase asks for; is there nothing left to be done?
    fn has_ended(&mut self) -> bool {
        match self.core.link.phase.get() {
            Phase::Running => false,
            phase @ (Phase::Relieved | Phase::Draining) => {
                self.core.draining.set(true);
                if phase == Phase::Draining && !self.core.closes_idle.replace(true) {
                    self.core.deadlines.hasten_idle(DRAIN_GRACE);
                }
                // Control closes the sockets when nothing is left to be accepted.
                let accepts = Rc::strong_count(&self.accept_loops) > 1;
                let ended = !accepts && self.core.open_connections.get() == 0;
                if ended {
                    self.check_leftovers();
                }
                ended
            }
            Phase::Stopping => {
                self.stop_listening();
                self.core.stopping.set(true);
                if self.core.open_tunnels.get() == 0 || self.stop_ticks == 0 {
                    return true;
                }
                self.stop_ticks -= 1;
                false
            }
        }
    }

    /// No connection is left: a buffer or timer that is still in use now will never come back.
    fn check_leftovers(&self) {
        let core = &self.core;
        core.pool.borrow_mut().clear(drop);
        let (buffers, timers) = (core.buffers.rented(), core.deadlines.in_use());
        let worker = core.link.core;
        if buffers == [0; BufferSize::COUNT] && timers == 0 {
            tracing::debug!(worker, "drained, and nothing is left over");
        } else {
            tracing::warn!(worker, ?buffers, timers, "drained, but something was never given back");
        }
    }

    /// Takes what control has sent since the last tick.
    fn take_updates(&mut self) {
        let link = Arc::clone(&self.core.link);
        let LinkUpdates { handover, addresses } = link.updates(&mut self.cursor);
        if let Some(handover) = handover {
            self.adopt(handover);
        } else if let Some(pending) = self.pending.take() {
            self.accept_by(pending, false);
        }
        if let Some(addresses) = addresses
            && self.core.live().set_addresses(addresses)
        {
            self.core.retire_connections();
        }
    }

    /// New requests get another generation.
    fn adopt(&mut self, handover: Arc<Handover>) {
        let seed = u64::from(self.core.link.core);
        let live = LiveGeneration::new(&handover, self.core.link.core, seed);
        live.begin_slowly(&self.core.live(), self.core.clock.elapsed());
        self.core.set_live(live);
        self.core.live().warm_up(self.core.clock.elapsed());
        self.service.registry.review_all();
        self.core.retire_connections();
        self.pending = None;
        self.accept_by(handover, true);
    }

    /// Accepts as the newest handover wants, and says so. What cannot be started is tried again with the next tick,
    /// and nothing is said before.
    fn accept_by(&mut self, handover: Arc<Handover>, is_new: bool) {
        let link = Arc::clone(&self.core.link);
        if link.phase.get() != Phase::Running {
            // A core that is late does not take what is another process's by now.
            self.end_released(&handover.released);
            link.acknowledge(handover.generation.number);
            return;
        }
        if self.listen(&handover, is_new) {
            link.acknowledge(handover.generation.number);
            link.acknowledge_handover(&self.cursor);
        } else {
            self.pending = Some(handover);
        }
    }

    fn end_released(&mut self, released: &[ListenAddress]) {
        self.running.retain(|place, running| {
            let stays = !released.contains(&place.address);
            if !stays {
                running.end();
            }
            stays
        });
    }

    /// Starts what is new, leaves alone what stays. What is gone has been closed by control. Does all of it accept?
    fn listen(&mut self, handover: &Handover, says_why_not: bool) -> bool {
        let listeners = &handover.listeners;
        self.running.retain(|place, running| {
            let stays = listeners.iter().find(|open| SocketPlace::of(open) == *place);
            if let Some(open) = stays {
                running.state.follow(self.core.live(), open.listener);
            } else {
                if !handover.released.contains(&place.address) {
                    running.state.remove();
                }
                running.end();
            }
            stays.is_some()
        });
        let mut all = true;
        for open in listeners {
            let place = SocketPlace::of(open);
            if !self.running.contains_key(&place) {
                match self.start(open) {
                    Ok(running) => {
                        self.running.insert(place, running);
                    }
                    Err(error) => {
                        all = false;
                        if says_why_not {
                            tracing::error!(address = %open.address.address, %error, "cannot listen here yet");
                        }
                    }
                }
            }
        }
        all
    }

    fn start(&self, open: &OpenListener) -> std::io::Result<RunningListener> {
        let socket = open.socket.try_clone()?;
        // io_uring answers EAGAIN at once on a non-blocking socket; epoll needs one.
        socket.set_nonblocking(self.driver == Driver::Epoll)?;
        let socket = TcpListener::from_std(socket)?;
        let state = Rc::new(ListenerState {
            accepts_by: RefCell::new(AcceptedBy::new(self.core.live(), open.listener)),
            connections_max: self.connections_max,
            connection_counts: Arc::clone(&self.connection_counts),
            ending: Cell::new(false),
        });
        let canceller = Canceller::new();
        let task =
            accept::run(Rc::clone(&self.service), socket, Rc::clone(&state), canceller.handle());
        let runs = Rc::clone(&self.accept_loops);
        net::spawn(async move {
            task.await;
            drop(runs);
        });
        Ok(RunningListener { state, canceller })
    }

    fn stop_listening(&mut self) {
        for running in self.running.values_mut() {
            running.end();
        }
        self.running.clear();
    }

    /// What the core holds of its own, for whoever looks.
    fn publish_holdings(&self) {
        let (core, resources) = (&self.core, &self.core.events().resources);
        let bytes = |count| u64::try_from(count).unwrap_or(u64::MAX);
        resources.buffer_bytes.set(bytes(core.buffers.rented_bytes()));
        resources.buffer_budget.set(bytes(core.buffers.budget()));
        let levels = [
            (&resources.buffers_rented, core.buffers.rented()),
            (&resources.buffers_free, core.buffers.free()),
            (&resources.buffers_peak, core.buffers.peak()),
        ];
        for (tallies, counts) in levels {
            for (tally, count) in tallies.iter().zip(counts) {
                tally.set(count.into());
            }
        }
    }

    /// The thread's processor time since the last look.
    fn measure_busy(&mut self) {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
        let busy = Duration::new(seconds, nanoseconds);
        let more = busy.saturating_sub(self.busy).as_nanos();
        self.busy = busy;
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        self.core.counters().add(Counter::BusyNanoseconds, more);
    }
}

/// When the timer of a core has woken.
struct Wakes {
    last: Duration,
}

impl Wakes {
    /// It wakes now; how late that is. Counted from the wake before, so that what the core does between two of them
    /// by its own timer counts, too: it holds up every connection as well.
    fn note(&mut self, now: Duration) -> Duration {
        let due = self.last + TICK;
        self.last = now;
        now.saturating_sub(due)
    }
}

/// Waits for the next tick. Meanwhile a new generation is held against the connected clients, and idle
/// upstream connections are looked at.
pub(crate) async fn wait_for_tick(service: &ConnectionService) {
    let ConnectionService { core, registry, .. } = service;
    let end = core.clock.elapsed() + TICK;
    loop {
        let judging = registry.review_slice(core);
        if judging.is_some() {
            // One slice at a time.
            net::next_round().await;
        }
        let looking = core.inspect_idle();
        let gap = [judging, looking].into_iter().flatten().min();
        let left = end.saturating_sub(core.clock.elapsed());
        net::sleep(gap.unwrap_or(left).min(left)).await;
        if gap.is_none_or(|gap| gap >= left) {
            return;
        }
    }
}

impl RunningListener {
    fn end(&mut self) {
        self.state.end();
        self.canceller = std::mem::take(&mut self.canceller).cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_a_tick_counts_as_lateness() {
        let (start, work) = (Duration::from_secs(7), Duration::from_millis(30));
        let mut wakes = Wakes { last: start };
        assert_eq!(wakes.note(start + TICK), Duration::ZERO);
        // It works, and then waits for a whole tick.
        assert_eq!(wakes.note(start + TICK + work + TICK), work);
        assert_eq!(wakes.note(start + TICK + work + TICK * 2), Duration::ZERO);
    }
}
