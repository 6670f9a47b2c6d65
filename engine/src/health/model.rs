//! Random requests, results, orders and steps of the clock against a model: nodes move by the rules alone.

#![expect(clippy::disallowed_methods, reason = "a test needs some time to begin at")]

use std::time::{Duration, Instant};

use super::*;
use crate::exchange::balance::Tried;
use crate::plan::{NodeId, NodeIndex, Plan, UpstreamId, fixture};

const UPSTREAM: UpstreamId = UpstreamId(0);
/// Of the configuration that is modelled, in milliseconds.
const FAIL_TIMEOUT: u64 = 10_000;
const LIMIT: u32 = 2;

fn id(node: u32) -> NodeId {
    NodeId { upstream: UPSTREAM, node: NodeIndex(node) }
}

/// The states of one upstream with so many nodes.
pub(super) fn states(nodes: usize, base: Instant) -> NodeStates {
    let mut config = fixture::config();
    let upstream = &mut config.upstreams[0];
    let node = upstream.nodes[0].clone();
    upstream.nodes = (80..)
        .take(nodes)
        .map(|at| {
            let mut node = node.clone();
            node.address = ferrule_config::model::NodeAddress::Ip(([10, 0, 0, 1], at).into());
            node
        })
        .collect();
    NodeStates::of(&Plan::build(&config), &NodeStates::default(), base, 2)
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A request under way.
struct Running {
    node: u32,
    began: u64,
    probe: bool,
}

struct ModelWorld {
    states: NodeStates,
    base: Instant,
    now: u64,
    running: Vec<Running>,
    /// Failures since the last success, as the rules count them.
    in_row: Vec<u32>,
    /// When each node was set aside last.
    aside_at: Vec<u64>,
    lines: Vec<Vec<ChangeKind>>,
}

impl ModelWorld {
    fn new(nodes: usize) -> Self {
        let base = Instant::now();
        Self {
            states: states(nodes, base),
            base,
            now: 0,
            running: Vec::new(),
            in_row: vec![0; nodes],
            aside_at: vec![0; nodes],
            lines: vec![Vec::new(); nodes],
        }
    }

    fn now_ms(&self) -> u64 {
        self.states.now_ms(self.base + Duration::from_millis(self.now))
    }

    fn mode(&self, node: u32) -> &'static str {
        self.states.get(id(node)).unwrap().health.status(self.now_ms()).state
    }

    /// A core picks a node: as `next_node` does, with any usable one in place of the balancer's.
    fn ask(&mut self, random: &mut Random) {
        let now = self.now_ms();
        let view = self.states.view(UPSTREAM);
        let request = ProbeRequest { repeatable: random.below(2) == 0, tried: &Tried::default() };
        if let Some(node) = self.states.take_probe(UPSTREAM, &view, now, request) {
            assert!(!view.is_panic(), "no probes in a panic");
            assert!(now >= self.aside_at[node.0 as usize] + FAIL_TIMEOUT, "asked again too early");
            let others = self.running.iter().filter(|one| one.probe && one.node == node.0);
            let slow = others.filter(|one| now < one.began + FAIL_TIMEOUT).count();
            assert_eq!(slow, 0, "one probe at a time");
            self.running.push(Running { node: node.0, began: now, probe: true });
            return;
        }
        let nodes = 0..u32::try_from(self.in_row.len()).unwrap();
        let usable: Vec<u32> =
            nodes.filter(|node| view.standing(NodeIndex(*node), now) == Standing::Usable).collect();
        if usable.is_empty() {
            return;
        }
        let node = usable[usize::try_from(random.below(usable.len() as u64)).unwrap()];
        let health = &self.states.get(id(node)).unwrap().health;
        assert_eq!(health.admin(), Admin::Enabled, "an operator's order holds in a panic, too");
        self.running.push(Running { node, began: now, probe: false });
    }

    /// A request comes to its end.
    fn end(&mut self, random: &mut Random, alive: &[bool]) {
        if self.running.is_empty() {
            return;
        }
        let at = usize::try_from(random.below(self.running.len() as u64)).unwrap();
        let Running { node, began, .. } = self.running.swap_remove(at);
        let result = match (random.below(10), alive[node as usize]) {
            // The client left.
            (0, _) => return,
            (_, true) => TryResult::Answered(200),
            (1..4, false) => TryResult::TimedOut,
            _ => TryResult::Broken,
        };
        let now = self.now_ms();
        let when = Moment { now_ms: now, unix_seconds: now / 1_000, took_ms: now - began };
        let (before, panic) = (self.mode(node), self.states.view(UPSTREAM).is_panic());
        let reported = self.states.report(id(node), result, || when);
        let failed = result != TryResult::Answered(200);
        let row = &mut self.in_row[node as usize];
        *row = if failed { *row + 1 } else { 0 };
        match reported.change {
            Some(ChangeKind::Answered) => {
                assert!(!failed && (panic || before != "usable"), "{before}");
                *row = 0;
            }
            Some(ChangeKind::TcpFailures | ChangeKind::Timeouts) => {
                assert!(
                    failed && *row >= LIMIT && ["usable", "draining"].contains(&before),
                    "{before}"
                );
                self.aside_at[node as usize] = now;
            }
            Some(other) => unreachable!("{other:?}"),
            None => {}
        }
        self.lines[node as usize].extend(reported.change);
    }
}

/// Set aside and used again take turns in the log, and what was set aside needs its failures first.
fn lines_take_turns(lines: &[ChangeKind]) {
    let mut aside = false;
    for line in lines {
        let comes_back = *line == ChangeKind::Answered;
        assert_eq!(aside, comes_back, "{lines:?}");
        aside = !comes_back;
    }
}

#[test]
fn nodes_move_by_the_rules_alone() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let nodes = 1 + usize::try_from(random.below(6)).unwrap();
        let mut world = ModelWorld::new(nodes);
        let mut alive = vec![true; nodes];
        for _ in 0..3_000 {
            match random.below(40) {
                0 => {
                    let node = usize::try_from(random.below(nodes as u64)).unwrap();
                    alive[node] = !alive[node];
                }
                1 => world.now += random.below(30_000),
                2 => {
                    let node = u32::try_from(random.below(nodes as u64)).unwrap();
                    let admin = [Admin::Enabled, Admin::Draining, Admin::Enabled];
                    let admin = admin[usize::try_from(random.below(3)).unwrap()];
                    let order = AdminOrder { admin, until_reload: false };
                    world.states.set_admin(id(node), order, 1);
                }
                3..20 => world.ask(&mut random),
                _ => world.end(&mut random, &alive),
            }
            world.now += random.below(50);
            let view = world.states.view(UPSTREAM);
            let floor = view.eligible > 1 && view.healthy * 2 < view.eligible;
            assert_eq!(view.is_panic(), floor);
            let now = world.now_ms();
            for node in (0..).take(nodes) {
                let enabled = world.states.get(id(node)).unwrap().health.admin() == Admin::Enabled;
                let usable = view.standing(NodeIndex(node), now) == Standing::Usable;
                assert!(!usable || enabled);
                assert!(usable || !enabled || !(floor || view.eligible == 1), "the floor holds");
            }
        }
        recovers(&mut world, &mut random, nodes);
        world.lines.iter().for_each(|lines| lines_take_turns(lines));
    }
}

/// When every node works again, and nobody is left in the way, all are used within the longest time.
fn recovers(world: &mut ModelWorld, random: &mut Random, nodes: usize) {
    let alive = vec![true; nodes];
    for node in (0..).take(nodes) {
        let order = AdminOrder { admin: Admin::Enabled, until_reload: false };
        world.states.set_admin(id(node), order, 1);
    }
    for _ in 0..2_000 {
        world.now += 1_000;
        world.ask(random);
        world.end(random, &alive);
    }
    let view = world.states.view(UPSTREAM);
    assert_eq!((view.healthy, view.eligible), (nodes, nodes));
    assert_eq!(view.due_ms(), u64::MAX);
}

/// Many cores see the same at once: one of them makes the change, and one asks again.
#[test]
fn of_many_cores_one_makes_the_change() {
    let states = states(3, Instant::now());
    let when = |now_ms| Moment { now_ms, unix_seconds: now_ms / 1_000, took_ms: 0 };
    let on_four_cores = |work: &(dyn Fn() -> usize + Sync)| -> usize {
        std::thread::scope(|scope| {
            let cores = [(); 4].map(|()| scope.spawn(work));
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        })
    };
    let changes = on_four_cores(&|| {
        let failed = |_| states.report(id(0), TryResult::Broken, || when(1_000)).change;
        (0..500).filter_map(failed).count()
    });
    assert_eq!(changes, 1);
    let asked = on_four_cores(&|| {
        let take = |_| {
            let view = states.view(UPSTREAM);
            let request = ProbeRequest { repeatable: true, tried: &Tried::default() };
            states.take_probe(UPSTREAM, &view, 15_000, request)
        };
        (0..500).filter_map(take).count()
    });
    assert_eq!(asked, 1);
    let back = on_four_cores(&|| {
        let works = |_| states.report(id(0), TryResult::Answered(200), || when(15_100)).change;
        (0..500).filter_map(works).count()
    });
    assert_eq!(back, 1);
}

/// Nodes that are set aside, for a request that has been at the others: the first whose time is over. None that an
/// operator or a check has taken out, and none without a floor.
#[test]
fn a_node_that_is_set_aside_is_the_last_resort() {
    let states = states(5, Instant::now());
    let when = |now_ms| Moment { now_ms, unix_seconds: now_ms / 1_000, took_ms: 0 };
    for (node, at) in [(0, 1_000), (0, 1_000), (1, 500), (1, 500)] {
        states.report(id(node), TryResult::TimedOut, || when(at));
    }
    let mut tried = Tried::default();
    let mut next = || {
        let node = states.last_resort(UPSTREAM, &tried)?;
        tried.insert(node);
        Some(node.0)
    };
    let order = AdminOrder { admin: Admin::Disabled, until_reload: false };
    states.set_admin(id(2), order, 1);
    states.set_checked(id(3), Checked::Unhealthy("404".into()), 1);
    // The one of which nothing bad is known comes first: it became usable just now.
    assert_eq!([(); 4].map(|()| next()), [Some(4), Some(1), Some(0), None]);
}

/// However cores race over an upstream's floor: what was said last is so.
#[test]
fn the_last_word_on_a_panic_is_true() {
    for round in 0..200 {
        let states = states(4, Instant::now());
        let order = |admin| AdminOrder { admin, until_reload: false };
        let net: i32 = std::thread::scope(|scope| {
            let cores = [0, 1, 2].map(|node| {
                let states = &states;
                scope.spawn(move || {
                    let mut net = 0;
                    for turn in 0..(20 + round % 2) {
                        let checked = if turn % 2 == 0 {
                            Checked::Unhealthy("refused".into())
                        } else {
                            Checked::Healthy
                        };
                        net += match states.set_checked(id(node), checked, 1).panic {
                            Some(PanicEdge::Begins) => 1,
                            Some(PanicEdge::Ends) => -1,
                            None => 0,
                        };
                    }
                    net
                })
            });
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(net, i32::from(states.view(UPSTREAM).is_panic()), "{round}");
        assert_eq!(states.panic_since(UPSTREAM).is_some(), round % 2 == 1);
        states.set_admin(id(3), order(Admin::Disabled), 1);
        let now = states.now_ms(Instant::now());
        assert_eq!(states.standing(id(3), now), Standing::SetAside);
    }
}

#[test]
fn a_reload_takes_over_the_nodes_that_stay() {
    let base = Instant::now();
    let mut config = fixture::config();
    let first = NodeStates::of(&Plan::build(&config), &NodeStates::default(), base, 2);
    let when = Moment { now_ms: 1_000, unix_seconds: 1_795_301_700, took_ms: 0 };
    for node in 0..2 {
        let log = &first.get(id(node)).unwrap().log;
        assert_eq!(log.failed("refused", when.unix_seconds), Some(NodeTrouble::Begins));
        first.report(id(node), TryResult::Broken, || when);
    }
    first.report(id(1), TryResult::Broken, || when);
    let order = AdminOrder { admin: Admin::Draining, until_reload: true };
    first.set_admin(id(0), order, 1);
    let state =
        |states: &NodeStates, node| states.get(id(node)).unwrap().health.status(2_000).state;
    assert_eq!((state(&first, 0), state(&first, 1)), ("draining", "set-aside"));
    // An order until the next configuration is over; health goes on.
    let same = NodeStates::of(&Plan::build(&config), &first, base, 2);
    assert_eq!((state(&same, 0), state(&same, 1)), ("usable", "set-aside"));
    // The first node is gone, and the second is the first.
    config.upstreams[0].nodes.remove(0);
    let order = AdminOrder { admin: Admin::Disabled, until_reload: false };
    let second = NodeStates::of(&Plan::build(&config), &same, base, 2);
    assert_eq!(state(&second, 0), "set-aside");
    second.set_admin(id(0), order, 1);
    // Under other checks health begins anew; what an operator wants, and what the log has said, does not.
    config.upstreams[0].checks.passive.unhealthy.tcp_failures = 5;
    let third = NodeStates::of(&Plan::build(&config), &second, base, 2);
    assert_eq!(state(&third, 0), "disabled");
    third.set_admin(id(0), AdminOrder { admin: Admin::Enabled, until_reload: false }, 1);
    assert_eq!(state(&third, 0), "usable");
    assert_eq!(third.get(id(0)).unwrap().log.failed("refused", when.unix_seconds + 1), None);
    assert_eq!(third.nodes().len(), 1);
    assert!(third.get(id(1)).is_none() && third.get(id(9)).is_none());
}
