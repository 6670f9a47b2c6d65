//! Where an exchange runs: a task of its own, lent to a connection for one exchange.
//!
//! An exchange's future is large, for a body may flow each way, and most connections wait. So it is no
//! part of a connection's own future: a task runs one exchange after the other, of whichever
//! connection, and nothing of it is built or moved for a request. The core's free tasks wait in
//! [`ExchangeTasks`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::memory::ExchangeMemory;
use super::serve::serve_request;
use crate::exchange::reuse::AfterExchange;
use crate::shell::client::connection::{Client, HeadRead};

/// Free tasks kept for the next exchanges; the memory of more goes back to the allocator.
const KEPT_MAX: usize = 256;

/// One exchange to be run.
pub(crate) struct PendingExchange {
    /// The client whose request it is.
    pub(crate) client: Box<Client>,
    /// What came of reading its head.
    pub(crate) read: HeadRead,
    /// When its head began, as [`CoreClock::elapsed`](crate::shell::transport::clock::CoreClock::elapsed).
    pub(crate) started: Duration,
}

/// An exchange that is over.
pub(crate) struct FinishedExchange {
    /// The client whose request it was.
    pub(crate) client: Box<Client>,
    /// What becomes of its connection.
    pub(crate) after: AfterExchange,
}

/// Where a task finds its next exchange, and leaves the finished one.
#[derive(Default)]
struct TaskSlot {
    pending: Cell<Option<PendingExchange>>,
    finished: Cell<Option<FinishedExchange>>,
}

/// A future that runs exchanges, and the memory that it works in.
pub(crate) struct ExchangeTask {
    slot: Rc<TaskSlot>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl ExchangeTask {
    /// A task with nothing to do.
    #[must_use]
    pub(crate) fn new() -> Self {
        let slot = Rc::<TaskSlot>::default();
        let future = Box::pin(run_exchanges(Rc::clone(&slot)));
        Self { slot, future }
    }

    /// Runs one exchange. Whoever drops this future drops the task with it, which is in the middle of
    /// that exchange.
    pub(crate) async fn run(&mut self, exchange: PendingExchange) -> FinishedExchange {
        self.slot.pending.set(Some(exchange));
        poll_fn(|context| {
            // It never ends, and has no use for a waker while there is nothing to run.
            let _ = self.future.as_mut().poll(context);
            self.slot.finished.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Default for ExchangeTask {
    fn default() -> Self {
        Self::new()
    }
}

async fn run_exchanges(slot: Rc<TaskSlot>) {
    let mut memory = ExchangeMemory::default();
    loop {
        let next = poll_fn(|_| slot.pending.take().map_or(Poll::Pending, Poll::Ready));
        let PendingExchange { mut client, read, started } = next.await;
        let after = serve_request(&mut client, &mut memory, read, started).await;
        memory.clear();
        slot.finished.set(Some(FinishedExchange { client, after }));
    }
}

/// The free tasks of one core.
#[derive(Default)]
pub(crate) struct ExchangeTasks {
    free: RefCell<Vec<ExchangeTask>>,
    /// The fewest free ones since the last [`Self::trim`].
    free_min: Cell<usize>,
}

impl ExchangeTasks {
    /// Takes a free task, or makes one.
    #[must_use]
    pub(crate) fn take(&self) -> ExchangeTask {
        let mut free = self.free.borrow_mut();
        let task = free.pop();
        self.free_min.set(self.free_min.get().min(free.len()));
        task.unwrap_or_default()
    }

    /// Takes a task back whose exchange is over.
    pub(crate) fn give_back(&self, task: ExchangeTask) {
        let mut free = self.free.borrow_mut();
        if free.len() < KEPT_MAX {
            free.push(task);
        }
    }

    /// Drops the tasks that were not needed since the last time; how many those were.
    pub(crate) fn trim(&self) -> usize {
        let mut free = self.free.borrow_mut();
        let kept = free.len().saturating_sub(self.free_min.get());
        let dropped = free.drain(kept..).count();
        self.free_min.set(kept);
        dropped
    }
}
