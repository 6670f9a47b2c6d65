//! The states of all nodes of one generation, shared by all cores.
//!
//! A reload takes over what is known of the nodes that stay: same upstream, same node. Where the checks are
//! others, health begins anew; what the log has said and what an operator wants goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ferrule_config::model::Checks;

use super::changes::ChangeKind;
use super::events::NodeEvents;
use super::node_state::{NamedNode, NodeState};
use super::rules::Rules;
use super::standing::{AdminOrder, Checked, Moment, PanicEdge, Reported, Standing, TryResult};
use super::tally::Tallies;
use super::view::UpstreamView;
use super::waits::Waits;
use crate::exchange::balance::Tried;
use crate::plan::{NodeId, NodeIndex, Plan, UpstreamId};

/// What the cores share of one upstream.
#[derive(Debug, Default)]
pub(super) struct UpstreamShared {
    /// Moves whenever a node does.
    epoch: AtomicU64,
    /// All nodes are asked, as the log has it.
    panic: AtomicBool,
    /// When that last changed, in Unix seconds.
    panic_since: AtomicU64,
    /// When its nodes are compared next.
    pub(super) compare_ms: AtomicU64,
}

#[derive(Debug)]
pub(super) struct UpstreamState {
    id: Box<str>,
    /// Where its nodes are.
    start: usize,
    end: usize,
    pub(super) checks: Checks,
    pub(super) rules: Rules,
    pub(super) shared: Arc<UpstreamShared>,
    waits: Arc<Waits>,
}

/// A request that may be the one that a node is asked again with.
#[derive(Clone, Copy, Debug)]
pub struct ProbeRequest<'a> {
    /// It may be sent once more if it fails.
    pub repeatable: bool,
    /// The nodes that it has been at.
    pub tried: &'a Tried,
}

/// The states of all nodes of one generation.
#[derive(Debug, Default)]
pub struct NodeStates {
    upstreams: Vec<UpstreamState>,
    nodes: Vec<NamedNode>,
    /// When milliseconds begin, for every generation of the process.
    origin: Option<Instant>,
    /// One for every generation of the process.
    events: Arc<NodeEvents>,
}

impl NodeStates {
    /// The states of this plan's nodes, which so many cores ask; what `before` knows of a node of the same names
    /// goes on.
    #[must_use]
    pub fn of(plan: &Plan, before: &Self, now: Instant, cores: usize) -> Self {
        let known: HashMap<_, _> =
            before.nodes.iter().map(|node| ((&*node.upstream, &*node.node), &node.state)).collect();
        let upstreams: HashMap<_, _> =
            before.upstreams.iter().map(|upstream| (&*upstream.id, upstream)).collect();
        let mut states = Self {
            origin: before.origin.or(Some(now)),
            events: Arc::clone(&before.events),
            upstreams: Vec::new(),
            nodes: Vec::new(),
        };
        for upstream in plan.upstreams() {
            let old = upstreams.get(&*upstream.id);
            let same = old.is_some_and(|old| old.checks == upstream.checks);
            let start = states.nodes.len();
            let compares = upstream.checks.passive.outliers.is_some();
            let tallies = || compares.then(|| Tallies::new(cores));
            states.nodes.extend(upstream.nodes.iter().map(|node| {
                let state = known.get(&(&*upstream.id, &*node.text));
                let state = match state {
                    Some(state) => NodeState::taken_over(state, same, tallies),
                    None => NodeState::new(tallies()),
                };
                state.places.set_max(node.max_connections);
                NamedNode {
                    upstream: upstream.id.clone(),
                    node: node.text.clone(),
                    weight: node.weight,
                    state,
                }
            }));
            states.upstreams.push(UpstreamState {
                id: upstream.id.clone(),
                start,
                end: states.nodes.len(),
                rules: Rules::of(&upstream.checks),
                checks: upstream.checks.clone(),
                shared: old.map_or_else(Arc::default, |old| Arc::clone(&old.shared)),
                waits: old
                    .map_or_else(|| Arc::new(Waits::new(cores)), |old| Arc::clone(&old.waits)),
            });
        }
        states
    }

    /// A configuration is in force: cores of older ones look again, as orders may have ended. The upstreams
    /// that have too few healthy nodes now, or enough of them again.
    pub fn review(&self, unix_seconds: u64) -> impl Iterator<Item = (UpstreamId, PanicEdge)> + '_ {
        self.ids().filter_map(move |id| Some((id, self.moved(id, unix_seconds)?)))
    }

    /// A time as the states count it.
    #[must_use]
    pub fn now_ms(&self, now: Instant) -> u64 {
        let since = self.origin.map_or_else(Default::default, |origin| now.duration_since(origin));
        // Never 0: that is no time.
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Changes as they happen.
    #[must_use]
    pub const fn events(&self) -> &Arc<NodeEvents> {
        &self.events
    }

    /// Every node, in the order of the configuration.
    #[must_use]
    pub fn nodes(&self) -> &[NamedNode] {
        &self.nodes
    }

    /// The state of a node.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&NodeState> {
        self.nodes_of(node.upstream).get(node.node.0 as usize).map(|node| &*node.state)
    }

    /// A node by the names that the configuration gave it.
    #[must_use]
    pub fn find(&self, upstream: &str, node: &str) -> Option<NodeId> {
        let ids = (0..).map(UpstreamId);
        let (upstream, _) = ids.zip(&self.upstreams).find(|(_, found)| &*found.id == upstream)?;
        let nodes = (0..).map(NodeIndex).zip(self.nodes_of(upstream));
        let (node, _) = nodes.into_iter().find(|(_, found)| &*found.node == node)?;
        Some(NodeId { upstream, node })
    }

    /// The ids of all upstreams, with their names and nodes.
    pub fn upstreams(&self) -> impl Iterator<Item = (UpstreamId, &str, &[NamedNode])> {
        let known = (0..).map(UpstreamId).zip(&self.upstreams);
        known.map(|(id, upstream)| (id, &*upstream.id, self.nodes_of(id)))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = UpstreamId> {
        (0..).map(UpstreamId).take(self.upstreams.len())
    }

    pub(super) fn upstream(&self, id: UpstreamId) -> Option<&UpstreamState> {
        self.upstreams.get(id.0 as usize)
    }

    /// The nodes of an upstream.
    #[must_use]
    pub fn nodes_of(&self, id: UpstreamId) -> &[NamedNode] {
        let nodes = self.upstream(id).and_then(|found| self.nodes.get(found.start..found.end));
        nodes.unwrap_or_default()
    }

    /// Moves whenever a node of this upstream does: who has seen this number need not look again before
    /// [`due_ms`](UpstreamView::due_ms).
    #[must_use]
    pub fn epoch(&self, id: UpstreamId) -> u64 {
        self.upstream(id).map_or(0, |upstream| upstream.shared.epoch.load(Ordering::Relaxed))
    }

    /// Who waits for a place at a node of this upstream.
    #[must_use]
    pub fn waits(&self, id: UpstreamId) -> Option<&Arc<Waits>> {
        self.upstream(id).map(|upstream| &upstream.waits)
    }

    /// Who is asked now.
    #[must_use]
    pub fn view(&self, id: UpstreamId) -> UpstreamView<'_> {
        let threshold = self.upstream(id).map_or(0, |upstream| upstream.checks.panic_threshold);
        UpstreamView::of(self.nodes_of(id), threshold)
    }

    /// When a node's time is over next; the end of time if none is set aside.
    #[must_use]
    pub fn due_ms(&self, id: UpstreamId) -> u64 {
        self.view(id).due_ms()
    }

    /// May this node be asked?
    #[must_use]
    pub fn standing(&self, node: NodeId, now_ms: u64) -> Standing {
        self.view(node.upstream).standing(node.node, now_ms)
    }

    /// Since when, in Unix seconds, all nodes of an upstream are asked because too few are healthy.
    #[must_use]
    pub fn panic_since(&self, id: UpstreamId) -> Option<u64> {
        let shared = &self.upstream(id)?.shared;
        self.view(id).is_panic().then(|| shared.panic_since.load(Ordering::Relaxed))
    }

    /// A node whose time is over, for a request that may take the place of its probe: `repeatable` ones do at
    /// once, others after another `fail_timeout`. All cores together get a node once.
    pub fn take_probe(
        &self,
        id: UpstreamId,
        view: &UpstreamView<'_>,
        now_ms: u64,
        request: ProbeRequest<'_>,
    ) -> Option<NodeIndex> {
        let rules = &self.upstream(id)?.rules;
        let patience = if request.repeatable { 0 } else { rules.fail_timeout_ms };
        let nodes = self.nodes_of(id);
        view.probes(now_ms, patience).filter(|node| !request.tried.contains(*node)).find(|node| {
            let node = nodes.get(node.0 as usize);
            node.is_some_and(|node| node.state.health.take_probe(rules, now_ms))
        })
    }

    /// A node for a request that has been at all that are asked: one that is set aside, the one whose time is over
    /// first. None whose active check fails, and none where there is no floor.
    #[must_use]
    pub fn last_resort(&self, id: UpstreamId, tried: &Tried) -> Option<NodeIndex> {
        if self.upstream(id)?.checks.panic_threshold == 0 {
            return None;
        }
        let nodes = (0..).map(NodeIndex).zip(self.nodes_of(id));
        let untried = nodes.filter(|(index, node)| {
            node.weight > 0 && node.state.health.may_be_last_resort() && !tried.contains(*index)
        });
        let first = untried.min_by_key(|(_, node)| node.state.health.place().at_ms);
        first.map(|(index, _)| index)
    }

    /// A try has ended. While the node works, this is a few relaxed loads.
    pub fn report(
        &self,
        node: NodeId,
        result: TryResult,
        when: impl FnOnce() -> Moment,
    ) -> Reported {
        let nothing = Reported::default();
        let Some(upstream) = self.upstream(node.upstream) else { return nothing };
        let Some(state) = self.get(node) else { return nothing };
        let meaning = upstream.rules.meaning(result);
        if state.health.goes_on_working(meaning) {
            return nothing;
        }
        let (when, spared) = (when(), self.view(node.upstream).spared);
        match state.health.tried(meaning, &upstream.rules, when, spared) {
            None => nothing,
            Some(change) => self.after(node.upstream, change, when.unix_seconds),
        }
    }

    /// What an active check says of a node.
    pub fn set_checked(&self, node: NodeId, checked: Checked, unix_seconds: u64) -> Reported {
        let change =
            self.get(node).and_then(|state| state.health.set_checked(checked, unix_seconds));
        change.map_or_else(Reported::default, |change| {
            self.after(node.upstream, Some(change), unix_seconds)
        })
    }

    /// What an operator wants of a node.
    pub fn set_admin(&self, node: NodeId, order: AdminOrder, unix_seconds: u64) -> Reported {
        let change = self.get(node).and_then(|state| state.health.set_admin(order, unix_seconds));
        change.map_or_else(Reported::default, |change| {
            self.after(node.upstream, Some(change), unix_seconds)
        })
    }

    pub(super) fn after(
        &self,
        id: UpstreamId,
        change: Option<ChangeKind>,
        unix_seconds: u64,
    ) -> Reported {
        Reported { change, panic: self.moved(id, unix_seconds) }
    }

    /// A node has moved: every core looks again; and are there still enough healthy ones?
    fn moved(&self, id: UpstreamId, unix_seconds: u64) -> Option<PanicEdge> {
        let shared = &self.upstream(id)?.shared;
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        let mut told = None;
        loop {
            let epoch = shared.epoch.load(Ordering::SeqCst);
            let view = self.view(id);
            if shared.epoch.load(Ordering::SeqCst) != epoch {
                continue;
            }
            // Nobody who sees an older state has the last word: who moves a node counts up first.
            if let Some(edge) = view.edge(shared.panic.swap(view.is_panic(), Ordering::SeqCst)) {
                shared.panic_since.store(unix_seconds, Ordering::Relaxed);
                // There and back again is no news.
                told = if told.is_none() { Some(edge) } else { None };
            }
            if shared.epoch.load(Ordering::SeqCst) == epoch {
                return told;
            }
        }
    }
}
