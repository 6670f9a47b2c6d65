//! `[runtime]`: threads, rings and limits of the process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::place::Place;

/// `[runtime]`
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Data cores; `None` is one per usable core.
    pub workers: Option<u32>,
    /// Pin each worker to its core.
    pub cpu_affinity: bool,
    /// Submission queue entries of each ring.
    pub ring_entries: u32,
    /// Which kernel interface drives the sockets.
    pub io_driver: IoDriver,
    /// Client connections, all cores together.
    pub max_connections: u32,
    /// Bytes that all buffers together may take; `None` is a share of the machine's memory.
    pub buffer_memory: Option<u64>,
    /// TLS 1.3 by our own record layer instead of rustls's.
    pub tls_fast_path: bool,
    /// Read certificates, keys and what belongs to them again when their files change.
    pub watch_files: bool,
    /// Where the number of the process is written.
    pub pid_file: Option<PathBuf>,
    /// Where that is in the file.
    pub pid_file_place: Place,
    /// How long the process still accepts connections after the command to stop.
    pub shutdown_delay: Duration,
    /// How long a drain may take before connections are cut.
    pub shutdown_timeout: Duration,
    /// How long the new process of a binary upgrade may take until it can serve.
    pub upgrade_timeout: Duration,
    /// How the names of upstream nodes are looked up.
    pub resolver: Resolving,
}

/// `[runtime.resolver]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolving {
    /// The servers, in the order in which they are asked; none are those of `/etc/resolv.conf`.
    pub nameservers: Vec<SocketAddr>,
    /// An answer is good for at least this long, whatever its TTL says.
    pub min_ttl: Duration,
    /// An answer is good for this long at most.
    pub max_ttl: Duration,
}

/// `runtime.io_driver`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum IoDriver {
    /// `io_uring` where the kernel allows it, else epoll, loudly.
    Auto,
    /// `io_uring` or refuse to start.
    IoUring,
    /// epoll.
    Epoll,
}
