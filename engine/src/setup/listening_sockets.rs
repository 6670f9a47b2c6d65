//! The listening sockets of one address, one for each core, and how they end.
//!
//! Closing a listening socket resets whatever waits in its accept queue, and every connection whose
//! handshake is not over. So it ends in three steps: `ListeningSockets::refuse_new` makes the kernel
//! refuse new connections while those under way still arrive; the cores accept what is left; when the
//! queues are empty, `ListeningSockets::close` ends it.
//!
//! Sockets that another process of this program listens by as well, because of an upgrade, are `shared`: that
//! process decides about their end, and here nothing is refused, shut down or reset.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ferrule_config::model::ListenAddress;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockAddr, SockRef, Socket, TcpKeepalive};

use super::port_hold::{PortHold, stream_socket};

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

/// The number of a network interface that no machine has: the largest that the kernel knows.
const NO_INTERFACE: Option<NonZeroU32> = NonZeroU32::new(i32::MAX.cast_unsigned());

/// How long handshakes that are under way may take to end, once new ones are refused. A process that
/// waits for the address cannot have it before.
const HANDSHAKES_TIME: Duration = Duration::from_millis(25);
/// How long the cores may take to accept what is in the queues.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// The listening sockets of one address.
#[derive(Debug)]
pub struct ListeningSockets {
    /// As configured.
    address: ListenAddress,
    /// At least one for each core. There are more if a former process had more cores.
    sockets: Vec<Arc<TcpListener>>,
    hold: PortHold,
    /// Another process decides about their end.
    shared: AtomicBool,
}

impl ListeningSockets {
    /// Binds one for each core, beside a hold of the address. None listens yet.
    pub(super) fn bind(address: ListenAddress, hold: PortHold, cores: usize) -> io::Result<Self> {
        let mut bound = Self { address, sockets: Vec::new(), hold, shared: AtomicBool::new(false) };
        bound.bind_missing(cores)?;
        Ok(bound)
    }

    /// Those that another process listens by. They are shared.
    pub(super) fn shared(
        address: ListenAddress,
        hold: PortHold,
        sockets: Vec<Arc<TcpListener>>,
    ) -> Self {
        Self { address, sockets, hold, shared: AtomicBool::new(true) }
    }

    /// Binds what is missing for so many cores. The hold is loose meanwhile.
    pub(super) fn bind_missing(&mut self, cores: usize) -> io::Result<()> {
        // Port 0: the kernel chose when the hold was bound.
        let bound = ListenAddress { address: self.hold.local_address()?, ..self.address };
        while self.sockets.len() < cores {
            self.sockets.push(Arc::new(bind_one(bound)?));
        }
        Ok(())
    }

    /// Listens by those that are only bound. The holds of all addresses that overlap it are loose meanwhile.
    pub(super) fn listen(&self) -> io::Result<()> {
        for socket in &self.sockets {
            if !SockRef::from(&**socket).is_listener()? {
                rustix::net::listen(socket, BACKLOG)?;
            }
        }
        Ok(())
    }

    /// Leaves their end to another process, or takes it over.
    pub(super) fn set_shared(&self, shared: bool) {
        self.shared.store(shared, Ordering::Release);
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Acquire)
    }

    /// Where they listen, as configured.
    #[must_use]
    pub const fn address(&self) -> ListenAddress {
        self.address
    }

    /// All of them, in the order of the cores.
    #[must_use]
    pub fn sockets(&self) -> &[Arc<TcpListener>] {
        &self.sockets
    }

    /// Where they listen, as far as the kernel says.
    pub(super) fn local_address(&self) -> SocketAddr {
        self.hold.local_address().unwrap_or(self.address.address)
    }

    /// The same with what they take.
    pub(super) fn bound(&self) -> ListenAddress {
        ListenAddress { address: self.local_address(), ..self.address }
    }

    /// The places of one core's sockets among all: one, or more if there are more sockets than cores. Every
    /// socket is some core's, because the kernel gives each a share of the connections.
    pub(super) fn of_core(&self, core: usize, cores: usize) -> impl Iterator<Item = usize> + use<> {
        (core..self.sockets.len()).step_by(cores.max(1))
    }

    /// What tells the sockets apart from those of others in the kernel's tables.
    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.sockets.iter().filter_map(|socket| Some(rustix::fs::fstat(socket).ok()?.st_ino))
    }

    /// What keeps others from this address.
    #[must_use]
    pub const fn hold(&self) -> &PortHold {
        &self.hold
    }

    /// Lets the kernel refuse new connections, as if nobody listened. Handshakes that are under way go on,
    /// and what is in the queues can be accepted.
    ///
    /// The sockets are bound to an interface that does not exist, so none of them is found for a SYN. What
    /// belongs to a handshake is found by the addresses of both ends, and not by this. Linux before 5.7
    /// does not let a user without privileges do it (`SO_BINDTOIFINDEX`): there, connections arrive until
    /// the socket is closed.
    fn refuse_new(&self) {
        if self.is_shared() {
            return;
        }
        // Processes that bind with `SO_REUSEPORT` themselves need not wait for the end of it.
        let _ = self.hold.loosen();
        for socket in &self.sockets {
            // The call for IPv4 is the same as the one for IPv6.
            let _ = SockRef::from(&**socket).bind_device_by_index_v4(NO_INTERFACE);
        }
    }

    /// Is there nothing to be accepted?
    fn is_drained(&self) -> bool {
        if self.is_shared() {
            return true;
        }
        let queues = self.sockets.iter().map(|socket| PollFd::new(&**socket, PollFlags::IN));
        let mut queues: Vec<_> = queues.collect();
        // One that is closed already has nothing, and says so by another flag.
        poll(&mut queues, Some(&Timespec::default())).is_ok()
            && queues.iter().all(|queue| !queue.revents().contains(PollFlags::IN))
    }

    /// Ends listening now, in whatever place the descriptors have duplicates. Accepts that wait fail with
    /// `EINVAL`. What is still in the queues is reset.
    pub(super) fn close(&self) {
        if self.is_shared() {
            return;
        }
        for socket in &self.sockets {
            // Only fails if it does not listen any more.
            let _ = SockRef::from(&**socket).shutdown(std::net::Shutdown::Read);
        }
    }
}

/// Left blocking: under `io_uring` kernels before 5.19 hand `EAGAIN` to an accept on a non-blocking
/// socket. A core on epoll makes its own socket non-blocking.
fn bind_one(listen: ListenAddress) -> io::Result<TcpListener> {
    let socket = stream_socket(listen)?;
    socket.set_reuse_port(true)?;
    // An accepted connection inherits these, which saves the system calls for each.
    connection_options(&socket)?;
    socket.bind(&SockAddr::from(listen.address))?;
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

/// Listening sockets on their way to their end: they refuse what is new, and close when nothing is left
/// to be accepted. Closes them at once if it is dropped before.
#[derive(Debug)]
pub struct ClosingListeners {
    open: Vec<Arc<ListeningSockets>>,
    since: Instant,
}

impl ClosingListeners {
    /// Refuses new connections from now on.
    pub(super) fn begin(open: Vec<Arc<ListeningSockets>>, now: Instant) -> Self {
        open.iter().for_each(|sockets| sockets.refuse_new());
        Self { open, since: now }
    }

    /// Closes what has nothing left to be accepted. Call it every few milliseconds until it returns true:
    /// then all are closed. Those whose queue is not empty after five seconds are closed as they are, and
    /// logged.
    pub fn advance(&mut self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.since);
        if waited >= HANDSHAKES_TIME {
            self.open.retain(|sockets| {
                let drained = sockets.is_drained();
                if !drained && waited < QUEUE_PATIENCE {
                    return true;
                }
                if !drained {
                    tracing::warn!(
                        address = %sockets.address.address,
                        "closed with connections that no core has accepted in time"
                    );
                }
                sockets.close();
                false
            });
        }
        self.open.is_empty()
    }

    /// Closes all of them, whatever waits in their queues.
    pub fn close_now(&mut self) {
        self.open.drain(..).for_each(|sockets| sockets.close());
    }
}

impl Drop for ClosingListeners {
    fn drop(&mut self) {
        self.close_now();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;
    use crate::control::process::clock;
    use crate::setup::port_hold;

    fn local() -> ListenAddress {
        ListenAddress { address: "127.0.0.1:0".parse().unwrap(), ipv6only: true }
    }

    fn open(cores: usize) -> ListeningSockets {
        let hold = PortHold::bind(local(), false).unwrap();
        let bound = ListeningSockets::bind(local(), hold, cores).unwrap();
        bound.listen().unwrap();
        bound
    }

    #[test]
    fn every_core_listens_on_the_same_port() {
        let open = open(3);
        assert_ne!(open.local_address().port(), 0);
        let same = |socket: &Arc<TcpListener>| socket.local_addr().unwrap() == open.local_address();
        assert!(open.sockets.iter().all(same));
    }

    #[test]
    fn an_accepted_connection_inherits_the_options() {
        let open = open(1);
        let _client = TcpStream::connect(open.local_address()).unwrap();
        let (accepted, _) = open.sockets[0].accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED_MAX));
        assert_eq!(socket.tcp_notsent_lowat().unwrap() as usize, UNSENT_BYTES_MAX);
    }

    /// Another program of the same user.
    fn bind_beside(address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
        let socket = stream_socket(ListenAddress { address, ipv6only: true })?;
        socket.set_reuse_port(reuse_port)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(1)?;
        Ok(socket)
    }

    #[test]
    fn a_held_address_is_nobody_elses_and_still_spreads() {
        let open = open(2);
        let address = open.local_address();
        let wildcard = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        assert!(bind_beside(address, true).is_ok(), "what is not held can be shared");
        port_hold::forget_match(address.port());
        open.hold().tighten().unwrap();
        for other in [address, wildcard] {
            for reuse_port in [true, false] {
                let error = bind_beside(other, reuse_port).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            }
        }
        let _clients: Vec<_> =
            std::iter::repeat_with(|| TcpStream::connect(address).unwrap()).take(64).collect();
        for socket in &open.sockets {
            socket.set_nonblocking(true).unwrap();
            assert!(socket.accept().is_ok(), "each core has a share");
        }
    }

    #[test]
    fn closing_refuses_what_is_new_and_keeps_what_waits() {
        let open = Arc::new(open(2));
        let address = open.local_address();
        let _waiting = [(); 8].map(|()| TcpStream::connect(address).unwrap());
        let start = clock::monotonic();
        let mut closing = ClosingListeners::begin(vec![Arc::clone(&open)], start);
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(!closing.advance(start + HANDSHAKES_TIME), "there is something to accept");
        let mut accepted = Vec::new();
        for socket in &open.sockets {
            socket.set_nonblocking(true).unwrap();
            accepted.extend(std::iter::from_fn(|| socket.accept().ok()));
        }
        assert_eq!(accepted.len(), 8);
        assert!(!closing.advance(start), "handshakes may be under way");
        assert!(closing.advance(start + HANDSHAKES_TIME));
        assert!(bind_beside(address, false).is_ok(), "our descriptors stand in nobody's way");
    }

    #[test]
    fn what_is_shared_is_not_closed() {
        let open = Arc::new(open(2));
        let address = open.local_address();
        let start = clock::monotonic();
        open.set_shared(true);
        let mut closing = ClosingListeners::begin(vec![Arc::clone(&open)], start);
        assert!(closing.advance(start + HANDSHAKES_TIME), "it is not ours to empty");
        assert!(TcpStream::connect(address).is_ok());
        open.set_shared(false);
        drop(ClosingListeners::begin(vec![open], start));
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn more_sockets_than_cores_are_all_served() {
        let open = open(5);
        let of = |core| open.of_core(core, 2).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![0, 2, 4], vec![1, 3]));
    }

    #[test]
    fn a_queue_that_nobody_empties_does_not_keep_it_open() {
        let open = Arc::new(open(1));
        let _client = TcpStream::connect(open.local_address()).unwrap();
        let start = clock::monotonic();
        let mut closing = ClosingListeners::begin(vec![open], start);
        assert!(!closing.advance(start + QUEUE_PATIENCE / 2));
        assert!(closing.advance(start + QUEUE_PATIENCE));
    }
}
