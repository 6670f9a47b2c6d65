//! The data cores: the only room that knows monoio.

use std::io;
use std::sync::Arc;

use ferrule_config::model::IoDriver;

use crate::report::LogProducer;
use crate::setup::CoreLink;

/// How the cores are run. Fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which kernel interface drives the sockets.
    pub io_driver: IoDriver,
    /// Submission queue entries of each ring.
    pub ring_entries: u32,
    /// One entry per worker: the core it is pinned to, if any.
    pub cores: Vec<Option<usize>>,
    /// Client connections that one core accepts.
    pub max_connections_per_core: u32,
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {}

impl Workers {
    /// Has every worker ended?
    #[must_use]
    pub const fn all_ended(&self) -> bool {
        true
    }

    /// Has any worker ended?
    #[must_use]
    pub const fn any_ended(&self) -> bool {
        true
    }

    /// Waits for every worker's thread.
    pub fn join(self) {}
}

/// Starts one worker per entry of `settings.cores`; links and logs are in the same order.
///
/// # Errors
/// A thread could not be started, or the driver that was asked for is not to be had.
pub fn start(
    settings: Settings,
    links: Vec<Arc<CoreLink>>,
    logs: Vec<LogProducer>,
) -> io::Result<Workers> {
    let _ = (settings, links, logs);
    Err(io::ErrorKind::Unsupported.into())
}
