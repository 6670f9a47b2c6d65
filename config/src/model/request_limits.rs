//! `limits` of routes, services and global rules: how many requests of one key go on.

use std::time::Duration;

use strum::{EnumCount, IntoStaticStr, VariantArray, VariantNames};

use super::stores::LimitStore;
use crate::place::Place;
use crate::template::Template;

/// The most that is counted in a window, and the longest window in seconds.
const COUNT_MAX: u64 = 1_000_000_000;
/// The highest rate and burst, in thousandths.
const RATE_MAX: u64 = 1_000_000_000_000;
/// For so long at most a request may say that it is counted, where the file says no longer: a day.
const TOLD_TIME_MAX: Duration = Duration::from_secs(86_400);
/// The most at one time.
const CONNECTIONS_MAX: u64 = 1_000_000;

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
    /// Numbers of the rule that requests say; where one says nothing, that of the rule holds.
    pub numbers: Vec<LimitNumber>,
    /// Where it is counted with other gateways; `None` is here alone. Of `limits.requests` only, with a group.
    pub store: Option<LimitStore>,
}

/// A number of a rule that comes from the request: `count_from` and its like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitNumber {
    /// Which number.
    pub key: LimitNumberKey,
    /// What says it.
    pub from: Template,
}

/// The numbers of limits that a request may say, by their keys.
#[derive(
    Clone, Copy, Debug, EnumCount, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames,
)]
#[strum(serialize_all = "snake_case")]
pub enum LimitNumberKey {
    /// Requests in a window.
    Count,
    /// Seconds of a window.
    Window,
    /// Requests per second, with at most three decimals.
    Rate,
    /// Requests at one time.
    Connections,
    /// Requests beyond a rate (with at most three decimals) or a number at one time.
    Burst,
}

impl RequestLimit {
    /// Do both say the same, wherever they stand?
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let same_store = match (&self.store, &other.store) {
            (Some(own), Some(other)) => own.says_the_same(other),
            (None, None) => true,
            _ => false,
        };
        same_store
            && (&self.key, self.status, &self.message, self.rule, &self.numbers)
                == (&other.key, other.status, &other.message, other.rule, &other.numbers)
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

impl LimitRule {
    /// The rule with another number in it, in the units of [`LimitNumberKey`]; thousandths where it has decimals. `None`
    /// if the number is out of its range, or the rule has none of this key.
    #[must_use]
    pub fn with_number(self, key: LimitNumberKey, number: u64) -> Option<Self> {
        let within = |min: u64, max: u64| (min..=max).contains(&number).then_some(number);
        let small = |min, max| within(min, max).and_then(|number| u32::try_from(number).ok());
        Some(match (self, key) {
            (Self::Requests(rule), LimitNumberKey::Count) => {
                Self::Requests(WindowRule { count: small(1, COUNT_MAX)?, ..rule })
            }
            (Self::Requests(rule), LimitNumberKey::Window) => {
                let window = Duration::from_secs(within(1, COUNT_MAX)?);
                Self::Requests(WindowRule { window, ..rule })
            }
            (Self::Rate(rule), LimitNumberKey::Rate) => {
                Self::Rate(BucketRule { rate_thousandths: within(1, RATE_MAX)?, ..rule })
            }
            (Self::Rate(rule), LimitNumberKey::Burst) => {
                Self::Rate(BucketRule { burst_thousandths: within(0, RATE_MAX)?, ..rule })
            }
            (Self::Connections(rule), LimitNumberKey::Connections) => {
                Self::Connections(ConcurrencyRule {
                    connections: small(1, CONNECTIONS_MAX)?,
                    ..rule
                })
            }
            (Self::Connections(rule), LimitNumberKey::Burst) => {
                Self::Connections(ConcurrencyRule { burst: small(0, CONNECTIONS_MAX)?, ..rule })
            }
            _ => return None,
        })
    }

    /// Is the rule that a request has said held for as long as this one, or for a day? What is counted for longer than
    /// that takes room from others' keys for as long.
    #[must_use]
    pub fn allows_told(self, told: Self) -> bool {
        told.counted_for() <= self.counted_for().max(TOLD_TIME_MAX)
    }

    /// For how long a request may be counted.
    fn counted_for(self) -> Duration {
        match self {
            Self::Requests(rule) => rule.window,
            Self::Rate(rule) => {
                let whole = rule.burst_thousandths.saturating_add(1_000);
                Duration::from_secs(whole / rule.rate_thousandths.max(1))
            }
            Self::Connections(_) => Duration::ZERO,
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

impl LimitKind {
    /// The numbers of such a limit that a request may say.
    #[must_use]
    pub const fn numbers(self) -> &'static [LimitNumberKey] {
        match self {
            Self::Requests => &[LimitNumberKey::Count, LimitNumberKey::Window],
            Self::Rate => &[LimitNumberKey::Rate, LimitNumberKey::Burst],
            Self::Connections => &[LimitNumberKey::Connections, LimitNumberKey::Burst],
        }
    }
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
