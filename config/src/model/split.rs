//! `traffic_split`: which upstream of several a request of a route goes to.

use super::condition::Condition;
use super::upstream::UpstreamTimeout;

/// One rule of `traffic_split`. The first whose conditions hold decides.
#[derive(Clone, Debug)]
pub struct SplitRule {
    /// What it asks of a request; `None` takes every one.
    pub when: Option<Condition>,
    /// Where its requests go. At least one has a weight.
    pub shares: Vec<SplitShare>,
}

/// An upstream's part of the requests of a rule.
#[derive(Clone, Debug)]
pub struct SplitShare {
    /// Index into [`Config::upstreams`](super::Config::upstreams); `None` is the route's own.
    pub upstream: Option<usize>,
    /// How many requests it gets of as many as the weights of its rule make together.
    pub weight: u32,
    /// The route's own settings over those of this upstream; `None` where the route says nothing.
    pub timeout: Option<UpstreamTimeout>,
}
