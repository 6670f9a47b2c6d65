//! `traffic_split` of a route, compiled: to which upstream does a request go?
//!
//! In: what is known of a request. Out: the rule for it, with its shares; whose turn it is among them is up to
//! [`SplitTurns`](crate::exchange::split::SplitTurns), which each core has for itself.

use ferrule_config::Config;
use ferrule_config::model::{self, Route, UpstreamTimeout};

use super::condition::Condition;
use super::facts::Facts;
use super::ids::{UpstreamId, index};
use super::template::Compiler;
use super::upstream;

/// The rules of a route, in their order.
#[derive(Debug)]
pub struct TrafficSplit {
    rules: Box<[SplitRule]>,
}

/// A rule: its conditions, and where its requests go.
#[derive(Debug)]
pub struct SplitRule {
    when: Option<Condition>,
    /// Those that have a weight; at least one.
    pub shares: Box<[SplitShare]>,
    /// Where its turns begin among those of the whole plan.
    pub first_turn: usize,
}

/// An upstream's part of the requests of a rule.
#[derive(Debug)]
pub struct SplitShare {
    /// The upstream.
    pub upstream: UpstreamId,
    /// More than 0.
    pub weight: u32,
    /// How long it may take for a request of this route.
    pub timeout: UpstreamTimeout,
}

impl TrafficSplit {
    /// Compiles the rules of a route, `None` if it has none; `turns` is how many turns were given out so far.
    pub(super) fn build(
        route: &Route,
        config: &Config,
        compiler: &mut Compiler,
        turns: &mut usize,
    ) -> Option<Self> {
        let mut build = |rule: &model::SplitRule| {
            let shares: Box<[SplitShare]> = rule
                .shares
                .iter()
                .filter(|share| share.weight > 0)
                .filter_map(|share| SplitShare::build(share, route, config))
                .collect();
            let first_turn = *turns;
            *turns += shares.len();
            let when = rule.when.as_ref().map(|when| Condition::build(when, compiler));
            SplitRule { when, shares, first_turn }
        };
        let rules: Box<[SplitRule]> = route.split.iter().map(&mut build).collect();
        (!rules.is_empty()).then_some(Self { rules })
    }

    /// The upstreams that it sends requests to.
    pub fn upstreams(&self) -> impl Iterator<Item = UpstreamId> {
        self.rules.iter().flat_map(|rule| &rule.shares).map(|share| share.upstream)
    }

    /// How long this upstream may take for a request that was sent there by a rule; `None` if none does that.
    #[must_use]
    pub fn timeout_at(&self, upstream: UpstreamId) -> Option<UpstreamTimeout> {
        let mut shares = self.rules.iter().flat_map(|rule| &rule.shares);
        shares.find(|share| share.upstream == upstream).map(|share| share.timeout)
    }

    /// The first rule whose conditions hold; `value` is scratch space.
    #[must_use]
    pub fn rule(&self, facts: &Facts<'_>, value: &mut Vec<u8>) -> Option<&SplitRule> {
        self.rules
            .iter()
            .find(|rule| rule.when.as_ref().is_none_or(|when| when.holds(facts, value)))
    }
}

impl SplitShare {
    /// `None` where the route has no upstream of its own, which only one that answers by itself has not.
    fn build(share: &model::SplitShare, route: &Route, config: &Config) -> Option<Self> {
        let (at, own) = match share.upstream {
            Some(at) => (at, share.timeout),
            None => (route.upstream?, route.timeout),
        };
        let inherited = config.upstreams.get(at).map(|upstream| upstream.timeout);
        Some(Self {
            upstream: UpstreamId(index(at)),
            weight: share.weight,
            timeout: own.or(inherited).unwrap_or(upstream::TIMEOUT_DEFAULT),
        })
    }
}
