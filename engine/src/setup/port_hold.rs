//! Holds an address, so that no other program can take a part of its connections.
//!
//! With `SO_REUSEPORT` every core has a listening socket of its own on one address. But it also lets any
//! other process of the same user join them, and the kernel then gives that process its share of the
//! connections. What Linux checks when a socket is bound (`inet_csk_get_port` in
//! `net/ipv4/inet_connection_sock.c`, tried on 6.18):
//!
//! * Two sockets of one address are a conflict unless both have `SO_REUSEPORT`, or both have
//!   `SO_REUSEADDR` and the one that is bound already does not listen.
//! * But each port remembers the last socket with `SO_REUSEPORT` that passed this check (its user and
//!   address), and a socket that matches passes without any check.
//!
//! So the hold is one more socket that is bound and never listens. It is bound first, without
//! `SO_REUSEPORT`: that fails if anybody listens. It has `SO_REUSEADDR` while our own sockets are
//! opened, and none afterwards: then it is in conflict with every other socket. Last, sockets of
//! addresses that nobody has are bound for a moment, to make the port forget ours ([`forget_match`]).
//!
//! The one case in which this does not help is an IPv6 wildcard that takes IPv4 as well: it matches every
//! address. Another process is noticed there, but not kept out
//! (`control/process/port_monitor.rs`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ferrule_config::model::ListenAddress;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Addresses that nobody listens on: for documentation (RFC 5737) and to be discarded (RFC 6666). One of
/// each family, because a wildcard of the other family does not match it.
const NOBODYS: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
];

/// A bound socket that never listens. The address is free when it is dropped.
#[derive(Debug)]
pub struct PortHold(Socket);

impl PortHold {
    /// Binds the address; it is held when [`PortHold::tighten`] is called. With `beside_own`, sockets of
    /// this process already listen on an address that overlaps it.
    ///
    /// # Errors
    /// The kernel's: `EADDRINUSE` if somebody else listens there.
    pub(super) fn bind(listen: ListenAddress, beside_own: bool) -> io::Result<Self> {
        let socket = stream_socket(listen)?;
        socket.set_reuse_port(beside_own)?;
        socket.bind(&SockAddr::from(listen.address))?;
        socket.set_reuse_port(false)?;
        Ok(Self(socket))
    }

    /// The hold of a former process, which is bound already.
    ///
    /// # Errors
    /// It listens, or others may be bound beside it.
    pub(super) fn inherit(socket: Socket) -> io::Result<Self> {
        if socket.is_listener()? || socket.reuse_port()? {
            return Err(io::Error::other("this socket holds no address"));
        }
        Ok(Self(socket))
    }

    /// The socket, for a process that takes the address over.
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.0
    }

    /// Where it is bound: a configured port 0 is the port that the kernel chose.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Lets sockets with `SO_REUSEADDR` be bound beside it: ours.
    pub(super) fn loosen(&self) -> io::Result<()> {
        self.0.set_reuse_address(true)
    }

    /// Lets nobody be bound beside it.
    pub(super) fn tighten(&self) -> io::Result<()> {
        self.0.set_reuse_address(false)
    }
}

/// Makes the kernel forget the last socket of this port that was bound with `SO_REUSEPORT`, so that it
/// checks the next one in full. While it is called, the holds of the port are loose.
pub(super) fn forget_match(port: u16) {
    for address in NOBODYS {
        // Fails where the other family is turned off or belongs to somebody else.
        drop(bind_for_a_moment(SocketAddr::new(address, port)));
    }
}

fn bind_for_a_moment(address: SocketAddr) -> io::Result<()> {
    let socket = stream_socket(ListenAddress { address, ipv6only: true })?;
    if address.is_ipv6() {
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    socket.set_reuse_port(true)?;
    socket.bind(&SockAddr::from(address))
}

/// A TCP socket as all of ours are before they are bound.
pub(super) fn stream_socket(listen: ListenAddress) -> io::Result<Socket> {
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
