//! Nodes that do worse than the others of their upstream, as Envoy's outlier detection finds them.
//!
//! In: what each node has done in one interval. Out: the nodes to set aside, the worst first. Nothing is
//! compared unless so many nodes have had so many requests: a share of a few requests is chance.

use std::time::Duration;

use ferrule_config::model::OutlierDetection;

use super::changes::ChangeKind;

/// A success rate is not an outlier unless it is so much below the mean: where nearly all is answered well, one
/// failure in a thousand would be many standard deviations.
const SUCCESS_GAP: f64 = 0.05;

/// What one node has done in an interval in which it took part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct NodeSample {
    /// Tries that were answered well.
    pub(super) good: u32,
    /// Tries that failed.
    pub(super) failed: u32,
    /// Tries whose time is known.
    pub(super) timed: u32,
    /// The median of those times.
    pub(super) median_micros: u64,
    /// In so many intervals in a row, up to this one, it was slow.
    pub(super) slow_before: u8,
}

/// What follows for a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct NodeVerdict {
    /// It is to be set aside, for this reason.
    pub(super) outlier: Option<ChangeKind>,
    /// In so many intervals in a row, this one included, it was slow.
    pub(super) slow: u8,
    /// The higher the worse, among outliers.
    badness: f64,
}

impl NodeSample {
    fn tries(&self) -> u32 {
        self.good.saturating_add(self.failed)
    }

    fn success_rate(&self) -> f64 {
        f64::from(self.good) / f64::from(self.tries().max(1))
    }
}

/// What follows for each node; `None` stands for one that did not take part.
pub(super) fn judge(
    samples: &[Option<NodeSample>],
    rules: &OutlierDetection,
) -> Vec<Option<NodeVerdict>> {
    let success_min = success_min(samples, rules);
    let failures_count = enough(samples.iter().flatten().map(NodeSample::tries), rules);
    let slow_above = slow_above(samples, rules);
    let verdict = |sample: &NodeSample| {
        let mut verdict = NodeVerdict { slow: sample.slow_before, ..NodeVerdict::default() };
        if let Some(above) = slow_above.filter(|_| sample.timed >= rules.min_requests) {
            let is_slow = sample.median_micros > above;
            verdict.slow = if is_slow { sample.slow_before.saturating_add(1) } else { 0 };
        }
        if verdict.slow >= rules.latency_intervals && verdict.slow > sample.slow_before {
            verdict.outlier = Some(ChangeKind::Latency);
            // Below any failure: an answer that is late is an answer.
            verdict.badness =
                -1.0 / f64::from(u32::try_from(sample.median_micros).unwrap_or(u32::MAX));
        }
        if sample.tries() >= rules.min_requests {
            let (rate, percentage) = (sample.success_rate(), rules.failure_percentage);
            let failed = (1.0 - rate) * 100.0;
            if failures_count && percentage > 0 && failed >= f64::from(percentage) {
                verdict.outlier = Some(ChangeKind::FailurePercentage);
                verdict.badness = failed;
            } else if success_min.is_some_and(|least| rate < least) {
                verdict.outlier = Some(ChangeKind::SuccessRate);
                verdict.badness = failed;
            }
        }
        verdict
    };
    samples.iter().map(|sample| sample.as_ref().map(verdict)).collect()
}

/// The places of the outliers, the worst first.
pub(super) fn worst_first(verdicts: &[Option<NodeVerdict>]) -> Vec<(usize, ChangeKind)> {
    let found = verdicts.iter().enumerate().filter_map(|(at, verdict)| {
        let verdict = verdict.as_ref()?;
        Some((at, verdict.outlier?, verdict.badness))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|(_, _, one), (_, _, other)| other.total_cmp(one));
    found.into_iter().map(|(at, kind, _)| (at, kind)).collect()
}

/// Have enough nodes had enough requests?
fn enough(counts: impl Iterator<Item = u32>, rules: &OutlierDetection) -> bool {
    let known = counts.filter(|count| *count >= rules.min_requests).count();
    known >= usize::try_from(rules.min_nodes).unwrap_or(usize::MAX)
}

/// The success rate below which a node is an outlier (Envoy's `successRateEjectionThreshold`).
fn success_min(samples: &[Option<NodeSample>], rules: &OutlierDetection) -> Option<f64> {
    let known = || {
        let nodes = samples.iter().flatten();
        nodes.filter(|node| node.tries() >= rules.min_requests).map(NodeSample::success_rate)
    };
    let count = u32::try_from(known().count()).unwrap_or(u32::MAX);
    if rules.success_rate_stdev_factor == 0 || count < rules.min_nodes {
        return None;
    }
    let mean = known().sum::<f64>() / f64::from(count);
    let variance = known().map(|rate| (rate - mean).powi(2)).sum::<f64>() / f64::from(count);
    let factor = f64::from(rules.success_rate_stdev_factor) / 1_000.0;
    Some((mean - factor * variance.sqrt()).min(mean - SUCCESS_GAP))
}

/// The median, in microseconds, above which a node is slow.
fn slow_above(samples: &[Option<NodeSample>], rules: &OutlierDetection) -> Option<u64> {
    let nodes = samples.iter().flatten();
    let known = nodes.filter(|node| node.timed >= rules.min_requests);
    let mut medians: Vec<u64> = known.map(|node| node.median_micros).collect();
    let count = u32::try_from(medians.len()).unwrap_or(u32::MAX);
    if rules.latency_factor == 0 || count < rules.min_nodes {
        return None;
    }
    medians.sort_unstable();
    // Of an even number the lower one: no more than half of the nodes are ever slow.
    let median = medians.get(medians.len().saturating_sub(1) / 2)?;
    let above = median.saturating_mul(rules.latency_factor.into());
    Some(above.max(micros(rules.latency_min)))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn rules() -> OutlierDetection {
        OutlierDetection {
            interval: Duration::from_secs(10),
            min_nodes: 5,
            min_requests: 100,
            success_rate_stdev_factor: 1_900,
            failure_percentage: 85,
            latency_factor: 3,
            latency_intervals: 3,
            latency_min: Duration::from_millis(50),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the samples of nodes that take part")]
    fn node(good: u32, failed: u32) -> Option<NodeSample> {
        let timed = good + failed;
        Some(NodeSample { good, failed, timed, median_micros: 20_000, slow_before: 0 })
    }

    fn slow(millis: u64, slow_before: u8) -> Option<NodeSample> {
        node(100, 0).map(|node| NodeSample { median_micros: millis * 1_000, slow_before, ..node })
    }

    fn found(samples: &[Option<NodeSample>], rules: &OutlierDetection) -> Vec<(usize, ChangeKind)> {
        worst_first(&judge(samples, rules))
    }

    const GOOD: Option<NodeSample> = Some(NodeSample {
        good: 1_000,
        failed: 0,
        timed: 1_000,
        median_micros: 20_000,
        slow_before: 0,
    });

    #[test]
    fn a_success_rate_far_below_the_others_is_an_outlier() {
        let others = [GOOD; 4];
        let with = |node: Option<NodeSample>| [&others[..], &[node]].concat();
        assert_eq!(found(&with(node(80, 20)), &rules()), [(4, ChangeKind::SuccessRate)]);
        // One node of five that fails at all is exactly two standard deviations below the mean.
        assert_eq!(found(&with(node(999, 1)), &rules()), []);
        assert_eq!(found(&with(node(94, 6)), &rules()), [], "less than 5 points below the mean");
        assert_eq!(found(&with(node(60, 20)), &rules()), [], "too few requests");
        let few = with(node(80, 20)).split_off(1);
        assert_eq!(found(&few, &rules()), [], "too few nodes");
        let off = OutlierDetection { success_rate_stdev_factor: 0, ..rules() };
        assert_eq!(found(&with(node(80, 20)), &off), []);
        let far = OutlierDetection { success_rate_stdev_factor: 2_100, ..rules() };
        assert_eq!(found(&with(node(80, 20)), &far), []);
        // A node that does not take part is neither compared nor compared with.
        assert_eq!(found(&[with(node(80, 20)), vec![None]].concat(), &rules()).len(), 1);
        let half: Vec<_> = (0..6).map(|at| node(if at < 3 { 100 } else { 50 }, 50)).collect();
        assert_eq!(found(&half, &rules()), [], "where half do badly, nobody is an outlier");
    }

    #[test]
    fn a_node_that_fails_nearly_always_is_set_aside_whatever_the_others_do() {
        let all = [node(10, 90), node(14, 86), node(16, 84), GOOD, GOOD, node(1, 5)];
        let off = OutlierDetection { success_rate_stdev_factor: 0, ..rules() };
        let kind = ChangeKind::FailurePercentage;
        assert_eq!(found(&all, &off), [(0, kind), (1, kind)], "the worst first");
        let never = OutlierDetection { failure_percentage: 0, ..off };
        assert_eq!(found(&all, &never), []);
        assert_eq!(found(&all[..4], &off), [], "too few nodes");
    }

    #[test]
    fn a_node_is_slow_if_it_is_so_again_and_again() {
        let with = |node| [slow(20, 0), slow(30, 0), slow(20, 0), slow(10, 0), node];
        let row = |node| judge(&with(node), &rules())[4].unwrap().slow;
        assert_eq!([row(slow(61, 0)), row(slow(61, 1)), row(slow(61, 2))], [1, 2, 3]);
        assert_eq!(found(&with(slow(61, 2)), &rules()), [(4, ChangeKind::Latency)]);
        assert_eq!(found(&with(slow(61, 1)), &rules()), []);
        assert_eq!(row(slow(60, 2)), 0, "not above three times the median");
        let few = slow(61, 2).map(|node| NodeSample { timed: 99, ..node });
        assert_eq!((row(few), found(&with(few), &rules())), (2, vec![]), "that says nothing");
        let quick = [slow(1, 0), slow(1, 0), slow(1, 0), slow(1, 0), slow(50, 2)];
        assert_eq!(found(&quick, &rules()), [], "not above `latency_min`");
        let off = OutlierDetection { latency_factor: 0, ..rules() };
        assert_eq!(found(&with(slow(9_000, 2)), &off), []);
        // Failing is worse than being late.
        let mut both = with(slow(61, 2));
        both[0] = node(50, 50);
        let order = [(0, ChangeKind::SuccessRate), (4, ChangeKind::Latency)];
        assert_eq!(found(&both, &rules()), order);
    }

    /// Whatever the numbers: nobody without enough requests is an outlier, nor anybody among too few nodes, nor
    /// a node that has done best.
    #[test]
    fn only_what_is_worse_is_an_outlier() {
        let mut state = 3_u64;
        let mut below = |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from(state >> 33).unwrap_or(0) % bound
        };
        let mut ejected = 0;
        for _ in 0..20_000 {
            let samples: Vec<Option<NodeSample>> = (0..below(12))
                .map(|_| {
                    let bad = below(4) == 0;
                    (below(10) > 0).then(|| NodeSample {
                        good: below(300),
                        failed: below(if bad { 300 } else { 20 }),
                        timed: below(300),
                        median_micros: u64::from(below(if bad { 900_000 } else { 90_000 })),
                        slow_before: u8::try_from(below(4)).unwrap(),
                    })
                })
                .collect();
            let outliers = found(&samples, &rules());
            ejected += outliers.len();
            let known = |count: fn(&NodeSample) -> u32| {
                samples.iter().flatten().filter(move |node| count(node) >= 100)
            };
            for (at, kind) in outliers {
                let node = samples[at].unwrap();
                if kind == ChangeKind::Latency {
                    assert!(node.timed >= 100 && known(|node| node.timed).count() >= 5);
                    let quicker = known(|node| node.timed)
                        .filter(|other| other.median_micros < node.median_micros);
                    assert!(quicker.count() * 2 >= known(|node| node.timed).count() - 1);
                } else {
                    assert!(node.tries() >= 100 && known(NodeSample::tries).count() >= 5);
                    let best = known(NodeSample::tries).map(NodeSample::success_rate);
                    let best = best.fold(0.0, f64::max);
                    assert!(node.success_rate() < best || node.success_rate() <= 0.15);
                }
            }
        }
        assert!(ejected > 1_000, "{ejected}");
    }
}
