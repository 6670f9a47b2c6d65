//! What can befall a node, and what has befallen one: its tasks end, or stop, with it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use super::setting::Setting;
use crate::simulation::network::world;

/// Where in an exchange a node fails.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum FailingStep {
    /// Before a byte of a request, or of its handshake, is read.
    Accept,
    RequestHead,
    RequestBody,
    ResponseHead,
    ResponseBody,
    /// Between two requests.
    Idle,
}

/// How it fails there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum FailingWay {
    Ends,
    Resets,
    Stalls,
    Garbage,
    /// A second answer follows.
    Surplus,
    /// Interim responses without an end.
    Interims,
}

/// What befalls a node.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Outage {
    /// Its process is gone, and with it all connections.
    Killed,
    /// Its process does nothing any more; the kernel still takes connections and bytes.
    Stopped,
    /// And nobody takes a connection.
    BlackHoled,
    Fails {
        step: FailingStep,
        way: FailingWay,
    },
}

const fn fails(step: FailingStep, way: FailingWay) -> Outage {
    Outage::Fails { step, way }
}

/// Everything that can befall a node.
pub(super) const OUTAGES: [Outage; 27] = [
    Outage::Killed,
    Outage::Stopped,
    Outage::BlackHoled,
    fails(FailingStep::Accept, FailingWay::Ends),
    fails(FailingStep::Accept, FailingWay::Resets),
    fails(FailingStep::Accept, FailingWay::Stalls),
    fails(FailingStep::Accept, FailingWay::Garbage),
    fails(FailingStep::RequestHead, FailingWay::Ends),
    fails(FailingStep::RequestHead, FailingWay::Resets),
    fails(FailingStep::RequestHead, FailingWay::Stalls),
    fails(FailingStep::RequestHead, FailingWay::Garbage),
    fails(FailingStep::RequestBody, FailingWay::Ends),
    fails(FailingStep::RequestBody, FailingWay::Resets),
    fails(FailingStep::RequestBody, FailingWay::Stalls),
    fails(FailingStep::ResponseHead, FailingWay::Ends),
    fails(FailingStep::ResponseHead, FailingWay::Resets),
    fails(FailingStep::ResponseHead, FailingWay::Stalls),
    fails(FailingStep::ResponseHead, FailingWay::Garbage),
    fails(FailingStep::ResponseHead, FailingWay::Interims),
    fails(FailingStep::ResponseBody, FailingWay::Ends),
    fails(FailingStep::ResponseBody, FailingWay::Resets),
    fails(FailingStep::ResponseBody, FailingWay::Stalls),
    fails(FailingStep::ResponseBody, FailingWay::Garbage),
    fails(FailingStep::ResponseBody, FailingWay::Surplus),
    fails(FailingStep::Idle, FailingWay::Ends),
    fails(FailingStep::Idle, FailingWay::Resets),
    fails(FailingStep::Idle, FailingWay::Garbage),
];

type OutageWatcher = RefCell<Option<Waker>>;

/// One node's fate.
#[derive(Debug, Default)]
pub(super) struct NodeFate {
    number: usize,
    outage: Cell<Option<Outage>>,
    /// Moves when it is killed.
    life: Cell<u32>,
    /// Requests whose head it has read.
    asked: Cell<u64>,
    /// Of everything that runs in it.
    watchers: RefCell<Vec<Weak<OutageWatcher>>>,
}

impl NodeFate {
    /// Of a node that works.
    pub(super) fn new(number: usize) -> Rc<Self> {
        Rc::new(Self { number, ..Self::default() })
    }

    pub(super) const fn number(&self) -> usize {
        self.number
    }

    /// Requests whose head it has read.
    pub(super) const fn asked(&self) -> u64 {
        self.asked.get()
    }

    pub(super) fn count_request(&self) {
        self.asked.set(self.asked.get() + 1);
    }

    /// How it fails at this step, if it does.
    pub(super) fn fails_at(&self, wanted: FailingStep) -> Option<FailingWay> {
        match self.outage.get() {
            Some(Outage::Fails { step, way }) if step == wanted => Some(way),
            _ => None,
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.outage.get(), Some(Outage::Stopped | Outage::BlackHoled))
    }

    fn wake_all(&self) {
        let watchers = self.watchers.take();
        let wakers = watchers.iter().filter_map(|watcher| watcher.upgrade()?.borrow_mut().take());
        wakers.for_each(Waker::wake);
        let alive = |watcher: &Weak<OutageWatcher>| watcher.strong_count() > 0;
        self.watchers.borrow_mut().extend(watchers.into_iter().filter(alive));
    }

    /// This befalls it now.
    pub(super) fn befall(&self, outage: Outage) {
        self.outage.set(Some(outage));
        match outage {
            Outage::Killed => self.life.set(self.life.get() + 1),
            Outage::BlackHoled => world::set_swallowed(Setting::node(self.number), true),
            Outage::Stopped | Outage::Fails { .. } => {}
        }
        self.wake_all();
    }

    /// It is over. What it was, if anything.
    pub(super) fn recover(&self) -> Option<Outage> {
        let outage = self.outage.take();
        if outage == Some(Outage::BlackHoled) {
            world::set_swallowed(Setting::node(self.number), false);
        }
        self.wake_all();
        outage
    }
}

/// Runs `future` as a part of a node's process: it ends, and stops, with it.
pub(super) async fn share(fate: Rc<NodeFate>, future: impl Future<Output = ()>) {
    let (life, watcher) = (fate.life.get(), Rc::new(OutageWatcher::default()));
    fate.watchers.borrow_mut().push(Rc::downgrade(&watcher));
    let mut future = pin!(future);
    poll_fn(|context| {
        if fate.life.get() != life {
            return Poll::Ready(());
        }
        watcher.replace(Some(context.waker().clone()));
        if fate.is_stopped() { Poll::Pending } else { future.as_mut().poll(context) }
    })
    .await;
}
