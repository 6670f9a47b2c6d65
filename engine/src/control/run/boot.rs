//! `ferrule run`: prepares everything but the cores, then supervises them until the end.
//!
//! In: the configuration file, and later the running cores. Out: the exit code. This thread reads no file:
//! the loader does, and a stop works even while the loader hangs.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::Runtime;
use rustix::process::DumpableBehavior;

use super::signals::CaughtSignals;
use super::supervisor::{self, Cores, RunEnd, Supervisor};
use crate::control::process::clock;
use crate::control::process::machine;
use crate::control::process::terminal::{self, cannot_start};
use crate::control::reload::core_waits;
use crate::control::reload::loader::{self, InitialState};
use crate::control::state::commands::CommandQueue;
use crate::report::LogProducer;
use crate::setup::CoreLink;

/// Buffers may take one part in so many of the memory: the rest is for sessions, certificates and lists,
/// and for the kernel, which may hold as much again for connections.
const BUFFER_SHARE: u64 = 4;
/// Buffers may take this much, however little memory there is.
const BUFFER_BYTES_MIN: u64 = 1 << 20;

/// How long the cores may take until they listen.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long the loader may take to close the endpoints.
const LOADER_PATIENCE: Duration = Duration::from_secs(1);

/// A process in which everything is ready but the cores.
#[derive(Debug)]
pub struct Boot {
    commands: Arc<CommandQueue>,
    initial: InitialState,
}

impl Boot {
    /// Catches signals, loads the file, opens logs and sockets, and posts the first generation to every
    /// core's link.
    ///
    /// # Errors
    /// The exit code; the reasons are on standard error by then. It is that of success if there was a
    /// signal to stop.
    pub fn prepare(file: &Path) -> Result<Self, ExitCode> {
        let signals = CaughtSignals::catch().map_err(|error| cannot_start(&error))?;
        Self::prepare_with(file, signals)
    }

    /// Like [`Boot::prepare`], with signals that were caught before.
    ///
    /// # Errors
    /// As for [`Boot::prepare`].
    pub fn prepare_with(file: &Path, signals: CaughtSignals) -> Result<Self, ExitCode> {
        machine::check_kernel().map_err(|error| cannot_start(&error))?;
        // No core dump may hold a key, and only root may read our memory.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| cannot_start(&error))?;
        use_small_pages();
        let commands = Arc::new(CommandQueue::default());
        signals.forward(Arc::clone(&commands)).map_err(|error| cannot_start(&error))?;
        let initial = loader::start(file, &commands)?;
        Ok(Self { commands, initial })
    }

    /// `[runtime]` of the first generation.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.initial.runtime
    }

    /// One entry per worker: the core it is pinned to, if any.
    #[must_use]
    pub fn cores(&self) -> &[Option<usize>] {
        &self.initial.cores
    }

    /// One link per worker.
    #[must_use]
    pub fn links(&self) -> &[Arc<CoreLink>] {
        &self.initial.links
    }

    /// For each core, the producer of its access log ring. Can be taken once.
    #[must_use]
    pub fn take_logs(&mut self) -> Vec<LogProducer> {
        std::mem::take(&mut self.initial.logs)
    }

    /// An equal share of `runtime.max_connections` for every worker, rounded up.
    #[must_use]
    pub fn max_connections_per_core(&self) -> u32 {
        let workers = u32::try_from(self.cores().len()).unwrap_or(u32::MAX).max(1);
        self.runtime().max_connections.div_ceil(workers).max(1)
    }

    /// An equal share of `runtime.buffer_memory` for every worker; without one, of a quarter of what
    /// this machine or its control group has.
    #[must_use]
    pub fn buffer_bytes_per_core(&self) -> usize {
        let given = self.runtime().buffer_memory;
        let bytes = given.unwrap_or_else(|| machine::memory() / BUFFER_SHARE);
        let workers = u64::try_from(self.cores().len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(bytes.max(BUFFER_BYTES_MIN) / workers).unwrap_or(usize::MAX)
    }

    /// Ends the process, because the cores could not be started.
    #[must_use]
    pub fn fail(self, error: &dyn Display) -> ExitCode {
        self.end();
        cannot_start(error)
    }

    /// Supervises the cores until the end.
    #[must_use]
    pub fn run(self, cores: &dyn Cores) -> ExitCode {
        let supervisor = Supervisor {
            cores,
            commands: &self.commands,
            listeners: &self.initial.listeners,
            status: &self.initial.status,
            writer: &self.initial.writer,
            manager: &self.initial.manager,
        };
        let code = if self.await_cores(cores) {
            match supervisor.run() {
                RunEnd::Stopped => ExitCode::SUCCESS,
                RunEnd::TimedOut | RunEnd::Lost => ExitCode::from(terminal::CANNOT_RUN),
            }
        } else {
            ExitCode::from(terminal::CANNOT_RUN)
        };
        self.end();
        code
    }

    fn end(&self) {
        self.commands.end_loader();
        if !self.commands.wait_for_end(clock::monotonic() + LOADER_PATIENCE) {
            tracing::warn!("a file is still being read; ending all the same");
        }
        self.initial.writer.stop();
    }

    /// Waits until every core listens, or there is a command to stop; false if a core cannot.
    fn await_cores(&self, cores: &dyn Cores) -> bool {
        // The loader may have posted a newer generation by now.
        let first = 1;
        let started = clock::monotonic();
        let look = Duration::from_millis(100);
        loop {
            let late = core_waits::wait_for_cores(cores.links(), first, look);
            if late.is_empty() || self.commands.is_stopping() {
                break;
            }
            if cores.any_ended() || started.elapsed() >= START_PATIENCE {
                tracing::error!("cannot start: {} data cores do not listen", late.len());
                supervisor::stop(cores);
                return false;
            }
        }
        // In an upgrade they listen for the self-test only, and the loader says when this process serves.
        if !self.initial.takes_over {
            loader::log_ready(&self.initial.status, &self.initial.listening);
            self.initial.manager.ready("serving");
        }
        true
    }
}

/// Asks the kernel for pages of 4 KiB alone (prctl(2), `PR_SET_THP_DISABLE`).
///
/// The allocator asks for huge pages. One small block in use then keeps 2 MiB, and the kernel makes huge
/// pages again of memory that was given back: 96 clients that do not read held 170 KiB each, where 34
/// were needed.
/// The price is up to 8 % of a 1 MiB response on a virtual machine (`cargo compare --case large`).
/// A kernel without huge pages has nothing to turn off.
fn use_small_pages() {
    let _: rustix::io::Result<()> = rustix::thread::disable_transparent_huge_pages(true);
}
