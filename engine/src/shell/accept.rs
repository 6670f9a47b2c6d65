//! The accept loop of one listener on one core.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::io::Errno;

use super::panics::Guarded;
use super::service::ConnectionService;
use crate::plan::ListenerId;
use crate::report::Counter;
use crate::setup::Driver;
use crate::setup::connection_counts::{ConnectionCounts, CountedConnection};
use crate::shell::client::accepted::AcceptedBy;
use crate::shell::client::address_limit;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::state::load_shedding::{LoadShedder, is_exhaustion};
use crate::shell::state::log_limits::LogCause;
use crate::shell::transport::net::{
    self, CancelHandle, Canceller, Descriptor, TcpListener, TcpStream,
};
use crate::shell::transport::work_budget::WorkBudget;

/// How long to rest when the kernel has no descriptor or memory for us.
const BACK_OFF: Duration = Duration::from_millis(50);

/// As many as the queue of a socket may hold (`net.core.somaxconn`): there is an end to taking them.
const QUEUE_MAX: u32 = 4_096;

/// A listening socket at work.
pub(crate) struct ListenerState {
    /// What it accepts connections by.
    pub(crate) accepts_by: RefCell<AcceptedBy>,
    /// Client connections that this core accepts.
    pub(crate) connections_max: u32,
    /// Connections by client address, all cores together.
    pub(crate) connection_counts: Arc<ConnectionCounts>,
    /// It is to end.
    pub(crate) ending: Cell<bool>,
}

impl ListenerState {
    /// Connections are accepted by another generation from here on, which numbers the listener so.
    pub(crate) fn follow(&self, live: Rc<LiveGeneration>, listener: ListenerId) {
        let mut accepts_by = self.accepts_by.borrow_mut();
        *accepts_by = accepts_by.followed_by(live, listener);
    }

    /// It is to end: the process stops, or another one accepts by the socket.
    pub(crate) fn end(&self) {
        self.ending.set(true);
        self.accepts_by.borrow().connections.end();
    }

    /// It is to end, and the configuration does not have it any more.
    pub(crate) fn remove(&self) {
        self.end();
        self.accepts_by.borrow().connections.remove_listener();
    }
}

/// Accepts until control has closed the socket, or until cancelled. The cancelled accept is awaited: a
/// connection that won the race is served, never lost.
pub(crate) async fn run(
    service: Rc<ConnectionService>,
    socket: TcpListener,
    state: Rc<ListenerState>,
    cancel: CancelHandle,
) {
    let core = &service.core;
    let mut shedder = LoadShedder::new();
    let mut budget = WorkBudget::new();
    while !state.ending.get() {
        budget.yield_if_spent().await;
        let accepting = pin!(socket.cancelable_accept(cancel.clone()));
        let accepted = budget.drive(accepting).await;
        budget.charge_message();
        match accepted {
            Ok((stream, peer)) => {
                shedder.succeeded();
                admit(&service, &state, stream, peer);
            }
            Err(error) if is_over(&error) => break,
            Err(error) => {
                core.count(Counter::AcceptFailed);
                if is_of_one_connection(&error) {
                    continue;
                }
                if is_exhaustion(&error) {
                    let tls = state.accepts_by.borrow().plan().listen.tls;
                    shedder.failed(core, &socket, tls, &error);
                } else if let Some(suppressed) = core.allow_log(LogCause::Exhausted) {
                    tracing::warn!(%error, suppressed, "cannot accept for now");
                }
                net::sleep(BACK_OFF).await;
            }
        }
    }
    if state.ending.get() && !core.stopping.get() {
        take_waiting(&service, &socket, &state).await;
    }
}

/// Takes the connections that wait in the queue of a socket that this process accepts by no more.
///
/// `io_uring` waits exclusively: the kernel wakes one waiter for a connection. If that was an accept which has been
/// cancelled since, the process that accepts by the same socket after an upgrade hears nothing of the connection
/// until another one comes.
async fn take_waiting(
    service: &Rc<ConnectionService>,
    socket: &TcpListener,
    state: &Rc<ListenerState>,
) {
    if service.core.link.driver.get() == Driver::Epoll {
        return;
    }
    for _ in 0..QUEUE_MAX {
        if !Descriptor::of(socket).has_waiting() {
            return;
        }
        let canceller = Canceller::new();
        let mut accepting = pin!(socket.cancelable_accept(canceller.handle()));
        // Begun, so that it takes a connection that is there, and cancelled, so that it waits for none.
        let begun = poll_fn(|context| Poll::Ready(accepting.as_mut().poll(context))).await;
        let accepted = match begun {
            Poll::Ready(accepted) => accepted,
            Poll::Pending => {
                drop(canceller.cancel());
                accepting.await
            }
        };
        match accepted {
            Ok((stream, peer)) => admit(service, state, stream, peer),
            // The other process was sooner. What has come meanwhile may have woken us again.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::CANCELED) => {}
            Err(_) => return,
        }
    }
}

/// Is the accept cancelled, or does the socket listen no more?
fn is_over(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::CANCELED | Errno::INVAL))
}

/// Was it the fault of one connection, so that the next may be fine? After anything else (no
/// descriptors, no memory) asking again at once would only burn the core.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO))
}

/// Starts to serve a connection, if there is room for it.
fn admit(
    service: &Rc<ConnectionService>,
    state: &Rc<ListenerState>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let core = &service.core;
    if core.open_connections.get() >= state.connections_max {
        core.count(Counter::AcceptedOverLimit);
        return;
    }
    if core.buffers.is_overdrawn() {
        core.count(Counter::AcceptedOverBudget);
        return;
    }
    let mut counted = CountedConnection::new(Arc::clone(&state.connection_counts));
    let by = state.accepts_by.borrow().clone();
    let proxied = by.plan().listen.proxy_protocol.is_some();
    // Whose it is, a PROXY protocol header has yet to say.
    if !proxied && !address_limit::enter(core, &mut counted, peer.ip()) {
        return;
    }
    core.count(Counter::Accepted);
    core.open_connections.set(core.open_connections.get() + 1);
    let service = Rc::clone(service);
    net::spawn(async move {
        let core = &service.core;
        let guarded = Guarded::new(service.serve(stream, peer, counted, by));
        if guarded.await.is_err() {
            core.count(Counter::Panics);
            if let Some(suppressed) = core.allow_log(LogCause::Panic) {
                tracing::error!(%peer, suppressed, "a connection ended in a panic: please report it");
            }
        }
        core.open_connections.set(core.open_connections.get().saturating_sub(1));
    });
}
