//! Which doors are open: the metrics endpoint and the admin socket, as the configuration has them.
//!
//! A new door opens before anything else of a reload takes effect, and an old one closes only after; one
//! that stays where it is is left alone. Only where the old door is in the way of the new one, as
//! `0.0.0.0` is of `127.0.0.1` on the same port, it closes first, and opens again if that was in vain.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrule_config::Config;
use rustix::fs::Mode;
use rustix::process::umask;
use socket2::{Domain, SockAddr, Socket, Type};

use super::desk::Desk;
use super::door::{Bell, Door};
use super::scrape::Endpoint;
use crate::control::state::commands::CommandQueue;
use crate::control::state::status::ProcessStatus;

/// The doors of the process.
#[derive(Debug)]
pub(crate) struct Doors {
    endpoint: Arc<Endpoint>,
    desk: Arc<Desk>,
    metrics: Option<(SocketAddr, Door)>,
    admin: Option<Admin>,
}

/// The admin socket: its file goes with it.
#[derive(Debug)]
struct Admin {
    path: PathBuf,
    /// Device and inode of the file we made: another one in its place is not ours to remove.
    made: (u64, u64),
    _door: Door,
}

/// The doors of the next generation: those to open are open already. Dropped unused, they close.
#[derive(Debug)]
pub(crate) struct PreparedDoors {
    metrics: Change<(SocketAddr, Door)>,
    admin: Change<Admin>,
}

#[derive(Debug)]
enum Change<T> {
    Keep,
    Close,
    Open(T),
}

impl<T> Change<T> {
    fn apply(self, place: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Close => *place = None,
            Self::Open(door) => *place = Some(door),
        }
    }
}

impl Doors {
    /// None open yet; they will show this status, and send commands there.
    pub(crate) fn of(status: &Arc<ProcessStatus>, commands: &Arc<CommandQueue>) -> Self {
        let endpoint = Arc::new(Endpoint::new(Arc::clone(status)));
        let desk = Arc::new(Desk::new(Arc::clone(status), Arc::clone(commands)));
        Self { endpoint, desk, metrics: None, admin: None }
    }

    /// Opens what the configuration names and is not open yet.
    ///
    /// # Errors
    /// In words; nothing has changed then.
    pub(crate) fn prepare(&mut self, config: &Config) -> Result<PreparedDoors, String> {
        let admin = match (&config.admin, &self.admin) {
            (None, _) => Change::Close,
            (Some(wanted), Some(open)) if wanted.socket == open.path && open.is_there() => {
                Change::Keep
            }
            (Some(wanted), _) => {
                Change::Open(self.open_admin(&wanted.socket).map_err(|error| {
                    format!("admin.socket: cannot open {}: {error}", wanted.socket.display())
                })?)
            }
        };
        // Last, because a door that was in the way is closed by now.
        let metrics = match (&config.metrics, &self.metrics) {
            (None, _) => Change::Close,
            (Some(wanted), Some((open, _))) if wanted.listen == *open => Change::Keep,
            (Some(wanted), _) => {
                let door = self.move_metrics(wanted.listen).map_err(|error| {
                    format!("metrics.listen: cannot listen on {}: {error}", wanted.listen)
                })?;
                Change::Open((wanted.listen, door))
            }
        };
        Ok(PreparedDoors { metrics, admin })
    }

    /// Opens a new door for metrics, out of whose way the old one goes if it has to.
    fn move_metrics(&mut self, to: SocketAddr) -> io::Result<Door> {
        let opened = self.open_metrics(to);
        let Err(error) = opened else { return opened };
        let in_the_way = |(open, _): &mut (SocketAddr, Door)| open.port() == to.port();
        if error.kind() != io::ErrorKind::AddrInUse {
            return Err(error);
        }
        let Some((from, old)) = self.metrics.take_if(in_the_way) else { return Err(error) };
        drop(old);
        let opened = self.open_metrics(to);
        if opened.is_err() {
            match self.open_metrics(from) {
                Ok(door) => self.metrics = Some((from, door)),
                Err(error) => tracing::error!("metrics on {from} cannot be opened again: {error}"),
            }
        }
        opened
    }

    /// Takes the prepared doors over; closes those that are not wanted any more.
    pub(crate) fn commit(&mut self, prepared: PreparedDoors) {
        prepared.metrics.apply(&mut self.metrics);
        prepared.admin.apply(&mut self.admin);
    }

    fn open_metrics(&self, address: SocketAddr) -> io::Result<Door> {
        let bell = TcpListener::bind(address)?;
        let endpoint = Arc::clone(&self.endpoint);
        if address.port() == 0 {
            tracing::info!("metrics on {}", bell.local_addr()?);
        }
        Door::open(Bell::Tcp(bell), Arc::new(move |guest| endpoint.serve(guest)))
    }

    fn open_admin(&self, path: &Path) -> io::Result<Admin> {
        clear_way(path)?;
        let bell = bind_for_owner(path)?;
        let made = identity(path)?;
        let desk = Arc::clone(&self.desk);
        let door = Door::open(Bell::Unix(bell), Arc::new(move |guest| desk.serve(guest)))?;
        Ok(Admin { path: path.to_owned(), made, _door: door })
    }
}

impl Admin {
    fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.made)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if self.is_there() {
            // Nobody is left who could be told that this failed.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Binds a socket that only its owner may connect to, from its first moment on: to set its mode by its
/// name afterwards would set that of whatever stands there by then. The mask is the process's; a log
/// that is made at the same moment gets the narrower mode, too.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bell = UnixListener::bind(path);
    umask(before);
    bell
}

/// Removes a socket that a process has left behind; anything else in its place stays.
fn clear_way(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::other("there is something that is not a socket"));
    }
    // Who does not take its guests in would keep us waiting, too.
    let caller = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match caller.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::other("another process listens there")),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_for_its_owner_and_the_mask_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ctl.sock");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let _bell = bind_for_owner(&path).unwrap();
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
        clear_way(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(clear_way(&path).unwrap_err().to_string().contains("not a socket"));
        fs::remove_file(&path).unwrap();
        let bell = UnixListener::bind(&path).unwrap();
        assert!(clear_way(&path).unwrap_err().to_string().contains("another process"));
        drop(bell);
        clear_way(&path).unwrap();
        assert!(!path.exists());
    }
}
