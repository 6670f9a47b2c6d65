//! How an upstream chooses among its nodes.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::place::Place;
use crate::template::Template;

/// How a node is chosen, and what that needs to know.
#[derive(Clone, Debug)]
pub struct Balance {
    /// `type`
    pub method: BalanceMethod,
    /// Present exactly if the method is `chash`.
    pub hash_key: Option<HashInput>,
    /// How long a node that comes back takes to its full weight; `None` is at once.
    pub slow_start: Option<Duration>,
}

/// `upstreams.type`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
pub enum BalanceMethod {
    /// Nodes take turns, by weight.
    #[strum(serialize = "roundrobin")]
    RoundRobin,
    /// The fewest open requests for its weight.
    #[strum(serialize = "least_conn")]
    LeastConn,
    /// Of two drawn by weight, the one that answers sooner.
    #[strum(serialize = "ewma")]
    Ewma,
    /// Equal keys go to equal nodes.
    #[strum(serialize = "chash")]
    Chash,
    /// Of two drawn by weight, the one with fewer open requests.
    #[strum(serialize = "random")]
    Random,
}

/// What `chash` hashes.
#[derive(Clone, Debug)]
pub struct HashInput {
    /// `hash_on`
    pub on: HashOn,
    /// `key`, as written.
    pub key: String,
    /// Where in the file.
    pub place: Place,
    /// What both mean.
    pub template: Template,
}

/// `upstreams.hash_on`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum HashOn {
    /// A variable.
    Vars,
    /// A request header.
    Header,
    /// A cookie.
    Cookie,
    /// Text with variables in it.
    VarsCombinations,
}
