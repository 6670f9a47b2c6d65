//! `limits` of routes, services and global rules: how many requests of one key go on.

use std::time::Duration;

use strum::{EnumCount, IntoStaticStr, VariantArray, VariantNames};

use crate::place::Place;
use crate::template::Template;

/// One entry of `limits.requests`, `limits.rate` or `limits.connections`.
#[derive(Clone, Debug)]
pub struct RequestLimit {
    /// Where in the file.
    pub place: Place,
    /// Its path in the file, as `routes[0].limits.rate[1]`.
    pub field: String,
    /// Entries of one kind and group count together; without one, each route counts for itself. That of a
    /// service or a global rule always has one.
    pub group: Option<String>,
    /// Requests with equal values are counted together.
    pub key: Template,
    /// What a request is answered with that is refused.
    pub status: u16,
    /// `error_msg` of that answer; `None` is an error text of our own.
    pub message: Option<String>,
    /// What is counted.
    pub rule: LimitRule,
}

impl RequestLimit {
    /// Do both say the same, wherever they stand?
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        (&self.key, self.status, &self.message, self.rule)
            == (&other.key, other.status, &other.message, other.rule)
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitRule {
    /// `limits.requests`
    Requests(WindowRule),
    /// `limits.rate`
    Rate(BucketRule),
    /// `limits.connections`
    Connections(ConcurrencyRule),
}

impl LimitRule {
    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> LimitKind {
        match self {
            Self::Requests(_) => LimitKind::Requests,
            Self::Rate(_) => LimitKind::Rate,
            Self::Connections(_) => LimitKind::Connections,
        }
    }
}

/// The kinds of limits, by their keys.
#[derive(
    Clone,
    Copy,
    Debug,
    EnumCount,
    Eq,
    Hash,
    IntoStaticStr,
    Ord,
    PartialEq,
    PartialOrd,
    VariantArray,
    VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum LimitKind {
    /// Requests within a window of time.
    Requests,
    /// Requests per second.
    Rate,
    /// Requests at one time.
    Connections,
}

/// `limits.requests`: so many requests within a window of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WindowRule {
    /// More than 0.
    pub count: u32,
    /// More than nothing.
    pub window: Duration,
    /// When it begins anew.
    pub window_type: WindowType,
    /// Do answers say how many are left?
    pub show_headers: bool,
}

/// `limits.requests.window_type`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum WindowType {
    /// It begins with the first request, and when it is over, all are forgotten.
    Fixed,
    /// Requests of the window before still count, for the part of it that one window back from now reaches.
    Sliding,
}

/// `limits.rate`: a leaky bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BucketRule {
    /// Thousandths of a request per second; more than 0.
    pub rate_thousandths: u64,
    /// Thousandths of a request that may be ahead of that.
    pub burst_thousandths: u64,
    /// Are those sent on at once, rather than when it is their time?
    pub nodelay: bool,
}

impl BucketRule {
    /// The longest that a request is held back.
    #[must_use]
    pub fn longest_delay(&self) -> Duration {
        if self.nodelay || self.rate_thousandths == 0 {
            return Duration::ZERO;
        }
        let millis = u128::from(self.burst_thousandths) * 1_000 / u128::from(self.rate_thousandths);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

/// `limits.connections`: so many requests at one time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConcurrencyRule {
    /// More than 0.
    pub connections: u32,
    /// So many more are sent on late.
    pub burst: u32,
    /// How late, for each `connections` that are under way.
    pub delay: Duration,
    /// Is it always that, rather than as long as requests have taken lately?
    pub only_use_default_delay: bool,
}

impl ConcurrencyRule {
    /// How many go on at one time, late ones included.
    #[must_use]
    pub const fn most(&self) -> u32 {
        self.connections.saturating_add(self.burst)
    }
}
