//! Which checks are under way, what they came to, and what follows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ferrule_config::model::{ActiveChecks, NodeAddress};

use super::board::{CheckBoard, CheckedNode};
use super::probe::probe;
use super::targets::{self, CheckPlace, CheckTarget, CheckedUpstream, Question};
use crate::control::process::clock;
use crate::health::announce::announce;
use crate::health::checks::{CheckJitter, CheckResult, CheckRow, CheckSchedule, LaneId};
use crate::health::{Admin, Checked, Moment, NodeStates};
use crate::setup::{Addresses, Handover};

/// Checks under way at once, of all upstreams: each is a descriptor and a few KiB.
const AT_ONCE_MAX: u32 = 256;

/// Everything that the checking thread knows.
pub(super) struct CheckRounds {
    board: Arc<CheckBoard>,
    started: Instant,
    jitter: CheckJitter,
    generation: u64,
    states: Arc<NodeStates>,
    addresses: Arc<Addresses>,
    schedule: CheckSchedule,
    upstreams: Vec<Round>,
    /// In the order of the schedule.
    nodes: Vec<CheckedTarget>,
}

/// One upstream.
struct Round {
    id: Box<str>,
    checks: Rc<ActiveChecks>,
    nodes: usize,
    /// Nodes that have been asked and have never passed.
    never_passed: usize,
    /// A node has passed, or it has been said that none does.
    settled: bool,
}

/// A node and its row of checks, which goes on over reloads.
struct CheckedTarget {
    upstream: usize,
    target: CheckTarget,
    row: Rc<RefCell<Row>>,
}

struct Row {
    row: CheckRow,
    /// Its place in the schedule of now; none if the node is gone.
    number: Option<u32>,
    under_way: bool,
    due_ms: u64,
    counts: Arc<CheckedNode>,
}

/// What makes a check the same over a reload, beside its settings.
#[derive(Eq, Hash, PartialEq)]
struct RowKey {
    upstream: Box<str>,
    node: Box<str>,
}

/// A row of the generation before.
struct KeptRow {
    address: NodeAddress,
    checks: Rc<ActiveChecks>,
    settled: bool,
    row: Rc<RefCell<Row>>,
}

impl CheckRounds {
    pub(super) fn new(board: &Arc<CheckBoard>) -> Self {
        let started = clock::monotonic();
        let seed = u64::from(std::process::id()) << 32 ^ clock::unix_seconds().unsigned_abs();
        Self {
            board: Arc::clone(board),
            started,
            jitter: CheckJitter::new(seed),
            generation: 0,
            states: Arc::default(),
            addresses: Arc::default(),
            schedule: CheckSchedule::default(),
            upstreams: Vec::new(),
            nodes: Vec::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        let since = clock::monotonic().saturating_duration_since(self.started);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a generation over. A row goes on where upstream, node, address and settings are the same.
    pub(super) fn adopt(&mut self, handover: &Handover) {
        let generation = &handover.generation;
        self.generation = generation.number;
        self.states = Arc::clone(&handover.node_states);
        self.addresses = Arc::clone(&handover.addresses);
        let mut kept = self.forget();
        self.schedule = CheckSchedule::new(AT_ONCE_MAX);
        for upstream in targets::of(generation) {
            self.add(upstream, &mut kept);
        }
        // Where other settings of its health have changed, the state of a node begins anew, and its row does not.
        for node in &self.nodes {
            if let Some(verdict) = node.row.borrow().row.verdict() {
                publish(&self.states, &node.target, verdict.clone());
            }
        }
        self.board
            .replace(self.nodes.iter().map(|node| Arc::clone(&node.row.borrow().counts)).collect());
    }

    /// Empties everything; gives the rows, for those that stay.
    fn forget(&mut self) -> HashMap<RowKey, KeptRow> {
        let upstreams = std::mem::take(&mut self.upstreams);
        let nodes = std::mem::take(&mut self.nodes).into_iter().filter_map(|node| {
            let round = upstreams.get(node.upstream)?;
            node.row.borrow_mut().number = None;
            let kept = KeptRow {
                address: node.target.address,
                checks: Rc::clone(&round.checks),
                settled: round.settled,
                row: node.row,
            };
            let key = RowKey { upstream: round.id.clone(), node: node.target.text };
            Some((key, kept))
        });
        nodes.collect()
    }

    fn add(&mut self, upstream: CheckedUpstream, kept: &mut HashMap<RowKey, KeptRow>) {
        let CheckedUpstream { id, checks, targets } = upstream;
        let lane = self.schedule.add_lane(checks.concurrency.into());
        let at = self.upstreams.len();
        let (nodes, mut never_passed, mut settled) = (targets.len(), 0, false);
        for target in targets {
            let same = kept
                .remove(&RowKey { upstream: id.clone(), node: target.text.clone() })
                .filter(|kept| kept.address == target.address && kept.checks == checks);
            settled |= same.as_ref().is_some_and(|kept| kept.settled);
            let row = same.map(|kept| kept.row);
            let row = row.unwrap_or_else(|| self.new_row(&id, &target, &checks));
            never_passed += usize::from(row.borrow().row.never_passed());
            self.number(&row, lane);
            self.nodes.push(CheckedTarget { upstream: at, target, row });
        }
        self.upstreams.push(Round { id, checks, nodes, never_passed, settled });
    }

    fn new_row(
        &mut self,
        id: &str,
        target: &CheckTarget,
        checks: &ActiveChecks,
    ) -> Rc<RefCell<Row>> {
        let first = self.jitter.first_ms(checks.healthy.interval);
        Rc::new(RefCell::new(Row {
            row: CheckRow::default(),
            number: None,
            under_way: false,
            due_ms: self.now_ms().saturating_add(first),
            counts: Arc::new(CheckedNode::new(id, &target.text)),
        }))
    }

    fn number(&mut self, row: &Rc<RefCell<Row>>, lane: LaneId) {
        let mut row = row.borrow_mut();
        let due_ms = (!row.under_way).then_some(row.due_ms);
        row.number = Some(self.schedule.add(lane, due_ms));
    }

    /// Newer addresses of the nodes.
    pub(super) fn set_addresses(&mut self, addresses: Arc<Addresses>) {
        if addresses.generation == self.generation {
            self.addresses = addresses;
        }
    }

    /// Is there nothing to check?
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Milliseconds until the next check is due.
    pub(super) fn pause_ms(&self) -> u64 {
        let due = self.schedule.next_due_ms();
        due.map_or(u64::MAX, |due| due.saturating_sub(self.now_ms()).max(1))
    }

    /// The next check that begins now. A node without an address, or one that an operator has disabled, is
    /// passed over until its next time.
    fn next(&mut self) -> Option<Check> {
        let now_ms = self.now_ms();
        while let Some(number) = self.schedule.start(now_ms) {
            let node = self.nodes.get(number as usize)?;
            let admin = self.states.get(node.target.node).map(|state| state.health.admin());
            let place = node.target.place(&self.addresses);
            let row = Rc::clone(&node.row);
            row.borrow_mut().under_way = true;
            match place.filter(|_| admin != Some(Admin::Disabled)) {
                Some(place) => {
                    return Some(Check { place, question: Rc::clone(&node.target.question), row });
                }
                None => self.end(&row, &CheckResult::NotAsked),
            }
        }
        None
    }

    /// A check has ended.
    fn end(&mut self, row: &Rc<RefCell<Row>>, result: &CheckResult) {
        let now_ms = self.now_ms();
        let mut row = row.borrow_mut();
        row.under_way = false;
        // Gone by a reload while it was asked.
        let Some(number) = row.number else { return };
        let Some(node) = self.nodes.get(number as usize) else { return };
        let Some(round) = self.upstreams.get_mut(node.upstream) else { return };
        let checks = Rc::clone(&round.checks);
        let never_passed = row.row.never_passed();
        let verdict = row.row.record(result, &checks);
        row.counts.count(result.word(&checks));
        round.settled |= row.row.has_passed();
        if !never_passed && row.row.never_passed() {
            round.never_passed += 1;
        }
        if !round.settled && round.never_passed >= round.nodes {
            round.settled = true;
            warn_never_passed(round, &node.target.text, result);
        }
        if let Some(verdict) = verdict {
            publish(&self.states, &node.target, verdict);
        }
        row.due_ms = now_ms.saturating_add(self.jitter.next_ms(row.row.interval(&checks)));
        self.schedule.end(number, row.due_ms);
    }
}

/// A check that begins.
struct Check {
    place: CheckPlace,
    question: Rc<Question>,
    row: Rc<RefCell<Row>>,
}

/// Begins every check that is due and has room. Each begins the next one when it ends.
pub(super) fn begin(rounds: &Rc<RefCell<CheckRounds>>) {
    loop {
        let check = rounds.borrow_mut().next();
        let Some(Check { place, question, row }) = check else { return };
        let rounds = Rc::clone(rounds);
        monoio::spawn(async move {
            let result = probe(place, &question).await;
            rounds.borrow_mut().end(&row, &result);
            begin(&rounds);
        });
    }
}

fn publish(states: &NodeStates, target: &CheckTarget, verdict: Checked) {
    let unix_seconds = clock::unix_seconds().unsigned_abs();
    let reported = states.set_checked(target.node, verdict, unix_seconds);
    let now_ms = states.now_ms(clock::monotonic());
    announce(states, target.node, reported, Moment { now_ms, unix_seconds, took_ms: 0 });
}

/// Said at once, not only when the rows are long enough: all nodes failing the same check is the check.
fn warn_never_passed(round: &Round, node: &str, result: &CheckResult) {
    tracing::warn!(
        upstream = &*round.id,
        node,
        reason = %result,
        "no node of an upstream has passed its check so far: is `checks.active` right for it \
         (`type`, `port`, `http_path`, `host`, `healthy.http_statuses`)?"
    );
}
