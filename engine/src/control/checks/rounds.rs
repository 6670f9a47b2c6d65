//! Which checks are under way, what they came to, and what follows.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ferrule_config::model::{ActiveChecks, NodeAddress};

use super::board::{CheckBoard, CheckedNode, FailingAddress};
use super::probe::probe;
use super::targets::{self, CheckPlace, CheckTarget, CheckedUpstream, Question};
use crate::control::process::clock;
use crate::health::announce::announce;
use crate::health::checks::{
    CheckJitter, CheckResult, CheckRow, CheckSchedule, LaneId, node_verdict,
};
use crate::health::{Admin, Checked, Moment, NodeStates};
use crate::plan::NodeId;
use crate::setup::addresses::NodeAddresses;
use crate::setup::{Addresses, Generation, Handover};

/// Checks under way at once, of all upstreams: each is a descriptor and a few KiB.
const AT_ONCE_MAX: u32 = 256;

/// Everything that the checking thread knows.
pub(super) struct CheckRounds {
    board: Arc<CheckBoard>,
    started: Instant,
    jitter: CheckJitter,
    generation: Option<Arc<Generation>>,
    states: Arc<NodeStates>,
    addresses: Arc<Addresses>,
    schedule: CheckSchedule,
    upstreams: Vec<Round>,
    /// In the order of the schedule; the addresses of one node's name follow each other.
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

/// A node, or an address of its name, and its row of checks, which goes on over reloads.
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
    node: CountsKey,
    asked: Option<SocketAddr>,
}

/// Whose checks are counted together.
#[derive(Clone, Eq, Hash, PartialEq)]
struct CountsKey {
    upstream: Box<str>,
    node: Box<str>,
}

/// What goes on over a reload, or when a name has other addresses.
#[derive(Default)]
struct KeptRows {
    rows: HashMap<RowKey, KeptRow>,
    counts: HashMap<CountsKey, Arc<CheckedNode>>,
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
            generation: None,
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

    /// Takes a generation over.
    pub(super) fn adopt(&mut self, handover: &Handover) {
        self.generation = Some(Arc::clone(&handover.generation));
        self.states = Arc::clone(&handover.node_states);
        self.addresses = Arc::clone(&handover.addresses);
        self.lay_out();
    }

    /// Newer addresses of the nodes.
    pub(super) fn set_addresses(&mut self, addresses: Arc<Addresses>) {
        if self.generation.as_ref().is_none_or(|own| own.number != addresses.generation) {
            return;
        }
        let changed = self.nodes.iter().any(|node| {
            let NodeId { upstream, node: index } = node.target.node;
            let known = |addresses: &Addresses| -> BTreeSet<SocketAddr> {
                let found = addresses.get(upstream.0 as usize, index.0 as usize);
                found.into_iter().flat_map(NodeAddresses::known).collect()
            };
            node.target.address.name().is_some() && known(&addresses) != known(&self.addresses)
        });
        self.addresses = addresses;
        if changed {
            self.lay_out();
        }
    }

    /// Lays out what is checked. A row goes on where upstream, node, address and settings are the same.
    fn lay_out(&mut self) {
        let Some(generation) = self.generation.clone() else { return };
        let mut kept = self.forget();
        self.schedule = CheckSchedule::new(AT_ONCE_MAX);
        for upstream in targets::of(&generation, &self.addresses) {
            self.add(upstream, &mut kept);
        }
        // Where other settings of its health have changed, the state of a node begins anew, and its row does not.
        let mut failing = BTreeSet::new();
        let mut counts: Vec<Arc<CheckedNode>> = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let counted = &node.row.borrow().counts;
            if counts.last().is_none_or(|last| !Arc::ptr_eq(last, counted)) {
                counts.push(Arc::clone(counted));
                self.publish(number);
            }
            failing.extend(self.address_of(node).filter(|_| node.row.borrow().row.is_unhealthy()));
        }
        self.board.replace(counts);
        self.board.set_failing(failing);
    }

    /// Empties everything; gives what stays.
    fn forget(&mut self) -> KeptRows {
        let upstreams = std::mem::take(&mut self.upstreams);
        let mut kept = KeptRows::default();
        for node in std::mem::take(&mut self.nodes) {
            let Some(round) = upstreams.get(node.upstream) else { continue };
            let key = CountsKey { upstream: round.id.clone(), node: node.target.text };
            kept.counts.insert(key.clone(), Arc::clone(&node.row.borrow().counts));
            node.row.borrow_mut().number = None;
            let row = KeptRow {
                address: node.target.address,
                checks: Rc::clone(&round.checks),
                settled: round.settled,
                row: node.row,
            };
            kept.rows.insert(RowKey { node: key, asked: node.target.asked }, row);
        }
        kept
    }

    fn add(&mut self, upstream: CheckedUpstream, kept: &mut KeptRows) {
        let CheckedUpstream { id, checks, targets } = upstream;
        let lane = self.schedule.add_lane(checks.concurrency.into());
        let at = self.upstreams.len();
        let (nodes, mut never_passed, mut settled) = (targets.len(), 0, false);
        for target in targets {
            let node = CountsKey { upstream: id.clone(), node: target.text.clone() };
            let counts = kept
                .counts
                .entry(node.clone())
                .or_insert_with(|| Arc::new(CheckedNode::new(&id, &target.text)));
            let counts = Arc::clone(counts);
            let same = kept
                .rows
                .remove(&RowKey { node, asked: target.asked })
                .filter(|kept| kept.address == target.address && kept.checks == checks);
            settled |= same.as_ref().is_some_and(|kept| kept.settled);
            let row = same.map(|kept| kept.row);
            let row = row.unwrap_or_else(|| self.new_row(counts, &checks));
            never_passed += usize::from(row.borrow().row.never_passed());
            self.number(&row, lane);
            self.nodes.push(CheckedTarget { upstream: at, target, row });
        }
        self.upstreams.push(Round { id, checks, nodes, never_passed, settled });
    }

    fn new_row(&mut self, counts: Arc<CheckedNode>, checks: &ActiveChecks) -> Rc<RefCell<Row>> {
        let first = self.jitter.first_ms(checks.healthy.interval);
        Rc::new(RefCell::new(Row {
            row: CheckRow::default(),
            number: None,
            under_way: false,
            due_ms: self.now_ms().saturating_add(first),
            counts,
        }))
    }

    fn number(&mut self, row: &Rc<RefCell<Row>>, lane: LaneId) {
        let mut row = row.borrow_mut();
        let due_ms = (!row.under_way).then_some(row.due_ms);
        row.number = Some(self.schedule.add(lane, due_ms));
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
    fn next(&mut self, among: Among) -> Option<Check> {
        let now_ms = self.now_ms();
        loop {
            let number = match among {
                Among::Due => self.schedule.start(now_ms),
                Among::Waiting => self.schedule.start_waiting(),
            }?;
            let node = self.nodes.get(number as usize)?;
            let admin = self.states.get(node.target.node).map(|state| state.health.admin());
            let place = node.target.place();
            let row = Rc::clone(&node.row);
            row.borrow_mut().under_way = true;
            match place.filter(|_| admin != Some(Admin::Disabled)) {
                Some(place) => {
                    return Some(Check { place, question: Rc::clone(&node.target.question), row });
                }
                None => self.end(&row, &CheckResult::NotAsked),
            }
        }
    }

    /// A check has ended.
    fn end(&mut self, row: &Rc<RefCell<Row>>, result: &CheckResult) {
        let now_ms = self.now_ms();
        row.borrow_mut().under_way = false;
        // Gone by a reload while it was asked.
        let Some(number) = row.borrow().number else { return };
        let verdict = self.record(row, number, result, now_ms);
        if let Some(verdict) = verdict {
            self.note_address(number, &verdict);
            self.publish(number as usize);
        }
    }

    /// Counts a check, and has the next one come. The verdict on the node or address, if it is another one.
    fn record(
        &mut self,
        row: &RefCell<Row>,
        number: u32,
        result: &CheckResult,
        now_ms: u64,
    ) -> Option<Checked> {
        let mut row = row.borrow_mut();
        let node = self.nodes.get(number as usize)?;
        let round = self.upstreams.get_mut(node.upstream)?;
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
        row.due_ms = now_ms.saturating_add(self.jitter.next_ms(row.row.interval(&checks)));
        self.schedule.end(number, row.due_ms);
        verdict
    }

    /// All addresses of the node of which this is one; a node without a name has one place.
    fn addresses_of(&self, number: usize) -> &[CheckedTarget] {
        let Some(own) = self.nodes.get(number).map(|node| node.target.node) else { return &[] };
        let is_other = |one: &CheckedTarget| one.target.node != own;
        let (before, from) = self.nodes.split_at_checked(number).unwrap_or_default();
        let start = before.iter().rposition(is_other).map_or(0, |at| at + 1);
        let end = number + from.iter().position(is_other).unwrap_or(from.len());
        self.nodes.get(start..end).unwrap_or_default()
    }

    /// The address of a name that is checked here.
    fn address_of(&self, node: &CheckedTarget) -> Option<FailingAddress> {
        let upstream = self.upstreams.get(node.upstream)?.id.clone();
        Some(FailingAddress { upstream, address: node.target.address_of_name()? })
    }

    /// There is a new verdict on an address: others of its name are asked in its place, or it is asked again.
    fn note_address(&self, number: u32, verdict: &Checked) {
        let Some(node) = self.nodes.get(number as usize) else { return };
        let Some(failing) = self.address_of(node) else { return };
        let several = self.addresses_of(number as usize).len() > 1;
        let (upstream, node, address) = (&*failing.upstream, &*node.target.text, failing.address);
        match verdict {
            Checked::Unhealthy(reason) if several && !self.board.fails(upstream, address) => {
                tracing::warn!(
                    upstream,
                    node,
                    %address,
                    reason = &**reason,
                    "an address of an upstream node fails its check"
                );
            }
            Checked::Healthy if several && self.board.fails(upstream, address) => {
                tracing::info!(upstream, node, %address, "an address of an upstream node works again");
            }
            _ => {}
        }
        let fails = matches!(verdict, Checked::Unhealthy(_));
        self.board.note(failing, fails);
    }

    /// Tells the states what is known of the node that is checked here.
    fn publish(&self, number: usize) {
        let addresses = self.addresses_of(number);
        let verdicts: Vec<_> =
            addresses.iter().map(|one| one.row.borrow().row.verdict().cloned()).collect();
        let (Some(verdict), Some(node)) = (node_verdict(&verdicts), addresses.first()) else {
            return;
        };
        let (states, node) = (&self.states, node.target.node);
        let unix_seconds = clock::unix_seconds().unsigned_abs();
        let reported = states.set_checked(node, verdict, unix_seconds);
        let now_ms = states.now_ms(clock::monotonic());
        announce(states, node, reported, Moment { now_ms, unix_seconds, took_ms: 0 });
    }
}

/// A check that begins.
struct Check {
    place: CheckPlace,
    question: Rc<Question>,
    row: Rc<RefCell<Row>>,
}

/// Which nodes are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among {
    /// All that are due.
    Due,
    /// Those that have waited for room.
    Waiting,
}

/// Begins every check that is due and has room. When one ends, one that waits begins.
pub(super) fn begin(rounds: &Rc<RefCell<CheckRounds>>, among: Among) {
    loop {
        let check = rounds.borrow_mut().next(among);
        let Some(Check { place, question, row }) = check else { return };
        let rounds = Rc::clone(rounds);
        monoio::spawn(async move {
            let result = probe(place, &question).await;
            rounds.borrow_mut().end(&row, &result);
            begin(&rounds, Among::Waiting);
        });
    }
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
