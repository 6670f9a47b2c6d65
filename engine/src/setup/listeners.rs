//! The listening sockets: one per address and core, opened once and kept.
//!
//! The kernel spreads connections over the sockets of one address (`SO_REUSEPORT`). Closing one resets
//! what waits in its queue, so a reload opens only what is new and closes only what is gone; either all
//! new addresses open or nothing changes. An IPv6 address takes IPv6 alone unless its listener says
//! otherwise, as in nginx.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::Config;
use ferrule_config::model::{Listen, ListenAddress};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::handover::OpenListener;
use crate::plan::ListenerId;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A peer that vanished is noticed after about two minutes of silence: 60 s, then 4 probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// Sent bytes that nobody acknowledges end the connection after this time.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

/// Bytes that the kernel takes of us beyond what its peer's window lets it send: two of the largest
/// buffers and a little, so that one is under way while the next, as large, is made. Without it a
/// socket takes megabytes for a peer that reads nothing.
pub const UNSENT_BYTES_MAX: usize = 272 * 1_024;

/// Every open listening socket of the process, by address and core.
#[derive(Debug)]
pub struct Listeners {
    cores: usize,
    open: BTreeMap<ListenAddress, Vec<Arc<TcpListener>>>,
}

/// The sockets of the next generation: kept ones and new ones. Dropped unused, it closes the new ones.
#[derive(Debug)]
pub struct PreparedListeners {
    /// In the order of the configuration.
    addresses: Vec<ListenAddress>,
    sockets: BTreeMap<ListenAddress, Vec<Arc<TcpListener>>>,
    opened: usize,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}{}", advice(error))]
pub struct BindError {
    /// The address, as configured.
    pub address: SocketAddr,
    /// What the kernel said.
    pub error: io::Error,
}

/// What helps against it, after a semicolon; empty if nobody can tell.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; ports below net.ipv4.ip_unprivileged_port_start (1024 by default) need the \
             capability CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrInUse => "; another process listens there",
        io::ErrorKind::AddrNotAvailable => "; this machine has no interface with that address",
        _ => "",
    }
}

impl Listeners {
    /// None yet, for this many cores.
    #[must_use]
    pub const fn new(cores: usize) -> Self {
        Self { cores, open: BTreeMap::new() }
    }

    /// Opens what the configuration names and is not open yet. Nothing that is open changes.
    ///
    /// # Errors
    /// Every address that could not be opened; the others are closed again.
    pub fn prepare(&self, config: &Config) -> Result<PreparedListeners, Vec<BindError>> {
        let addresses: Vec<ListenAddress> =
            config.listens.iter().map(Listen::listen_address).collect();
        let mut sockets = BTreeMap::new();
        let mut errors = Vec::new();
        let fresh: BTreeSet<ListenAddress> =
            addresses.iter().copied().filter(|address| !self.open.contains_key(address)).collect();
        // Asked of all before one is opened: our own `0.0.0.0:443` must not stand in the way of our
        // own `127.0.0.1:443`.
        for address in fresh.iter().copied() {
            if !self.shares_port(address)
                && let Err(error) = probe(address)
            {
                errors.push(BindError { address: address.address, error });
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for address in addresses.iter().copied() {
            if let Some(kept) = self.open.get(&address) {
                sockets.insert(address, kept.clone());
                continue;
            }
            match open_all(address, self.cores) {
                Ok(opened) => drop(sockets.insert(address, opened)),
                Err(error) => errors.push(BindError { address: address.address, error }),
            }
        }
        if errors.is_empty() {
            Ok(PreparedListeners { addresses, sockets, opened: fresh.len() })
        } else {
            Err(errors)
        }
    }

    /// Those that are open, for one more generation that listens where this one does.
    #[must_use]
    pub fn kept(&self, config: &Config) -> PreparedListeners {
        let addresses = config.listens.iter().map(Listen::listen_address).collect();
        PreparedListeners { addresses, sockets: self.open.clone(), opened: 0 }
    }

    /// Takes the prepared sockets over. Those of addresses that are gone close as soon as their cores
    /// have let go of them too.
    pub fn commit(&mut self, prepared: PreparedListeners) {
        self.open = prepared.sockets;
    }

    /// Is one of our own sockets on this port?
    fn shares_port(&self, listen: ListenAddress) -> bool {
        self.open.keys().any(|open| open.address.port() == listen.address.port())
    }
}

impl PreparedListeners {
    /// The sockets of one core, in the order of the configuration.
    #[must_use]
    pub fn of_core(&self, core: usize) -> Vec<OpenListener> {
        (0..)
            .zip(&self.addresses)
            .filter_map(|(index, address)| {
                let socket = self.sockets.get(address)?.get(core)?;
                Some(OpenListener {
                    address: *address,
                    listener: ListenerId(index),
                    socket: Arc::clone(socket),
                })
            })
            .collect()
    }

    /// Where we really listen: a configured port 0 is the port the kernel chose.
    #[must_use]
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.addresses
            .iter()
            .map(|address| {
                self.sockets
                    .get(address)
                    .and_then(|sockets| sockets.first())
                    .and_then(|socket| socket.local_addr().ok())
                    .unwrap_or(address.address)
            })
            .collect()
    }

    /// How many addresses are new.
    #[must_use]
    pub const fn opened(&self) -> usize {
        self.opened
    }
}

/// Does somebody else listen there? `SO_REUSEPORT` alone would let a second process of the same user
/// take half of the connections without a word, so a socket without it asks first.
fn probe(listen: ListenAddress) -> io::Result<()> {
    if listen.address.port() == 0 {
        return Ok(());
    }
    let socket = plain_socket(listen)?;
    socket.bind(&SockAddr::from(listen.address))
}

fn plain_socket(listen: ListenAddress) -> io::Result<Socket> {
    let ListenAddress { address, ipv6only } = listen;
    // socket2 sets CLOEXEC.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a former process in TIME_WAIT do not keep a restart from binding.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Always set: what holds without it is up to `net.ipv6.bindv6only`.
        socket.set_only_v6(ipv6only)?;
    }
    Ok(socket)
}

fn open_all(listen: ListenAddress, cores: usize) -> io::Result<Vec<Arc<TcpListener>>> {
    let first = open_one(listen)?;
    // Port 0: the kernel chooses once, the other cores follow.
    let bound = ListenAddress { address: first.local_addr()?, ..listen };
    let mut sockets = vec![Arc::new(first)];
    while sockets.len() < cores {
        sockets.push(Arc::new(open_one(bound)?));
    }
    Ok(sockets)
}

/// Left blocking: under `io_uring` kernels before 5.19 hand `EAGAIN` to an accept on a non-blocking
/// socket. A core on epoll makes its own socket non-blocking.
fn open_one(listen: ListenAddress) -> io::Result<TcpListener> {
    let socket = plain_socket(listen)?;
    socket.set_reuse_port(true)?;
    // An accepted connection inherits these, which saves the system calls for each.
    connection_options(&socket)?;
    socket.bind(&SockAddr::from(listen.address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What every TCP connection of ours has, to clients and to upstreams: no delay, keepalive, and
/// bounds on data that nobody acknowledges and that the kernel cannot send yet.
///
/// # Errors
/// The kernel's.
pub fn connection_options(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES),
    )?;
    socket.set_tcp_notsent_lowat(u32::try_from(UNSENT_BYTES_MAX).unwrap_or(u32::MAX))?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    fn local() -> ListenAddress {
        ListenAddress { address: "127.0.0.1:0".parse().unwrap(), ipv6only: true }
    }

    #[test]
    fn every_core_listens_on_the_same_port() {
        let sockets = open_all(local(), 3).unwrap();
        let port = sockets[0].local_addr().unwrap();
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == port));
    }

    #[test]
    fn an_accepted_connection_inherits_the_options() {
        let listener = open_one(local()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED_MAX));
        assert_eq!(socket.tcp_notsent_lowat().unwrap() as usize, UNSENT_BYTES_MAX);
    }

    #[test]
    fn an_address_of_another_listener_is_noticed() {
        let other = open_one(local()).unwrap();
        let taken = ListenAddress { address: other.local_addr().unwrap(), ..local() };
        let error = probe(taken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn errors_say_what_to_do() {
        let address = local().address;
        let error = |kind| BindError { address, error: io::Error::from(kind) }.to_string();
        assert!(error(io::ErrorKind::PermissionDenied).contains("CAP_NET_BIND_SERVICE"));
        assert!(error(io::ErrorKind::AddrInUse).contains("another process"));
    }
}
