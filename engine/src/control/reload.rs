//! From a file to every core: the first load, and every reload.
//!
//! Everything that can fail comes first: the file, its certificates, the log files, the sockets. Then
//! each core gets one handover that it takes between two rounds. What is refused changes nothing.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::Problems;
use ferrule_config::model::Runtime;

use super::clock;
use super::diagnostics::LevelSwitch;
use super::log_writer::{LogOutputs, LogWriter};
use super::resolve::Resolver;
use crate::setup::listeners::{BindError, Listeners, Prepared};
use crate::setup::{CoreLink, Generation, Handover};

/// How long a reload waits for names that were not known before. Traffic goes on meanwhile.
pub const NAMES_PATIENCE: Duration = Duration::from_secs(2);
/// How long a reload waits for every core before it says which one is late.
const CORES_PATIENCE: Duration = Duration::from_secs(5);
/// How often the cores' acknowledgements are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Makes the generation of this number from the file as it is now.
pub type Load = dyn Fn(u64) -> Result<Generation, Box<Problems>>;

/// What it takes to put a generation into force.
pub struct Reloader {
    /// Reads the file.
    pub load: Box<Load>,
    /// The cores.
    pub links: Vec<Arc<CoreLink>>,
    /// The open sockets.
    pub listeners: Listeners,
    /// Names of nodes.
    pub resolver: Resolver,
    /// Both logs.
    pub writer: LogWriter,
    /// The level of diagnostics.
    pub level: LevelSwitch,
    /// What is in force.
    pub current: Arc<Generation>,
    /// `[runtime]` as the process was started with.
    pub started_with: Runtime,
    /// How often a reload was taken.
    pub taken: u64,
    /// How often a reload was refused.
    pub refused: u64,
}

/// Why a reload changed nothing.
#[derive(Debug)]
pub enum Refused {
    /// The file or its certificates are wrong.
    Problems(Box<Problems>),
    /// A log cannot be opened: its key in the file, and why.
    Log(&'static str, io::Error),
    /// New addresses cannot be listened on.
    Bind(Vec<BindError>),
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => out.write_str(problems.render_human().trim_end()),
            Self::Log(key, error) => write!(out, "{key} cannot be opened: {error}"),
            Self::Bind(errors) => {
                for (position, error) in errors.iter().enumerate() {
                    let between = if position == 0 { "" } else { "\n" };
                    write!(out, "{between}{error}")?;
                }
                Ok(())
            }
        }
    }
}

impl Reloader {
    /// `SIGHUP`: loads the file and puts it into force, or says why not. Either is logged.
    pub fn reload(&mut self) {
        let started = clock::monotonic();
        match self.try_reload() {
            Ok(late) => {
                self.taken = self.taken.saturating_add(1);
                tracing::info!(
                    "reloaded generation {} in {} ms",
                    self.current.number,
                    started.elapsed().as_millis()
                );
                for core in late {
                    tracing::warn!(core, "the core has not taken the new generation yet");
                }
            }
            Err(refused) => {
                self.refused = self.refused.saturating_add(1);
                let number = self.current.number;
                tracing::error!(
                    "reload refused, generation {number} stays in force ({} refused so far):\n{refused}",
                    self.refused
                );
            }
        }
    }

    /// Returns the cores that have not acknowledged in time.
    fn try_reload(&mut self) -> Result<Vec<u32>, Refused> {
        let number = self.current.number.saturating_add(1);
        let generation = Arc::new((self.load)(number).map_err(Refused::Problems)?);
        let log = &generation.config.log;
        let outputs = LogOutputs::open(log).map_err(|(key, error)| Refused::Log(key, error))?;
        let prepared = self.listeners.prepare(&generation.config).map_err(Refused::Bind)?;
        // From here on nothing can fail.
        self.writer.redirect(outputs);
        self.level.set(log.level);
        warn_of_problems(&generation.warnings);
        warn_of_fixed(&self.started_with, &generation.config.runtime);
        self.hand_over(&generation, prepared);
        self.current = generation;
        Ok(wait_for_cores(&self.links, number, CORES_PATIENCE))
    }

    /// Posts one handover to every core.
    pub fn hand_over(&mut self, generation: &Arc<Generation>, prepared: Prepared) {
        let addresses = self.resolver.find(generation, NAMES_PATIENCE);
        for (core, link) in self.links.iter().enumerate() {
            link.generation.post(Arc::new(Handover {
                generation: Arc::clone(generation),
                listeners: prepared.of_core(core),
                addresses: Arc::clone(&addresses),
            }));
        }
        self.listeners.commit(prepared);
        self.resolver.publish(generation, &addresses);
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Reloader(generation {})", self.current.number)
    }
}

/// Waits until every core serves this generation or a newer one; who does not in time?
#[must_use]
pub fn wait_for_cores(links: &[Arc<CoreLink>], number: u64, patience: Duration) -> Vec<u32> {
    let started = clock::monotonic();
    loop {
        let late = links.iter().filter(|link| link.seen_generation() < number);
        let late: Vec<u32> = late.map(|link| link.core).collect();
        if late.is_empty() || started.elapsed() >= patience {
            return late;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Writes the warnings of a load to the error log.
pub fn warn_of_problems(warnings: &Problems) {
    for warning in warnings.warnings() {
        let field = warning.field.as_str();
        tracing::warn!(field, "{}", warning.message);
    }
}

/// Names what changed in the file but needs a restart.
fn warn_of_fixed(started_with: &Runtime, now: &Runtime) {
    for key in fixed_changes(started_with, now) {
        tracing::warn!("{key} cannot change by a reload; it stays as it was until a restart");
    }
}

fn fixed_changes(started_with: &Runtime, now: &Runtime) -> Vec<&'static str> {
    [
        ("runtime.workers", started_with.workers != now.workers),
        ("runtime.cpu_affinity", started_with.cpu_affinity != now.cpu_affinity),
        ("runtime.ring_entries", started_with.ring_entries != now.ring_entries),
        ("runtime.io_driver", started_with.io_driver != now.io_driver),
        ("runtime.max_connections", started_with.max_connections != now.max_connections),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}
