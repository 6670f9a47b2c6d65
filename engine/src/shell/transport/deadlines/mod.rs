//! The coarse timer of one core: a dense table of deadlines, scanned once a tick.
//!
//! Arming a deadline is one store. When a deadline passes, its descriptor is shut down, which completes every
//! operation that is pending on it. No future is ever dropped to end a wait, because a dropped receive loses
//! data. With 50,000 connections, a tick scans 200 KB, in about ten microseconds.

mod stalled;
mod table;
mod timer;
mod waking;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub(crate) use stalled::Reclaimed;
use table::TimerTable;
pub(crate) use table::{Shut, ShutTarget, TICK};
pub(crate) use timer::{Timer, TimerHandle};

/// All deadlines of one core.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deadlines(Rc<RefCell<TimerTable>>);

impl Deadlines {
    /// A new slot, disarmed.
    #[must_use]
    pub(crate) fn timer(&self) -> Timer {
        Timer::new(&self.0, None)
    }

    /// A second slot for the other direction of the same connection.
    #[must_use]
    pub(crate) fn companion(&self, of: &Timer) -> Timer {
        Timer::new(&self.0, Some(of.slot))
    }

    /// Brings the deadline of every idle connection forward to `grace` from now.
    pub(crate) fn hasten_idle(&self, grace: Duration) {
        self.0.borrow_mut().hasten_idle(grace);
    }

    /// Makes the `count` connections that have been idle the longest due at the next tick: others need
    /// what they hold. Returns how many there were.
    pub(crate) fn end_idlest(&self, count: usize) -> usize {
        self.0.borrow_mut().end_idlest(count)
    }

    /// Ends the connections that have been stalled the longest, until that frees so many bytes. They are
    /// due at the next tick, and each sees an ordinary timeout.
    pub(crate) fn end_stalled(&self, bytes: usize) -> Reclaimed {
        self.0.borrow_mut().end_stalled(bytes)
    }

    /// Slots that are in use.
    #[must_use]
    pub(crate) fn in_use(&self) -> usize {
        let table = self.0.borrow();
        table.due.len() - table.free.len()
    }

    /// Moves the time on by one tick and shuts what is due. Returns how many deadlines have fired.
    pub(crate) fn tick(&self) -> u32 {
        self.0.borrow_mut().tick()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::transport::net::{Descriptor, Peek, UnixStream};
    use crate::simulation::network::tasks::run;

    #[test]
    fn a_due_timer_shuts_its_descriptor_once() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let timer = deadlines.timer();
        timer.arm(TICK, Descriptor::of(&ours), Shut::Read);
        assert_eq!(deadlines.tick(), 0);
        assert!(!timer.fired());
        assert_eq!(deadlines.tick(), 1);
        assert!(timer.fired());
        assert_eq!(deadlines.tick(), 0);
        assert_eq!(Descriptor::of(&ours).peek(), Peek::Ended);
    }

    #[test]
    fn whoever_shuts_a_connection_is_remembered_for_its_life() {
        let deadlines = Deadlines::default();
        let (ours, theirs) = UnixStream::pair();
        let descriptor = Descriptor::of(&ours);
        let reading = deadlines.timer();
        let writing = deadlines.companion(&reading);
        // A timeout that came in the same round as bytes: nobody has asked before the next wait.
        reading.arm(TICK, descriptor, Shut::Read);
        assert!(!reading.was_shut());
        assert_eq!([deadlines.tick(), deadlines.tick()], [0, 1]);
        reading.arm(TICK, descriptor, Shut::Read);
        assert_eq!((reading.fired(), reading.was_shut()), (false, true));
        drop((reading, writing));
        // The other direction, another connection's watch, and whoever asks from outside.
        for how in 0..3 {
            let reading = deadlines.timer();
            let writing = deadlines.companion(&reading);
            let client = deadlines.timer();
            assert!(!reading.was_shut(), "a new connection");
            match how {
                0 => writing.arm(TICK, descriptor, Shut::Both),
                1 => client.arm(TICK, descriptor, Shut::IfLeft(reading.shut_target(descriptor))),
                _ => reading.timer_handle().shut_both(descriptor),
            }
            Descriptor::of(&theirs).shut_write();
            run(Duration::from_secs(9), || descriptor.has_left()).unwrap();
            deadlines.tick();
            deadlines.tick();
            assert_eq!((reading.was_shut(), client.was_shut()), (true, false), "{how}");
        }
    }

    #[test]
    fn a_disarmed_or_dropped_timer_never_fires() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let timer = deadlines.timer();
        timer.arm(TICK, Descriptor::of(&ours), Shut::Both);
        timer.disarm();
        let dropped = deadlines.timer();
        dropped.arm(TICK, Descriptor::of(&ours), Shut::Both);
        drop(dropped);
        for _ in 0..5 {
            assert_eq!(deadlines.tick(), 0);
        }
        assert!(!timer.fired());
    }

    #[test]
    fn an_armed_timer_can_be_prolonged_and_a_disarmed_one_stays_so() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let timer = deadlines.timer();
        timer.arm(TICK, Descriptor::of(&ours), Shut::Both);
        timer.timer_handle().prolong(3 * TICK);
        timer.timer_handle().prolong(TICK);
        assert_eq!([deadlines.tick(), deadlines.tick(), deadlines.tick()], [0; 3]);
        assert_eq!(deadlines.tick(), 1);
        timer.timer_handle().prolong(TICK);
        assert_eq!([deadlines.tick(), deadlines.tick(), deadlines.tick()], [0; 3]);
    }

    #[test]
    fn who_was_idle_longest_ends_first_and_who_is_busy_stays() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let descriptor = Descriptor::of(&ours);
        let timers: Vec<_> = (0..4).map(|_| deadlines.timer()).collect();
        timers[0].arm(2 * TICK, descriptor, Shut::Read);
        for (after, timer) in [(30, &timers[1]), (20, &timers[2]), (40, &timers[3])] {
            timer.arm_idle(after * TICK, descriptor, Shut::Read);
        }
        assert_eq!(deadlines.end_idlest(2), 2);
        assert_eq!(deadlines.tick(), 2);
        let fired: Vec<_> = timers.iter().map(Timer::fired).collect();
        assert_eq!(fired, [false, true, true, false]);
        assert_eq!(deadlines.end_idlest(2), 1);
    }

    #[test]
    fn slots_are_used_again() {
        let deadlines = Deadlines::default();
        for _ in 0..1_000 {
            let _timer = deadlines.timer();
        }
        assert_eq!(deadlines.0.borrow().due.len(), 1);
    }
}
