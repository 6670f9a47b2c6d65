//! Changes as they happen, for those who listen on the admin socket.
//!
//! In: a change, from whatever thread makes it, which never waits: it goes into a channel, and is lost if that is
//! full. Out: the last changes in order, each with a number, for control threads alone. A reader that is too slow
//! finds numbers missing, and is told how many.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// So many of the last events are kept for readers.
pub const EVENTS_KEPT: usize = 256;
/// So many may happen between two looks of a control thread.
const CHANNEL: usize = 512;

/// Something has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeEvent {
    /// When, in Unix seconds.
    pub unix_seconds: u64,
    /// The upstream's id.
    pub upstream: Box<str>,
    /// What.
    pub what: EventKind,
}

/// What has changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A node's state.
    Node {
        /// The node as written.
        node: Box<str>,
        /// How it has changed, in a word.
        change: &'static str,
        /// Its state now, in a word.
        state: &'static str,
        /// Why its active check fails, if it does.
        reason: Option<Box<str>>,
        /// In how many milliseconds it is asked again, if that is known.
        again_in_ms: Option<u64>,
    },
    /// Whether all nodes are asked because too few are healthy.
    Panic {
        /// They are, from now on.
        begins: bool,
        /// Nodes that are healthy.
        healthy: usize,
        /// Nodes that may be asked as far as their weight and the operator say.
        eligible: usize,
    },
    /// A route's circuit: whether the upstream is asked for it.
    Circuit {
        /// The route's id.
        route: Box<str>,
        /// For so many seconds it is not; `None` if the circuit has recovered.
        broken_seconds: Option<u32>,
    },
}

/// An event with its number; numbers go up by one, and by more where events were lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NumberedEvent {
    /// From 1.
    pub number: u64,
    /// So many before it were lost to this reader.
    pub lost: u64,
    /// What happened.
    pub event: Arc<NodeEvent>,
}

/// The events of the process.
#[derive(Debug)]
pub struct NodeEvents {
    sender: SyncSender<NodeEvent>,
    /// The channel was full for so many.
    lost: AtomicU64,
    /// Only control threads take it.
    kept: Mutex<KeptEvents>,
}

#[derive(Debug)]
struct KeptEvents {
    receiver: Receiver<NodeEvent>,
    events: VecDeque<NumberedEvent>,
    /// The number of the last event, lost ones included.
    last: u64,
}

impl Default for NodeEvents {
    fn default() -> Self {
        let (sender, receiver) = sync_channel(CHANNEL);
        let kept = KeptEvents { receiver, events: VecDeque::new(), last: 0 };
        Self { sender, lost: AtomicU64::new(0), kept: Mutex::new(kept) }
    }
}

impl NodeEvents {
    /// Something has changed. Does not wait for anybody.
    pub fn push(&self, event: NodeEvent) {
        if self.sender.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what is in the channel, so that there is room. To be called now and then, by a control thread.
    pub fn collect(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).collect(&self.lost);
    }

    /// The number of the event before the last `count` ones: where a reader begins who wants to see those.
    #[must_use]
    pub fn before_last(&self, count: usize) -> u64 {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.collect(&self.lost);
        let first = kept.events.len().saturating_sub(count);
        kept.events.get(first).map_or(kept.last, |event| event.number - 1)
    }

    /// The events after this number.
    #[must_use]
    pub fn after(&self, number: u64) -> Vec<NumberedEvent> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.collect(&self.lost);
        let mut seen = number;
        let new = kept.events.iter().filter(|event| event.number > number);
        let new = new.map(|event| {
            let lost = event.number - seen - 1;
            seen = event.number;
            NumberedEvent { lost, ..event.clone() }
        });
        new.collect()
    }
}

impl KeptEvents {
    fn collect(&mut self, lost: &AtomicU64) {
        // No more than the channel holds: who fills it meanwhile keeps nobody here.
        for event in self.receiver.try_iter().take(CHANNEL) {
            self.last += 1;
            if self.events.len() >= EVENTS_KEPT {
                self.events.pop_front();
            }
            let event = Arc::new(event);
            self.events.push_back(NumberedEvent { number: self.last, lost: 0, event });
        }
        // There was no room for these behind those.
        self.last += lost.swap(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(unix_seconds: u64) -> NodeEvent {
        let what = EventKind::Panic { begins: true, healthy: 1, eligible: 4 };
        NodeEvent { unix_seconds, upstream: "app".into(), what }
    }

    fn seen(events: &[NumberedEvent]) -> Vec<(u64, u64, u64)> {
        events.iter().map(|one| (one.number, one.lost, one.event.unix_seconds)).collect()
    }

    #[test]
    fn a_reader_sees_every_event_once_and_begins_where_it_likes() {
        let events = NodeEvents::default();
        assert_eq!((events.before_last(5), events.after(0).len()), (0, 0));
        (1..=4).for_each(|at| events.push(event(at)));
        assert_eq!([9, 3, 0].map(|count| events.before_last(count)), [0, 1, 4]);
        assert_eq!(seen(&events.after(2)), [(3, 0, 3), (4, 0, 4)]);
        assert_eq!(seen(&events.after(4)), []);
        events.push(event(5));
        assert_eq!(seen(&events.after(4)), [(5, 0, 5)]);
    }

    #[test]
    fn who_is_too_slow_is_told_what_was_lost() {
        let events = NodeEvents::default();
        for at in 1..=1_000 {
            events.push(event(at));
            events.collect();
        }
        let slow = seen(&events.after(10));
        assert_eq!(slow.len(), EVENTS_KEPT);
        assert_eq!((slow[0], slow[1]), ((745, 734, 745), (746, 0, 746)));
        assert_eq!(slow.last(), Some(&(1_000, 0, 1_000)));
    }

    /// Nobody looks for a while: what happens then is lost, and counted.
    #[test]
    fn who_makes_an_event_never_waits() {
        let events = NodeEvents::default();
        (1..=600).for_each(|at| events.push(event(at)));
        assert_eq!(events.after(0).len(), EVENTS_KEPT);
        events.push(event(601));
        assert_eq!(seen(&events.after(512)), [(601, 88, 601)]);
        assert_eq!(events.before_last(1), 600);
    }
}
