//! A peer that sends faster than we work must not have a core for itself.
//!
//! Every loop that a peer's bytes can keep going is charged for its work here, and when the budget of
//! one turn is spent, everything else that is ready goes first ([`net::next_round`]). A wait for the
//! peer begins a new turn, so a connection that brings one request after the other never yields. Work is
//! counted and not timed: the same bytes cost the same turns, on any machine.

use std::future::poll_fn;
use std::pin::Pin;

use super::net;

/// The work of one turn; a byte to be received, decrypted and passed on is 1. A fraction of a millisecond.
const WORK_MAX: u32 = 256 * 1024;
/// The least that a receive costs.
const RECEIVE: u32 = 8 * 1024;
/// A byte that is no data: of a record's header and tag, of a chunk's size. Small pieces cost most.
const FRAMING: u32 = 48;
/// A message, from its head to its line in the log; or a connection, until it has a task of its own.
const MESSAGE: u32 = 16 * 1024;

/// The work that was done for one peer since we last waited for it.
#[derive(Debug, Default)]
pub(crate) struct WorkBudget(u32);

impl WorkBudget {
    /// A budget of which nothing is spent.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Drives `receive` to its end; having to wait for it begins a new turn. (It is pinned where it was
    /// made: moving it in here would make every task larger.)
    pub(crate) fn drive<R>(
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

    /// Charges bytes that were received.
    pub(crate) fn charge_receive(&mut self, bytes: usize) {
        self.charge(u32::try_from(bytes).unwrap_or(u32::MAX).max(RECEIVE));
    }

    /// Charges bytes that were read and are no data.
    pub(crate) fn charge_framing(&mut self, bytes: usize) {
        self.charge(u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(FRAMING));
    }

    /// Charges a message that was read and answered, or a connection that was accepted.
    pub(crate) const fn charge_message(&mut self) {
        self.charge(MESSAGE);
    }

    const fn charge(&mut self, work: u32) {
        self.0 = self.0.saturating_add(work);
    }

    /// If the budget is spent, lets everything else go first that is ready, and begins a new turn.
    pub(crate) async fn yield_if_spent(&mut self) {
        if self.0 >= WORK_MAX {
            *self = Self::new();
            net::next_round().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    async fn wait_once() {
        let mut waited = false;
        poll_fn(
            |_| {
                if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
            },
        )
        .await;
    }

    fn run(future: impl Future<Output = ()>) -> u32 {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let mut waits = 0;
        while future.as_mut().poll(&mut context).is_pending() {
            waits += 1;
        }
        waits
    }

    #[test]
    fn a_turn_ends_after_so_much_work_without_a_wait() {
        type Work = fn(&mut WorkBudget);
        let table: [(Work, u32); 6] = [
            (|budget| budget.charge_receive(64 * 1024), 4),
            (|budget| budget.charge_receive(1), 32),
            (|budget| budget.charge_receive(usize::MAX), 1),
            (|budget| budget.charge_framing(22), 249),
            (|budget| budget.charge_framing(usize::MAX), 1),
            (WorkBudget::charge_message, 16),
        ];
        for (work, times) in table {
            let mut budget = WorkBudget::new();
            for number in 1..=times {
                assert!(budget.0 < WORK_MAX, "{number} of {times}");
                assert_eq!(run(budget.drive(pin!(ready(())))), 0);
                work(&mut budget);
            }
            assert!(budget.0 >= WORK_MAX, "{times}");
        }
    }

    #[test]
    fn a_wait_begins_a_new_turn() {
        let mut budget = WorkBudget::new();
        for _ in 0..1_000 {
            assert_eq!(run(budget.drive(pin!(wait_once()))), 1);
            budget.charge_receive(256 * 1024 - 1);
            assert_eq!(run(budget.yield_if_spent()), 0);
        }
    }
}
