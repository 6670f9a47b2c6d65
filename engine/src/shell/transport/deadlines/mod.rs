//! The coarse timer of one core: a dense table of deadlines, looked through once a tick.
//!
//! Arming is one store. A deadline that passes shuts its descriptor down, which completes whatever
//! the kernel had pending on it; no future is ever dropped to end a wait, because a dropped receive
//! loses data. 50,000 connections are 200 KB to look through, some ten microseconds a tick.

mod stalled;
mod waking;

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

pub use stalled::Ended;

use super::net::Descriptor;

/// The length of a tick: how late a timeout may be.
pub const TICK: Duration = Duration::from_millis(100);

const NEVER: u32 = u32::MAX;

/// How often a waiting client is looked at.
const LOOK_AGAIN_TICKS: u32 = 5;

/// What is shut when time is up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shut {
    /// Reading only: we still want to answer.
    Read,
    /// Everything.
    Both,
    /// This other descriptor, if the peer of the timer's own one has left; looked at again and again
    /// until the timer is disarmed. A client that is gone must not keep an upstream busy.
    IfLeft(Line),
    /// Nothing yet: the task that waits is woken, and then it is as if `IfLeft` had been armed.
    Wake(Option<Line>),
}

/// A connection whose end may be our own doing: its descriptor, and the slot that remembers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line {
    descriptor: Descriptor,
    home: usize,
}

#[derive(Debug, Default)]
struct Table {
    now: u32,
    /// The tick at which each slot is due; beside the actions, so that the scan stays dense.
    due: Vec<u32>,
    actions: Vec<Option<(Descriptor, Shut)>>,
    fired: Vec<bool>,
    idle: Vec<bool>,
    /// Who is woken; kept for as long as the slot is held, because it is the same task every time.
    wakers: Vec<Option<Waker>>,
    /// The slot of the same connection that remembers whether we shut it.
    home: Vec<usize>,
    /// We have shut the connection whose home this is. Never taken back while the slot is held: what
    /// its reader finds behind is no end that the peer has chosen.
    shut: Vec<bool>,
    free: Vec<u32>,
    /// When the connection of the slot last got on.
    progress: Vec<u32>,
    /// Bytes it has brought or taken since.
    gained: Vec<u32>,
    /// Bytes of memory that its wait holds.
    held: Vec<u32>,
}

/// All deadlines of one core.
#[derive(Clone, Debug, Default)]
pub struct Deadlines(Rc<RefCell<Table>>);

/// One connection's slot; freed when dropped.
#[derive(Debug)]
pub struct Timer {
    table: Rc<RefCell<Table>>,
    slot: usize,
}

impl Deadlines {
    /// A new slot, disarmed.
    #[must_use]
    pub fn timer(&self) -> Timer {
        let mut table = self.0.borrow_mut();
        let slot = table.take_slot();
        table.set_home(slot, slot);
        Timer { table: Rc::clone(&self.0), slot }
    }

    /// A slot of its own for the other direction of the same connection.
    #[must_use]
    pub fn companion(&self, of: &Timer) -> Timer {
        let mut table = self.0.borrow_mut();
        let slot = table.take_slot();
        table.set_home(slot, of.slot);
        Timer { table: Rc::clone(&self.0), slot }
    }

    /// Connections that wait for nothing but a next request are due within `grace`.
    pub fn hasten_idle(&self, grace: Duration) {
        let mut guard = self.0.borrow_mut();
        let table = &mut *guard;
        let latest = table.now.saturating_add(ticks(grace)).min(NEVER - 1);
        for (due, idle) in table.due.iter_mut().zip(&table.idle) {
            if *idle && *due != NEVER {
                *due = latest.min(*due);
            }
        }
    }

    /// The `count` connections that have been idle the longest are due at the next tick: what they
    /// hold is needed for others. Returns how many there were.
    pub fn end_idlest(&self, count: usize) -> usize {
        let mut guard = self.0.borrow_mut();
        let Table { now, due, idle, .. } = &mut *guard;
        let waits = |due: u32, idle: bool| idle && due != NEVER && due > now.saturating_add(1);
        let mut waiting: Vec<(u32, usize)> = due
            .iter()
            .zip(idle.iter())
            .enumerate()
            .filter(|(_, (due, idle))| waits(**due, **idle))
            .map(|(slot, (due, _))| (*due, slot))
            .collect();
        // All of them wait for as long, so the one that is due first began first.
        waiting.sort_unstable();
        waiting.truncate(count);
        for (_, slot) in &waiting {
            if let Some(due) = due.get_mut(*slot) {
                *due = now.saturating_add(1);
            }
        }
        waiting.len()
    }

    /// Slots that somebody holds.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let table = self.0.borrow();
        table.due.len() - table.free.len()
    }

    /// One tick later: shuts what is due. Returns how many were.
    pub fn tick(&self) -> u32 {
        let mut guard = self.0.borrow_mut();
        let table = &mut *guard;
        // At ten ticks a second this takes thirteen years to wrap; stop short of it.
        table.now = table.now.saturating_add(1).min(NEVER - 1);
        let now = table.now;
        let mut count = 0;
        for (slot, due) in table.due.iter_mut().enumerate() {
            if *due > now {
                continue;
            }
            match table.actions.get_mut(slot) {
                Some(Some((_, shut @ Shut::Wake(_)))) => {
                    let next = waking::wake(shut, table.wakers.get(slot));
                    *due = next.map_or(NEVER, |after| now.saturating_add(after));
                    continue;
                }
                Some(Some((descriptor, Shut::IfLeft(other)))) => {
                    if !descriptor.has_left() {
                        *due = now.saturating_add(LOOK_AGAIN_TICKS);
                        continue;
                    }
                    other.descriptor.shut_both();
                    remember(&mut table.shut, other.home);
                }
                Some(Some((descriptor, shut))) => {
                    match shut {
                        Shut::Read => descriptor.shut_read(),
                        Shut::Both | Shut::IfLeft(_) | Shut::Wake(_) => descriptor.shut_both(),
                    }
                    remember(&mut table.shut, table.home.get(slot).copied().unwrap_or(slot));
                }
                Some(None) | None => {}
            }
            *due = NEVER;
            count += 1;
            if let Some(fired) = table.fired.get_mut(slot) {
                *fired = true;
            }
        }
        count
    }
}

fn remember(shut: &mut [bool], home: usize) {
    if let Some(entry) = shut.get_mut(home) {
        *entry = true;
    }
}

impl Table {
    fn take_slot(&mut self) -> usize {
        if let Some(slot) = self.free.pop() {
            self.note_progress(slot as usize);
            return slot as usize;
        }
        self.progress.push(self.now);
        self.gained.push(0);
        self.held.push(0);
        self.due.push(NEVER);
        self.actions.push(None);
        self.wakers.push(None);
        self.fired.push(false);
        self.idle.push(false);
        self.home.push(0);
        self.shut.push(false);
        self.due.len() - 1
    }

    fn set_home(&mut self, slot: usize, home: usize) {
        if let Some(entry) = self.home.get_mut(slot) {
            *entry = home;
        }
    }
}

/// A slot's deadline, seen from outside its owner.
#[derive(Clone, Debug)]
pub struct Remote {
    table: Rc<RefCell<Table>>,
    slot: usize,
}

impl Remote {
    /// If the slot is armed: it is due within `within` at the latest.
    pub fn hasten(&self, within: Duration) {
        let mut table = self.table.borrow_mut();
        let latest = table.now.saturating_add(ticks(within)).min(NEVER - 1);
        if let Some(due) = table.due.get_mut(self.slot).filter(|due| **due != NEVER) {
            *due = latest.min(*due);
        }
    }
}

impl Remote {
    /// Shuts the connection whose home the slot is, which `descriptor` belongs to.
    pub fn shut_both(&self, descriptor: Descriptor) {
        remember(&mut self.table.borrow_mut().shut, self.slot);
        descriptor.shut_both();
    }

    /// If the slot is armed to shut its own connection: that is due no earlier than `after` this long.
    pub fn prolong(&self, after: Duration) {
        let mut table = self.table.borrow_mut();
        let earliest = table.now.saturating_add(ticks(after)).min(NEVER - 1);
        if !matches!(table.actions.get(self.slot), Some(Some((_, Shut::Read | Shut::Both)))) {
            return;
        }
        if let Some(due) = table.due.get_mut(self.slot).filter(|due| **due != NEVER) {
            *due = earliest.max(*due);
        }
    }

    /// If the slot waits for nothing but a next request, that is over now.
    pub fn end_idle(&self) {
        let mut guard = self.table.borrow_mut();
        let table = &mut *guard;
        let idle = table.idle.get(self.slot).copied().unwrap_or(false);
        let Some(due) = table.due.get_mut(self.slot).filter(|due| idle && **due != NEVER) else {
            return;
        };
        match table.actions.get(self.slot) {
            Some(Some((descriptor, Shut::Read))) => descriptor.shut_read(),
            Some(Some((descriptor, Shut::Both))) => descriptor.shut_both(),
            // Nobody who waits for a request watches another descriptor meanwhile.
            Some(Some((_, Shut::IfLeft(_) | Shut::Wake(_))) | None) | None => return,
        }
        *due = NEVER;
        remember(&mut table.shut, self.slot);
        if let Some(fired) = table.fired.get_mut(self.slot) {
            *fired = true;
        }
    }
}

impl Timer {
    /// A view from outside; it must not be used once the timer is dropped and its slot reused.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote { table: Rc::clone(&self.table), slot: self.slot }
    }

    /// From now on, `after` this long `descriptor` is shut.
    pub fn arm(&self, after: Duration, descriptor: Descriptor, shut: Shut) {
        self.set(after, descriptor, (shut, false));
    }

    /// The same, for a connection that waits for nothing but a next request.
    pub fn arm_idle(&self, after: Duration, descriptor: Descriptor, shut: Shut) {
        self.set(after, descriptor, (shut, true));
    }

    fn set(&self, after: Duration, descriptor: Descriptor, (shut, idle): (Shut, bool)) {
        let mut table = self.table.borrow_mut();
        let due = table.now.saturating_add(ticks(after)).min(NEVER - 1);
        let slot = self.slot;
        if let Some(entry) = table.idle.get_mut(slot) {
            *entry = idle;
        }
        if let Some(entry) = table.due.get_mut(slot) {
            *entry = due;
        }
        if let Some(entry) = table.actions.get_mut(slot) {
            *entry = Some((descriptor, shut));
        }
        if let Some(entry) = table.fired.get_mut(slot) {
            *entry = false;
        }
    }

    /// Nothing is due any more.
    pub fn disarm(&self) {
        let mut table = self.table.borrow_mut();
        if let Some(entry) = table.due.get_mut(self.slot) {
            *entry = NEVER;
        }
    }

    /// Has it been shut since it was last armed?
    #[must_use]
    pub fn fired(&self) -> bool {
        self.table.borrow().fired.get(self.slot).copied().unwrap_or(false)
    }

    /// Was the connection whose home the slot is ever shut by us, for whatever reason?
    #[must_use]
    pub fn was_shut(&self) -> bool {
        self.table.borrow().shut.get(self.slot).copied().unwrap_or(false)
    }

    /// The connection whose home the slot is, which `descriptor` belongs to.
    #[must_use]
    pub const fn line(&self, descriptor: Descriptor) -> Line {
        Line { descriptor, home: self.slot }
    }
}

/// Rounded up, and one more: the current tick is partly over.
fn ticks(time: Duration) -> u32 {
    let ticks = time.as_millis().div_ceil(TICK.as_millis()) + 1;
    u32::try_from(ticks).unwrap_or(NEVER)
}

impl Drop for Timer {
    fn drop(&mut self) {
        // A task that nobody else knows any more ends with its waker, and drops timers of its own.
        let waker = self.forget_waker();
        let mut table = self.table.borrow_mut();
        let slot = self.slot;
        if let Some(entry) = table.due.get_mut(slot) {
            *entry = NEVER;
        }
        // The descriptor may be closed, and its number reused, from here on.
        if let Some(entry) = table.actions.get_mut(slot) {
            *entry = None;
        }
        if let Some(entry) = table.fired.get_mut(slot) {
            *entry = false;
        }
        if let Some(entry) = table.shut.get_mut(slot) {
            *entry = false;
        }
        if let Ok(slot) = u32::try_from(slot) {
            table.free.push(slot);
        }
        drop(table);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::transport::net::{Peek, UnixStream};
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
                1 => client.arm(TICK, descriptor, Shut::IfLeft(reading.line(descriptor))),
                _ => reading.remote().shut_both(descriptor),
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
        timer.remote().prolong(3 * TICK);
        timer.remote().prolong(TICK);
        assert_eq!([deadlines.tick(), deadlines.tick(), deadlines.tick()], [0; 3]);
        assert_eq!(deadlines.tick(), 1);
        timer.remote().prolong(TICK);
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
