//! The loader: the thread that reads files, first at the start and then for every reload and renewal.
//!
//! In: commands. Out: generations, posted to the cores. Only a client that asked for a reload waits for
//! this thread, so a file system that does not answer holds up nothing else. Before the first core
//! starts, errors go to standard error with an exit code; after that they go to the error log.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ferrule_config::model::Runtime;

use super::opening;
use super::reloader::{self, Reloader};
use super::resolver::{self, Resolver};
use super::source::GenerationSource;
use super::watched_files::WatchedFiles;
use crate::control::checks::Prober;
use crate::control::endpoints::open_endpoints::OpenEndpoints;
use crate::control::logs::diagnostics;
use crate::control::logs::outputs::LogOutputs;
use crate::control::logs::writer::LogWriter;
use crate::control::process::terminal::{self, cannot_start};
use crate::control::process::{clock, machine};
use crate::control::state::commands::{CommandQueue, LoaderJob, LoaderProgress};
use crate::control::state::status::ProcessStatus;
use crate::control::stores::StoreThreads;
use crate::report::{LogConsumer, LogProducer, log_ring, log_ring::RING_BYTES};
use crate::setup::CoreLink;
use crate::setup::listeners::Listeners;

/// How often the files are checked for changes.
const CHECK_FILES_EVERY: Duration = Duration::from_millis(300);
/// As much as the main thread has: a configuration may be deeply nested.
const STACK_BYTES: usize = 8 << 20;
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
}

/// Starts the thread, and waits until it has loaded everything that the cores need.
///
/// # Errors
/// The exit code; the reasons are on standard error by then. A command to stop is success.
pub(crate) fn start(file: &Path, commands: &Arc<CommandQueue>) -> Result<InitialState, ExitCode> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (path, own) = (file.to_owned(), Arc::clone(commands));
    let thread = std::thread::Builder::new().name("ferrule-files".into()).stack_size(STACK_BYTES);
    let started = thread.spawn(move || {
        // Dropped last, so that the endpoints are closed by then.
        let _notice = EndNotice(Arc::clone(&own));
        match load(&path, &own) {
            Ok((initial, mut reloader)) => {
                drop(sender.send(Ok(initial)));
                own.set_progress(LoaderProgress::Serving);
                serve(&mut reloader, &own);
            }
            Err(code) => drop(sender.send(Err(code))),
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
            LoaderJob::End => return,
            LoaderJob::CheckFiles => {
                reloader.check_files();
                reloader.open_waiting_endpoints();
                // Counted from the end of the check, so that reloads get their turn however long it takes.
                due = clock::monotonic() + CHECK_FILES_EVERY;
            }
            LoaderJob::Reload(tickets) => reloader.reload_for(tickets),
        }
    }
}

/// Loads the file, opens logs and sockets, and posts the first generation to every core's link.
fn load(file: &Path, commands: &Arc<CommandQueue>) -> Result<(InitialState, Reloader), ExitCode> {
    let source = GenerationSource::new(file);
    let draft = source.read().map_err(|problems| terminal::print_problems(&problems))?;
    let watched = WatchedFiles::of(&draft.config.files());
    let first = source.assemble(draft, 1, None);
    let first = Arc::new(first.map_err(|problems| terminal::print_problems(&problems))?);
    let runtime = first.config.runtime.clone();
    let descriptors = machine::raise_descriptor_limit();
    ferrule_config::reserve_descriptors(SPARE_DESCRIPTORS);
    let cores = machine::place_workers(&runtime);
    let links = (0..).take(cores.len()).map(|core| Arc::new(CoreLink::new(core)));
    let links: Vec<Arc<CoreLink>> = links.collect();
    let (logs, rings): (Vec<LogProducer>, Vec<LogConsumer>) =
        links.iter().map(|_| log_ring(RING_BYTES)).unzip();
    let listeners = Arc::new(Listeners::new(cores.len()));
    let prepared = opening::open(&listeners, &first.config, || !commands.is_stopping())
        .map_err(|errors| cannot_start(&reloader::ReloadError::Bind(errors)))?;
    let outputs = LogOutputs::open(&first.config.log).map_err(|error| cannot_start(&error))?;
    let status = Arc::new(ProcessStatus::new(links.clone()));
    let writer = LogWriter::start(outputs, rings, &status.lost_lines)
        .map_err(|error| cannot_start(&error))?;
    let level = diagnostics::start(&writer, first.config.log.level);
    diagnostics::log_panics(&writer);
    let (names, look_up) = (Arc::clone(&status.names), Arc::new(resolver::system));
    let resolver = Resolver::start(links.clone(), look_up, names, &status.checks)
        .map_err(|error| cannot_start(&error))?;
    let mut endpoints = OpenEndpoints::new(&status, commands);
    let open = endpoints
        .prepare(&first.config)
        .map_err(|words| cannot_start(&reloader::ReloadError::Endpoint(words)))?;
    reloader::warn_of_problems(&first.warnings);
    reloader::warn_of_waiting(&open);
    warn_of_descriptors(descriptors, &runtime, first.warnings.is_given("runtime.max_connections"));
    let bound = prepared.bound().iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut reloader = Reloader {
        source,
        links: links.clone(),
        listeners: Arc::clone(&listeners),
        resolver,
        prober: Prober::new(links.first(), &status.checks),
        stores: StoreThreads::default(),
        writer: writer.clone(),
        level,
        started_with: runtime.clone(),
        current: Arc::clone(&first),
        status: Arc::clone(&status),
        endpoints,
        commands: Arc::clone(commands),
        watched,
    };
    reloader.hand_over(&first, prepared, open);
    let listening = bound.join(", ");
    let initial =
        InitialState { runtime, cores, links, logs, listeners, listening, writer, status };
    Ok((initial, reloader))
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
