//! The listening socket that a connection came in by, for as long as the connection lives.
//!
//! In: what was accepted. Out: whether its listener is still there. A connection whose listener was taken
//! away finishes what runs and says that it will close; if it is idle, it is closed after a moment, as in a
//! drain.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::plan::{ListenerId, ListenerPlan};
use crate::shell::state::core::DRAIN_GRACE;
use crate::shell::state::generation::LiveGeneration;
use crate::shell::transport::deadlines::TimerHandle;

/// By what a connection is accepted: a listener, as one generation numbers it. The two are one value, because
/// the listener may be gone, or another one, in the generation that is in force when the connection starts.
#[derive(Clone)]
pub(crate) struct AcceptedBy {
    /// The generation.
    pub(crate) live: Rc<LiveGeneration>,
    /// The listener there.
    pub(crate) listener: ListenerId,
    /// The connections that have come in by it.
    pub(crate) connections: Rc<ListenerConnections>,
}

/// The connections of one core that came in by one listener.
#[derive(Default)]
pub(crate) struct ListenerConnections {
    /// The listener was taken away.
    removed: Cell<bool>,
    /// This process accepts no more by it.
    ended: Cell<bool>,
    /// By the serial number of each: its wait for a request.
    waits: RefCell<HashMap<u64, TimerHandle, RandomState>>,
}

/// A connection's place among those of its listener, until this is dropped.
pub(crate) struct ListenerMembership {
    connections: Rc<ListenerConnections>,
    serial: u64,
}

impl AcceptedBy {
    /// What a listener accepts by.
    #[must_use]
    pub(crate) fn new(live: Rc<LiveGeneration>, listener: ListenerId) -> Self {
        Self { live, listener, connections: Rc::default() }
    }

    /// What it is configured to be.
    #[must_use]
    pub(crate) fn plan(&self) -> &ListenerPlan {
        self.live.generation.plan.listener(self.listener)
    }

    /// The same socket in another generation. Where that wants TLS there and this did not, for example, it is
    /// another listener, and this one is taken away.
    #[must_use]
    pub(crate) fn followed_by(&self, live: Rc<LiveGeneration>, listener: ListenerId) -> Self {
        let next = Self { live, listener, connections: Rc::clone(&self.connections) };
        if next.plan().is_same(self.plan()) {
            return next;
        }
        self.connections.remove_listener();
        Self { connections: Rc::default(), ..next }
    }
}

impl ListenerConnections {
    /// Enters a connection with this serial number and this wait for requests.
    #[must_use]
    pub(crate) fn enter(self: &Rc<Self>, serial: u64, wait: TimerHandle) -> ListenerMembership {
        self.waits.borrow_mut().insert(serial, wait);
        ListenerMembership { connections: Rc::clone(self), serial }
    }

    /// The listener is taken away: those that are idle are closed after a moment, in which a request may
    /// still come that is on its way.
    pub(crate) fn remove_listener(&self) {
        if !self.removed.replace(true) {
            self.waits.borrow().values().for_each(|wait| wait.hasten_idle(DRAIN_GRACE));
        }
    }

    /// The process accepts no more by the listener: what is answered from now on is the last answer of its connection.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    /// Is the next answer of a connection its last one?
    #[must_use]
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended.get() || self.removed.get()
    }

    /// Was the listener taken away?
    #[must_use]
    pub(crate) const fn is_listener_removed(&self) -> bool {
        self.removed.get()
    }
}

impl ListenerMembership {
    /// All connections of the listener.
    #[must_use]
    pub(crate) fn connections(&self) -> &ListenerConnections {
        &self.connections
    }
}

impl Drop for ListenerMembership {
    fn drop(&mut self) {
        self.connections.waits.borrow_mut().remove(&self.serial);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shell::transport::deadlines::{Deadlines, Shut, TICK};
    use crate::shell::transport::net::{Descriptor, UnixStream};

    #[test]
    fn only_idle_connections_of_the_listener_that_is_gone_are_closed() {
        let deadlines = Deadlines::default();
        let (ours, _theirs) = UnixStream::pair();
        let descriptor = Descriptor::of(&ours);
        let timers: Vec<_> = (0..4).map(|_| deadlines.timer()).collect();
        let (gone, stays) =
            (Rc::<ListenerConnections>::default(), Rc::<ListenerConnections>::default());
        let mut members: Vec<_> = (0..)
            .zip(&timers)
            .map(|(serial, timer)| {
                let listener = if serial == 2 { &stays } else { &gone };
                listener.enter(serial, timer.timer_handle())
            })
            .collect();
        let long = Duration::from_secs(60);
        timers[0].arm_idle(long, descriptor, Shut::Read);
        timers[1].arm(long, descriptor, Shut::Read);
        timers[2].arm_idle(long, descriptor, Shut::Read);
        timers[3].arm_idle(long, descriptor, Shut::Read);
        // It has left: its slot may be somebody else's by now.
        members.pop();
        gone.remove_listener();
        assert!(gone.is_listener_removed() && !stays.is_listener_removed());
        let ticks = DRAIN_GRACE.as_millis() / TICK.as_millis() + 2;
        (0..ticks).for_each(|_| {
            deadlines.tick();
        });
        let fired = [0, 1, 2, 3].map(|at: usize| timers[at].fired());
        assert_eq!(fired, [true, false, false, false]);
        drop(members);
        assert!(gone.waits.borrow().is_empty());
    }
}
