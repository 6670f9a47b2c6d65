//! `ferrule run`: from a file to everything the data cores need, and from running cores to the end.
//!
//! What can fail comes before the first core starts, and is told on standard error with the exit code
//! of its kind. Once the cores run, the error log is where things are told.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use ferrule_config::model::Runtime;

use super::board::Board;
use super::doors::Doors;
use super::reload::{self, Reloader};
use super::resolve::{self, Resolver};
use super::signals::{self, Order};
use super::supervise::{self, Cores, Ended};
use super::watch::Watch;
use super::{cli, clock, diagnostics, log_writer, machine};
use crate::report::{LogConsumer, LogProducer, log_ring, log_ring::RING_BYTES};
use crate::setup::listeners::Listeners;
use crate::setup::{self, CoreLink};
use crate::tls::tickets::TicketKeys;

/// How long the cores may take to listen.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Descriptors beside connections: sockets, files, rings.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Everything is ready but the cores.
#[derive(Debug)]
pub struct Boot {
    reloader: Reloader,
    orders: Receiver<Order>,
    cores: Vec<Option<usize>>,
    logs: Vec<LogProducer>,
    listening: String,
}

/// Values of the environment, for `${env:NAME}` in the configuration.
#[expect(clippy::disallowed_methods, reason = "the configuration file asks for these by name")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Boot {
    /// Loads the file, opens logs and sockets, and posts the first generation to every core's link.
    ///
    /// # Errors
    /// The exit code; the reasons are on standard error by then.
    pub fn prepare(file: &Path) -> Result<Self, ExitCode> {
        check_kernel()?;
        let tickets = Arc::new(TicketKeys::new());
        let path = file.to_owned();
        let read: Box<reload::Read> =
            Box::new(move || Ok(ferrule_config::read(&path, &environment)?));
        let assemble: Box<reload::Assemble> = Box::new(move |draft, number| {
            setup::assemble(draft, &tickets, number, clock::unix_seconds())
        });
        let draft = read().map_err(|problems| cli::refuse(&problems))?;
        let watch = Watch::of(&draft.config.files());
        let first = assemble(draft, 1).map_err(|problems| cli::refuse(&problems))?;
        let first = Arc::new(first);
        let runtime = &first.config.runtime;
        let descriptors = machine::raise_descriptor_limit();
        let cores = machine::place_workers(runtime);
        let links = (0..).take(cores.len()).map(|core| Arc::new(CoreLink::new(core)));
        let links: Vec<Arc<CoreLink>> = links.collect();
        let (logs, rings): (Vec<LogProducer>, Vec<LogConsumer>) =
            links.iter().map(|_| log_ring(RING_BYTES)).unzip();
        let listeners = Listeners::new(cores.len());
        let prepared = listeners
            .prepare(&first.config)
            .map_err(|errors| cannot_start(&reload::Refused::Bind(errors)))?;
        let log = &first.config.log;
        let outputs = log_writer::LogOutputs::open(log)
            .map_err(|(key, error)| cannot_start(&reload::Refused::Log(key, error)))?;
        let writer =
            log_writer::LogWriter::start(outputs, rings).map_err(|error| cannot_start(&error))?;
        let level = diagnostics::start(&writer, log.level);
        diagnostics::log_panics();
        let (sender, orders) = mpsc::channel();
        signals::start(sender.clone()).map_err(|error| cannot_start(&error))?;
        let resolver = Resolver::start(links.clone(), Box::new(resolve::system))
            .map_err(|error| cannot_start(&error))?;
        let board = Arc::new(Board::new(links.clone()));
        let mut doors = Doors::of(&board, sender);
        let open = doors
            .prepare(&first.config)
            .map_err(|words| cannot_start(&reload::Refused::Door(words)))?;
        reload::warn_of_problems(&first.warnings);
        warn_of_descriptors(descriptors, runtime);
        let bound = prepared.bound().iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut reloader = Reloader {
            read,
            assemble,
            links,
            listeners,
            resolver,
            writer,
            level,
            started_with: runtime.clone(),
            current: Arc::clone(&first),
            board,
            doors,
            watch,
            taken: 0,
            refused: 0,
            files_refused: 0,
        };
        reloader.hand_over(&first, prepared, open);
        Ok(Self { reloader, orders, cores, logs, listening: bound.join(", ") })
    }

    /// `[runtime]` of the first generation.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.reloader.started_with
    }

    /// One entry per worker: the core it is pinned to, if any.
    #[must_use]
    pub fn cores(&self) -> &[Option<usize>] {
        &self.cores
    }

    /// One link per worker.
    #[must_use]
    pub fn links(&self) -> &[Arc<CoreLink>] {
        &self.reloader.links
    }

    /// The cores' ends of the access log, once.
    #[must_use]
    pub fn take_logs(&mut self) -> Vec<LogProducer> {
        std::mem::take(&mut self.logs)
    }

    /// An equal share of `runtime.max_connections` for every worker, rounded up.
    #[must_use]
    pub fn max_connections_per_core(&self) -> u32 {
        let workers = u32::try_from(self.cores.len()).unwrap_or(u32::MAX).max(1);
        self.runtime().max_connections.div_ceil(workers).max(1)
    }

    /// The cores could not be started.
    #[must_use]
    pub fn fail(self, error: &dyn Display) -> ExitCode {
        self.reloader.writer.stop();
        cannot_start(error)
    }

    /// Watches over the cores until the end.
    #[must_use]
    pub fn run(mut self, cores: &dyn Cores) -> ExitCode {
        let code = if self.await_cores(cores) {
            match supervise::supervise(cores, &mut self.reloader, &self.orders) {
                Ended::Stopped => ExitCode::SUCCESS,
                Ended::Cut | Ended::CoreLost => ExitCode::from(cli::CANNOT_RUN),
            }
        } else {
            ExitCode::from(cli::CANNOT_RUN)
        };
        self.reloader.writer.stop();
        code
    }

    /// Says that we are ready once every core listens.
    fn await_cores(&self, cores: &dyn Cores) -> bool {
        let number = self.reloader.current.number;
        let started = clock::monotonic();
        let look = Duration::from_millis(100);
        loop {
            let late = reload::wait_for_cores(cores.links(), number, look);
            if late.is_empty() {
                break;
            }
            if cores.any_ended() || started.elapsed() >= START_PATIENCE {
                tracing::error!("cannot start: {} data cores do not listen", late.len());
                supervise::stop(cores);
                return false;
            }
        }
        tracing::info!(
            "ferrule {} ready: {} workers, driver {}, listening on {}",
            env!("CARGO_PKG_VERSION"),
            self.cores.len(),
            supervise::drivers(cores.links()),
            self.listening,
        );
        true
    }
}

fn check_kernel() -> Result<(), ExitCode> {
    match machine::kernel() {
        Some(version) if version < machine::KERNEL_MIN => {
            let ((major, minor), (need, need_minor)) = (version, machine::KERNEL_MIN);
            Err(cannot_start(&format!(
                "Linux {major}.{minor} is too old: {need}.{need_minor} is needed for epoll, and 6.1 \
                 for the best of io_uring"
            )))
        }
        // A release name that we do not understand is not a reason to stay down.
        Some(_) | None => Ok(()),
    }
}

fn cannot_start(error: &dyn Display) -> ExitCode {
    cli::complain(&format!("ferrule cannot start: {error}"));
    ExitCode::from(cli::CANNOT_RUN)
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
