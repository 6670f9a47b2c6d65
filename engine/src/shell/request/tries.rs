//! The tries that one request has had, and the next one.
//!
//! In: a request, and failures that [`retry`](crate::exchange::retry) would have tried again. Out: the node
//! that is asked next, if `retries`, `retry_timeout`, `retry_budget` and the balancer have one.

use std::cell::Cell;
use std::time::Duration;

use super::context::ExchangeContext;
use super::total_time;
use crate::exchange::balance::{NodeChoice, Tried};
use crate::exchange::cause::UpstreamCause;
use crate::exchange::retry::Sent;
use crate::plan::NodeIndex;
use crate::report::NodeCounter;
use crate::shell::state::place_queue::QueuePlace;

/// So many full nodes are passed by before a request waits: of more than 256, not all are remembered.
const SKIPS_MAX: u32 = 64;

/// Who is asked now, and who was before.
pub(super) struct Tries<'a> {
    request: &'a ExchangeContext<'a>,
    node: Cell<NodeIndex>,
    fresh: Cell<bool>,
    tried: Cell<Tried>,
    retries_left: Cell<u32>,
    /// What the request is placed by, where its upstream asks for that.
    hash: Option<u64>,
    began: Duration,
    /// When this try was chosen.
    now: Cell<Duration>,
    /// Nodes that had no place since this request last waited.
    full: Cell<Tried>,
    /// How many those were.
    skips: Cell<u32>,
    /// Its place in the queue of its upstream, until there is a connection.
    pub(super) waiting: Cell<Option<QueuePlace>>,
    /// How long it has waited there; `None` if it has not.
    waited: Cell<Option<Duration>>,
}

impl<'a> Tries<'a> {
    /// The first try, which is counted; `None` if there is no node.
    pub(super) fn begin(request: &'a ExchangeContext<'a>, hash: Option<u64>) -> Option<Self> {
        let (upstream, now) = (request.admission.upstream, request.core.clock.elapsed());
        let mut tried = Tried::default();
        let node = request.next_node(&NodeChoice { tried: &tried, hash, now })?;
        tried.insert(node);
        if let Some(allowance) = request.live.retry_allowance(upstream) {
            allowance.borrow_mut().count_request();
        }
        Some(Self {
            request,
            node: Cell::new(node),
            fresh: Cell::new(false),
            tried: Cell::new(tried),
            retries_left: Cell::new(request.upstream().retry.retries),
            hash,
            began: now,
            now: Cell::new(now),
            full: Cell::default(),
            skips: Cell::new(0),
            waiting: Cell::default(),
            waited: Cell::default(),
        })
    }

    /// The node of this try.
    pub(super) const fn node(&self) -> NodeIndex {
        self.node.get()
    }

    /// When this try was chosen, by the core's clock.
    pub(super) const fn now(&self) -> Duration {
        self.now.get()
    }

    /// Does it take no connection from the pool?
    pub(super) const fn is_fresh(&self) -> bool {
        self.fresh.get()
    }

    /// May another node be asked, as `retries` allow?
    pub(super) const fn has_retries(&self) -> bool {
        self.retries_left.get() > 0
    }

    /// The next try is at the same node, on a new connection. False if there is no time for it.
    pub(super) fn repeat_fresh(&self) -> bool {
        self.fresh.set(true);
        self.now.set(self.request.core.clock.elapsed());
        self.has_time(self.now())
    }

    /// The next try is at another node: one that is set aside, if all others were tried. False if there is none:
    /// then this try was the last.
    pub(super) fn move_on(&self, sent: Sent) -> bool {
        self.move_to(sent, |choice| {
            self.request.next_node(choice).or_else(|| self.request.last_resort(choice.tried))
        })
    }

    fn move_to(&self, sent: Sent, next: impl FnOnce(&NodeChoice<'_>) -> Option<NodeIndex>) -> bool {
        let (request, now) = (self.request, self.request.core.clock.elapsed());
        if !self.has_retries() || !self.has_time(now) {
            return false;
        }
        let (upstream, mut tried) = (request.admission.upstream, self.tried.get());
        // What has not left multiplies nobody's load.
        let allowance = request.live.retry_allowance(upstream).filter(|_| sent != Sent::Nothing);
        if allowance.is_some_and(|allowance| !allowance.borrow_mut().take(now)) {
            request.node_meters(self.node()).count(NodeCounter::OverBudget);
            return false;
        }
        let choice = NodeChoice { tried: &tried, hash: self.hash, now };
        // Last, because a node that is asked again to see whether it works counts on being asked.
        let Some(node) = next(&choice) else { return false };
        tried.insert(node);
        self.tried.set(tried);
        self.node.set(node);
        self.now.set(now);
        self.fresh.set(false);
        self.retries_left.set(self.retries_left.get() - 1);
        true
    }

    /// The node of this try has no place for another connection. True if another one may have: it is chosen, and
    /// this one counts as if it had not been.
    pub(super) fn skip_full(&self) -> bool {
        let (mut tried, mut full) = (self.tried.get(), self.full.get());
        tried.remove(self.node());
        full.insert(self.node());
        self.tried.set(tried);
        self.full.set(full);
        let skips = self.skips.get() + 1;
        self.skips.set(skips);
        skips <= SKIPS_MAX && self.choose(tried.and(full))
    }

    /// Has no node failed to answer so far?
    pub(super) fn has_failed_nowhere(&self) -> bool {
        self.tried.get().is_empty()
    }

    /// Nodes that had no place may have one now: the node of this try is chosen again. False if there is none.
    pub(super) fn choose_again(&self) -> bool {
        self.full.set(Tried::default());
        self.skips.set(0);
        let mut tried = self.tried.get();
        tried.remove(self.node());
        self.tried.set(tried);
        self.choose(tried)
    }

    fn choose(&self, but: Tried) -> bool {
        let now = self.request.core.clock.elapsed();
        let choice = NodeChoice { tried: &but, hash: self.hash, now };
        let Some(node) = self.request.next_node(&choice) else { return false };
        let mut tried = self.tried.get();
        tried.insert(node);
        self.tried.set(tried);
        self.node.set(node);
        self.now.set(now);
        true
    }

    /// It has waited for a place so long, by now.
    pub(super) fn set_waited(&self, waited: Duration) {
        self.waited.set(Some(waited));
    }

    /// How long it has waited for a place, in microseconds; `None` if it has not.
    pub(super) fn waited_micros(&self) -> Option<u64> {
        self.waited.get().map(|waited| u64::try_from(waited.as_micros()).unwrap_or(u64::MAX))
    }

    /// Is this try the first? Another one has had its turn.
    pub(super) fn is_first(&self) -> bool {
        self.has_failed_nowhere_else() && !self.fresh.get()
    }

    fn has_failed_nowhere_else(&self) -> bool {
        let mut tried = self.tried.get();
        tried.remove(self.node());
        tried.is_empty()
    }

    /// A response with this status came to a request of which all is held. True if another node is asked
    /// instead of passing it on.
    pub(super) fn pass_over(&self, status: u16) -> bool {
        // A node that is set aside may well have less to say.
        let next = |choice: &NodeChoice<'_>| self.request.next_node(choice);
        self.request.upstream().retry.on.contains_status(status)
            && self.move_to(Sent::Replayable, next)
    }

    fn has_time(&self, now: Duration) -> bool {
        now.saturating_sub(self.began) < self.request.upstream().retry.timeout
            && self.ends().is_none_or(|ends| now < ends)
    }

    /// When the time of the whole exchange is over, by the core's clock; it began with the first try.
    pub(super) fn ends(&self) -> Option<Duration> {
        Some(self.began.saturating_add(self.request.timeout().total?))
    }

    /// How long connecting may take; until the exchange's time is over, if that is sooner.
    pub(super) fn connect_time(&self) -> Duration {
        let connect = self.request.timeout().connect;
        self.ends().map_or(connect, |ends| connect.min(ends.saturating_sub(self.now())))
    }

    /// Why this try has failed if the exchange's time was over by now; `asked` as [`total_time::cause`] has it.
    pub(super) fn overdue(&self, asked: bool) -> Option<UpstreamCause> {
        let (total, now) = (self.request.timeout().total?, self.request.core.clock.elapsed());
        (now >= self.ends()?).then(|| total_time::cause(total, self.now(), now, asked))
    }
}
