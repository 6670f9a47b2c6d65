//! The thread that reads files: what the process starts with, and from then on what changes.
//!
//! Nobody waits for it but those who asked for a reload: a file system that does not answer holds up this
//! thread and no other. What can fail comes before the first core starts, and is told on standard error
//! with the exit code of its kind; after that the error log is where things are told.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ferrule_config::model::Runtime;

use super::reloader::{self, Reloader};
use super::resolver::{self, Resolver};
use super::watched_files::WatchedFiles;
use crate::control::endpoints::open_endpoints::OpenEndpoints;
use crate::control::logs::diagnostics;
use crate::control::logs::writer::{LogOutputs, LogWriter};
use crate::control::process::terminal::{self, cannot_start};
use crate::control::process::{clock, environment, machine};
use crate::control::state::commands::{CommandQueue, LoaderJob, LoaderProgress};
use crate::control::state::status::ProcessStatus;
use crate::report::{LogConsumer, LogProducer, log_ring, log_ring::RING_BYTES};
use crate::setup::listeners::Listeners;
use crate::setup::{self, CoreLink};
use crate::tls::tickets::TicketKeys;

/// From one look at files to the next.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// As much as the main thread has: a configuration may be nested.
const STACK_BYTES: usize = 8 << 20;
/// Descriptors in reserve for files: one is enough for all of them in turn, and somebody may be faster.
const SPARE_DESCRIPTORS: usize = 8;
/// Descriptors beside connections: sockets, files, rings.
const DESCRIPTORS_BESIDE: u64 = 256;

/// What the process starts with.
#[derive(Debug)]
pub(crate) struct Start {
    /// `[runtime]` of the first generation.
    pub(crate) runtime: Runtime,
    /// One entry per worker: the core it is pinned to, if any.
    pub(crate) cores: Vec<Option<usize>>,
    /// One per worker; the first generation is posted.
    pub(crate) links: Vec<Arc<CoreLink>>,
    /// The cores' ends of the access log.
    pub(crate) logs: Vec<LogProducer>,
    /// Where we really listen, in words.
    pub(crate) listening: String,
    /// Both logs.
    pub(crate) writer: LogWriter,
    /// What is in force.
    pub(crate) status: Arc<ProcessStatus>,
}

/// Starts the thread, and waits until it has everything that the cores need.
///
/// # Errors
/// The exit code; the reasons are on standard error by then. To be told to stop is success.
pub(crate) fn start(file: &Path, commands: &Arc<CommandQueue>) -> Result<Start, ExitCode> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (path, own) = (file.to_owned(), Arc::clone(commands));
    let thread = std::thread::Builder::new().name("ferrule-files".into()).stack_size(STACK_BYTES);
    let started = thread.spawn(move || {
        // Dropped behind everything else: the endpoints are closed by then.
        let _leave = Leave(Arc::clone(&own));
        match load(&path, &own) {
            Ok((start, mut reloader)) => {
                drop(sender.send(Ok(start)));
                own.set_progress(LoaderProgress::Serving);
                serve(&mut reloader, &own);
            }
            Err(code) => drop(sender.send(Err(code))),
        }
    });
    started.map_err(|error| cannot_start(&error))?;
    match commands.wait_for_start() {
        LoaderProgress::Starting => Err(ExitCode::SUCCESS),
        // It panicked, and has said so.
        LoaderProgress::Serving | LoaderProgress::Ended => {
            receiver.recv().unwrap_or_else(|_| Err(ExitCode::from(terminal::CANNOT_RUN)))
        }
    }
}

/// Says that the thread is gone, however it went.
struct Leave(Arc<CommandQueue>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.set_progress(LoaderProgress::Ended);
    }
}

/// Does what is due and what is wanted, until it is dismissed.
fn serve(reloader: &mut Reloader, commands: &CommandQueue) {
    let mut due = clock::monotonic() + LOOK_EVERY;
    loop {
        match commands.next_job(due) {
            LoaderJob::End => return,
            LoaderJob::CheckFiles => {
                reloader.check_files();
                // Counted from the end, so that what is wanted gets its turn however long a look takes.
                due = clock::monotonic() + LOOK_EVERY;
            }
            LoaderJob::Reload(waiting) => reloader.reload_for(waiting),
        }
    }
}

/// Loads the file, opens logs and sockets, and posts the first generation to every core's link.
fn load(file: &Path, commands: &Arc<CommandQueue>) -> Result<(Start, Reloader), ExitCode> {
    let tickets = Arc::new(TicketKeys::new());
    let again = Arc::clone(&tickets);
    let path = file.to_owned();
    let read: Box<reloader::Read> =
        Box::new(move || Ok(ferrule_config::read(&path, &environment::variable)?));
    let assemble: Box<reloader::Assemble> = Box::new(move |draft, number| {
        setup::assemble(draft, &tickets, number, clock::unix_seconds())
    });
    let renew: Box<reloader::Renew> =
        Box::new(move |current, number| current.renewed(&again, number, clock::unix_seconds()));
    let draft = read().map_err(|problems| terminal::print_problems(&problems))?;
    let watched = WatchedFiles::of(&draft.config.files());
    let first = assemble(draft, 1).map_err(|problems| terminal::print_problems(&problems))?;
    let first = Arc::new(first);
    let runtime = first.config.runtime.clone();
    let descriptors = machine::raise_descriptor_limit();
    ferrule_config::reserve_descriptors(SPARE_DESCRIPTORS);
    let cores = machine::place_workers(&runtime);
    let links = (0..).take(cores.len()).map(|core| Arc::new(CoreLink::new(core)));
    let links: Vec<Arc<CoreLink>> = links.collect();
    let (logs, rings): (Vec<LogProducer>, Vec<LogConsumer>) =
        links.iter().map(|_| log_ring(RING_BYTES)).unzip();
    let listeners = Listeners::new(cores.len());
    let prepared = listeners
        .prepare(&first.config)
        .map_err(|errors| cannot_start(&reloader::ReloadError::Bind(errors)))?;
    let log = &first.config.log;
    let outputs = LogOutputs::open(log).map_err(|error| cannot_start(&error))?;
    let writer = LogWriter::start(outputs, rings).map_err(|error| cannot_start(&error))?;
    let level = diagnostics::start(&writer, log.level);
    diagnostics::log_panics();
    let resolver = Resolver::start(links.clone(), Box::new(resolver::system))
        .map_err(|error| cannot_start(&error))?;
    let status = Arc::new(ProcessStatus::new(links.clone()));
    let mut endpoints = OpenEndpoints::new(&status, commands);
    let open = endpoints
        .prepare(&first.config)
        .map_err(|words| cannot_start(&reloader::ReloadError::Endpoint(words)))?;
    reloader::warn_of_problems(&first.warnings);
    warn_of_descriptors(descriptors, &runtime);
    let bound = prepared.bound().iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut reloader = Reloader {
        read,
        assemble,
        renew,
        links: links.clone(),
        listeners,
        resolver,
        writer: writer.clone(),
        level,
        started_with: runtime.clone(),
        current: Arc::clone(&first),
        status: Arc::clone(&status),
        endpoints,
        commands: Arc::clone(commands),
        watched,
        taken: 0,
        refused: 0,
        files_refused: 0,
    };
    reloader.hand_over(&first, prepared, open);
    let listening = bound.join(", ");
    Ok((Start { runtime, cores, links, logs, listening, writer, status }, reloader))
}

/// Every client connection may need one towards an upstream.
fn warn_of_descriptors(limit: std::io::Result<Option<u64>>, runtime: &Runtime) {
    let wanted = u64::from(runtime.max_connections) * 2 + DESCRIPTORS_BESIDE;
    match limit {
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
