//! The loader: the thread that reads files, first at the start and then for every reload and renewal.
//!
//! In: commands. Out: generations, posted to the cores. Only a client that asked for a reload waits for
//! this thread, so a file system that does not answer holds up nothing else. Before the first core
//! starts, errors go to standard error with an exit code; after that they go to the error log.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ferrule_config::Problems;
use ferrule_config::model::{Level, Runtime};

use super::opening;
use super::reloader::{self, Reloader};
use super::resolver::{self, Resolver};
use super::source::GenerationSource;
use super::upgrade::Successor;
use super::watched_files::WatchedFiles;
use crate::control::checks::Prober;
use crate::control::crl_fetch::CrlFetcher;
use crate::control::endpoints::open_endpoints::OpenEndpoints;
use crate::control::logs::diagnostics;
use crate::control::logs::outputs::LogOutputs;
use crate::control::logs::writer::LogWriter;
use crate::control::process::service_manager::ServiceManager;
use crate::control::process::terminal::{self, cannot_start};
use crate::control::process::{clock, machine};
use crate::control::state::commands::{CommandQueue, LoaderJob, LoaderProgress};
use crate::control::state::status::ProcessStatus;
use crate::control::stores::StoreThreads;
use crate::control::upgrade::messages::NotServing;
use crate::control::upgrade::program::Program;
use crate::control::upgrade::takeover::Takeover;
use crate::report::{LogConsumer, LogProducer, log_ring, log_ring::RING_BYTES};
use crate::setup::CoreLink;
use crate::setup::inherited::SelfTestSockets;
use crate::setup::listeners::{Listeners, PreparedListeners};

/// How often the files are checked for changes.
const CHECK_FILES_EVERY: Duration = Duration::from_millis(300);
/// Descriptors in reserve for files. One would do, but another thread may take it first.
const SPARE_DESCRIPTORS: usize = 8;
/// Descriptors for other things than connections: listening sockets, files, rings.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Everything that the process starts with.
#[derive(Debug)]
pub(crate) struct InitialState {
    /// `[runtime]` of the first generation.
    pub(crate) runtime: Runtime,
    /// One entry per worker: the core it is pinned to, if any.
    pub(crate) cores: Vec<Option<usize>>,
    /// One link per worker; the first generation is posted to each.
    pub(crate) links: Vec<Arc<CoreLink>>,
    /// For each core, the producer of its access log ring.
    pub(crate) logs: Vec<LogProducer>,
    /// The listening sockets.
    pub(crate) listeners: Arc<Listeners>,
    /// The addresses of the listeners with their real ports, as text.
    pub(crate) listening: String,
    /// Writes both logs.
    pub(crate) writer: LogWriter,
    /// The status of the process.
    pub(crate) status: Arc<ProcessStatus>,
    /// A former process still serves; this one may take over when it has proved itself.
    pub(crate) takes_over: bool,
    /// Who has started it.
    pub(crate) manager: Arc<ServiceManager>,
}

/// Starts the thread, and waits until it has loaded everything that the cores need.
///
/// # Errors
/// The exit code; the reasons are on standard error by then. A command to stop is success.
pub(crate) fn start(file: &Path, commands: &Arc<CommandQueue>) -> Result<InitialState, ExitCode> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (path, own) = (file.to_owned(), Arc::clone(commands));
    let thread = std::thread::Builder::new()
        .name("ferrule-files".into())
        .stack_size(machine::READER_STACK_BYTES);
    let started = thread.spawn(move || {
        // Dropped last, so that the endpoints are closed by then.
        let _notice = EndNotice(Arc::clone(&own));
        match load(&path, &own) {
            Ok(mut loaded) => {
                let listening = loaded.initial.listening.clone();
                drop(sender.send(Ok(loaded.initial)));
                own.set_progress(LoaderProgress::Serving);
                let reloader = &mut loaded.reloader;
                if let Some(successor) = loaded.successor
                    && reloader.take_over(successor)
                {
                    log_ready(&reloader.status, &listening);
                    reloader.manager.ready("serving");
                }
                serve(reloader, &own);
            }
            Err(error) => drop(sender.send(Err(error.print()))),
        }
    });
    started.map_err(|error| cannot_start(&error))?;
    match commands.wait_for_start() {
        LoaderProgress::Starting => Err(ExitCode::SUCCESS),
        // If there is nothing to receive, the thread has panicked.
        LoaderProgress::Serving | LoaderProgress::Ended => {
            receiver.recv().unwrap_or_else(|_| Err(ExitCode::from(terminal::CANNOT_RUN)))
        }
    }
}

/// Records that the thread has ended, even if it ended by a panic.
struct EndNotice(Arc<CommandQueue>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.0.set_progress(LoaderProgress::Ended);
    }
}

/// Checks files and reloads until there is a command to end.
fn serve(reloader: &mut Reloader, commands: &CommandQueue) {
    let mut due = clock::monotonic() + CHECK_FILES_EVERY;
    loop {
        match commands.next_job(due) {
            LoaderJob::End => return reloader.abandon_upgrade(),
            LoaderJob::CheckFiles => {
                reloader.check_files();
                reloader.open_waiting_endpoints();
                // Counted from the end of the check, so that reloads get their turn however long it takes.
                due = clock::monotonic() + CHECK_FILES_EVERY;
            }
            LoaderJob::Reload(tickets) => reloader.reload_for(tickets),
            LoaderJob::Upgrade(number) => reloader.begin_upgrade(number),
            LoaderJob::EndUpgrade => reloader.end_upgrade(),
        }
    }
}

/// What the thread has loaded.
struct Loaded {
    initial: InitialState,
    reloader: Reloader,
    /// What is left to do in an upgrade.
    successor: Option<Successor>,
}

/// Why the process cannot start.
enum StartError {
    /// The configuration is refused.
    Problems(Box<Problems>),
    /// Something else, in words.
    Words(String),
}

impl StartError {
    fn of(error: &dyn Display) -> Self {
        Self::Words(error.to_string())
    }

    /// Prints it, and returns the exit code for it.
    fn print(self) -> ExitCode {
        match self {
            Self::Problems(problems) => terminal::print_problems(&problems),
            Self::Words(words) => cannot_start(&words),
        }
    }

    /// One for each problem.
    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Problems(problems) => problems.error_lines().collect(),
            Self::Words(words) => words.lines().map(str::to_owned).collect(),
        }
    }
}

impl From<Box<Problems>> for StartError {
    fn from(problems: Box<Problems>) -> Self {
        Self::Problems(problems)
    }
}

/// Loads the file, opens logs and sockets, and posts the first generation to every core's link. In an upgrade,
/// the former process learns why that is not possible.
fn load(file: &Path, commands: &Arc<CommandQueue>) -> Result<Loaded, StartError> {
    let program = Program::of_this_process();
    let mut takeover = Takeover::accept().map_err(StartError::Words)?;
    let loaded = load_after(&mut takeover, file, program, commands);
    if let (Err(error), Some(takeover)) = (&loaded, &takeover) {
        takeover.fail(NotServing::untouched(error.reasons()));
    }
    loaded
}

fn load_after(
    takeover: &mut Option<Takeover>,
    file: &Path,
    program: Program,
    commands: &Arc<CommandQueue>,
) -> Result<Loaded, StartError> {
    let source = GenerationSource::new(file);
    let draft = source.read()?;
    let watched = WatchedFiles::of(&draft.config.files());
    let first = Arc::new(source.assemble(draft, 1, None)?);
    let runtime = first.config.runtime.clone();
    let descriptors = machine::raise_descriptor_limit();
    ferrule_config::reserve_descriptors(SPARE_DESCRIPTORS);
    let cores = machine::place_workers(&runtime);
    let links = (0..).take(cores.len()).map(|core| Arc::new(CoreLink::new(core)));
    let links: Vec<Arc<CoreLink>> = links.collect();
    let (logs, rings): (Vec<LogProducer>, Vec<LogConsumer>) =
        links.iter().map(|_| log_ring(RING_BYTES)).unzip();
    let listeners = Arc::new(listeners(takeover.as_mut(), cores.len())?);
    let prepared = opening::open(&listeners, &first.config, || !commands.is_stopping())
        .map_err(|errors| StartError::of(&reloader::ReloadError::Bind(errors)))?;
    let outputs = LogOutputs::open(&first.config.log).map_err(|error| StartError::of(&error))?;
    let status = Arc::new(ProcessStatus::new(links.clone()));
    let writer = LogWriter::start(outputs, rings, &status.lost_lines)
        .map_err(|error| StartError::of(&error))?;
    start_diagnostics(&status, &writer, first.config.log.level);
    let (names, look_up) = (Arc::clone(&status.names), Arc::new(resolver::system));
    let resolver = Resolver::start(links.clone(), look_up, names, &status.checks)
        .map_err(|error| StartError::of(&error))?;
    let manager = Arc::new(service_manager(takeover.is_some()));
    reloader::warn_of_problems(&first.warnings);
    warn_of_descriptors(descriptors, &runtime, first.warnings.is_given("runtime.max_connections"));
    let listening: Vec<String> = prepared.bound().iter().map(ToString::to_string).collect();
    let mut reloader = Reloader {
        source,
        links: links.clone(),
        listeners: Arc::clone(&listeners),
        resolver,
        prober: Prober::new(links.first(), &status.checks),
        crl_fetcher: CrlFetcher::new(&status.crl_fetches),
        stores: StoreThreads::default(),
        writer: writer.clone(),
        started_with: runtime.clone(),
        current: Arc::clone(&first),
        status: Arc::clone(&status),
        endpoints: OpenEndpoints::new(&status, commands),
        commands: Arc::clone(commands),
        watched,
        program,
        offer: None,
        former: None,
        manager,
        pid_file: None,
    };
    let successor = begin(&mut reloader, prepared, takeover)?;
    let initial = InitialState {
        runtime,
        cores,
        links,
        logs,
        listeners,
        listening: listening.join(", "),
        writer,
        status,
        takes_over: successor.is_some(),
        manager: Arc::clone(&reloader.manager),
    };
    Ok(Loaded { initial, reloader, successor })
}

/// From here on the error log has what happens, at this level.
fn start_diagnostics(status: &ProcessStatus, writer: &LogWriter, level: Level) {
    status.log_level.start(diagnostics::start(writer, level), level);
    diagnostics::log_panics(writer);
}

fn service_manager(takes_over: bool) -> ServiceManager {
    ServiceManager::of_environment(takes_over).unwrap_or_else(|words| {
        tracing::warn!("the service manager cannot be told anything: {words}");
        ServiceManager::default()
    })
}

/// Those of a former process, or none yet.
fn listeners(takeover: Option<&mut Takeover>, cores: usize) -> Result<Listeners, StartError> {
    let Some(takeover) = takeover else { return Ok(Listeners::new(cores)) };
    std::mem::take(&mut takeover.listeners).into_listeners(cores).map_err(StartError::Words)
}

/// Posts the first generation to the cores: with its listeners, or, in an upgrade, with those of the self-test.
fn begin(
    reloader: &mut Reloader,
    prepared: PreparedListeners,
    takeover: &mut Option<Takeover>,
) -> Result<Option<Successor>, StartError> {
    let first = Arc::clone(&reloader.current);
    if takeover.is_some() {
        let tests = SelfTestSockets::open(first.config.listens.len(), reloader.links.len())
            .map_err(|error| StartError::of(&error))?;
        reloader.hand_over_for_tests(&prepared, &tests);
        return Ok(takeover.take().map(|takeover| Successor { takeover, prepared, tests }));
    }
    let open = reloader
        .endpoints
        .prepare(&first.config)
        .map_err(|words| StartError::of(&reloader::ReloadError::Endpoint(words)))?;
    reloader::warn_of_waiting(&open);
    reloader.write_pid_file(&first.config).map_err(StartError::Words)?;
    reloader.hand_over(&first, prepared, open);
    Ok(None)
}

/// Says that every core listens.
pub(crate) fn log_ready(status: &ProcessStatus, listening: &str) {
    tracing::info!(
        "ferrule {} ready: {} workers, driver {}, listening on {listening}",
        env!("CARGO_PKG_VERSION"),
        status.links.len(),
        status.drivers(),
    );
}

/// Tells if there are too few descriptors: a client connection may need one more, to an upstream. It is a warning
/// only if somebody has asked for that many connections.
fn warn_of_descriptors(limit: std::io::Result<Option<u64>>, runtime: &Runtime, asked_for: bool) {
    let wanted = u64::from(runtime.max_connections) * 2 + DESCRIPTORS_BESIDE;
    match limit {
        Ok(Some(limit)) if limit < wanted && !asked_for => tracing::info!(
            limit,
            "the limit of open files is enough for {} connections; more need LimitNOFILE= in the \
             service's unit",
            limit.saturating_sub(DESCRIPTORS_BESIDE) / 2
        ),
        Ok(Some(limit)) if limit < wanted => tracing::warn!(
            limit,
            wanted,
            "the limit of open files is too low for runtime.max_connections; raise it \
             (LimitNOFILE= in the service's unit) or lower max_connections"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("cannot raise the limit of open files: {error}"),
    }
}
