//! The deadline of one direction of a connection: armed before a wait and disarmed after it.
//!
//! Others change it by a [`TimerHandle`]: they bring it forward, put it off, or shut the connection down.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::table::{ArmedAction, NEVER, Shut, ShutTarget, TimerTable, remember, ticks};
use crate::shell::transport::net::Descriptor;

/// One slot of the table; freed when dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    pub(super) table: Rc<RefCell<TimerTable>>,
    pub(super) slot: usize,
}

impl Timer {
    /// A slot of `table`, disarmed; `home` is the slot that records what happens to the connection, if that
    /// is another one.
    pub(super) fn new(table: &Rc<RefCell<TimerTable>>, home: Option<usize>) -> Self {
        let mut guard = table.borrow_mut();
        let slot = guard.take_slot();
        guard.set_home(slot, home.unwrap_or(slot));
        Self { table: Rc::clone(table), slot }
    }

    /// The handle by which others change it; it must not be used once the timer is dropped and its slot is
    /// reused.
    #[must_use]
    pub(crate) fn timer_handle(&self) -> TimerHandle {
        TimerHandle { table: Rc::clone(&self.table), slot: self.slot }
    }

    /// Arms it: `after` this long, `descriptor` is shut.
    pub(crate) fn arm(&self, after: Duration, descriptor: Descriptor, shut: Shut) {
        self.set(after, ArmedAction { descriptor, shut }, false);
    }

    /// The same, for an idle connection: it waits for nothing but the next request.
    pub(crate) fn arm_idle(&self, after: Duration, descriptor: Descriptor, shut: Shut) {
        self.set(after, ArmedAction { descriptor, shut }, true);
    }

    fn set(&self, after: Duration, action: ArmedAction, idle: bool) {
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
            *entry = Some(action);
        }
        if let Some(entry) = table.fired.get_mut(slot) {
            *entry = false;
        }
    }

    /// Disarms it.
    pub(crate) fn disarm(&self) {
        let mut table = self.table.borrow_mut();
        if let Some(entry) = table.due.get_mut(self.slot) {
            *entry = NEVER;
        }
    }

    /// Has it fired since it was last armed?
    #[must_use]
    pub(crate) fn fired(&self) -> bool {
        self.table.borrow().fired.get(self.slot).copied().unwrap_or(false)
    }

    /// Have we ever shut down the connection whose home this slot is, for whatever reason?
    #[must_use]
    pub(crate) fn was_shut(&self) -> bool {
        self.table.borrow().shut.get(self.slot).copied().unwrap_or(false)
    }

    /// The connection of `descriptor`, whose home this slot is, for others to shut down.
    #[must_use]
    pub(crate) const fn shut_target(&self, descriptor: Descriptor) -> ShutTarget {
        ShutTarget { descriptor, home: self.slot, spares_half_close: false }
    }

    /// Sets how much memory the connection holds while it waits.
    pub(crate) fn set_held_bytes(&self, bytes: usize) {
        if let Some(held) = self.table.borrow_mut().held.get_mut(self.slot) {
            *held = u32::try_from(bytes).unwrap_or(u32::MAX);
        }
    }

    /// Its connection made progress.
    pub(crate) fn note_progress(&self) {
        self.table.borrow_mut().note_progress(self.slot);
    }

    /// Notes bytes that were received or sent; enough of them are progress.
    pub(crate) fn note_bytes(&self, bytes: usize) {
        self.table.borrow_mut().note_bytes(self.slot, bytes);
    }

    fn forget_waker(&self) -> Option<Waker> {
        self.table.borrow_mut().wakers.get_mut(self.slot).and_then(Option::take)
    }
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

/// The handle by which others than its owner change a deadline.
#[derive(Clone, Debug)]
pub(crate) struct TimerHandle {
    table: Rc<RefCell<TimerTable>>,
    slot: usize,
}

impl TimerHandle {
    /// If it is armed, it is due within `within` at the latest.
    pub(crate) fn hasten(&self, within: Duration) {
        let mut table = self.table.borrow_mut();
        let latest = table.now.saturating_add(ticks(within)).min(NEVER - 1);
        if let Some(due) = table.due.get_mut(self.slot).filter(|due| **due != NEVER) {
            *due = latest.min(*due);
        }
    }
}

impl TimerHandle {
    /// Shuts down the connection of `descriptor`, whose home this slot is, and records it.
    pub(crate) fn shut_both(&self, descriptor: Descriptor) {
        remember(&mut self.table.borrow_mut().shut, self.slot);
        descriptor.shut_both();
    }

    /// If it is armed to shut its own connection, it is due in `after` at the earliest.
    pub(crate) fn prolong(&self, after: Duration) {
        let mut table = self.table.borrow_mut();
        let earliest = table.now.saturating_add(ticks(after)).min(NEVER - 1);
        if !matches!(
            table.actions.get(self.slot),
            Some(Some(ArmedAction { shut: Shut::Read | Shut::Both, .. }))
        ) {
            return;
        }
        if let Some(due) = table.due.get_mut(self.slot).filter(|due| **due != NEVER) {
            *due = earliest.max(*due);
        }
    }

    /// If the connection is idle, it is due within `within` at the latest.
    pub(crate) fn hasten_idle(&self, within: Duration) {
        let idle = self.table.borrow().idle.get(self.slot).copied().unwrap_or(false);
        if idle {
            self.hasten(within);
        }
    }

    /// If the connection is idle, it is shut now.
    pub(crate) fn end_idle(&self) {
        let mut guard = self.table.borrow_mut();
        let table = &mut *guard;
        let idle = table.idle.get(self.slot).copied().unwrap_or(false);
        let Some(due) = table.due.get_mut(self.slot).filter(|due| idle && **due != NEVER) else {
            return;
        };
        match table.actions.get(self.slot) {
            Some(Some(ArmedAction { descriptor, shut: Shut::Read })) => descriptor.shut_read(),
            Some(Some(ArmedAction { descriptor, shut: Shut::Both })) => descriptor.shut_both(),
            // Nobody who waits for a request watches another descriptor meanwhile.
            Some(Some(ArmedAction { shut: Shut::IfLeft(_) | Shut::Wake(_), .. }) | None) | None => {
                return;
            }
        }
        *due = NEVER;
        remember(&mut table.shut, self.slot);
        if let Some(fired) = table.fired.get_mut(self.slot) {
            *fired = true;
        }
    }
}
