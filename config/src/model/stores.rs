//! `[[stores]]`: where gateways count requests together.

use std::fmt;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::upstream::UpstreamTls;
use crate::place::Place;

/// A store, as configured.
#[derive(Clone, Debug)]
pub struct Store {
    /// Where in the file.
    pub place: Place,
    /// What limits name it by.
    pub id: String,
    /// One server, or a cluster.
    pub policy: StorePolicy,
    /// The server; of a cluster, some of its nodes. Never empty.
    pub nodes: Vec<StoreNode>,
    /// Who logs in; `None` is the server's default user. Only with a password.
    pub username: Option<String>,
    /// With what; `None` does not log in.
    pub password: Option<Password>,
    /// Which database; 0 of a cluster.
    pub database: u32,
    /// How long connecting may take, and each exchange.
    pub timeout: Duration,
    /// How often counts are exchanged.
    pub sync_interval: Duration,
    /// `None` is no TLS.
    pub tls: Option<UpstreamTls>,
}

impl Store {
    /// Is it the same store, asked in the same way? How its TLS is done does not matter.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.id, self.policy, &self.nodes, &self.username, &self.password)
            == (&other.id, other.policy, &other.nodes, &other.username, &other.password)
            && (self.database, self.timeout, self.sync_interval, self.tls.is_some())
                == (other.database, other.timeout, other.sync_interval, other.tls.is_some())
    }
}

/// `stores.policy`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum StorePolicy {
    /// One server.
    Redis,
    /// A cluster.
    RedisCluster,
}

/// A server of a store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreNode {
    /// A name, or an address without brackets.
    pub host: String,
    /// More than 0.
    pub port: u16,
}

impl fmt::Display for StoreNode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
        }
    }
}

/// A password, which is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(String);

impl Password {
    /// This one.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// For whom it is meant.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(..)")
    }
}

/// `store` of a limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitStore {
    /// The id of the store.
    pub id: String,
    /// Its place among the stores.
    pub index: usize,
    /// Is it counted without the store while that is away? Otherwise requests are refused.
    pub allow_degradation: bool,
}

impl LimitStore {
    /// Do both say the same, wherever the store stands?
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        (&self.id, self.allow_degradation) == (&other.id, other.allow_degradation)
    }
}
