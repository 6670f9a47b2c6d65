//! Listeners, and the connections that wait for them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};

use rustix::io::Errno;

use super::descriptor::Described;
use super::streams::{End, TcpStream};
use super::world::{Connecting, with};

/// A listener.
#[derive(Debug)]
pub(crate) struct TcpListener {
    address: SocketAddr,
}

/// Whether an accept is cancelled, and who is to be told.
#[derive(Debug, Default)]
struct Cancellation {
    cancelled: bool,
    waker: Option<Waker>,
}

/// Ends an accept.
#[derive(Debug, Default)]
pub(crate) struct Canceller(Rc<RefCell<Cancellation>>);

/// An accept's view of its [`Canceller`].
#[derive(Clone, Debug)]
pub(crate) struct CancelHandle(Rc<RefCell<Cancellation>>);

impl Canceller {
    /// Has ended nothing yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// For an accept.
    #[must_use]
    pub(crate) fn handle(&self) -> CancelHandle {
        CancelHandle(Rc::clone(&self.0))
    }

    /// Ends it; a new one for the next.
    #[must_use]
    pub(crate) fn cancel(self) -> Self {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.cancelled = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Self::new()
    }
}

impl TcpListener {
    /// A simulated network has no sockets of the system.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn from_std(_: std::net::TcpListener) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Listens.
    #[must_use]
    pub(crate) fn bind(address: SocketAddr) -> Self {
        with(|world| {
            world.queues.entry(address).or_default();
        });
        Self { address }
    }

    /// The next connection, as the weather will have it, unless that is cancelled.
    ///
    /// # Errors
    /// Cancelled, or there is no descriptor for it.
    pub(crate) async fn cancelable_accept(
        &self,
        cancel: CancelHandle,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            if cancel.0.borrow().cancelled {
                return Poll::Ready(Err(Errno::CANCELED.into()));
            }
            let found = with(|world| {
                let queue = world.queues.entry(self.address).or_default();
                if queue.waiting.is_empty() {
                    queue.acceptor = Some(context.waker().clone());
                    return None;
                }
                let no_accept = world.weather.no_accept;
                if world.random.below(100) < no_accept {
                    return Some(Err(Errno::MFILE.into()));
                }
                let queue = world.queues.entry(self.address).or_default();
                queue.waiting.pop_front().map(Ok)
            });
            let Some(found) = found else {
                cancel.0.borrow_mut().waker = Some(context.waker().clone());
                return Poll::Pending;
            };
            let local = self.address;
            let stream = |end| TcpStream { end: End(end), local };
            Poll::Ready(found.map(|Connecting { end, peer }| (stream(end), peer)))
        })
        .await
    }

    /// The next connection, whatever the weather.
    pub(crate) async fn accept(&self) -> TcpStream {
        poll_fn(|context| {
            let next = with(|world| {
                let queue = world.queues.entry(self.address).or_default();
                let next = queue.waiting.pop_front();
                if next.is_none() {
                    queue.acceptor = Some(context.waker().clone());
                }
                next
            });
            next.map_or(Poll::Pending, |Connecting { end, .. }| {
                Poll::Ready(TcpStream { end: End(end), local: self.address })
            })
        })
        .await
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let queue = with(|world| world.queues.remove(&self.address));
        for Connecting { end, .. } in queue.into_iter().flat_map(|queue| queue.waiting) {
            with(|world| {
                world.reset(end);
                world.release(end);
            });
        }
    }
}

impl Described for TcpListener {
    fn number(&self) -> usize {
        usize::MAX
    }
}
