//! What the process knows of itself: the generation in force, how reloads went, what was counted.
//!
//! Written by the control loop, read by whoever watches. No data core ever comes here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::certificates::{self, Entry};
use super::totals::{GenerationLabels, MetricTotals, ObjectTotals};
use crate::control::process::clock;
use crate::report::{Blips, Meters, radar};
use crate::setup::{CoreLink, Generation, RefusedFiles};

/// How long the cores may take to hand out the clients they remember.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(1);
/// How often their answers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often it is looked whether somebody waits still.
const LOOK_WHETHER_THERE: Duration = Duration::from_millis(50);

/// How a reload went: the number of the generation in force, or every reason against it.
pub(crate) type Reloaded = Result<u64, Vec<String>>;

/// What is in force now.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// The generation.
    pub(crate) generation: Arc<Generation>,
    /// Its certificates.
    pub(crate) certificates: Arc<[Entry]>,
    /// Where we really listen, in the order of the configuration.
    pub(crate) bound: Vec<SocketAddr>,
}

/// How reloads went so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloads {
    /// Taken.
    pub(crate) taken: u64,
    /// Refused.
    pub(crate) refused: u64,
    /// When the last one was done, Unix seconds; the start if there was none.
    pub(crate) last_at: i64,
    /// How it went.
    pub(crate) last: Option<Reloaded>,
}

/// The board.
#[derive(Debug)]
pub(crate) struct Board {
    /// The cores.
    pub(crate) links: Vec<Arc<CoreLink>>,
    /// When the process was started.
    pub(crate) started: Instant,
    /// The same in Unix seconds.
    pub(crate) started_unix: i64,
    state: Mutex<State>,
    answered: Condvar,
    /// What each core's box of clients was seen to hold; held while somebody asks.
    asking: Mutex<Vec<(u64, Arc<Blips>)>>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    totals: MetricTotals,
    reloads: Reloads,
    /// Files that are refused, while what they hold stays as it was.
    refused_files: Vec<RefusedFiles>,
    tickets: u64,
    answers: BTreeMap<u64, Option<Reloaded>>,
}

impl Board {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(links: Vec<Arc<CoreLink>>) -> Self {
        let asking = links.iter().map(|_| (0, Arc::default())).collect();
        let started_unix = clock::unix_seconds();
        let reloads = Reloads { last_at: started_unix, ..Reloads::default() };
        Self {
            links,
            started: clock::monotonic(),
            started_unix,
            state: Mutex::new(State { reloads, ..State::default() }),
            answered: Condvar::new(),
            asking: Mutex::new(asking),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A generation is in force; each core counts in its own meters.
    pub(crate) fn put_up(
        &self,
        generation: &Arc<Generation>,
        meters: Vec<Arc<Meters>>,
        bound: Vec<SocketAddr>,
    ) {
        let certificates = Arc::from(certificates::all(generation));
        let labels = GenerationLabels::of(generation, &bound);
        let mut state = self.state();
        state.current = Some(Current { generation: Arc::clone(generation), certificates, bound });
        state.totals.add_generation(labels, meters);
    }

    /// A reload is over.
    pub(crate) fn reloaded(&self, how: Reloaded) {
        let mut state = self.state();
        match &how {
            Ok(_) => state.reloads.taken += 1,
            Err(_) => state.reloads.refused += 1,
        }
        state.reloads.last_at = clock::unix_seconds();
        state.reloads.last = Some(how);
    }

    /// These files are refused now, and no others.
    pub(crate) fn refuse_files(&self, files: Vec<RefusedFiles>) {
        self.state().refused_files = files;
    }

    /// Files that are refused, while what they hold stays as it was.
    pub(crate) fn refused_files(&self) -> Vec<RefusedFiles> {
        self.state().refused_files.clone()
    }

    /// What is in force.
    pub(crate) fn current(&self) -> Option<Current> {
        self.state().current.clone()
    }

    /// How reloads went.
    pub(crate) fn reloads(&self) -> Reloads {
        self.state().reloads.clone()
    }

    /// Everything that was counted by listener, route, server object and authority.
    pub(crate) fn totals(&self) -> ObjectTotals {
        self.state().totals.totals()
    }

    /// The drivers that the cores run on, each named once.
    pub(crate) fn drivers(&self) -> String {
        let names: BTreeSet<&str> =
            self.links.iter().map(|link| link.driver.get().text()).collect();
        names.into_iter().collect::<Vec<_>>().join(" and ")
    }

    /// Generations that a core may still hold.
    pub(crate) fn generations(&self) -> usize {
        self.state().totals.generations()
    }

    /// A number under which the answer to an order will be found.
    pub(crate) fn ticket(&self) -> u64 {
        let mut state = self.state();
        state.tickets += 1;
        let ticket = state.tickets;
        state.answers.insert(ticket, None);
        ticket
    }

    /// Nobody will ask for this answer.
    pub(crate) fn forget(&self, ticket: u64) {
        self.state().answers.remove(&ticket);
    }

    /// Answers; nobody may be waiting any more.
    pub(crate) fn answer(&self, ticket: u64, answer: Reloaded) {
        if let Some(place) = self.state().answers.get_mut(&ticket) {
            *place = Some(answer);
        }
        self.answered.notify_all();
    }

    /// Waits for an answer; `None` if there is none in time, or before nobody is there to hear it.
    pub(crate) fn wait(
        &self,
        ticket: u64,
        patience: Duration,
        is_there: impl Fn() -> bool,
    ) -> Option<Reloaded> {
        let started = clock::monotonic();
        let open = |state: &mut State| state.answers.get(&ticket).is_some_and(Option::is_none);
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let look = left.min(LOOK_WHETHER_THERE);
            let waited = self.answered.wait_timeout_while(self.state(), look, open);
            let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if !timeout.timed_out() || left.is_zero() || !is_there() {
                return state.answers.remove(&ticket).flatten();
            }
        }
    }

    /// The clients seen in the last 24 hours, the soonest to expire first.
    pub(crate) fn clients(&self) -> Vec<radar::Blip> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        for link in &self.links {
            link.request_clients();
        }
        let started = clock::monotonic();
        let mut open: Vec<usize> = (0..self.links.len()).collect();
        // A core that is busy or gone does not hold up the others' answer; its last one counts.
        while !open.is_empty() && started.elapsed() < CLIENTS_PATIENCE {
            open.retain(|at| {
                let (Some(link), Some((seen, held))) = (self.links.get(*at), asking.get_mut(*at))
                else {
                    return false;
                };
                let Some(fresh) = link.clients.changed(seen) else { return true };
                *held = fresh;
                false
            });
            if !open.is_empty() {
                std::thread::park_timeout(LOOK_EVERY);
            }
        }
        radar::merge(asking.iter().map(|(_, held)| held.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Blip;

    #[test]
    fn an_answer_is_given_once() {
        let board = Arc::new(Board::new(Vec::new()));
        let ticket = board.ticket();
        let answering = Arc::clone(&board);
        let answerer = std::thread::spawn(move || answering.answer(ticket, Ok(7)));
        assert_eq!(board.wait(ticket, Duration::from_secs(10), || true), Some(Ok(7)));
        answerer.join().unwrap();
        assert_eq!(board.wait(ticket, Duration::ZERO, || true), None);
        let late = board.ticket();
        assert_eq!(board.wait(late, Duration::from_millis(1), || true), None);
        // Nobody is there to hear it.
        let gone = board.ticket();
        assert_eq!(board.wait(gone, Duration::from_secs(600), || false), None);
        board.answer(late, Ok(8));
        assert!(board.state().answers.is_empty());
    }

    #[test]
    fn cores_are_asked_for_their_clients() {
        let links: Vec<_> = (0..2).map(|core| Arc::new(CoreLink::new(core))).collect();
        let blip = Blip {
            not_after: 9,
            sha256: [1; 32],
            subject: "CN=a".to_owned(),
            server_name: "a.test".to_owned(),
            last_seen: 1,
        };
        let core = Arc::clone(&links[0]);
        let answerer = std::thread::spawn(move || {
            let mut seen = 0;
            while !core.clients_requested(&mut seen) {
                std::thread::yield_now();
            }
            core.clients.post(Arc::new(Blips(vec![blip])));
        });
        // The other core never answers.
        let clients = Board::new(links).clients();
        answerer.join().unwrap();
        assert_eq!(clients.len(), 1);
    }

    #[test]
    fn drivers_are_named_once() {
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        for link in &links {
            link.driver.set(crate::setup::Driver::Epoll);
        }
        assert_eq!(Board::new(links.to_vec()).drivers(), "epoll");
    }
}
