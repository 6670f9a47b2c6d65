//! The status of the process: the generation in force, how reloads went, and what was counted.
//!
//! The loader writes it; the metrics endpoint and the admin socket read it. No data core uses it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::certificates::{self, ConfiguredCertificate};
use super::connection_survey::ConnectionSurvey;
use super::log_level::LogLevel;
use super::name_status::NameStatus;
use super::totals::{GenerationLabels, MetricTotals, ObjectTotals};
use super::upgrades::UpgradeBoard;
use crate::control::checks::CheckBoard;
use crate::control::crl_fetch::CrlFetchBoard;
use crate::control::logs::lost_lines::LostLines;
use crate::control::process::clock;
use crate::health::{Breakers, NodeStates};
use crate::limits::Limits;
use crate::report::{ExpiringClients, Meters, expiry_tracker};
use crate::setup::{CoreLink, Generation, RefusedFiles};

/// How long the cores may take to post the clients that they remember.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(1);
/// How often control checks whether they have.
const CLIENTS_CHECK_EVERY: Duration = Duration::from_millis(5);

/// Reloads whose results are kept.
const RELOADS_KEPT: usize = 32;
/// Reasons against one of them that are kept, and characters of each.
const REASONS_MAX: usize = 8;
const REASON_CHARS_MAX: usize = 400;

/// What stands between the names of drivers.
pub(crate) const DRIVERS_JOINT: &str = " and ";
/// How often a wait for a reload checks whether the client that waits is still connected.
const WAITER_CHECK_EVERY: Duration = Duration::from_millis(50);

/// The result of a reload: the number of the generation in force, or every reason why it was refused.
pub(crate) type ReloadResult = Result<u64, Vec<String>>;

/// A reload that was put into force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TakenReload {
    /// The number of the generation in force.
    pub(crate) generation: u64,
    /// What was logged as a warning.
    pub(crate) warnings: Vec<String>,
}

/// What became of a reload that was not refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ReloadAnswer {
    /// It is in force.
    Taken(TakenReload),
    /// This process has taken over meanwhile, and was told to reload.
    PassedOn {
        /// Its number.
        pid: u32,
    },
}

/// What a client that waits for a reload is told: what became of it, or every reason against it.
pub(crate) type TicketAnswer = Result<ReloadAnswer, Vec<String>>;

/// The generation in force.
#[derive(Clone, Debug)]
pub(crate) struct ActiveGeneration {
    pub(crate) generation: Arc<Generation>,
    /// The certificates that its configuration names.
    pub(crate) certificates: Arc<[ConfiguredCertificate]>,
    /// The addresses of its listeners with their real ports, in the order of the configuration.
    pub(crate) bound: Vec<SocketAddr>,
}

/// A core that has not shown a sign of life for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SilentCore {
    /// Which core.
    pub(crate) core: u32,
    /// Since when.
    pub(crate) since: Instant,
}

/// How changed files of certificates, keys and lists were read again since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Renewals {
    /// How often what had changed was put into force.
    pub(crate) taken: u64,
    /// How often files were refused; one that is refused for the same reason again does not count again.
    pub(crate) refused: u64,
}

/// How reloads went since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloads {
    /// How many were put into force.
    pub(crate) taken: u64,
    /// How many were refused.
    pub(crate) refused: u64,
    /// When the last one ended, in Unix seconds; the start of the process if there was none.
    pub(crate) last_at: i64,
    /// The result of the last one.
    pub(crate) last: Option<ReloadResult>,
    /// The last few, the newest last.
    pub(crate) history: VecDeque<ReloadRecord>,
}

/// A reload that has ended.
#[derive(Clone, Debug)]
pub(crate) struct ReloadRecord {
    /// When, in Unix seconds.
    pub(crate) at: i64,
    /// The number of the generation in force since, or the first few reasons against it, cut if they are long.
    pub(crate) result: ReloadResult,
}

impl ReloadRecord {
    fn of(at: i64, result: &ReloadResult) -> Self {
        let cut = |reason: &String| reason.chars().take(REASON_CHARS_MAX).collect();
        let reasons = |reasons: &Vec<String>| reasons.iter().take(REASONS_MAX).map(cut).collect();
        Self { at, result: result.as_ref().copied().map_err(reasons) }
    }
}

/// The clients that one core has posted, and how far its mailbox was read.
#[derive(Debug, Default)]
struct CoreClients {
    cursor: u64,
    list: Arc<ExpiringClients>,
}

/// The status of the process. Shared by all threads of control.
#[derive(Debug)]
pub(crate) struct ProcessStatus {
    /// One link for each core.
    pub(crate) links: Vec<Arc<CoreLink>>,
    /// When the process was started.
    pub(crate) started: Instant,
    /// The same in Unix seconds.
    pub(crate) started_unix: i64,
    /// What the log writer has lost.
    pub(crate) lost_lines: Arc<LostLines>,
    /// What active checks came to.
    pub(crate) checks: Arc<CheckBoard>,
    /// How fetches of revocation lists went.
    pub(crate) crl_fetches: Arc<CrlFetchBoard>,
    /// How lookups of upstream nodes' names went.
    pub(crate) names: Arc<NameStatus>,
    /// How binary upgrades went.
    pub(crate) upgrades: UpgradeBoard,
    /// The level of the error log.
    pub(crate) log_level: LogLevel,
    /// Asks the cores for their open connections.
    pub(crate) survey: ConnectionSurvey,
    fields: Mutex<StatusFields>,
    /// Notified when a ticket is answered.
    answered: Condvar,
    /// One for each core. Locked while the cores are asked, so that one thread at a time asks them.
    clients: Mutex<Vec<CoreClients>>,
}

/// What the cores share of the generation in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedStates {
    /// What is known of the nodes.
    pub(crate) node_states: Arc<NodeStates>,
    /// The circuit breakers of the routes.
    pub(crate) breakers: Arc<Breakers>,
    /// The limits of requests.
    pub(crate) limits: Arc<Limits>,
}

/// The part of the status that changes.
#[derive(Debug, Default)]
struct StatusFields {
    current: Option<ActiveGeneration>,
    totals: MetricTotals,
    shared: SharedStates,
    reloads: Reloads,
    renewals: Renewals,
    refused_files: Vec<RefusedFiles>,
    silent_cores: Vec<SilentCore>,
    /// A core, or the loader, has ended by itself.
    lost: bool,
    /// The number of the last ticket.
    last_ticket: u64,
    /// The open tickets: `None` until the reload has ended.
    tickets: BTreeMap<u64, Option<TicketAnswer>>,
}

impl ProcessStatus {
    /// The status at the start of the process, before any generation is in force.
    #[must_use]
    pub(crate) fn new(links: Vec<Arc<CoreLink>>) -> Self {
        let clients = links.iter().map(|_| CoreClients::default()).collect();
        let started_unix = clock::unix_seconds();
        let reloads = Reloads { last_at: started_unix, ..Reloads::default() };
        Self {
            links,
            started: clock::monotonic(),
            started_unix,
            lost_lines: Arc::default(),
            checks: Arc::default(),
            crl_fetches: Arc::default(),
            names: Arc::default(),
            upgrades: UpgradeBoard::default(),
            log_level: LogLevel::default(),
            survey: ConnectionSurvey::default(),
            fields: Mutex::new(StatusFields { reloads, ..StatusFields::default() }),
            answered: Condvar::new(),
            clients: Mutex::new(clients),
        }
    }

    fn lock(&self) -> MutexGuard<'_, StatusFields> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a generation is in force; each core counts in meters of its own.
    pub(crate) fn activate(
        &self,
        generation: &Arc<Generation>,
        meters: Vec<Arc<Meters>>,
        shared: SharedStates,
        bound: Vec<SocketAddr>,
    ) {
        let certificates = Arc::from(certificates::of_generation(generation));
        let labels = GenerationLabels::of(generation, &bound);
        let mut fields = self.lock();
        fields.current =
            Some(ActiveGeneration { generation: Arc::clone(generation), certificates, bound });
        fields.totals.add_generation(labels, meters);
        fields.shared = shared;
    }

    /// Records the result of a reload.
    pub(crate) fn record_reload(&self, result: ReloadResult) {
        let reloads = &mut self.lock().reloads;
        match &result {
            Ok(_) => reloads.taken += 1,
            Err(_) => reloads.refused += 1,
        }
        reloads.last_at = clock::unix_seconds();
        if reloads.history.len() >= RELOADS_KEPT {
            reloads.history.pop_front();
        }
        reloads.history.push_back(ReloadRecord::of(reloads.last_at, &result));
        reloads.last = Some(result);
    }

    /// Counts a renewal of files. How the last reload went stays as it was.
    pub(crate) fn count_renewal(&self, taken: bool) {
        let renewals = &mut self.lock().renewals;
        if taken {
            renewals.taken += 1;
        } else {
            renewals.refused += 1;
        }
    }

    /// How renewals of files went.
    pub(crate) fn renewals(&self) -> Renewals {
        self.lock().renewals
    }

    /// Replaces the list of refused files.
    pub(crate) fn set_refused_files(&self, files: Vec<RefusedFiles>) {
        self.lock().refused_files = files;
    }

    /// Files that are refused; what was loaded from them before stays in force.
    pub(crate) fn refused_files(&self) -> Vec<RefusedFiles> {
        self.lock().refused_files.clone()
    }

    /// Replaces the list of cores that have been silent for a while.
    pub(crate) fn set_silent_cores(&self, cores: Vec<SilentCore>) {
        self.lock().silent_cores = cores;
    }

    /// The cores that have been silent for a while.
    pub(crate) fn silent_cores(&self) -> Vec<SilentCore> {
        self.lock().silent_cores.clone()
    }

    /// Records that a core, or the loader, has ended by itself: the process will end.
    pub(crate) fn set_lost(&self) {
        self.lock().lost = true;
    }

    /// Has a core, or the loader, ended by itself?
    pub(crate) fn is_lost(&self) -> bool {
        self.lock().lost
    }

    /// The generation in force.
    pub(crate) fn current(&self) -> Option<ActiveGeneration> {
        self.lock().current.clone()
    }

    /// How reloads went.
    pub(crate) fn reloads(&self) -> Reloads {
        self.lock().reloads.clone()
    }

    /// The totals of what was counted by listener, route, server object and client authority.
    pub(crate) fn totals(&self) -> ObjectTotals {
        self.lock().totals.totals()
    }

    /// Which nodes of the generation in force fail.
    pub(crate) fn node_states(&self) -> Arc<NodeStates> {
        Arc::clone(&self.lock().shared.node_states)
    }

    /// The circuit breakers of the routes in force.
    pub(crate) fn breakers(&self) -> Arc<Breakers> {
        Arc::clone(&self.lock().shared.breakers)
    }

    /// The limits of requests in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.lock().shared.limits)
    }

    /// The drivers that the cores run on, each named once.
    pub(crate) fn drivers(&self) -> String {
        let names: BTreeSet<&str> =
            self.links.iter().map(|link| link.driver.get().text()).collect();
        names.into_iter().collect::<Vec<_>>().join(DRIVERS_JOINT)
    }

    /// How many generations may a core still hold?
    pub(crate) fn generations(&self) -> usize {
        self.lock().totals.generations()
    }

    /// Opens a ticket, under which the result of a reload can be waited for.
    pub(crate) fn open_ticket(&self) -> u64 {
        let mut fields = self.lock();
        fields.last_ticket += 1;
        let ticket = fields.last_ticket;
        fields.tickets.insert(ticket, None);
        ticket
    }

    /// Closes a ticket for which nobody will wait.
    pub(crate) fn close_ticket(&self, ticket: u64) {
        self.lock().tickets.remove(&ticket);
    }

    /// Answers a ticket, unless it is closed by now.
    pub(crate) fn answer_ticket(&self, ticket: u64, result: TicketAnswer) {
        if let Some(answer) = self.lock().tickets.get_mut(&ticket) {
            *answer = Some(result);
        }
        self.answered.notify_all();
    }

    /// Waits for the answer to a ticket, and closes it. `None` if the patience runs out, or the client
    /// that waits is no longer connected.
    pub(crate) fn wait_for_reload(
        &self,
        ticket: u64,
        patience: Duration,
        is_connected: impl Fn() -> bool,
    ) -> Option<TicketAnswer> {
        let started = clock::monotonic();
        let open =
            |fields: &mut StatusFields| fields.tickets.get(&ticket).is_some_and(Option::is_none);
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let pause = left.min(WAITER_CHECK_EVERY);
            let waited = self.answered.wait_timeout_while(self.lock(), pause, open);
            let (mut fields, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if !timeout.timed_out() || left.is_zero() || !is_connected() {
                return fields.tickets.remove(&ticket).flatten();
            }
        }
    }

    /// The clients seen in the last 24 hours, the soonest to expire first.
    pub(crate) fn clients(&self) -> ExpiringClients {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        for link in &self.links {
            link.request_clients();
        }
        let started = clock::monotonic();
        let mut unanswered: Vec<usize> = (0..self.links.len()).collect();
        // A core that is busy or lost does not hold up the others; its last list counts.
        while !unanswered.is_empty() && started.elapsed() < CLIENTS_PATIENCE {
            unanswered.retain(|at| {
                let (Some(link), Some(core)) = (self.links.get(*at), clients.get_mut(*at)) else {
                    return false;
                };
                let Some(list) = link.clients.changed(&mut core.cursor) else { return true };
                core.list = list;
                false
            });
            if !unanswered.is_empty() {
                std::thread::park_timeout(CLIENTS_CHECK_EVERY);
            }
        }
        expiry_tracker::merge(clients.iter().map(|core| &*core.list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ExpiringClient;

    #[test]
    fn an_answer_is_given_once() {
        let status = Arc::new(ProcessStatus::new(Vec::new()));
        let taken =
            |generation| Ok(ReloadAnswer::Taken(TakenReload { generation, warnings: Vec::new() }));
        let ticket = status.open_ticket();
        let answering = Arc::clone(&status);
        let answerer = std::thread::spawn(move || answering.answer_ticket(ticket, taken(7)));
        assert_eq!(
            status.wait_for_reload(ticket, Duration::from_secs(10), || true),
            Some(taken(7))
        );
        answerer.join().unwrap();
        assert_eq!(status.wait_for_reload(ticket, Duration::ZERO, || true), None);
        let late = status.open_ticket();
        assert_eq!(status.wait_for_reload(late, Duration::from_millis(1), || true), None);
        // The client that waits has left.
        let gone = status.open_ticket();
        assert_eq!(status.wait_for_reload(gone, Duration::from_secs(600), || false), None);
        status.answer_ticket(late, taken(8));
        assert!(status.lock().tickets.is_empty());
    }

    #[test]
    fn cores_are_asked_for_their_clients() {
        let links: Vec<_> = (0..2).map(|core| Arc::new(CoreLink::new(core))).collect();
        let client = ExpiringClient {
            not_after: 9,
            sha256: [1; 32],
            subject: "CN=a".to_owned(),
            server_name: "a.test".to_owned(),
            last_seen: 1,
            issuer: None,
        };
        let answer = ExpiringClients { verified: vec![client], ..ExpiringClients::default() };
        let core = Arc::clone(&links[0]);
        let answerer = std::thread::spawn(move || {
            let mut seen = 0;
            while !core.clients_requested(&mut seen) {
                std::thread::yield_now();
            }
            core.clients.post(Arc::new(answer));
        });
        // The other core never answers.
        let clients = ProcessStatus::new(links).clients();
        answerer.join().unwrap();
        assert_eq!(clients.verified.len(), 1);
    }

    #[test]
    fn drivers_are_named_once() {
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        for link in &links {
            link.driver.set(crate::setup::Driver::Epoll);
        }
        assert_eq!(ProcessStatus::new(links.to_vec()).drivers(), "epoll");
    }
}
