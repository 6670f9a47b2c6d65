//! `[[routes]]`: which requests go where, and what is changed on their way.

use super::access::ClientRule;
use super::breaker::CircuitBreaker;
use super::capture::NamedCapture;
use super::condition::Condition;
use super::demand::RefuseRule;
use super::header_ops::HeaderOps;
use super::patterns::{HostPattern, UriPattern};
use super::request_limits::RequestLimit;
use super::shaping::{Cors, Redirect, ResponseRule, Rewrite, StaticAnswer};
use super::split::SplitRule;
use super::upstream::UpstreamTimeout;
use crate::place::Place;

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
    /// Index into [`Config::upstreams`](super::Config::upstreams); `None` only for a route that answers every
    /// request by itself.
    pub upstream: Option<usize>,
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
    /// Those of the global rules, then its own or its service's.
    pub limits: Vec<RequestLimit>,
    /// `rewrite`, its own or its service's: what is sent upstream.
    pub rewrite: Option<Rewrite>,
    /// `redirect`, its own or its service's: the client is sent elsewhere.
    pub redirect: Option<Redirect>,
    /// `return`, its own or its service's: it answers by itself.
    pub answer: Option<StaticAnswer>,
    /// Its own or its service's rules for other upstreams, in their order.
    pub split: Vec<SplitRule>,
    /// `response` of the global rules, then its own or its service's.
    pub response: Vec<ResponseRule>,
    /// `cors`, its own, its service's or a global rule's.
    pub cors: Option<Cors>,
    /// What else it asks of a request.
    pub when: Option<Condition>,
    /// Parts of values that its conditions name.
    pub captures: Vec<NamedCapture>,
    /// Who may take it, in the order global rules, service, route; each must be passed.
    pub clients: Vec<ClientRule>,
    /// What is refused, in the same order.
    pub refuse: Vec<RefuseRule>,
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
