//! A connection to whichever address of a node gives one first (RFC 8305, "happy eyeballs").
//!
//! The addresses are tried in order: the next one as soon as one has failed, or when none has answered for a while.
//! The first connection wins, and the others are closed by being dropped.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::connect_error::{ConnectError, failure};
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::net::{self, TcpStream};

/// How long one address may be silent before the next is tried too (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Attempts at once.
const AT_ONCE: usize = 4;

/// The connection that was there first.
pub(super) struct Winner {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
}

type PendingSocket = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

struct Runner {
    address: SocketAddr,
    connecting: PendingSocket,
}

/// What an attempt has come to.
struct Finish {
    at: usize,
    result: io::Result<TcpStream>,
}

/// Connects within `timeout`; the addresses that gave no connection are noted.
///
/// # Errors
/// What the last address failed with, or that the time is over.
pub(super) async fn race(
    core: &Core,
    live: &LiveGeneration,
    order: &[SocketAddr],
    timeout: Duration,
) -> Result<Winner, ConnectError> {
    let deadline = core.clock.elapsed().saturating_add(timeout);
    let (mut waiting, mut running) = (order.iter().copied().peekable(), Vec::<Runner>::new());
    let mut last = ConnectError::NoAddress;
    loop {
        if running.len() < AT_ONCE
            && let Some(address) = waiting.next()
        {
            let connecting = Box::pin(TcpStream::connect_addr(address));
            running.push(Runner { address, connecting });
        }
        if running.is_empty() {
            return Err(last);
        }
        let left = deadline.saturating_sub(core.clock.elapsed());
        if left.is_zero() {
            note_all(core, live, &running);
            return Err(ConnectError::TimedOut);
        }
        let may_begin = running.len() < AT_ONCE && waiting.peek().is_some();
        let wait = if may_begin { left.min(ATTEMPT_DELAY) } else { left };
        // Without a result, the next may begin or the time is over.
        let Ok(Finish { at, result }) = net::timeout(wait, first_of(&mut running)).await else {
            continue;
        };
        let address = running.remove(at).address;
        match result {
            Ok(stream) => {
                live.forget_fault(address);
                // Those that began before it are slower by more than the delay.
                note_all(core, live, running.get(..at).unwrap_or_default());
                return Ok(Winner { stream, address });
            }
            Err(error) => {
                last = failure(core, &error);
                if last == ConnectError::NoRoom {
                    return Err(last);
                }
                live.note_fault(address, core.clock.elapsed_ms());
            }
        }
    }
}

fn note_all(core: &Core, live: &LiveGeneration, runners: &[Runner]) {
    for runner in runners {
        live.note_fault(runner.address, core.clock.elapsed_ms());
    }
}

/// The first that has come to something, and to what.
async fn first_of(running: &mut [Runner]) -> Finish {
    poll_fn(|context| {
        for (at, runner) in running.iter_mut().enumerate() {
            if let Poll::Ready(result) = runner.connecting.as_mut().poll(context) {
                return Poll::Ready(Finish { at, result });
            }
        }
        Poll::Pending
    })
    .await
}
