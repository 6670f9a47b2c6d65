//! The endpoints that are open: the metrics endpoint and the admin socket, as the configuration has them.
//!
//! In: the configuration of the next generation. Out: listeners that are ready, or the reason why not. A
//! new listener opens before anything else of a reload takes effect, and an old one closes only after
//! that; one whose address stays the same is kept. Only where the old address stands in the way of the new
//! one, as `0.0.0.0` does of `127.0.0.1` on the same port, the old one closes first, and opens again if
//! the new one cannot be opened.
//!
//! A process that drains keeps its endpoints until it ends. One that is started meanwhile serves without
//! them, and opens them when they are free. In an upgrade the new process takes them over: both have the same
//! sockets for a moment, and neither the former one nor one that fails removes the file of the admin socket.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrule_config::Config;
use rustix::fs::Mode;
use rustix::process::umask;
use socket2::{Domain, SockAddr, Socket, Type};

use super::admin_protocol::AdminProtocol;
use super::listener::{EndpointListener, EndpointSocket};
use super::metrics_endpoint::MetricsEndpoint;
use crate::control::process::directory;
use crate::control::process::port_owners::{self, ProcessName};
use crate::control::state::commands::CommandQueue;
use crate::control::state::status::ProcessStatus;
use crate::control::upgrade::offer::{OfferedAdmin, OfferedMetrics};
use crate::control::upgrade::takeover::{InheritedAdmin, InheritedEndpoints};

/// How often it is tried to open what a predecessor still has.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How often an address is tried again that is in use and that nobody can be found to have.
const LOOKS_MAX: u32 = 10;
/// How long after the last try.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The endpoints of the process that are open.
#[derive(Debug)]
pub(crate) struct OpenEndpoints {
    metrics_endpoint: Arc<MetricsEndpoint>,
    admin_protocol: Arc<AdminProtocol>,
    metrics: Option<MetricsListener>,
    admin: Option<AdminSocket>,
    /// Since the start, the configured admin socket has not been open: a predecessor may have it.
    admin_waits: bool,
    /// Likewise, the listener of metrics.
    metrics_waits: bool,
    tried_at: Option<Instant>,
    /// What a former process hands over, until it is opened.
    inherited: InheritedEndpoints,
}

/// The listener of the metrics endpoint.
#[derive(Debug)]
struct MetricsListener {
    /// The address as configured.
    address: SocketAddr,
    _listener: EndpointListener,
    /// The same socket, for a process that takes it over.
    duplicate: OwnedFd,
    /// It was a former process's.
    inherited: bool,
}

/// The admin socket. When it is dropped, its file is removed.
#[derive(Debug)]
struct AdminSocket {
    path: PathBuf,
    /// The file that we made: another one in its place is not ours to remove.
    file: FileIdentity,
    _listener: EndpointListener,
    /// The same socket, for a process that takes it over.
    duplicate: OwnedFd,
    /// It was a former process's.
    inherited: bool,
    /// Another process has it, too, and removes the file.
    shared: bool,
}

/// What tells a file from another one of the same name.
#[derive(Debug, Eq, PartialEq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

/// The endpoints of the next generation. New ones are open already; dropped unused, they close.
#[derive(Debug)]
pub(crate) struct PreparedEndpoints {
    metrics: EndpointChange<MetricsListener>,
    admin: EndpointChange<AdminSocket>,
}

#[derive(Debug)]
enum EndpointChange<T> {
    Keep,
    Close,
    Open(T),
    /// A predecessor still has it; in words.
    Wait(String),
}

impl<T> EndpointChange<T> {
    fn apply(self, open: &mut Option<T>) {
        match self {
            Self::Keep | Self::Wait(_) => {}
            Self::Close => *open = None,
            Self::Open(endpoint) => *open = Some(endpoint),
        }
    }

    fn waiting(&self) -> Option<&str> {
        if let Self::Wait(words) = self { Some(words) } else { None }
    }

    /// What was to be opened since the start cannot be.
    fn give_up(reason: &str) -> Self {
        tracing::error!("{reason}; it stays closed until the next reload (SIGHUP)");
        Self::Keep
    }

    fn log_opened(&self, what: &str) {
        if matches!(self, Self::Open(_)) {
            tracing::info!("{what} of the former process is open here now");
        }
    }
}

impl PreparedEndpoints {
    const UNCHANGED: Self = Self { metrics: EndpointChange::Keep, admin: EndpointChange::Keep };

    /// What stays closed for now, because a predecessor still has it.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &str> {
        [self.admin.waiting(), self.metrics.waiting()].into_iter().flatten()
    }
}

impl OpenEndpoints {
    /// No open endpoint yet. Those to come show this status, and give commands to this queue.
    pub(crate) fn new(status: &Arc<ProcessStatus>, commands: &Arc<CommandQueue>) -> Self {
        let metrics_endpoint =
            Arc::new(MetricsEndpoint::new(Arc::clone(status), Arc::clone(commands)));
        let admin_protocol = Arc::new(AdminProtocol::new(Arc::clone(status), Arc::clone(commands)));
        Self {
            metrics_endpoint,
            admin_protocol,
            metrics: None,
            admin: None,
            admin_waits: true,
            metrics_waits: true,
            tried_at: None,
            inherited: InheritedEndpoints::default(),
        }
    }

    /// Takes these over when they are prepared, as far as the configuration names them. What it does not name is
    /// closed here at once: it would look as if this process had it, and not the former one that is waited for.
    pub(crate) fn inherit(&mut self, mut inherited: InheritedEndpoints, config: &Config) {
        let metrics = config.metrics.as_ref().map(|metrics| metrics.listen);
        inherited.metrics = inherited.metrics.filter(|one| Some(one.address) == metrics);
        let admin = config.admin.as_ref().map(|admin| &admin.socket);
        inherited.admin = inherited.admin.filter(|one| Some(&one.path) == admin);
        self.inherited = inherited;
    }

    /// The former process ends: what was inherited and is not open is closed, what is open is ours.
    pub(crate) fn own(&mut self) {
        self.inherited = InheritedEndpoints::default();
        if let Some(admin) = &mut self.admin {
            admin.shared = false;
        }
    }

    /// Was the listener of metrics a former process's?
    pub(crate) fn has_inherited_metrics(&self) -> bool {
        self.metrics.as_ref().is_some_and(|metrics| metrics.inherited)
    }

    /// Was the admin socket a former process's?
    pub(crate) fn has_inherited_admin(&self) -> bool {
        self.admin.as_ref().is_some_and(|admin| admin.inherited)
    }

    /// The listener of metrics, for another process.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn offer_metrics(&self) -> io::Result<Option<OfferedMetrics>> {
        let Some(MetricsListener { address, duplicate, .. }) = &self.metrics else {
            return Ok(None);
        };
        Ok(Some(OfferedMetrics { address: *address, socket: duplicate.try_clone()? }))
    }

    /// The admin socket, for another process; none if its file is gone.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub(crate) fn offer_admin(&self) -> io::Result<Option<OfferedAdmin>> {
        let Some(admin) = self.admin.as_ref().filter(|admin| admin.is_in_place()) else {
            return Ok(None);
        };
        Ok(Some(OfferedAdmin { path: admin.path.clone(), socket: admin.duplicate.try_clone()? }))
    }

    /// Another process has taken the listener of metrics over.
    pub(crate) fn release_metrics(&mut self) {
        self.metrics = None;
    }

    /// Another process has taken the admin socket over.
    pub(crate) fn release_admin(&mut self) {
        if let Some(mut admin) = self.admin.take() {
            admin.shared = true;
        }
    }

    /// Opens the endpoints that the configuration names and that are not open yet.
    ///
    /// # Errors
    /// The reason in words; nothing has changed then.
    pub(crate) fn prepare(&mut self, config: &Config) -> Result<PreparedEndpoints, String> {
        let admin = self.prepare_admin(config)?;
        // Last, because it may close a listener that stands in the way.
        let metrics = self.prepare_metrics(config)?;
        Ok(PreparedEndpoints { metrics, admin })
    }

    fn prepare_admin(&mut self, config: &Config) -> Result<EndpointChange<AdminSocket>, String> {
        Ok(match (&config.admin, &self.admin) {
            (None, _) => EndpointChange::Close,
            (Some(wanted), Some(open)) if wanted.socket == open.path && open.is_in_place() => {
                EndpointChange::Keep
            }
            (Some(wanted), _) => match self.open_admin(&wanted.socket) {
                Ok(socket) => EndpointChange::Open(socket),
                Err(error) => {
                    let reason =
                        format!("admin.socket: cannot open {}: {error}", wanted.socket.display());
                    Self::wait_for(self.admin_waits, listening_process(&wanted.socket), reason)?
                }
            },
        })
    }

    fn prepare_metrics(
        &mut self,
        config: &Config,
    ) -> Result<EndpointChange<MetricsListener>, String> {
        Ok(match (&config.metrics, &self.metrics) {
            (None, _) => EndpointChange::Close,
            (Some(wanted), Some(open)) if wanted.listen == open.address => EndpointChange::Keep,
            (Some(wanted), _) => self.open_or_wait(wanted.listen)?,
        })
    }

    fn open_or_wait(&mut self, to: SocketAddr) -> Result<EndpointChange<MetricsListener>, String> {
        let mut left = LOOKS_MAX;
        loop {
            let error = match self.move_metrics(to) {
                Ok(listener) => return Ok(EndpointChange::Open(listener)),
                Err(error) => error,
            };
            let in_use = error.kind() == io::ErrorKind::AddrInUse;
            let owner = if in_use { port_owners::predecessor_at(to) } else { None };
            if in_use && owner.is_none() && self.metrics_waits && left > 0 {
                // A predecessor that ends may have closed it between the two.
                left -= 1;
                std::thread::park_timeout(LOOK_EVERY);
                continue;
            }
            let reason = format!("metrics.listen: cannot listen on {to}: {error}");
            return Self::wait_for(self.metrics_waits, owner, reason);
        }
    }

    /// What cannot be opened can wait if a process of this program has it. Only since the start: a reload
    /// of a process that had all its endpoints is refused.
    fn wait_for<T>(
        waits: bool,
        owner: Option<ProcessName>,
        reason: String,
    ) -> Result<EndpointChange<T>, String> {
        match owner.filter(|owner| waits && owner.is_this_program()) {
            Some(owner) => Ok(EndpointChange::Wait(format!(
                "{reason}: {owner} still has it; it is opened when that process has ended"
            ))),
            None => Err(reason),
        }
    }

    /// Opens what a predecessor had at the start, if that is free by now; each by itself, because one may find
    /// another process in its place. To be called now and then; it tries once a second.
    pub(crate) fn open_waiting(&mut self, config: &Config, now: Instant) {
        let recent = |at: Instant| now.saturating_duration_since(at) < TRY_EVERY;
        if !(self.admin_waits || self.metrics_waits) || self.tried_at.is_some_and(recent) {
            return;
        }
        self.tried_at = Some(now);
        let mut prepared = PreparedEndpoints::UNCHANGED;
        if self.admin_waits {
            prepared.admin = self
                .prepare_admin(config)
                .unwrap_or_else(|reason| EndpointChange::give_up(&reason));
            prepared.admin.log_opened("the admin socket");
        }
        if self.metrics_waits {
            prepared.metrics = self
                .prepare_metrics(config)
                .unwrap_or_else(|reason| EndpointChange::give_up(&reason));
            prepared.metrics.log_opened("the metrics endpoint");
        }
        self.commit(prepared);
    }

    /// Opens a new listener for metrics. If the old one stands in its way, that one is closed first.
    fn move_metrics(&mut self, to: SocketAddr) -> io::Result<MetricsListener> {
        let opened = self.open_metrics(to);
        let Err(error) = opened else { return opened };
        let in_the_way = |open: &mut MetricsListener| open.address.port() == to.port();
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(error);
        }
        let Some(old) = self.metrics.take_if(in_the_way) else { return Err(error) };
        let from = old.address;
        drop(old);
        let opened = self.open_metrics(to);
        if opened.is_err() {
            match self.open_metrics(from) {
                Ok(listener) => self.metrics = Some(listener),
                Err(error) => tracing::error!("metrics on {from} cannot be opened again: {error}"),
            }
        }
        opened
    }

    /// Puts the prepared endpoints in place of the old ones, and closes those that are not configured any
    /// more.
    pub(crate) fn commit(&mut self, prepared: PreparedEndpoints) {
        self.admin_waits = prepared.admin.waiting().is_some();
        self.metrics_waits = prepared.metrics.waiting().is_some();
        prepared.metrics.apply(&mut self.metrics);
        prepared.admin.apply(&mut self.admin);
    }

    fn open_metrics(&mut self, address: SocketAddr) -> io::Result<MetricsListener> {
        let inherited = self.inherited.metrics.take_if(|inherited| inherited.address == address);
        let was_inherited = inherited.is_some();
        let socket = match inherited {
            Some(inherited) => inherited.socket,
            None => TcpListener::bind(address)?,
        };
        let endpoint = Arc::clone(&self.metrics_endpoint);
        if address.port() == 0 {
            tracing::info!("metrics on {}", socket.local_addr()?);
        }
        let socket = EndpointSocket::Tcp(socket);
        let duplicate = socket.duplicate()?;
        let service = Arc::new(move |connection: &mut _| endpoint.serve(connection));
        let listener = EndpointListener::open("metrics", socket, service)?;
        Ok(MetricsListener { address, _listener: listener, duplicate, inherited: was_inherited })
    }

    fn open_admin(&mut self, path: &Path) -> io::Result<AdminSocket> {
        let inherited = self.inherited.admin.take_if(|inherited| inherited.path == path);
        let was_inherited = inherited.is_some();
        let socket = if let Some(InheritedAdmin { socket, .. }) = inherited {
            socket
        } else {
            remove_stale_socket(path)?;
            bind_for_owner(path)?
        };
        let file = FileIdentity::of(path)?;
        let protocol = Arc::clone(&self.admin_protocol);
        let socket = EndpointSocket::Unix(socket);
        let duplicate = socket.duplicate()?;
        let service = Arc::new(move |connection: &mut _| protocol.serve(connection));
        let listener = EndpointListener::open("admin", socket, service)?;
        Ok(AdminSocket {
            path: path.to_owned(),
            file,
            _listener: listener,
            duplicate,
            inherited: was_inherited,
            shared: was_inherited,
        })
    }
}

impl AdminSocket {
    fn is_in_place(&self) -> bool {
        FileIdentity::of(&self.path).is_ok_and(|found| found == self.file)
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if !self.shared && self.is_in_place() {
            // There is no way left to report that this failed.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Binds a socket to which only its owner may connect, from the first moment on. Its mode is not set by
/// name afterwards, because another file may have taken that name by then. The mask belongs to the whole
/// process: a log file that is made at the same moment gets the narrower mode, too.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let socket = UnixListener::bind(path);
    umask(before);
    socket
}

/// Can a socket of this name be made, as far as that can be told without making it? Another socket in its
/// place may have been left behind.
pub(crate) fn check_socket_place(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::other("there is something that is not a socket"))
        }
        _ => directory::can_hold(path),
    }
}

/// Removes a socket on which no process listens any more; anything else in its place stays.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    check_socket_place(path)?;
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    // Non-blocking: a listener whose queue is full would keep us waiting.
    let caller = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match caller.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::other("another process listens there")),
    }
}

/// The process that listens on this socket.
fn listening_process(path: &Path) -> Option<ProcessName> {
    let caller = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).ok()?;
    caller.connect(&SockAddr::unix(path).ok()?).ok()?;
    let process = rustix::net::sockopt::socket_peercred(&caller).ok()?;
    Some(ProcessName::read(u32::try_from(process.pid.as_raw_nonzero().get()).ok()?))
}

impl FileIdentity {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_for_its_owner_and_the_mask_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctl.sock");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let _socket = bind_for_owner(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        // A name that is taken: what stands there keeps its mode.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let before = mode(&path);
        assert!(bind_for_owner(&path).is_err());
        assert_eq!(mode(&path), before);
    }

    #[test]
    fn only_a_socket_left_behind_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctl.sock");
        remove_stale_socket(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(remove_stale_socket(&path).unwrap_err().to_string().contains("not a socket"));
        fs::remove_file(&path).unwrap();
        let socket = UnixListener::bind(&path).unwrap();
        assert!(remove_stale_socket(&path).unwrap_err().to_string().contains("another process"));
        drop(socket);
        remove_stale_socket(&path).unwrap();
        assert!(!path.exists());
    }
}
