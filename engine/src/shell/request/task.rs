//! Who carries an exchange: its state, kept by the core and lent to a connection for one exchange.
//!
//! An exchange's future is large, for a body may flow each way, and most connections wait. So it is no
//! part of a connection's own: it takes one exchange after the other, of whichever connection, and
//! nothing of it is built or moved for a request.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::serve;
use crate::shell::client::connection::{Client, HeadRead};
use crate::shell::state::core::Work;

/// One exchange to be done.
pub struct Job {
    /// Whose it is.
    pub client: Box<Client>,
    /// What came of reading its head.
    pub read: HeadRead,
    /// When its head began, as [`Clock::elapsed`](crate::shell::transport::clock::Clock::elapsed).
    pub started: Duration,
}

/// An exchange that is done: the client, and whether its connection may bring another one.
pub type Done = (Box<Client>, bool);

#[derive(Default)]
struct Desk {
    job: Cell<Option<Job>>,
    done: Cell<Option<Done>>,
}

/// A future that does exchanges, and the memory that it works in.
pub struct Hand {
    desk: Rc<Desk>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Hand {
    /// One with nothing to do.
    #[must_use]
    pub fn new() -> Self {
        let desk = Rc::<Desk>::default();
        let future = Box::pin(labour(Rc::clone(&desk)));
        Self { desk, future }
    }

    /// Does one exchange. Whoever drops the wait drops the hand with it: it is not free again before.
    pub async fn run(&mut self, job: Job) -> Done {
        self.desk.job.set(Some(job));
        poll_fn(|context| {
            // It never ends; it has no use for a waker while it has no job.
            let _ = self.future.as_mut().poll(context);
            self.desk.done.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Default for Hand {
    fn default() -> Self {
        Self::new()
    }
}

async fn labour(desk: Rc<Desk>) {
    let mut work = Work::default();
    loop {
        let next = poll_fn(|_| desk.job.take().map_or(Poll::Pending, Poll::Ready));
        let Job { mut client, read, started } = next.await;
        let keep = serve::one(&mut client, &mut work, read, started).await;
        work.clear();
        desk.done.set(Some((client, keep)));
    }
}
