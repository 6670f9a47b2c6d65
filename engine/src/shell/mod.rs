//! The data cores, on monoio; beside them, only `control/checks` knows it.
//!
//! Rules of this room: Buffers are rented and handed to the kernel, so a future that holds one is driven to
//! its end, never dropped. Every wait has a deadline. No borrow lives across an await. Whatever can be
//! decided without a socket is decided in `exchange`.
//!
//! The layers of this room are called storeys. From the bottom: `transport`, `state`, `client`, `request`,
//! then `service`, `accept` and `worker`. Each may use only those below it. Sockets, tasks and waits come
//! from `transport::net`. Read `service` and `request::serve` first.

pub(crate) mod accept;
pub(crate) mod client;
pub(crate) mod panics;
pub(crate) mod request;
pub(crate) mod service;
pub(crate) mod state;
pub mod transport;
pub mod worker;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use ferrule_config::model::IoDriver;

use crate::report::LogProducer;
use crate::setup::CoreLink;
use crate::setup::connection_counts::ConnectionCounts;

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
    /// TLS 1.3 by our own record layer.
    pub tls_fast_path: bool,
    /// Bytes that the buffers of one core may take.
    pub buffer_bytes_per_core: usize,
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Has every worker ended?
    #[must_use]
    pub fn all_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Has any worker ended?
    #[must_use]
    pub fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Waits for every worker's thread.
    pub fn join(self) {
        for thread in self.threads {
            // A worker that panicked outside its connections has said so on its way out.
            let _ = thread.join();
        }
    }
}

/// Starts one worker per entry of `settings.cores`; links and logs are in the same order.
///
/// # Errors
/// A thread could not be started, or the driver that was asked for is not to be had.
pub fn start(
    settings: &Settings,
    links: Vec<Arc<CoreLink>>,
    logs: Vec<LogProducer>,
) -> io::Result<Workers> {
    transport::driver::check(settings.io_driver, settings.ring_entries)?;
    let connection_counts = Arc::new(ConnectionCounts::default());
    let mut threads = Vec::new();
    for ((pin, link), log) in settings.cores.iter().copied().zip(links).zip(logs) {
        let worker = worker::WorkerSettings {
            pin,
            link,
            log,
            io_driver: settings.io_driver,
            ring_entries: settings.ring_entries,
            connections_max: settings.max_connections_per_core,
            tls_fast_path: settings.tls_fast_path,
            buffer_bytes: settings.buffer_bytes_per_core,
            connection_counts: Arc::clone(&connection_counts),
        };
        let name = format!("ferrule-{}", worker.link.core);
        threads.push(std::thread::Builder::new().name(name).spawn(move || worker::run(worker))?);
    }
    Ok(Workers { threads })
}
