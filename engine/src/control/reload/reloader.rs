//! Reloads: from the configuration file to every core.
//!
//! In: the file as it is now. Out: a new generation in force on every core, or every reason against it.
//! All steps that can fail come first: the file, its certificates, log files, sockets. Then each core is
//! posted one handover. A reload that is refused changes nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::Runtime;
use ferrule_config::{Config, Draft, Problems};

use super::core_waits::{of_late, wait_for_cores};
use super::fixed_keys::of_fixed;
use super::opening;
use super::resolver::Resolver;
use super::source::GenerationSource;
use super::watched_files::WatchedFiles;
use crate::control::checks::Prober;
use crate::control::crl_fetch::CrlFetcher;
use crate::control::endpoints::open_endpoints::{OpenEndpoints, PreparedEndpoints};
use crate::control::logs::outputs::{LogOpenError, LogOutputs};
use crate::control::logs::writer::LogWriter;
use crate::control::process::clock;
use crate::control::process::pid_file::PidFile;
use crate::control::process::service_manager::ServiceManager;
use crate::control::state::commands::{CommandQueue, TOO_LATE};
use crate::control::state::status::{
    ProcessStatus, ReloadAnswer, Reloads, SharedStates, TakenReload, TicketAnswer,
};
use crate::control::stores::StoreThreads;
use crate::control::upgrade::offer::UpgradeOffer;
use crate::control::upgrade::program::Program;
use crate::control::upgrade::takeover::FormerProcess;
use crate::health::announce::announce_panic;
use crate::health::{Breakers, NodeStates};
use crate::limits::Limits;
use crate::setup::listeners::{BindError, Listeners, PreparedListeners};
use crate::setup::{Addresses, CoreLink, Generation, Handover, OpenListener};

/// How long a reload waits for names that were not known before. Requests are served meanwhile.
pub const NAMES_PATIENCE: Duration = Duration::from_secs(2);
/// How long a reload waits for every core before it logs which ones are late.
const CORES_PATIENCE: Duration = Duration::from_secs(5);
/// How often the queues of listeners that are being closed are checked.
const CLOSING_CHECK_EVERY: Duration = Duration::from_millis(5);

/// Everything that is needed to put a generation into force.
pub struct Reloader {
    /// Where the next generation comes from.
    pub(super) source: GenerationSource,
    /// One link for each core.
    pub(crate) links: Vec<Arc<CoreLink>>,
    /// The listening sockets.
    pub(crate) listeners: Arc<Listeners>,
    /// Looks up the names of upstream nodes.
    pub(super) resolver: Resolver,
    /// Asks the nodes whether they work.
    pub(super) prober: Prober,
    /// Fetches revocation lists.
    pub(super) crl_fetcher: CrlFetcher,
    /// Exchange counts of limits with other gateways.
    pub(super) stores: StoreThreads,
    /// Writes both logs.
    pub(crate) writer: LogWriter,
    /// The generation in force.
    pub(super) current: Arc<Generation>,
    /// The files that it was loaded from.
    pub(super) watched: WatchedFiles,
    /// `[runtime]` at the start of the process.
    pub(super) started_with: Runtime,
    /// Shows operators what is in force.
    pub(crate) status: Arc<ProcessStatus>,
    /// The metrics endpoint and the admin socket.
    pub(super) endpoints: OpenEndpoints,
    /// Tells whether the process is stopping; then there are no more reloads.
    pub(super) commands: Arc<CommandQueue>,
    /// How the process was started.
    pub(super) program: Program,
    /// The upgrade that goes on.
    pub(super) offer: Option<UpgradeOffer>,
    /// Who has started this process by an upgrade.
    pub(super) former: Option<FormerProcess>,
    /// Who has started the process.
    pub(super) manager: Arc<ServiceManager>,
    /// The file with its number.
    pub(super) pid_file: Option<PidFile>,
}

/// Why a reload was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file or its certificates are wrong.
    #[error("{}", lines(.0.error_lines()))]
    Problems(Box<Problems>),
    /// A log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogOpenError),
    /// A listener cannot be opened.
    #[error("{}", lines(.0.iter()))]
    Bind(Vec<BindError>),
    /// The metrics endpoint or the admin socket cannot be opened.
    #[error("{0}")]
    Endpoint(String),
    /// The process is stopping.
    #[error("{TOO_LATE}")]
    TooLate,
}

/// One thing per line.
fn lines<T: fmt::Display>(things: impl Iterator<Item = T>) -> String {
    let lines: Vec<_> = things.map(|thing| thing.to_string()).collect();
    lines.join("\n")
}

impl Reloader {
    /// Loads the file and puts it into force, or keeps what is in force. Logs the result.
    fn reload(&mut self) -> TicketAnswer {
        let started = clock::monotonic();
        match self
            .source
            .read()
            .map_err(ReloadError::Problems)
            .and_then(|draft| self.try_reload(draft))
        {
            Ok(warnings) => {
                self.status.record_reload(Ok(self.current.number));
                tracing::info!(
                    "reloaded generation {} in {} ms",
                    self.current.number,
                    started.elapsed().as_millis()
                );
                let generation = self.current.number;
                Ok(ReloadAnswer::Taken(TakenReload { generation, warnings }))
            }
            Err(refused) => {
                let reasons: Vec<String> = refused.to_string().lines().map(str::to_owned).collect();
                self.status.record_reload(Err(reasons.clone()));
                // One event for each reason: a log is read line by line.
                for reason in &reasons {
                    tracing::error!("reload refused: {reason}");
                }
                let Reloads { taken, refused, .. } = self.status.reloads();
                tracing::error!(
                    "generation {} stays in force; {taken} reloads taken, {refused} refused so far",
                    self.current.number
                );
                Err(reasons)
            }
        }
    }

    /// Reloads, and answers these tickets.
    pub(super) fn reload_for(&mut self, tickets: Vec<u64>) {
        self.manager.reloading();
        let answer = self.reload();
        self.manager.ready(match &answer {
            Ok(_) => "serving",
            Err(_) => "serving; the last reload was refused",
        });
        for ticket in tickets {
            self.status.answer_ticket(ticket, answer.clone());
        }
    }

    /// Writes the number of the process where the configuration wants it. `runtime.pid_file` changes with a restart or
    /// an upgrade.
    pub(super) fn write_pid_file(&mut self, config: &Config) -> Result<(), String> {
        let Some(path) = &config.runtime.pid_file else { return Ok(()) };
        let wrong = |error| format!("runtime.pid_file: cannot write {}: {error}", path.display());
        self.pid_file = Some(PidFile::write(path).map_err(wrong)?);
        Ok(())
    }

    /// Puts a draft into force. Returns the warnings, which have been logged.
    fn try_reload(&mut self, draft: Draft) -> Result<Vec<String>, ReloadError> {
        let number = self.current.number.saturating_add(1);
        // Before the files are read: a change in between is seen by the next check.
        let watched = WatchedFiles::of(&draft.config.files());
        let in_force = Some(&*self.current);
        let generation =
            self.source.assemble(draft, number, in_force).map_err(ReloadError::Problems)?;
        if self.commands.is_stopping() {
            return Err(ReloadError::TooLate);
        }
        let generation = Arc::new(generation);
        let log = &generation.config.log;
        let outputs = LogOutputs::open(log)?;
        let goes_on = || !self.commands.is_stopping();
        let prepared = opening::open(&self.listeners, &generation.config, goes_on)
            .map_err(ReloadError::Bind)?;
        // The last step that may fail, because it may close an endpoint that stands in the way.
        let endpoints =
            self.endpoints.prepare(&generation.config).map_err(ReloadError::Endpoint)?;
        self.writer.redirect(outputs);
        self.status.log_level.follow(log.level);
        let mut warnings: Vec<String> = generation.warnings.lines().collect();
        warnings.extend(endpoints.waiting().map(str::to_owned));
        warnings.extend(of_fixed(&self.started_with, &generation.config.runtime));
        warnings.extend(self.of_older_lists(&generation));
        log_warnings(&warnings);
        self.hand_over(&generation, prepared, endpoints);
        self.current = generation;
        self.watched = watched;
        self.status.set_refused_files(Vec::new());
        let late = of_late(&wait_for_cores(&self.links, number, CORES_PATIENCE));
        log_warnings(&late);
        warnings.extend(late);
        Ok(warnings)
    }

    /// Puts a generation into force, with prepared sockets and endpoints.
    pub(crate) fn hand_over(
        &mut self,
        generation: &Arc<Generation>,
        prepared: PreparedListeners,
        endpoints: PreparedEndpoints,
    ) {
        let addresses = self.resolver.find(generation, NAMES_PATIENCE);
        let mut closing = self.listeners.close_removed(&prepared, clock::monotonic());
        while !closing.advance(clock::monotonic()) {
            std::thread::park_timeout(CLOSING_CHECK_EVERY);
        }
        self.post(generation, &prepared, &addresses);
        self.listeners.commit(prepared);
        self.endpoints.commit(endpoints);
    }

    /// Opens endpoints that another process had at the start, if they are free by now.
    pub(super) fn open_waiting_endpoints(&mut self) {
        if !self.commands.is_stopping() && !self.commands.is_upgrading() {
            self.endpoints.open_waiting(&self.current.config, clock::monotonic());
        }
    }

    /// Posts one handover to every core.
    pub(super) fn post(
        &self,
        generation: &Arc<Generation>,
        sockets: &PreparedListeners,
        addresses: &Arc<Addresses>,
    ) {
        self.post_with(generation, &|core| sockets.of_core(core), sockets, addresses);
        // Not for the self-test of an upgrade: who may never serve fetches nothing, and writes nothing.
        self.crl_fetcher.follow(generation);
    }

    /// Likewise, but each core listens by other sockets than those that are shown to operators.
    pub(super) fn post_with(
        &self,
        generation: &Arc<Generation>,
        of_core: &dyn Fn(usize) -> Vec<OpenListener>,
        shown: &PreparedListeners,
        addresses: &Arc<Addresses>,
    ) {
        let meters: Vec<_> = self.links.iter().map(|_| Arc::new(generation.meters())).collect();
        let before = self.status.node_states();
        let breakers = Arc::new(Breakers::of(&generation.plan, &self.status.breakers()));
        let (now, cores) = (clock::monotonic(), self.links.len());
        let limits = Arc::new(Limits::of(&generation.plan, &self.status.limits(), now, cores));
        let node_states = Arc::new(NodeStates::of(&generation.plan, &before, now, cores));
        let released = self.listeners.released();
        for ((core, link), meters) in self.links.iter().enumerate().zip(&meters) {
            link.generation.post(Arc::new(Handover {
                generation: Arc::clone(generation),
                listeners: of_core(core),
                released: released.clone(),
                addresses: Arc::clone(addresses),
                node_states: Arc::clone(&node_states),
                breakers: Arc::clone(&breakers),
                limits: Arc::clone(&limits),
                meters: Arc::clone(meters),
            }));
        }
        // After the cores have it: what only informs operators must not delay a revocation.
        let unix_seconds = clock::unix_seconds().unsigned_abs();
        for (upstream, edge) in node_states.review(unix_seconds) {
            announce_panic(&node_states, upstream, edge, unix_seconds);
        }
        self.stores.follow(generation, &limits);
        let shared = SharedStates { node_states, breakers, limits };
        self.status.activate(generation, meters, shared, shown.bound());
        self.resolver.publish(generation, addresses);
        self.prober.follow(generation);
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Reloader(generation {})", self.current.number)
    }
}

/// Writes warnings to the error log, one line each.
pub(super) fn log_warnings(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Writes the warnings of a load to the error log.
pub(super) fn warn_of_problems(warnings: &Problems) {
    log_warnings(&warnings.lines().collect::<Vec<_>>());
}

/// Logs the endpoints that another process still has.
pub(super) fn warn_of_waiting(endpoints: &PreparedEndpoints) {
    log_warnings(&endpoints.waiting().map(str::to_owned).collect::<Vec<_>>());
}

#[cfg(test)]
pub(crate) mod testing {
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;

    use ferrule_config::model::Resolving;

    use super::*;
    use crate::control::names::LookUpKey;
    use crate::control::names::{LookUpError, ResolvedName};

    fn nowhere(_: &LookUpKey, _: &Resolving) -> Result<ResolvedName, LookUpError> {
        Err(LookUpError::NoSuchName)
    }

    /// A folder with a configuration file that listens on this address.
    pub(crate) fn folder(listen: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ferrule.toml");
        write(&file, listen, "");
        (folder, file)
    }

    pub(crate) fn write(file: &Path, listen: &str, more: &str) {
        let log = file.with_file_name("error.log");
        let text = format!(
            "[log]\nerror = {{ path = \"{}\" }}\n{more}\n[[listen]]\naddress = \"{listen}\"\n\
             [[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:9\" = 1 }}\n",
            log.display()
        );
        std::fs::write(file, text).unwrap();
    }

    /// A reloader of this file with two cores, its first generation handed over.
    pub(crate) fn reloader(file: &Path) -> Reloader {
        let source = GenerationSource::new(file);
        let draft = source.read().unwrap();
        let watched = WatchedFiles::of(&draft.config.files());
        let first = Arc::new(source.assemble(draft, 1, None).unwrap());
        let links: Vec<Arc<CoreLink>> = (0..2).map(|core| Arc::new(CoreLink::new(core))).collect();
        let outputs = LogOutputs::open(&first.config.log).unwrap();
        let writer = LogWriter::start(outputs, Vec::new(), &Arc::default()).unwrap();
        let listeners = Arc::new(Listeners::new(links.len()));
        let prepared = listeners.prepare(&first.config).unwrap();
        let status = Arc::new(ProcessStatus::new(links.clone()));
        let commands = Arc::new(CommandQueue::default());
        let mut endpoints = OpenEndpoints::new(&status, &commands);
        let prepared_endpoints = endpoints.prepare(&first.config).unwrap();
        let mut reloader = Reloader {
            source,
            resolver: Resolver::start(
                links.clone(),
                Arc::new(nowhere),
                Arc::default(),
                &status.checks,
            )
            .unwrap(),
            prober: Prober::new(links.first(), &status.checks),
            crl_fetcher: CrlFetcher::new(&status.crl_fetches),
            stores: StoreThreads::default(),
            started_with: first.config.runtime.clone(),
            current: Arc::clone(&first),
            links,
            listeners,
            writer,
            status,
            endpoints,
            commands,
            watched,
            program: Program::of_this_process(),
            offer: None,
            former: None,
            manager: Arc::default(),
            pid_file: None,
        };
        reloader.hand_over(&first, prepared, prepared_endpoints);
        reloader
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::testing::{folder, reloader, write};
    use super::*;
    use crate::setup::LinkCursor;

    fn read_and_try(reloader: &mut Reloader) -> Result<Vec<String>, ReloadError> {
        let draft = reloader.source.read().map_err(ReloadError::Problems)?;
        reloader.try_reload(draft)
    }

    /// Takes what is in the mailbox, as a core does.
    fn take(link: &CoreLink, seen: &mut LinkCursor) -> Option<Arc<Handover>> {
        let handover = link.updates(seen).handover?;
        link.acknowledge(handover.generation.number);
        Some(handover)
    }

    #[test]
    fn a_refused_file_changes_nothing() {
        let (_folder, file) = folder("127.0.0.1:0");
        let mut reloader = reloader(&file);
        let mut seen = LinkCursor::default();
        assert!(take(&reloader.links[0], &mut seen).is_some());
        // The metrics that everybody can read are a warning, and no reason.
        let metrics = "[metrics]\nlisten = '0.0.0.0:1'\n";
        let wrong = format!("{metrics}[[listen]]\naddress = 7\nunknown = 1\n");
        std::fs::write(&file, wrong).unwrap();
        let refused = read_and_try(&mut reloader).unwrap_err();
        assert!(matches!(refused, ReloadError::Problems(_)));
        assert!(refused.to_string().lines().count() >= 2, "{refused}");
        assert!(refused.to_string().lines().all(|line| line.contains(": error: ")), "{refused}");
        assert!(reloader.reload().is_err());
        let reloads = reloader.status.reloads();
        assert_eq!((reloader.current.number, reloads.taken, reloads.refused), (1, 0, 1));
        assert!(take(&reloader.links[0], &mut seen).is_none());
    }

    #[test]
    fn an_address_in_use_refuses_the_reload() {
        let (_folder, file) = folder("127.0.0.1:0");
        let mut reloader = reloader(&file);
        let mut seen = LinkCursor::default();
        assert!(take(&reloader.links[0], &mut seen).is_some());
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        write(&file, &other.local_addr().unwrap().to_string(), "");
        let refused = read_and_try(&mut reloader).unwrap_err();
        assert!(matches!(refused, ReloadError::Bind(ref errors) if errors.len() == 1));
        assert!(refused.to_string().contains("another process"), "{refused}");
        assert!(take(&reloader.links[0], &mut seen).is_none());
        assert_eq!(reloader.current.number, 1);
    }

    #[test]
    fn a_log_that_cannot_be_opened_refuses_the_reload() {
        let (folder, file) = folder("127.0.0.1:0");
        let mut reloader = reloader(&file);
        let access = folder.path().join("no/such/access.log");
        write(&file, "127.0.0.1:0", &format!("access = {{ path = \"{}\" }}", access.display()));
        let refused = read_and_try(&mut reloader).unwrap_err();
        assert!(matches!(refused, ReloadError::Problems(_)), "{refused}");
        let missing = folder.path().join("no/such");
        let words = format!("there is no directory {}", missing.display());
        assert!(refused.to_string().contains(&words), "{refused}");
        assert_eq!(reloader.current.number, 1);
    }

    #[test]
    fn a_taken_file_reaches_every_core_and_keeps_its_sockets() {
        let (_folder, file) = folder("127.0.0.1:0");
        let mut reloader = reloader(&file);
        let mut seen = [LinkCursor::default(), LinkCursor::default()];
        let links = reloader.links.clone();
        let first: Vec<_> =
            links.iter().zip(&mut seen).map(|(link, seen)| take(link, seen).unwrap()).collect();
        let cores = std::thread::spawn(move || {
            let mut second = Vec::new();
            for (link, seen) in links.iter().zip(&mut seen) {
                second.push(loop {
                    if let Some(handover) = take(link, seen) {
                        break handover;
                    }
                    std::thread::yield_now();
                });
            }
            second
        });
        assert!(reloader.reload().is_ok());
        let second = cores.join().unwrap();
        let reloads = reloader.status.reloads();
        assert_eq!((reloader.current.number, reloads.taken, reloads.refused), (2, 1, 0));
        for (old, new) in first.iter().zip(&second) {
            assert_eq!((old.generation.number, new.generation.number), (1, 2));
            assert!(Arc::ptr_eq(&old.listeners[0].socket, &new.listeners[0].socket));
        }
        assert!(!Arc::ptr_eq(&first[0].listeners[0].socket, &first[1].listeners[0].socket));
    }
}
