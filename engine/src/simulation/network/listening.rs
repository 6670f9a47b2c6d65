//! Who is waiting to be connected to.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use rustix::io::Errno;

use super::world::with;
use super::{End, TcpStream};

/// A listener.
#[derive(Debug)]
pub struct TcpListener {
    address: SocketAddr,
}

/// Ends an accept.
#[derive(Debug, Default)]
pub struct Canceller(Rc<RefCell<(bool, Option<Waker>)>>);

/// An accept's view of its [`Canceller`].
#[derive(Clone, Debug)]
pub struct CancelHandle(Rc<RefCell<(bool, Option<Waker>)>>);

impl Canceller {
    /// Has ended nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For an accept.
    #[must_use]
    pub fn handle(&self) -> CancelHandle {
        CancelHandle(Rc::clone(&self.0))
    }

    /// Ends it; a new one for the next.
    #[must_use]
    pub fn cancel(self) -> Self {
        let waker = {
            let mut state = self.0.borrow_mut();
            state.0 = true;
            state.1.take()
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
    pub fn from_std(_: std::net::TcpListener) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Listens.
    #[must_use]
    pub fn bind(address: SocketAddr) -> Self {
        with(|world| {
            world.queues.entry(address).or_default();
        });
        Self { address }
    }

    /// The next connection, as the weather will have it, unless that is cancelled.
    ///
    /// # Errors
    /// Cancelled, or there is no descriptor for it.
    pub async fn cancelable_accept(
        &self,
        cancel: CancelHandle,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            if cancel.0.borrow().0 {
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
                cancel.0.borrow_mut().1 = Some(context.waker().clone());
                return Poll::Pending;
            };
            let local = self.address;
            Poll::Ready(found.map(|(end, peer)| (TcpStream { end: End(end), local }, peer)))
        })
        .await
    }

    /// The next connection, whatever the weather.
    pub async fn accept(&self) -> TcpStream {
        poll_fn(|context| {
            let end = with(|world| {
                let queue = world.queues.entry(self.address).or_default();
                let next = queue.waiting.pop_front();
                if next.is_none() {
                    queue.acceptor = Some(context.waker().clone());
                }
                next
            });
            end.map_or(Poll::Pending, |(end, _)| {
                Poll::Ready(TcpStream { end: End(end), local: self.address })
            })
        })
        .await
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let queue = with(|world| world.queues.remove(&self.address));
        for (end, _) in queue.into_iter().flat_map(|queue| queue.waiting) {
            with(|world| {
                world.reset(end);
                world.release(end);
            });
        }
    }
}

/// What becomes of a connect, before anybody hears of it.
pub(super) async fn weather_of_connecting() -> io::Result<()> {
    let fate = with(|world| {
        let [refused, hangs, none] = world.weather.no_connection;
        let drawn = world.random.below(100);
        if drawn < refused {
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        if drawn < refused + hangs {
            return None;
        }
        if drawn < refused + hangs + none {
            return Some(Err(Errno::MFILE.into()));
        }
        let delay = world.delay();
        Some(Ok(delay))
    });
    match fate {
        None => pending().await,
        Some(Ok(delay)) if delay == Duration::ZERO => Ok(()),
        Some(Ok(delay)) => {
            super::tasks::sleep(delay).await;
            Ok(())
        }
        Some(Err(error)) => Err(error),
    }
}
