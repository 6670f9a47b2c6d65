//! `[[routes]]`: which requests go where, and what is changed on their way.

use super::access::ClientRule;
use super::breaker::CircuitBreaker;
use super::condition::Condition;
use super::patterns::{HostPattern, UriPattern};
use super::upstream::UpstreamTimeout;
use crate::place::Place;
use crate::template::Template;

/// `[[routes]]`, merged with its service and the global rules
#[derive(Clone, Debug)]
pub struct Route {
    /// Where in the file.
    pub place: Place,
    /// Its id, given or made from its position.
    pub id: String,
    /// Hosts; empty matches every host.
    pub hosts: Vec<HostPattern>,
    /// At least one; the service's `path_prefix` is already in front.
    pub uris: Vec<UriPattern>,
    /// Methods as upper-case text; empty matches every method.
    pub methods: Vec<String>,
    /// Higher is asked first.
    pub priority: i32,
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Taken off the path before it is sent upstream (`strip_path_prefix`).
    pub strip_prefix: Option<String>,
    /// Replaces the upstream's.
    pub timeout: Option<UpstreamTimeout>,
    /// Are upgrades to WebSocket forwarded?
    pub websocket: bool,
    /// Bytes of a request body: its own, its service's or that of `[http]`; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// Its own or its service's; keeps its upstream from being asked while that fails.
    pub breaker: Option<CircuitBreaker>,
    /// What else it asks of a request.
    pub when: Option<Condition>,
    /// Who may take it, in the order global rules, service, route; each must be passed.
    pub clients: Vec<ClientRule>,
    /// Header changes in their order: global rules, service, route.
    pub headers: Vec<HeaderOps>,
}

impl Route {
    /// Does it match every host?
    #[must_use]
    pub fn is_for_every_host(&self) -> bool {
        self.hosts.is_empty() || self.hosts.contains(&HostPattern::Any)
    }
}

/// `headers`: applied in the order add, set, remove.
#[derive(Clone, Debug, Default)]
pub struct HeaderOps {
    /// Added behind what is there.
    pub add: Vec<HeaderValue>,
    /// Replaces what is there; an empty value sends nothing.
    pub set: Vec<HeaderValue>,
    /// Names taken out.
    pub remove: Vec<String>,
}

/// A field name and the template of its value.
#[derive(Clone, Debug)]
pub struct HeaderValue {
    /// Where in the file.
    pub place: Place,
    /// The name as written; a valid token.
    pub name: String,
    /// The value.
    pub value: Template,
}
