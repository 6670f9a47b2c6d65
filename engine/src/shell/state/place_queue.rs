//! The requests of one core that wait for a connection to a node of one upstream, because every node has as many
//! as it takes.
//!
//! The first of the queue is called whenever a connection of this core comes back or is closed. What other cores
//! give back it finds out by looking: nothing here wakes another core.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::health::Waits;

/// The queue of one upstream on one core.
pub(crate) struct PlaceQueue {
    waits: Arc<Waits>,
    core: u32,
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
}

/// A request's place in the queue. Dropping it leaves the queue, and passes the turn on.
pub(crate) struct QueuePlace {
    queue: Rc<PlaceQueue>,
    waiter: Rc<Waiter>,
}

/// When a request began to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitStart {
    /// By the core's clock.
    pub(crate) at: Duration,
    /// In milliseconds of the clock that all cores share.
    pub(crate) shared_ms: u64,
}

struct Waiter {
    since: WaitStart,
    called: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl PlaceQueue {
    /// Nobody waits on this core; `waits` is what all cores know.
    #[must_use]
    pub(crate) fn new(waits: &Arc<Waits>, core: u32) -> Self {
        Self { waits: Arc::clone(waits), core, waiters: RefCell::default() }
    }

    /// Does nobody wait on this core?
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.borrow().is_empty()
    }

    /// Does nobody wait on any core?
    #[must_use]
    pub(crate) fn is_empty_everywhere(&self) -> bool {
        self.waits.count() == 0
    }

    /// May a request of this core that waits since then, or comes now, have the next place?
    #[must_use]
    pub(crate) fn is_turn_of(&self, since_ms: u64) -> bool {
        self.waits.is_turn_of(self.core, since_ms)
    }

    /// Is a connection that this core has no use for now, or soon, wanted on another one?
    #[must_use]
    pub(crate) fn is_wanted_elsewhere(&self) -> bool {
        let first = self.waiters.borrow().front().map(|first| first.since.shared_ms);
        match first {
            Some(since) => !self.is_turn_of(since),
            None => self.waits.waits_elsewhere(self.core),
        }
    }

    /// Joins the end of the queue; `None` if `size` requests wait already, on all cores together.
    #[must_use]
    pub(crate) fn join(self: &Rc<Self>, size: u32, since: WaitStart) -> Option<QueuePlace> {
        if !self.waits.join(size) {
            return None;
        }
        let waiter = Rc::new(Waiter { since, called: Cell::new(false), waker: RefCell::default() });
        self.waiters.borrow_mut().push_back(Rc::clone(&waiter));
        self.publish_first();
        Some(QueuePlace { queue: Rc::clone(self), waiter })
    }

    /// There may be something for the first one now.
    pub(crate) fn call_first(&self) {
        let first = self.waiters.borrow().front().cloned();
        if let Some(first) = first {
            first.called.set(true);
            let waker = first.waker.take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn publish_first(&self) {
        let first = self.waiters.borrow().front().map(|first| first.since.shared_ms);
        self.waits.set_first(self.core, first);
    }
}

impl QueuePlace {
    /// When the wait began.
    #[must_use]
    pub(crate) fn since(&self) -> WaitStart {
        self.waiter.since
    }

    /// Is nobody in front of it on this core?
    #[must_use]
    pub(crate) fn is_first(&self) -> bool {
        self.queue.waiters.borrow().front().is_some_and(|first| Rc::ptr_eq(first, &self.waiter))
    }

    /// Waits until it is called. May be dropped at any time: a call is not lost by that.
    pub(crate) async fn called(&self) {
        poll_fn(|context| {
            if self.waiter.called.take() {
                return Poll::Ready(());
            }
            let mut waker = self.waiter.waker.borrow_mut();
            if waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
                *waker = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let queue = &self.queue;
        let found = {
            let mut waiters = queue.waiters.borrow_mut();
            let at = waiters.iter().position(|one| Rc::ptr_eq(one, &self.waiter));
            at.inspect(|at| drop(waiters.remove(*at)))
        };
        queue.waits.leave();
        if found == Some(0) {
            queue.publish_first();
            // Whatever the one in front of it has left.
            queue.call_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn since(shared_ms: u64) -> WaitStart {
        WaitStart { at: Duration::ZERO, shared_ms }
    }

    fn queue(waits: &Arc<Waits>, core: u32) -> Rc<PlaceQueue> {
        Rc::new(PlaceQueue::new(waits, core))
    }

    fn is_called(place: &QueuePlace) -> bool {
        pin!(place.called()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_first_is_called_and_passes_its_turn_on() {
        let waits = Arc::new(Waits::new(2));
        let (queue, other) = (queue(&waits, 0), queue(&waits, 1));
        let [first, second, third] = [10, 11, 12].map(|at| queue.join(3, since(at)).unwrap());
        assert!(queue.join(3, since(13)).is_none() && other.join(3, since(13)).is_none());
        assert!(first.is_first() && !second.is_first());
        assert!(!is_called(&first));
        queue.call_first();
        assert!(is_called(&first) && !is_called(&first) && !is_called(&second));
        // One that gives up in the middle changes nothing for the others.
        drop(second);
        assert!(!is_called(&third) && waits.count() == 2);
        drop(first);
        assert!(third.is_first() && is_called(&third));
        drop(third);
        assert!(queue.is_empty() && queue.is_empty_everywhere());
        queue.call_first();
    }

    #[test]
    fn what_is_wanted_elsewhere_is_known_on_every_core() {
        let waits = Arc::new(Waits::new(2));
        let (here, there) = (queue(&waits, 0), queue(&waits, 1));
        assert!(!here.is_wanted_elsewhere());
        let waiting = there.join(9, since(100)).unwrap();
        assert!(here.is_wanted_elsewhere() && !there.is_wanted_elsewhere());
        // Of two that wait about as long, each stays with its own connections.
        let young = here.join(9, since(150)).unwrap();
        assert!(!here.is_wanted_elsewhere() && !there.is_wanted_elsewhere());
        drop(young);
        let younger = here.join(9, since(200)).unwrap();
        assert!(here.is_wanted_elsewhere() && !there.is_wanted_elsewhere());
        drop((waiting, younger));
        assert!(!here.is_wanted_elsewhere() && waits.count() == 0);
    }

    /// Cores that take, give back and give up in any order: never more places than there are, everybody is served
    /// or gives up, and nothing is left over.
    #[test]
    fn every_waiter_is_served_or_leaves() {
        use crate::health::{NodePlace, NodePlaces};
        const PLACES: u32 = 3;
        for seed in 0..400_u64 {
            let mut draw = seed;
            let mut below = |limit: u64| {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (draw >> 33) % limit
            };
            let places = Arc::new(NodePlaces::default());
            places.set_max(PLACES);
            let waits = Arc::new(Waits::new(3));
            let queues: Vec<_> = (0..3).map(|core| queue(&waits, core)).collect();
            let mut waiting: Vec<Vec<QueuePlace>> = (0..3).map(|_| Vec::new()).collect();
            let mut open: Vec<NodePlace> = Vec::new();
            let (mut joined, mut served, mut left) = (0, 0, 0);
            for now in 1..600 {
                let core = usize::try_from(below(3)).unwrap();
                match below(4) {
                    0 => {
                        if let Some(place) = queues[core].join(20, since(now)) {
                            waiting[core].push(place);
                            joined += 1;
                        }
                    }
                    1 if !open.is_empty() => drop(open.swap_remove(0)),
                    2 if below(8) == 0 && !waiting[core].is_empty() => {
                        let at = usize::try_from(below(waiting[core].len() as u64)).unwrap();
                        drop(waiting[core].remove(at));
                        left += 1;
                    }
                    _ => served += serve(&queues[core], &mut waiting[core], &places, &mut open),
                }
                assert!(places.taken() <= PLACES && open.len() == places.taken() as usize);
                assert!(waits.count() <= 20);
            }
            // From now on every place comes back at once: all are served, whichever core looks first.
            for _ in 0..200 {
                open.clear();
                for core in 0..3 {
                    served += serve(&queues[core], &mut waiting[core], &places, &mut open);
                }
            }
            open.clear();
            assert_eq!(joined, served + left, "seed {seed}");
            assert_eq!((waits.count(), places.taken()), (0, 0));
            assert!(queues.iter().all(|queue| queue.is_empty() && !queue.is_wanted_elsewhere()));
        }
    }

    fn serve(
        queue: &Rc<PlaceQueue>,
        waiting: &mut Vec<QueuePlace>,
        places: &Arc<crate::health::NodePlaces>,
        open: &mut Vec<crate::health::NodePlace>,
    ) -> usize {
        let Some(first) = waiting.first() else { return 0 };
        assert!(first.is_first());
        if !queue.is_turn_of(first.since().shared_ms) {
            return 0;
        }
        let Some(place) = places.take() else { return 0 };
        open.push(place);
        waiting.remove(0);
        1
    }
}
