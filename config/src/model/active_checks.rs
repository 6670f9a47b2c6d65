//! `upstreams.checks.active`: requests of our own that ask whether a node works.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

/// `upstreams.checks.active`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveChecks {
    /// What a check does.
    pub kind: CheckKind,
    /// How long one check may take, all of it.
    pub timeout: Duration,
    /// Checks of the upstream's nodes at a time.
    pub concurrency: u16,
    /// Path and query that are asked for.
    pub http_path: String,
    /// The `Host` of the request, and the name that TLS checks if the upstream has none of its own.
    pub host: Option<String>,
    /// The port that is asked, if it is another one than the node's.
    pub port: Option<u16>,
    /// Further fields of the request.
    pub req_headers: Vec<CheckHeader>,
    /// What says that a node works.
    pub healthy: ActiveHealthy,
    /// What says that it does not.
    pub unhealthy: ActiveUnhealthy,
}

/// `upstreams.checks.active.type`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum CheckKind {
    /// A request.
    Http,
    /// A request over TLS.
    Https,
    /// A connection, and nothing more.
    Tcp,
}

/// One of `upstreams.checks.active.req_headers`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// `upstreams.checks.active.healthy`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveHealthy {
    /// Time between two checks of a node that works, or of which nothing is known yet.
    pub interval: Duration,
    /// Statuses that pass.
    pub http_statuses: Vec<u16>,
    /// Checks in a row that have to pass.
    pub successes: u8,
}

/// `upstreams.checks.active.unhealthy`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActiveUnhealthy {
    /// Time between two checks of a node that does not work.
    pub interval: Duration,
    /// Statuses that fail; `None`: 400 to 599. What is in neither list says nothing.
    pub http_statuses: Option<Vec<u16>>,
    /// Answers with such a status in a row.
    pub http_failures: u8,
    /// Checks in a row without a connection, TLS or an answer that is HTTP.
    pub tcp_failures: u8,
    /// Checks in a row that took too long.
    pub timeouts: u8,
}

impl ActiveHealthy {
    /// Does this status pass?
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.http_statuses.contains(&status)
    }
}

impl ActiveUnhealthy {
    /// Does a status fail that does not pass?
    #[must_use]
    pub fn has(&self, status: u16) -> bool {
        self.http_statuses
            .as_ref()
            .map_or_else(|| (400..600).contains(&status), |statuses| statuses.contains(&status))
    }
}
