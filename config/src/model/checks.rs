//! `upstreams.checks`: which nodes of an upstream are asked.

use std::time::Duration;

use super::active_checks::ActiveChecks;
use crate::defaults;

/// `upstreams.checks`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checks {
    /// The least share of an upstream's nodes, in percent, that has to be healthy for health to be minded;
    /// below it all are asked. 0: health is always minded.
    pub panic_threshold: u8,
    /// What the answers to requests say.
    pub passive: PassiveChecks,
    /// Requests of our own, if there are to be any.
    pub active: Option<ActiveChecks>,
}

/// `upstreams.checks.passive`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassiveChecks {
    /// What brings a node back.
    pub healthy: PassiveHealthy,
    /// What sets it aside.
    pub unhealthy: PassiveUnhealthy,
    /// What sets a node aside that does worse than the others; `None`: nodes are not compared.
    pub outliers: Option<OutlierDetection>,
    /// The longest time that a node is set aside for.
    pub max_ejection_time: Duration,
}

/// `upstreams.checks.passive.outliers`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutlierDetection {
    /// How often nodes are compared, by what they have done since the last time.
    pub interval: Duration,
    /// So many nodes have to have had `min_requests`.
    pub min_nodes: u32,
    /// A node with fewer requests in an interval is not compared.
    pub min_requests: u32,
    /// Thousandths of a standard deviation that a node's success rate has to be below the mean; 0: it does not
    /// count.
    pub success_rate_stdev_factor: u32,
    /// Percent of a node's requests that have to fail; 0: it does not count.
    pub failure_percentage: u8,
    /// How many times the upstream's median a node's median has to be; 0: it does not count.
    pub latency_factor: u32,
    /// In so many intervals in a row.
    pub latency_intervals: u8,
    /// A node whose median is not above this is not slow.
    pub latency_min: Duration,
}

/// `upstreams.checks.passive.healthy`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassiveHealthy {
    /// Statuses that say that a node works; `None`: each that does not say that it fails.
    pub http_statuses: Option<Vec<u16>>,
    /// Requests in a row that a node has to answer, one at a time, before it is used again.
    pub successes: u8,
}

/// `upstreams.checks.passive.unhealthy`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PassiveUnhealthy {
    /// Statuses that say that a node fails.
    pub http_statuses: Vec<u16>,
    /// Answers with them in a row that set a node aside; 0: none does.
    pub http_failures: u8,
    /// Connections in a row that failed or broke; 0: none does.
    pub tcp_failures: u8,
    /// Waits in a row that took too long; 0: none does.
    pub timeouts: u8,
    /// How long after one failure another one is in a row with it, and how long a node is set aside at first.
    pub fail_timeout: Duration,
}

/// What holds where nothing is written.
impl Default for Checks {
    fn default() -> Self {
        let count = |number: i64| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            panic_threshold: count(defaults::PANIC_THRESHOLD),
            passive: PassiveChecks {
                healthy: PassiveHealthy {
                    http_statuses: None,
                    successes: count(defaults::SUCCESSES),
                },
                unhealthy: PassiveUnhealthy {
                    http_statuses: defaults::FAILING_STATUSES.to_vec(),
                    http_failures: count(defaults::HTTP_FAILURES),
                    tcp_failures: count(defaults::TCP_FAILURES),
                    timeouts: count(defaults::TIMEOUTS),
                    fail_timeout: defaults::FAIL_TIMEOUT,
                },
                outliers: None,
                max_ejection_time: defaults::MAX_EJECTION_TIME,
            },
            active: None,
        }
    }
}
