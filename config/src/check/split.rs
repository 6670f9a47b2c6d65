//! `traffic_split`: the rules of a route or service that send its requests to other upstreams.

use crate::check::context::Check;
use crate::check::upstreams::timeout;
use crate::model::{SplitRule, SplitShare};
use crate::raw::Raw;

/// Upstreams of one rule: more would make each choice slow.
const SHARES_MAX: usize = 64;

impl Check<'_> {
    /// The rules of a route or service; `None` if it has none of its own. `made_up` names inline upstreams.
    pub(super) fn traffic_split(&mut self, raw: &Raw, made_up: &str) -> Option<Vec<SplitRule>> {
        if !raw.has("traffic_split") {
            return None;
        }
        let rules = raw.tables("traffic_split").iter().enumerate();
        let rules = rules.map(|(index, rule)| SplitRule {
            when: self.vars(rule),
            shares: self.shares(rule, &format!("{made_up}.traffic_split.{index}")),
        });
        Some(rules.collect())
    }

    fn shares(&mut self, rule: &Raw, made_up: &str) -> Vec<SplitShare> {
        const KEY: &str = "weighted_upstreams";
        if !rule.has(KEY) {
            return vec![SplitShare { upstream: None, weight: 1, timeout: None }];
        }
        let written = rule.tables(KEY);
        let mut shares = Vec::new();
        for (index, raw) in written.iter().enumerate() {
            self.exclusive(raw, "upstream", "upstream_id");
            let weight = raw.int("weight");
            let upstream = if raw.has("upstream_id") {
                self.upstream_ids.find(self.problems, raw, "upstream_id")
            } else if let Some(inline) = raw.table("upstream") {
                self.add_upstream(inline, format!("{made_up}.{index}"))
            } else {
                None
            };
            shares.push(SplitShare { upstream, weight, timeout: None });
        }
        if rule.is_broken(KEY) {
            return shares;
        }
        if shares.len() > SHARES_MAX {
            let message = format!("more than {SHARES_MAX} upstreams");
            self.error(rule.at(KEY), rule.path(KEY), &message, "split them by `vars` first");
        } else if written.is_empty() {
            let help = "leave it out for the upstream of the route";
            self.error(rule.at(KEY), rule.path(KEY), "this list is empty", help);
        } else if shares.iter().all(|share| share.weight == 0) {
            let help = "a weight of 0 gets nothing; give one upstream more";
            self.error(rule.at(KEY), rule.path(KEY), "every weight is 0", help);
        }
        shares
    }

    /// The rules as they hold for one route, whose own timeouts stand over those of each upstream.
    pub(super) fn split_of_route(
        &self,
        rules: &[SplitRule],
        written: Option<&Raw>,
        raw: &Raw,
    ) -> Vec<SplitRule> {
        let mut rules = rules.to_vec();
        for share in rules.iter_mut().flat_map(|rule| &mut rule.shares) {
            let base = share.upstream.and_then(|at| self.upstreams.get(at)).map(|up| up.timeout);
            share.timeout =
                written.filter(|_| base.is_some()).map(|table| timeout(Some(table), base, raw));
        }
        rules
    }
}

/// The inline upstreams of the traffic splits of these routes or services.
pub(super) fn inline_upstreams(holders: &[Raw]) -> impl Iterator<Item = &Raw> {
    let rules = holders.iter().flat_map(|raw| raw.tables("traffic_split"));
    let shares = rules.flat_map(|rule| rule.tables("weighted_upstreams"));
    shares.filter_map(|share| share.table("upstream"))
}
