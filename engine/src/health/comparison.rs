//! Nodes of an upstream are compared, now and then: the worst are set aside.

use std::sync::atomic::Ordering;

use ferrule_config::model::OutlierDetection;

use super::changes::ChangeKind;
use super::node_health::Spared;
use super::outliers::{judge, worst_first};
use super::standing::{Moment, Reported, TryResult};
use super::states::NodeStates;
use crate::plan::{NodeId, NodeIndex, UpstreamId};

impl NodeStates {
    /// A try has ended, for the comparison of nodes; `core` alone may say so. `micros` is how long the node took,
    /// if that is known and no client had part in it.
    pub fn tally(&self, node: NodeId, core: u32, result: TryResult, micros: Option<u64>) {
        let failed = self.upstream(node.upstream).and_then(|known| known.rules.failed(result));
        let tallies = self.get(node).and_then(|state| state.tallies.as_ref());
        if let (Some(failed), Some(tallies)) = (failed, tallies) {
            tallies.count(core, failed, micros);
        }
    }

    /// Compares the nodes of each upstream whose time has come, and sets aside those that do worse. To be called
    /// now and then by one thread. What is to be told.
    pub fn compare(&self, when: Moment) -> Vec<(NodeId, Reported)> {
        let mut reports = Vec::new();
        for id in self.ids() {
            let Some(upstream) = self.upstream(id) else { continue };
            let Some(rules) = &upstream.checks.passive.outliers else { continue };
            let interval = u64::try_from(rules.interval.as_millis()).unwrap_or(u64::MAX);
            let due_ms = upstream.shared.compare_ms.load(Ordering::Relaxed);
            if when.now_ms < due_ms {
                continue;
            }
            let next_ms = when.now_ms.saturating_add(interval);
            upstream.shared.compare_ms.store(next_ms, Ordering::Relaxed);
            self.compare_nodes(id, rules, interval, when, &mut reports);
        }
        reports
    }

    fn compare_nodes(
        &self,
        id: UpstreamId,
        rules: &OutlierDetection,
        interval: u64,
        when: Moment,
        reports: &mut Vec<(NodeId, Reported)>,
    ) {
        let nodes = self.nodes_of(id);
        let samples: Vec<_> = nodes
            .iter()
            .map(|node| {
                // Taken of all: what a node did before it was set aside is not held against it afterwards.
                let sample = node.state.tallies.as_ref()?.take();
                (node.weight > 0 && node.state.health.takes_part()).then_some(sample)
            })
            .collect();
        let verdicts = judge(&samples, rules);
        for (node, verdict) in nodes.iter().zip(&verdicts) {
            if let (Some(tallies), Some(verdict)) = (&node.state.tallies, verdict) {
                let ends = verdict.outlier.is_some();
                tallies.set_slow(if ends { 0 } else { verdict.slow });
            }
        }
        for (at, kind) in worst_first(&verdicts) {
            let Ok(node) = u32::try_from(at) else { continue };
            let intervals = match kind {
                ChangeKind::Latency => u64::from(rules.latency_intervals),
                _ => 1,
            };
            // So long it takes to find out, and one more, as nodes come back within one.
            let took_ms = interval.saturating_mul(intervals + 1);
            let node = NodeId { upstream: id, node: NodeIndex(node) };
            let Some(reported) = self.set_aside(node, kind, Moment { took_ms, ..when }) else {
                continue;
            };
            reports.push((node, reported));
        }
    }

    /// Sets a node aside, unless too few healthy ones would be left.
    fn set_aside(&self, node: NodeId, kind: ChangeKind, when: Moment) -> Option<Reported> {
        let (upstream, view) = (self.upstream(node.upstream)?, self.view(node.upstream));
        let least = view.eligible * usize::from(upstream.checks.panic_threshold);
        let left = view.healthy.saturating_sub(1);
        if view.spared != Spared::No || left == 0 || left * 100 < least {
            return None;
        }
        let change = self.get(node)?.health.set_aside(kind, &upstream.rules, when)?;
        Some(self.after(node.upstream, Some(change), when.unix_seconds))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some time to begin at")]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::exchange::balance::Tried;
    use crate::health::{ChangeKind, ProbeRequest, Standing};
    use crate::plan::{Plan, fixture};

    const UPSTREAM: UpstreamId = UpstreamId(0);
    const CORES: u32 = 2;

    fn id(node: u32) -> NodeId {
        NodeId { upstream: UPSTREAM, node: NodeIndex(node) }
    }

    fn states(nodes: u16) -> NodeStates {
        let mut config = fixture::config();
        let upstream = &mut config.upstreams[0];
        let node = upstream.nodes[0].clone();
        upstream.nodes = (80..80 + nodes)
            .map(|port| {
                let mut node = node.clone();
                node.address = ferrule_config::model::NodeAddress::Ip(([10, 0, 0, 1], port).into());
                node
            })
            .collect();
        upstream.checks.passive.outliers = Some(OutlierDetection {
            interval: Duration::from_secs(10),
            min_nodes: 3,
            min_requests: 20,
            success_rate_stdev_factor: 1_400,
            failure_percentage: 85,
            latency_factor: 3,
            latency_intervals: 2,
            latency_min: Duration::from_millis(50),
        });
        NodeStates::of(&Plan::build(&config), &NodeStates::default(), Instant::now(), 2)
    }

    fn at(now_ms: u64) -> Moment {
        Moment { now_ms, unix_seconds: now_ms / 1_000, took_ms: 0 }
    }

    /// So many tries, of which so many fail, on both cores.
    fn tries(states: &NodeStates, node: u32, failed: u32, millis: u64) {
        for number in 0..40 {
            let result = if number < failed { TryResult::Broken } else { TryResult::Answered(200) };
            let micros = (number >= failed).then_some(millis * 1_000);
            states.tally(id(node), number % CORES, result, micros);
        }
    }

    fn changes(reports: &[(NodeId, Reported)]) -> Vec<(u32, Option<ChangeKind>)> {
        reports.iter().map(|(node, reported)| (node.node.0, reported.change)).collect()
    }

    #[test]
    fn the_worst_is_set_aside_longer_each_time_and_comes_back_by_one_request() {
        let states = states(5);
        let (mut now, mut lengths) = (1, Vec::new());
        assert_eq!(states.compare(at(now)).len(), 0, "nothing has been asked");
        for _ in 0..3 {
            (0..5).for_each(|node| tries(&states, node, if node == 2 { 12 } else { 0 }, 5));
            assert_eq!(states.compare(at(now + 9_999)).len(), 0, "the interval is not over");
            now += 10_000;
            let reports = states.compare(at(now));
            assert_eq!(changes(&reports), [(2, Some(ChangeKind::SuccessRate))]);
            assert_eq!(states.standing(id(2), now), Standing::SetAside);
            let until = states.due_ms(UPSTREAM);
            lengths.push((until - now) / 10_000);
            let (view, request) = (
                states.view(UPSTREAM),
                ProbeRequest { repeatable: true, tried: &Tried::default() },
            );
            assert_eq!(states.take_probe(UPSTREAM, &view, until - 1, request), None);
            now = until;
            assert_eq!(states.take_probe(UPSTREAM, &view, now, request), Some(NodeIndex(2)));
            let reported = states.report(id(2), TryResult::Answered(200), || at(now));
            assert_eq!(reported.change, Some(ChangeKind::Answered));
            // What it did before is not held against it.
            assert_eq!(changes(&states.compare(at(now))), []);
        }
        assert_eq!(lengths, [1, 2, 4]);
        let status = states.get(id(2)).unwrap().health.status(now);
        assert_eq!((status.state, status.ejections), ("usable", 3));
    }

    #[test]
    fn a_slow_node_needs_its_intervals() {
        let states = states(3);
        for turn in 1..=2 {
            (0..3).for_each(|node| tries(&states, node, 0, if node == 0 { 400 } else { 60 }));
            let found = changes(&states.compare(at(turn * 10_001)));
            let wanted = if turn == 2 { vec![(0, Some(ChangeKind::Latency))] } else { vec![] };
            assert_eq!(found, wanted);
        }
        assert_eq!(states.standing(id(0), 20_010), Standing::SetAside);
        assert_eq!(states.standing(id(1), 20_010), Standing::Usable);
    }

    #[test]
    fn the_floor_holds() {
        let states = states(4);
        for node in 0..4 {
            tries(&states, node, 36 + node, 5);
        }
        let kind = Some(ChangeKind::FailurePercentage);
        assert_eq!(changes(&states.compare(at(10_000))), [(3, kind), (2, kind)], "the worst two");
        let view = states.view(UPSTREAM);
        assert_eq!((view.healthy, view.is_panic()), (2, false));
        for node in 0..4 {
            tries(&states, node, 40, 5);
        }
        assert_eq!(changes(&states.compare(at(30_000))), []);
    }

    /// Random nodes, good and bad: comparing never brings about a panic, and sets aside nobody who is not there or
    /// who has answered everything in good time.
    #[test]
    fn comparing_never_goes_too_far() {
        let mut state = 11_u64;
        let mut below = |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(state >> 33).unwrap_or(0) % bound
        };
        let mut ejected = 0;
        for _ in 0..30 {
            let nodes = 3 + below(6);
            let states = states(u16::try_from(nodes).unwrap());
            let mut now = 1;
            for _ in 0..60 {
                let mut perfect = Vec::new();
                for node in 0..nodes {
                    let usable = states.standing(id(node), now) == Standing::Usable;
                    if !usable || below(8) == 0 {
                        continue;
                    }
                    let failed = if below(3) == 0 { below(41) } else { 0 };
                    let millis = if below(3) == 0 { 400 } else { 20 };
                    if failed == 0 && millis == 20 {
                        perfect.push(node);
                    }
                    tries(&states, node, failed, millis);
                }
                let before = states.view(UPSTREAM).healthy;
                now += 10_000;
                let reports = states.compare(at(now));
                ejected += reports.len();
                let view = states.view(UPSTREAM);
                assert_eq!(view.healthy + reports.len(), before);
                assert!(!view.is_panic());
                for (node, reported) in reports {
                    assert!(!perfect.contains(&node.node.0) && reported.panic.is_none());
                    assert_eq!(states.standing(node, now), Standing::SetAside);
                }
                if below(3) == 0 {
                    let request = ProbeRequest { repeatable: true, tried: &Tried::default() };
                    if let Some(node) = states.take_probe(UPSTREAM, &view, now, request) {
                        let node = NodeId { upstream: UPSTREAM, node };
                        states.report(node, TryResult::Answered(200), || at(now));
                    }
                }
            }
        }
        assert!(ejected > 100, "{ejected}");
    }
}
