//! The accept loop of one listener on one core.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use monoio::io::CancelHandle;
use monoio::net::{TcpListener, TcpStream};

use super::connection;
use super::core::{Core, LogCause};
use super::panics::Guarded;
use crate::plan::ListenerId;
use crate::report::Counter;

/// How long to rest when the kernel has no descriptor or memory for us.
const BACK_OFF: Duration = Duration::from_millis(50);

/// ECANCELED: `cancel` was called on the accept.
const CANCELLED: i32 = 125;

/// A listening socket at work.
pub struct Accepting {
    /// Its index in the current generation.
    pub listener: Cell<ListenerId>,
    /// Client connections that this core accepts.
    pub connections_max: u32,
    /// It is to end.
    pub ending: Cell<bool>,
}

/// Accepts until cancelled. The cancelled accept is awaited: a connection that won the race is
/// served, never lost.
pub async fn run(core: Rc<Core>, socket: TcpListener, state: Rc<Accepting>, cancel: CancelHandle) {
    while !state.ending.get() {
        match socket.cancelable_accept(cancel.clone()).await {
            Ok((stream, peer)) => admit(&core, &state, stream, peer),
            Err(error) if error.raw_os_error() == Some(CANCELLED) => break,
            Err(error) => {
                core.count(Counter::AcceptFailed);
                if !is_of_one_connection(&error) {
                    if let Some(suppressed) = core.allow_log(LogCause::Accept) {
                        tracing::warn!(%error, suppressed, "cannot accept for now");
                    }
                    monoio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }
}

/// `ECONNABORTED`, `EINTR`, `EPROTO`: the next connection may be fine. After anything else (no
/// descriptors, no memory) asking again at once would only burn the core.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(103 | 4 | 71))
}

fn admit(core: &Rc<Core>, state: &Accepting, stream: TcpStream, peer: std::net::SocketAddr) {
    if core.open.get() >= state.connections_max {
        core.count(Counter::AcceptedOverLimit);
        return;
    }
    core.count(Counter::Accepted);
    core.open.set(core.open.get() + 1);
    let served = Rc::clone(core);
    let listener = state.listener.get();
    monoio::spawn(async move {
        let guarded = Guarded::new(connection::serve(&served, stream, peer, listener));
        if guarded.await.is_err() {
            served.count(Counter::Panics);
            tracing::error!(%peer, "a connection ended in a panic: please report it");
        }
        served.open.set(served.open.get().saturating_sub(1));
    });
}
