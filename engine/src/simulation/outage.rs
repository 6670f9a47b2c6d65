//! What befalls nodes: one or two at a time are killed, stopped, cut off, or fail at one step of an exchange;
//! then they come back.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::client;
use super::context::RunContext;
use super::node;
use super::setting::Setting;
use crate::shell::transport::net::{sleep, spawn};
use crate::simulation::network::world::{self, below};

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

/// No request takes longer than this: with such a rest between them, none meets two times of trouble.
const REST: Duration = Duration::from_secs(40);

/// A node that works again is asked again within this time.
const RETURN: Duration = Duration::from_secs(200);

type Watcher = RefCell<Option<Waker>>;

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
    watchers: RefCell<Vec<Weak<Watcher>>>,
}

impl NodeFate {
    /// Of a node that works.
    pub(super) fn new(number: usize) -> Rc<Self> {
        Rc::new(Self { number, ..Self::default() })
    }

    pub(super) const fn number(&self) -> usize {
        self.number
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
        let alive = |watcher: &Weak<Watcher>| watcher.strong_count() > 0;
        self.watchers.borrow_mut().extend(watchers.into_iter().filter(alive));
    }

    fn befall(&self, outage: Outage) {
        self.outage.set(Some(outage));
        match outage {
            Outage::Killed => self.life.set(self.life.get() + 1),
            Outage::BlackHoled => world::set_swallowed(Setting::node(self.number), true),
            Outage::Stopped | Outage::Fails { .. } => {}
        }
        self.wake_all();
    }

    fn heal(self: &Rc<Self>, run: &Rc<RunContext>) {
        match self.outage.take() {
            Some(Outage::Killed) => launch(run, self),
            Some(Outage::BlackHoled) => world::set_swallowed(Setting::node(self.number), false),
            Some(Outage::Stopped | Outage::Fails { .. }) | None => {}
        }
        self.wake_all();
    }
}

/// Starts a node's process.
pub(super) fn launch(run: &Rc<RunContext>, fate: &Rc<NodeFate>) {
    spawn(share(Rc::clone(fate), node::node(Rc::clone(run), Rc::clone(fate))));
}

/// Runs `future` as a part of a node's process: it ends, and stops, with it.
pub(super) async fn share(fate: Rc<NodeFate>, future: impl Future<Output = ()>) {
    let (life, watcher) = (fate.life.get(), Rc::new(Watcher::default()));
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

/// Lets outages come and go while there are clients; then every node has to be asked again.
pub(super) async fn befall(run: Rc<RunContext>, fates: Vec<Rc<NodeFate>>) {
    sleep(Duration::from_millis(below(6_000) as u64)).await;
    let mut next = 0;
    while run.clients_left.get() > 1 {
        // Now and then the others, while those that failed before are still set aside.
        let first = if below(2) == 0 { next } else { below(fates.len()) };
        let count = 1 + usize::from(below(3) > 0);
        let hit: Vec<_> = fates.iter().cycle().skip(first).take(count).collect();
        next = (first + count) % fates.len();
        run.journal.trouble_begins();
        for fate in &hit {
            let outage = OUTAGES[below(OUTAGES.len())];
            run.journal.tell(&format!("node {}: {outage:?}", fate.number));
            if !matches!(outage, Outage::Fails { .. }) {
                run.journal.meets(outage);
            }
            fate.befall(outage);
        }
        sleep(Duration::from_millis(2_000 + below(15_000) as u64)).await;
        for fate in &hit {
            run.journal.tell(&format!("node {}: works again", fate.number));
            fate.heal(&run);
        }
        run.journal.trouble_ends();
        // After a short one, the nodes that failed before are set aside while others fail.
        let rest = if below(2) == 0 { REST } else { Duration::from_secs(1) };
        let rested = world::now() + rest + Duration::from_millis(below(10_000) as u64);
        while run.clients_left.get() > 1 && world::now() < rested {
            sleep(Duration::from_millis(500)).await;
        }
    }
    let before: Vec<u64> = fates.iter().map(|fate| fate.asked.get()).collect();
    let latest = world::now() + RETURN;
    while let Some((fate, _)) =
        fates.iter().zip(&before).find(|(fate, before)| fate.asked.get() == **before)
    {
        if world::now() > latest {
            run.journal.violation(format!("node {} is not asked any more", fate.number));
            break;
        }
        client::ask_once(&run).await;
        sleep(Duration::from_millis(below(600) as u64)).await;
    }
    run.clients_left.set(run.clients_left.get() - 1);
}
