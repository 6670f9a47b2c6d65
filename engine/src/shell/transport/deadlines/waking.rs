//! A deadline that shuts nothing and wakes its own task, which then looks at what else has happened.
//!
//! The waker stays with the slot, so that arming is a comparison and a few stores.

use std::task::{Context, Poll};
use std::time::Duration;

use super::table::{ArmedAction, NEVER, Shut, ShutTarget, remember};
use super::timer::Timer;
use crate::shell::transport::net::Descriptor;

impl Timer {
    /// Arms it: `after` this long, the task that polls this is woken; from then on `watched`, if any, is
    /// shut down when `descriptor`'s peer has left.
    pub(crate) fn wake_after(
        &self,
        context: &Context<'_>,
        after: Duration,
        descriptor: Descriptor,
        watched: Option<ShutTarget>,
    ) {
        self.arm(after, descriptor, Shut::Wake(watched));
        let mut table = self.table.borrow_mut();
        let Some(entry) = table.wakers.get_mut(self.slot) else { return };
        if entry.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            return;
        }
        let before = entry.replace(context.waker().clone());
        drop(table);
        drop(before);
    }

    /// Has the time of [`Timer::wake_after`] passed?
    pub(crate) fn poll_woken(&self) -> Poll<()> {
        let table = self.table.borrow();
        let armed = table.due.get(self.slot).is_some_and(|due| *due != NEVER);
        let waits = matches!(
            table.actions.get(self.slot),
            Some(Some(ArmedAction { shut: Shut::Wake(_), .. }))
        );
        if armed && waits { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Shuts down another connection than its own, now.
    pub(crate) fn shut_other(&self, line: ShutTarget) {
        remember(&mut self.table.borrow_mut().shut, line.home);
        line.descriptor.shut_both();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::shell::transport::deadlines::{Deadlines, TICK};
    use crate::shell::transport::net::UnixStream;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_task_is_woken_once_and_its_waker_goes_with_the_timer() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let timer = deadlines.timer();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let context = Context::from_waker(&waker);
        let descriptor = Descriptor::of(&ours);
        timer.wake_after(&context, TICK, descriptor, None);
        timer.timer_handle().prolong(99 * TICK);
        assert_eq!((timer.poll_woken(), deadlines.tick()), (Poll::Pending, 0));
        assert_eq!((timer.poll_woken(), deadlines.tick()), (Poll::Pending, 0));
        assert_eq!((timer.poll_woken(), timer.fired()), (Poll::Ready(()), false));
        for _ in 0..9 {
            assert_eq!(deadlines.tick(), 0);
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        timer.wake_after(&context, TICK, descriptor, None);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 2, "one waker for both times");
        timer.disarm();
        assert_eq!(timer.poll_woken(), Poll::Ready(()));
        drop(timer);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_peer_that_ends_only_its_own_direction_may_be_spared() {
        for spares in [false, true] {
            let deadlines = Deadlines::default();
            let (ours, theirs) = UnixStream::pair();
            let (other, _far) = UnixStream::pair();
            let (timer, upstream) = (deadlines.timer(), deadlines.timer());
            let line = upstream.shut_target(Descriptor::of(&other)).sparing_half_close(spares);
            let context = Context::from_waker(Waker::noop());
            timer.wake_after(&context, TICK, Descriptor::of(&ours), Some(line));
            Descriptor::of(&theirs).shut_write();
            let arrived = || Descriptor::of(&ours).has_left();
            crate::simulation::network::tasks::run(Duration::from_secs(9), arrived).unwrap();
            let fired = (0..19).map(|_| deadlines.tick()).sum::<u32>();
            assert_eq!((fired, upstream.was_shut()), (u32::from(!spares), !spares));
            // Gone altogether, it has left in either case.
            Descriptor::of(&theirs).reset();
            drop(theirs);
            let over = || Descriptor::of(&ours).is_over();
            crate::simulation::network::tasks::run(Duration::from_secs(9), over).unwrap();
            for _ in 0..19 {
                deadlines.tick();
            }
            assert!(upstream.was_shut(), "{spares}");
        }
    }

    #[test]
    fn behind_it_a_peer_that_leaves_takes_the_other_connection_along() {
        let deadlines = Deadlines::default();
        let (ours, theirs) = UnixStream::pair();
        let (other, _far) = UnixStream::pair();
        let (timer, upstream) = (deadlines.timer(), deadlines.timer());
        let line = upstream.shut_target(Descriptor::of(&other));
        let context = Context::from_waker(Waker::noop());
        timer.wake_after(&context, TICK, Descriptor::of(&ours), Some(line));
        assert_eq!((0..9).map(|_| deadlines.tick()).sum::<u32>(), 0);
        assert!(!timer.fired() && !upstream.was_shut());
        drop(theirs);
        crate::simulation::network::tasks::run(Duration::from_secs(9), || {
            Descriptor::of(&ours).has_left()
        })
        .unwrap();
        assert_eq!((0..9).map(|_| deadlines.tick()).sum::<u32>(), 1);
        assert!(timer.fired() && upstream.was_shut());
    }
}
