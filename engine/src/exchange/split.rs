//! Whose turn is it among the upstreams of a traffic split?
//!
//! In: a rule of a split. Out: the share of the next request, by nginx's smooth weighted round robin: of as many
//! requests as the weights make together, each upstream gets exactly its weight, spread as evenly as can be. This
//! is the state of one core, and it begins anew with each configuration.

use crate::plan::split::{SplitRule, SplitShare};

/// The turns of every traffic split of one plan.
#[derive(Debug)]
pub struct SplitTurns {
    /// How far each share is behind what its weight gives it.
    behind: Box<[i64]>,
}

impl SplitTurns {
    /// `count` is that of the plan ([`Plan::split_turns`](crate::plan::Plan::split_turns)).
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { behind: vec![0; count].into() }
    }

    /// The share of the next request of this rule.
    pub fn next<'a>(&mut self, rule: &'a SplitRule) -> Option<&'a SplitShare> {
        let end = rule.first_turn + rule.shares.len();
        let turns = self.behind.get_mut(rule.first_turn..end)?;
        let mut total = 0;
        let mut best: Option<usize> = None;
        for (at, share) in rule.shares.iter().enumerate() {
            let weight = i64::from(share.weight);
            total += weight;
            turns[at] += weight;
            if best.is_none_or(|best| turns[at] > turns[best]) {
                best = Some(at);
            }
        }
        let best = best?;
        turns[best] -= total;
        rule.shares.get(best)
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::model;

    use super::*;
    use crate::plan::Plan;
    use crate::plan::fixture::{config, route};

    /// A plan of one route whose requests are split by these weights, and the upstreams of its next requests.
    fn chosen(weights: &[u32], requests: usize) -> Vec<u32> {
        let mut config = config();
        config.upstreams = (0..weights.len()).map(|_| config.upstreams[0].clone()).collect();
        let share = |(at, weight): (usize, &u32)| model::SplitShare {
            upstream: Some(at),
            weight: *weight,
            timeout: None,
        };
        let shares = weights.iter().enumerate().map(share).collect();
        let mut one = route(&[], &["/*"]);
        one.split = vec![model::SplitRule { when: None, shares }];
        config.routes = vec![one];
        let plan = Plan::build(&config);
        let split = plan.routes()[0].policy.as_ref().unwrap().split.as_ref().unwrap();
        let connection = crate::plan::fixture::connection(false);
        let facts = crate::plan::Facts {
            connection: &connection,
            session: None,
            client: None,
            request: None,
            now: crate::plan::fixture::NOW,
            log: None,
            request_ids: None,
        };
        let rule = split.rule(&facts, &mut Vec::new()).unwrap();
        let mut turns = SplitTurns::new(plan.split_turns());
        (0..requests).map(|_| turns.next(rule).unwrap().upstream.0).collect()
    }

    #[test]
    fn turns_are_nginxs_smooth_ones() {
        assert_eq!(chosen(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(chosen(&[0, 1], 3), [1, 1, 1]);
        assert_eq!(chosen(&[1], 2), [0, 0]);
        assert_eq!(chosen(&[1, 2, 0], 3), [1, 0, 1]);
    }

    /// Exactly the weights in each round, and never more than one off on the way.
    #[test]
    fn each_gets_exactly_its_weight() {
        for weights in [[99, 1], [1, 999], [7, 13], [1, 1], [500_000, 1]] {
            let total: u32 = weights.iter().sum();
            let rounds = if total > 1_000 { 1 } else { 3 };
            let all = chosen(&weights, total as usize * rounds);
            let mut second = 0_i64;
            for (at, upstream) in (1_i64..).zip(&all) {
                second += i64::from(*upstream == 1);
                let exact = at * i64::from(weights[1]);
                let off = (second * i64::from(total) - exact).abs();
                assert!(off <= i64::from(total), "{weights:?}: {second} of {at}");
                if at % i64::from(total) == 0 {
                    assert_eq!(off, 0, "{weights:?} after {at}");
                }
            }
        }
    }
}
