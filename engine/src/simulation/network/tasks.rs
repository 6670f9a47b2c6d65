//! Futures, run one at a time in an order drawn from the seed; when all of them wait, the clock jumps.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::world::{ScheduledEvent, below, now, with};

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Tasks {
    /// `None` while it is being polled, and for ever once it has ended.
    slots: Vec<Option<Task>>,
    ready: Vec<usize>,
    live: usize,
}

thread_local! {
    static TASKS: RefCell<Tasks> = RefCell::default();
}

/// Wakes one task.
struct Alarm(usize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        TASKS.with_borrow_mut(|tasks| {
            if !tasks.ready.contains(&self.0) {
                tasks.ready.push(self.0);
            }
        });
    }
}

/// The time was up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Elapsed;

/// Why a run did not come to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stuck {
    /// Everybody waits, and nothing is due.
    Deadlock,
    /// It took longer than it may.
    TooLong,
}

/// Runs `future` beside the others.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let task: Task = Box::pin(future);
    TASKS.with_borrow_mut(|tasks| {
        tasks.slots.push(Some(task));
        let id = tasks.slots.len() - 1;
        tasks.ready.push(id);
        tasks.live += 1;
    });
}

/// Tasks that have not ended.
#[must_use]
pub(crate) fn live() -> usize {
    TASKS.with_borrow(|tasks| tasks.live)
}

/// Ends all tasks where they stand.
pub(crate) fn clear() {
    // Dropped outside: what they hold may wake others.
    let slots = TASKS.with_borrow_mut(std::mem::take).slots;
    drop(slots);
    drop(TASKS.take());
}

/// Runs all tasks until `over`, for no longer than until `latest`.
///
/// # Errors
/// [`Stuck`], as it says.
pub(crate) fn run(latest: Duration, over: impl Fn() -> bool) -> Result<(), Stuck> {
    while !over() {
        let ready = TASKS.with_borrow(|tasks| tasks.ready.len());
        if ready == 0 {
            if !with(super::world::World::advance) {
                return Err(Stuck::Deadlock);
            }
            if now() > latest {
                return Err(Stuck::TooLong);
            }
            continue;
        }
        let chosen = below(ready);
        poll(TASKS.with_borrow_mut(|tasks| tasks.ready.swap_remove(chosen)));
    }
    Ok(())
}

fn poll(id: usize) {
    let Some(mut task) = TASKS.with_borrow_mut(|tasks| tasks.slots[id].take()) else { return };
    let waker = Waker::from(Arc::new(Alarm(id)));
    let ended = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    if ended {
        drop(task);
        TASKS.with_borrow_mut(|tasks| tasks.live -= 1);
    } else {
        TASKS.with_borrow_mut(|tasks| tasks.slots[id] = Some(task));
    }
}

/// Waits so long; no time at all still lets others go first.
pub(crate) async fn sleep(time: Duration) {
    let due = now() + time;
    let mut asked = false;
    poll_fn(|context| {
        if asked && now() >= due {
            return Poll::Ready(());
        }
        if !asked {
            asked = true;
            let waker = context.waker().clone();
            with(|world| world.schedule(due, ScheduledEvent::Wake(waker)));
        }
        Poll::Pending
    })
    .await;
}

/// A moment's hesitation, in some weathers.
pub(super) async fn pause() {
    let wait = with(|world| {
        let hesitation = world.weather.hesitation;
        if world.random.below(100) >= hesitation {
            return None;
        }
        let most = if world.random.below(8) == 0 { world.weather.delay_ms } else { 0 };
        Some(Duration::from_millis(world.random.below(most + 1) as u64))
    });
    if let Some(wait) = wait {
        sleep(wait).await;
    }
}

/// Lets everything go first that is ready to run.
pub(crate) async fn next_round() {
    sleep(Duration::ZERO).await;
}

/// Waits for `future`, so long at most.
///
/// # Errors
/// The time was up; the future is dropped.
pub(crate) async fn timeout<F: Future>(time: Duration, future: F) -> Result<F::Output, Elapsed> {
    let (mut future, mut sleep) = (pin!(future), pin!(sleep(time)));
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}
