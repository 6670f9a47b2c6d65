//! The listening sockets of the process: opened once, kept over reloads, and closed without loss.
//!
//! The kernel spreads connections over the sockets of one address (`SO_REUSEPORT`). Closing one resets
//! what waits in its queue, so a reload opens only what is new and closes only what is gone; either all
//! new addresses open or nothing changes. An IPv6 address takes IPv6 alone unless its listener says
//! otherwise, as in nginx. While they are open, other programs cannot bind the same addresses
//! (`port_hold`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ferrule_config::Config;
use ferrule_config::model::{Listen, ListenAddress};

use super::handover::OpenListener;
use super::listening_sockets::{ClosingListeners, ListeningSockets};
use super::port_hold::{self, PortHold};
use crate::plan::ListenerId;

/// Every open listening socket of the process, by address. Shared by the threads of control: a stop closes
/// them, whatever a reload is doing.
#[derive(Debug)]
pub struct Listeners {
    cores: usize,
    open: Mutex<OpenListeners>,
}

#[derive(Debug, Default)]
struct OpenListeners {
    sockets: SocketsByAddress,
    /// Those of a former process, until this one takes them over.
    inherited: SocketsByAddress,
    /// Another process has these now.
    released: Vec<ListenAddress>,
    /// There will be no more.
    closed: bool,
}

type SocketsByAddress = BTreeMap<ListenAddress, Arc<ListeningSockets>>;

/// The sockets of the next generation: kept ones and new ones. Dropped unused, it closes the new ones.
#[derive(Debug)]
pub struct PreparedListeners {
    cores: usize,
    /// In the order of the configuration.
    addresses: Vec<ListenAddress>,
    sockets: SocketsByAddress,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}{}", self.advice())]
pub struct BindError {
    /// The address, as configured.
    pub address: SocketAddr,
    /// What the kernel said.
    pub error: io::Error,
    /// Who has the address, in words, if that is known.
    pub owner: Option<String>,
}

impl BindError {
    const fn new(address: SocketAddr, error: io::Error) -> Self {
        Self { address, error, owner: None }
    }

    /// Does somebody else have the address?
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }

    /// What helps against it, after a semicolon; empty if nobody can tell.
    fn advice(&self) -> String {
        match (self.error.kind(), &self.owner) {
            (io::ErrorKind::PermissionDenied, _) => String::from(
                "; ports below net.ipv4.ip_unprivileged_port_start (1024 by default) need the \
                 capability CAP_NET_BIND_SERVICE",
            ),
            (io::ErrorKind::AddrInUse, Some(owner)) => format!("; {owner}"),
            (io::ErrorKind::AddrInUse, None) => String::from("; another process listens there"),
            (io::ErrorKind::AddrNotAvailable, _) => {
                String::from("; this machine has no interface with that address")
            }
            _ => String::new(),
        }
    }
}

impl Listeners {
    /// None yet, for this many cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self { cores, open: Mutex::default() }
    }

    /// Likewise, with sockets of a former process. Nothing that is opened before [`Listeners::commit`] listens
    /// before [`Listeners::listen`]: the kernel would give it connections that nobody accepts yet.
    pub(super) fn inheriting(cores: usize, inherited: Vec<ListeningSockets>) -> Self {
        let inherited = inherited.into_iter().map(|one| (one.address(), Arc::new(one))).collect();
        let open = OpenListeners { inherited, ..OpenListeners::default() };
        // It tightens them: sockets may have been bound beside them.
        drop(LooseHolds::new(open.inherited.values().cloned().collect()));
        Self { cores, open: Mutex::new(open) }
    }

    fn lock(&self) -> MutexGuard<'_, OpenListeners> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens what the configuration names and is not open yet. Nothing that is open changes.
    ///
    /// # Errors
    /// Every address that could not be opened; the others are closed again.
    pub fn prepare(&self, config: &Config) -> Result<PreparedListeners, Vec<BindError>> {
        let addresses: Vec<ListenAddress> =
            config.listens.iter().map(Listen::listen_address).collect();
        let open = self.lock();
        let deferred = !open.inherited.is_empty();
        let mut sockets = open.sockets.clone();
        sockets.extend(open.inherited.clone());
        drop(open);
        let fresh: BTreeSet<ListenAddress> =
            addresses.iter().copied().filter(|address| !sockets.contains_key(address)).collect();
        let mut loose = LooseHolds::of_ports(&fresh, &sockets);
        // All holds before the first socket that listens: our own `0.0.0.0:443` must not stand in the way
        // of our own `127.0.0.1:443`.
        let holds = take_holds(&fresh, &sockets)?;
        let mut errors = Vec::new();
        for (address, hold) in holds {
            match ListeningSockets::bind(address, hold, self.cores) {
                Ok(opened) => {
                    let opened = Arc::new(opened);
                    loose.open.push(Arc::clone(&opened));
                    let listening = if deferred { Ok(()) } else { opened.listen() };
                    errors.extend(
                        listening.err().map(|error| BindError::new(address.address, error)),
                    );
                    sockets.insert(address, opened);
                }
                Err(error) => errors.push(BindError::new(address.address, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        sockets.retain(|address, _| addresses.contains(address));
        Ok(PreparedListeners { cores: self.cores, addresses, sockets })
    }

    /// Listens by what is only bound so far.
    ///
    /// # Errors
    /// Every address where the kernel does not let us.
    pub fn listen(&self, prepared: &PreparedListeners) -> Result<(), Vec<BindError>> {
        let mut loose: Vec<_> = self.lock().inherited.values().cloned().collect();
        loose.extend(prepared.sockets.values().cloned());
        let _loose = LooseHolds::new(loose);
        let failed = prepared.sockets.values().filter_map(|sockets| {
            let error = sockets.listen().err()?;
            Some(BindError::new(sockets.address().address, error))
        });
        let errors: Vec<BindError> = failed.collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Those that are open, for one more generation that listens where this one does.
    #[must_use]
    pub fn kept(&self, config: &Config) -> PreparedListeners {
        self.kept_but(config, &[])
    }

    /// Likewise, but for those that another process has taken over.
    #[must_use]
    pub fn kept_but(&self, config: &Config, taken: &[ListenAddress]) -> PreparedListeners {
        let addresses = config.listens.iter().map(Listen::listen_address).collect();
        let mut sockets = self.lock().sockets.clone();
        sockets.retain(|address, _| !taken.contains(address));
        PreparedListeners { cores: self.cores, addresses, sockets }
    }

    /// Begins to close what the next generation has no more. It is to be over before a core gets that
    /// generation: a connection is accepted under one in which its listener exists.
    #[must_use]
    pub fn close_removed(&self, prepared: &PreparedListeners, now: Instant) -> ClosingListeners {
        let open = self.lock();
        let removed =
            open.sockets.iter().filter(|(address, _)| !prepared.sockets.contains_key(*address));
        ClosingListeners::begin(removed.map(|(_, sockets)| Arc::clone(sockets)).collect(), now)
    }

    /// Takes the prepared sockets over.
    pub fn commit(&self, prepared: PreparedListeners) {
        let mut open = self.lock();
        // Those that are not listened on any more are the former process's to close.
        open.inherited.clear();
        if open.closed {
            // Too late: nobody would close them.
            prepared.sockets.values().for_each(|sockets| sockets.close());
        } else {
            open.sockets = prepared.sockets;
        }
    }

    /// Begins to close all of them: the process stops.
    #[must_use]
    pub fn close_all(&self, now: Instant) -> ClosingListeners {
        let mut open = self.lock();
        open.closed = true;
        open.inherited.clear();
        let sockets = std::mem::take(&mut open.sockets);
        ClosingListeners::begin(sockets.into_values().collect(), now)
    }

    /// What is open, to be handed over to another process.
    #[must_use]
    pub fn offered(&self) -> Vec<Arc<ListeningSockets>> {
        self.lock().sockets.values().cloned().collect()
    }

    /// Another process is about to take them over: until it is known which, none of them is closed, whatever
    /// happens here.
    pub fn share(&self) {
        self.lock().sockets.values().for_each(|sockets| sockets.set_shared(true));
    }

    /// Another process has taken these over: they are not ours to close any more. The others are.
    pub fn release(&self, taken: &[ListenAddress]) {
        let mut open = self.lock();
        for address in taken {
            if let Some(sockets) = open.sockets.remove(address) {
                sockets.set_shared(true);
                open.released.push(*address);
            }
        }
        open.sockets.values().for_each(|sockets| sockets.set_shared(false));
    }

    /// What another process has taken over.
    #[must_use]
    pub fn released(&self) -> Vec<ListenAddress> {
        self.lock().released.clone()
    }

    /// The other process ends, or has not taken over: what is open is ours to close.
    pub fn own(&self) {
        self.lock().sockets.values().for_each(|sockets| sockets.set_shared(false));
    }

    /// Tightens the holds again that a process may have loosened which was to take them over.
    pub fn tighten(&self) {
        drop(LooseHolds::new(self.offered()));
    }

    /// Where the process listens now, and by which sockets.
    #[must_use]
    pub fn bound(&self) -> Vec<BoundSockets> {
        let open = self.lock();
        let bound = open.sockets.values().map(|sockets| BoundSockets {
            listen: sockets.bound(),
            inodes: sockets.inodes().collect(),
        });
        bound.collect()
    }
}

/// The sockets of one address, as the kernel's tables show them.
#[derive(Clone, Debug)]
pub struct BoundSockets {
    /// With its real port.
    pub listen: ListenAddress,
    /// One for each core.
    pub inodes: BTreeSet<u64>,
}

/// A hold for each of these addresses, or every one that somebody else has.
fn take_holds(
    fresh: &BTreeSet<ListenAddress>,
    own: &SocketsByAddress,
) -> Result<BTreeMap<ListenAddress, PortHold>, Vec<BindError>> {
    let mut holds = BTreeMap::new();
    let mut errors = Vec::new();
    for listen in fresh.iter().copied() {
        let beside_own = own.values().any(|sockets| overlap(sockets.bound(), listen));
        match PortHold::bind(listen, beside_own) {
            Ok(hold) => drop(holds.insert(listen, hold)),
            Err(error) => errors.push(BindError::new(listen.address, error)),
        }
    }
    if errors.is_empty() { Ok(holds) } else { Err(errors) }
}

/// Can a connection to one of these reach a socket of the other?
#[must_use]
pub fn overlap(one: ListenAddress, other: ListenAddress) -> bool {
    let (left, right) = (one.address.ip(), other.address.ip());
    let wide = |listen: ListenAddress| {
        !listen.ipv6only && listen.address.is_ipv6() && listen.address.ip().is_unspecified()
    };
    let shared = left == right || left.is_unspecified() || right.is_unspecified();
    let family = left.is_ipv4() == right.is_ipv4();
    one.address.port() == other.address.port() && (family && shared || wide(one) || wide(other))
}

/// Holds that are loose until this is dropped, so that sockets of ours can be bound.
struct LooseHolds {
    open: Vec<Arc<ListeningSockets>>,
}

impl LooseHolds {
    /// Of the sockets that have a port of these addresses.
    fn of_ports(fresh: &BTreeSet<ListenAddress>, sockets: &SocketsByAddress) -> Self {
        let ports: BTreeSet<u16> = fresh.iter().map(|listen| listen.address.port()).collect();
        let near = |open: &&Arc<ListeningSockets>| ports.contains(&open.local_address().port());
        Self::new(sockets.values().filter(near).cloned().collect())
    }

    fn new(open: Vec<Arc<ListeningSockets>>) -> Self {
        for sockets in &open {
            let _ = sockets.hold().loosen();
        }
        Self { open }
    }
}

impl Drop for LooseHolds {
    fn drop(&mut self) {
        let ports: BTreeSet<u16> =
            self.open.iter().map(|sockets| sockets.local_address().port()).collect();
        ports.into_iter().for_each(port_hold::forget_match);
        for sockets in &self.open {
            let _ = sockets.hold().tighten();
        }
    }
}

impl PreparedListeners {
    /// The sockets of one core, in the order of the configuration.
    #[must_use]
    pub fn of_core(&self, core: usize) -> Vec<OpenListener> {
        let mut open = Vec::new();
        for (index, address) in (0..).zip(&self.addresses) {
            let Some(sockets) = self.sockets.get(address) else { continue };
            for slot in sockets.of_core(core, self.cores) {
                let Some(socket) = sockets.sockets().get(slot) else { continue };
                open.push(OpenListener {
                    address: *address,
                    slot,
                    listener: ListenerId(index),
                    socket: Arc::clone(socket),
                });
            }
        }
        open
    }

    /// Where they listen, as configured.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// Where we really listen: a configured port 0 is the port the kernel chose.
    #[must_use]
    pub fn bound(&self) -> Vec<SocketAddr> {
        let bound = |address: &ListenAddress| {
            let sockets: Option<&Arc<ListeningSockets>> = self.sockets.get(address);
            sockets.map_or(address.address, |sockets| sockets.local_address())
        };
        self.addresses.iter().map(bound).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: io::ErrorKind, owner: Option<&str>) -> String {
        let address = "127.0.0.1:443".parse().unwrap();
        BindError { address, error: kind.into(), owner: owner.map(str::to_owned) }.to_string()
    }

    #[test]
    fn errors_say_what_to_do() {
        assert!(error(io::ErrorKind::PermissionDenied, None).contains("CAP_NET_BIND_SERVICE"));
        assert!(error(io::ErrorKind::AddrInUse, None).contains("another process"));
        assert!(error(io::ErrorKind::AddrInUse, Some("nginx")).ends_with("; nginx"));
    }

    #[test]
    fn addresses_overlap_by_port_and_family() {
        let listen = |text: &str| ListenAddress {
            address: text.trim_end_matches('+').parse().unwrap(),
            ipv6only: !text.ends_with('+'),
        };
        let overlaps = |one: &str, other: &str| overlap(listen(one), listen(other));
        assert!(overlaps("127.0.0.1:1", "127.0.0.1:1") && overlaps("0.0.0.0:1", "127.0.0.1:1"));
        assert!(overlaps("[::1]:1", "[::]:1"));
        assert!(!overlaps("127.0.0.1:1", "127.0.0.1:2") && !overlaps("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!overlaps("0.0.0.0:1", "[::]:1") && !overlaps("[::1]:1+", "127.0.0.1:1"));
        assert!(overlaps("0.0.0.0:1", "[::]:1+") && overlaps("[::]:1+", "127.0.0.1:1"));
    }
}
