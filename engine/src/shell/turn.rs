//! Turns: a peer that sends faster than we work must not have a core for itself.
//!
//! On epoll a receive completes at once while the socket has bytes, so a loop around it never comes
//! back to the runtime. After so many bytes without a wait the task goes behind the others; and when
//! the core's tick is overdue, it sleeps, because the runtime looks at its timers only when no task
//! is left to run. On `io_uring` every receive waits, and none of this is ever needed.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::net;

/// Bytes that one connection may bring before others get their turn. In records or chunks of one byte
/// they are much work.
const BYTES_MAX: u32 = 64 * 1024;
/// As many bytes does a receive count for that brings less.
const RECEIVE_BYTES: u32 = 2 * 1024;

/// The shortest time in which the runtime comes to look at its timers.
const NAP: Duration = Duration::from_millis(1);

/// What a connection has brought without ever making us wait, in bytes.
#[derive(Debug, Default)]
pub struct Turn(u32);

impl Turn {
    /// Nothing came yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Drives `receive` to its end; having to wait for it begins a new turn. (It is pinned where it was
    /// made: moving it in here would make every task larger.)
    pub fn drive<R>(
        &mut self,
        mut receive: Pin<&mut impl Future<Output = R>>,
    ) -> impl Future<Output = R> {
        let mut waited = false;
        poll_fn(move |context| {
            let polled = receive.as_mut().poll(context);
            waited |= polled.is_pending();
            if waited {
                *self = Self::new();
            }
            polled
        })
    }

    /// So many bytes came.
    pub fn note(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.0 = self.0.saturating_add(bytes.max(RECEIVE_BYTES));
    }

    /// Is it the others' turn? If so, a new one of ours begins behind them.
    pub const fn take_over(&mut self) -> bool {
        let over = self.0 >= BYTES_MAX;
        if over {
            self.0 = 0;
        }
        over
    }
}

/// Lets the other tasks of the core run; with `late`, its timers too.
pub async fn pass(late: bool) {
    if late {
        // Boxed: it is rare, and would make every task larger.
        Box::pin(net::sleep(NAP)).await;
        return;
    }
    let mut passed = false;
    poll_fn(|context| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn run<R>(future: impl Future<Output = R>) -> (R, u32) {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let mut waits = 0;
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(done) => return (done, waits),
                Poll::Pending => waits += 1,
            }
        }
    }

    #[test]
    fn a_turn_ends_after_so_much_without_a_wait() {
        let mut turn = Turn::new();
        for (bytes, receives) in [(16 * 1024, 4), (1, 32), (256 * 1024, 1)] {
            for number in 1..=receives {
                assert_eq!(run(turn.drive(pin!(ready(7)))), (7, 0));
                turn.note(bytes);
                assert_eq!(turn.take_over(), number == receives, "{number} of {bytes}");
            }
        }
    }

    #[test]
    fn a_wait_begins_a_new_turn() {
        let mut turn = Turn::new();
        for _ in 0..1_000 {
            assert_eq!(run(turn.drive(pin!(pass(false)))), ((), 1));
            turn.note(64 * 1024 - 1);
            assert!(!turn.take_over());
        }
    }
}
