//! The slots of a core's timer: when each is due, and what is done then.
//!
//! Every column is a vector of its own, so that the scan of a tick reads nothing but due times.

use std::task::Waker;
use std::time::Duration;

use crate::shell::transport::net::Descriptor;

/// The length of a tick: how late a timeout may be.
pub(crate) const TICK: Duration = Duration::from_millis(100);

pub(super) const NEVER: u32 = u32::MAX;

/// How many ticks pass until a waiting client is looked at again.
const LOOK_AGAIN_TICKS: u32 = 5;

/// What is shut when time is up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shut {
    /// Only the reading direction: we still want to answer.
    Read,
    /// Both directions.
    Both,
    /// Both directions of this other connection, if the peer of the timer's own one has left; that is
    /// checked again and again until the timer is disarmed. A client that is gone must not keep an
    /// upstream busy.
    IfLeft(ShutTarget),
    /// Nothing yet: the waiting task is woken, and from then on it is as if `IfLeft` had been armed.
    Wake(Option<ShutTarget>),
}

/// A connection that somebody else may shut down: its descriptor, and the slot that records that we did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ShutTarget {
    pub(super) descriptor: Descriptor,
    pub(super) home: usize,
    /// A peer that has only ended its own direction has not left.
    pub(super) spares_half_close: bool,
}

impl ShutTarget {
    /// With `spares`, it is shut only for a peer that has left altogether, and not for one that has ended
    /// no more than its own direction.
    #[must_use]
    pub(crate) const fn sparing_half_close(self, spares: bool) -> Self {
        Self { spares_half_close: spares, ..self }
    }

    /// Has this peer left, as far as the connection is shut for that?
    fn is_left_by(self, peer: Descriptor) -> bool {
        if self.spares_half_close { peer.is_over() } else { peer.has_left() }
    }
}

/// What is done when a slot is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArmedAction {
    /// The connection of the slot.
    pub(super) descriptor: Descriptor,
    /// What is shut.
    pub(super) shut: Shut,
}

/// The slots, a column for each of their properties.
#[derive(Debug, Default)]
pub(super) struct TimerTable {
    pub(super) now: u32,
    /// The tick at which each slot is due; beside the actions, so that the scan stays dense.
    pub(super) due: Vec<u32>,
    pub(super) actions: Vec<Option<ArmedAction>>,
    pub(super) fired: Vec<bool>,
    pub(super) idle: Vec<bool>,
    /// The wakers of waiting tasks; kept as long as the slot is in use, because it is the same task every
    /// time.
    pub(super) wakers: Vec<Option<Waker>>,
    /// The slot of the same connection that records whether we shut it down.
    pub(super) home: Vec<usize>,
    /// Have we shut down the connection whose home this slot is? Once set, it stays while the slot is in
    /// use: whatever end its reader finds after that is not the peer's choice.
    pub(super) shut: Vec<bool>,
    pub(super) free: Vec<u32>,
    /// The tick at which the connection of the slot last made progress.
    pub(super) progress: Vec<u32>,
    /// Bytes it has received or sent since.
    pub(super) gained: Vec<u32>,
    /// Bytes of memory that it holds while it waits.
    pub(super) held: Vec<u32>,
}

impl TimerTable {
    /// Takes a free slot, disarmed.
    pub(super) fn take_slot(&mut self) -> usize {
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

    /// Sets the home of a slot: the slot that records what happens to the connection.
    pub(super) fn set_home(&mut self, slot: usize, home: usize) {
        if let Some(entry) = self.home.get_mut(slot) {
            *entry = home;
        }
    }

    /// Brings the deadline of every idle connection forward to `grace` from now.
    pub(super) fn hasten_idle(&mut self, grace: Duration) {
        let latest = self.now.saturating_add(ticks(grace)).min(NEVER - 1);
        for (due, idle) in self.due.iter_mut().zip(&self.idle) {
            if *idle && *due != NEVER {
                *due = latest.min(*due);
            }
        }
    }

    /// Makes the `count` connections that have been idle the longest due at the next tick. Returns how
    /// many there were.
    pub(super) fn end_idlest(&mut self, count: usize) -> usize {
        let Self { now, due, idle, .. } = self;
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

    /// Moves the time on by one tick and does what is due. Returns how many deadlines have fired.
    pub(super) fn tick(&mut self) -> u32 {
        // At ten ticks a second this takes thirteen years to wrap; stop short of it.
        self.now = self.now.saturating_add(1).min(NEVER - 1);
        let now = self.now;
        let (mut from, mut count) = (0, 0);
        while let Some(at) = self.due.iter().skip(from).position(|due| *due <= now) {
            let slot = from + at;
            from = slot + 1;
            let next = self.act(slot);
            if let Some(due) = self.due.get_mut(slot) {
                *due = next.due;
            }
            if let Some(fired) = self.fired.get_mut(slot).filter(|_| next.fired) {
                *fired = true;
                count += 1;
            }
        }
        count
    }

    /// Does what the slot was armed for.
    fn act(&mut self, slot: usize) -> SlotOutcome {
        let later = |after| SlotOutcome { due: self.now.saturating_add(after), fired: false };
        match self.actions.get_mut(slot) {
            Some(Some(ArmedAction { shut: shut @ Shut::Wake(_), .. })) => {
                if let Some(Some(waker)) = self.wakers.get(slot) {
                    waker.wake_by_ref();
                }
                let Shut::Wake(Some(line)) = *shut else {
                    return SlotOutcome { due: NEVER, fired: false };
                };
                *shut = Shut::IfLeft(line);
                return later(LOOK_AGAIN_TICKS - 1);
            }
            Some(Some(ArmedAction { descriptor, shut: Shut::IfLeft(other) })) => {
                if !other.is_left_by(*descriptor) {
                    return later(LOOK_AGAIN_TICKS);
                }
                other.descriptor.shut_both();
                remember(&mut self.shut, other.home);
            }
            Some(Some(ArmedAction { descriptor, shut })) => {
                match shut {
                    Shut::Read => descriptor.shut_read(),
                    Shut::Both | Shut::IfLeft(_) | Shut::Wake(_) => descriptor.shut_both(),
                }
                remember(&mut self.shut, self.home.get(slot).copied().unwrap_or(slot));
            }
            Some(None) | None => {}
        }
        SlotOutcome { due: NEVER, fired: true }
    }

    /// The connection of the slot made progress.
    pub(super) fn note_progress(&mut self, slot: usize) {
        if let Some(at) = self.progress.get_mut(slot) {
            *at = self.now;
        }
        if let Some(gained) = self.gained.get_mut(slot) {
            *gained = 0;
        }
    }
}

/// The new state of a slot whose action was due.
struct SlotOutcome {
    /// When it is due again.
    due: u32,
    /// Its deadline has passed, and its owner will see that.
    fired: bool,
}

/// Records that we have shut down the connection of this home.
pub(super) fn remember(shut: &mut [bool], home: usize) {
    if let Some(entry) = shut.get_mut(home) {
        *entry = true;
    }
}

/// A time in ticks, rounded up, and one more: the current tick is partly over.
pub(super) fn ticks(time: Duration) -> u32 {
    let ticks = time.as_millis().div_ceil(TICK.as_millis()) + 1;
    u32::try_from(ticks).unwrap_or(NEVER)
}
