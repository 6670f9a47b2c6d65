//! The thread of one store: when counts are exchanged, and what is said when that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::StoreFault;
use super::session::{StoreAccess, StoreSession};
use crate::control::process::clock;
use crate::limits::{IDLE_LOOK_EVERY, LimitOffer, Limits, OfferCursor, StoreLink, StoreOutcome};
use crate::setup::Generation;

/// Keys of one exchange: a few milliseconds of a server's time.
const KEYS_AT_ONCE: usize = 512;
/// A store that is away is tried again after this time, then after twice as long, and so on up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What a thread works on.
#[derive(Clone)]
pub(super) struct StoreTask {
    pub(super) limits: Arc<Limits>,
    pub(super) generation: Arc<Generation>,
    /// Which of the stores it is.
    pub(super) index: usize,
}

/// Where a thread finds its task.
#[derive(Default)]
pub(super) struct StoreDesk {
    task: Mutex<DeskState>,
    changed: Condvar,
}

#[derive(Default)]
struct DeskState {
    task: Option<StoreTask>,
    /// One more with each task.
    number: u64,
    ended: bool,
}

/// What a thread finds on its desk.
struct DeskFind {
    task: StoreTask,
    number: u64,
    ended: bool,
}

impl StoreDesk {
    /// From now on this is the task.
    pub(super) fn put(&self, task: StoreTask) {
        let mut state = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        state.task = Some(task);
        state.number = state.number.wrapping_add(1);
        self.changed.notify_one();
    }

    /// There is nothing to do any more.
    pub(super) fn end(&self) {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.changed.notify_one();
    }

    /// Waits until `due`, or until there is something new.
    fn wait(&self, seen: u64, due: Instant) -> Option<DeskFind> {
        let mut state = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        while state.number == seen && !state.ended {
            let left = due.saturating_duration_since(clock::monotonic());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let task = state.task.clone()?;
        Some(DeskFind { task, number: state.number, ended: state.ended })
    }
}

/// What a thread knows.
struct StoreWorker<'a> {
    link: &'a Arc<StoreLink>,
    session: StoreSession,
    cursor: OfferCursor,
    /// What is exchanged.
    offers: Vec<LimitOffer>,
    /// When it was heard of last.
    heard: Option<Instant>,
    retry: Duration,
    /// What was said last, so that it is said once.
    told: Option<StoreOutcome>,
}

/// Exchanges counts until the desk says that there is nothing to do any more; then once more.
pub(super) fn run(link: &Arc<StoreLink>, desk: &StoreDesk) {
    let mut worker = StoreWorker {
        link,
        session: StoreSession::new(),
        cursor: OfferCursor::default(),
        offers: Vec::new(),
        heard: None,
        retry: RETRY_MIN,
        told: None,
    };
    let (mut seen, mut due) = (0, clock::monotonic());
    while let Some(found) = desk.wait(seen, due) {
        if found.number != seen {
            seen = found.number;
            // Its TLS may be another.
            worker.session = StoreSession::new();
        }
        // The parser of answers is not ours: should one of them make it panic, that is a failed exchange.
        let round = catch_unwind(AssertUnwindSafe(|| worker.round(&found.task)));
        due = round.unwrap_or_else(|_| worker.give_up(&found.task));
        if found.ended {
            return;
        }
    }
}

impl StoreWorker<'_> {
    /// One exchange; when the next one is due.
    fn round(&mut self, task: &StoreTask) -> Instant {
        let started = clock::monotonic();
        let now = || task.limits.now_ns(clock::monotonic());
        self.offers = task.limits.offers(self.link, &mut self.cursor, KEYS_AT_ONCE, now());
        let offers = &self.offers;
        let access = StoreAccess {
            store: &self.link.definition,
            tls: task.generation.tls.stores.get(task.index).and_then(Option::as_ref),
        };
        let is_idle = offers.is_empty();
        let heard_lately =
            self.heard.is_some_and(|at| started.duration_since(at) < IDLE_LOOK_EVERY);
        let done = match (is_idle, heard_lately) {
            (true, true) => return started + self.link.definition.sync_interval,
            (true, false) => self.session.look(access),
            (false, _) => self.session.exchange(access, offers, &now),
        };
        match done {
            Ok(()) => {
                self.heard = Some(clock::monotonic());
                let keys = self.offers.len();
                self.succeed(keys as u64, now());
                // There is more: as much as the server takes.
                let more = keys >= KEYS_AT_ONCE;
                if more { started } else { started + self.link.definition.sync_interval }
            }
            Err(fault) => self.fail(&fault, now()),
        }
    }

    /// Something has panicked.
    fn give_up(&mut self, task: &StoreTask) -> Instant {
        self.offers.iter().for_each(LimitOffer::withdraw);
        let fault = StoreFault::new(StoreOutcome::Nonsense, "what it answers cannot be read");
        self.fail(&fault, task.limits.now_ns(clock::monotonic()))
    }

    fn succeed(&mut self, keys: u64, now: u64) {
        self.link.record(StoreOutcome::Done, keys, now);
        self.retry = RETRY_MIN;
        if self.told.replace(StoreOutcome::Done) != Some(StoreOutcome::Done) {
            tracing::info!("store {}: counts are exchanged", self.link.definition.id);
        }
    }

    /// It is away; when it is tried again.
    fn fail(&mut self, fault: &StoreFault, now: u64) -> Instant {
        self.heard = None;
        self.session.restart();
        self.link.record(fault.outcome, 0, now);
        if self.told.replace(fault.outcome) != Some(fault.outcome) {
            let (id, word) = (&self.link.definition.id, fault.outcome.word());
            tracing::warn!("store {id}: counts are not exchanged: {word}: {fault}");
        }
        let pause = self.retry;
        self.retry = pause.saturating_mul(2).min(RETRY_MAX);
        clock::monotonic() + pause
    }
}
