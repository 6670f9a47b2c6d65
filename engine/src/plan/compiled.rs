//! The whole of a compiled configuration.
//!
//! In: a checked [`Config`]. Out: a [`Plan`], which never changes and is asked by every request; and what
//! only this room can tell is wrong with a checked configuration.

use std::sync::Arc;

use ferrule_config::model::{
    BreakResponse, CircuitBreaker, Http, Listen, Store, Traceparent, UpstreamTimeout,
};
use ferrule_config::{Config, Problems};

use super::access::RouteAccess;
use super::condition::Condition;
use super::demands::AnswerTable;
use super::error_pages::ErrorPages;
use super::forbidden::OwnWords;
use super::headers::{self, HeaderRules, IdentityHeaders};
use super::hosts::{HostBuf, HostName};
use super::ids::{LimitId, ListenerId, RouteId, ServerId, UpstreamId, index};
use super::log_filter::AccessFilter;
use super::log_line::LineTemplate;
use super::policy::RoutePolicy;
use super::reach::{Reach, tables};
use super::real_ip::RealIpPlan;
use super::request_limits::{LimitPlan, LimitTable};
use super::route::RouteTable;
use super::sni::{HostMeaning, SniTable};
use super::split::TrafficSplit;
use super::template::Compiler;
use super::upstream::{self, UpstreamPlan};
use super::{access_log, bypass, client, empty_variables, overlap};
use crate::identity::IdentityPlan;
use crate::wire::limits::HeadLimits;

/// Everything that a request may need to know, compiled.
#[derive(Debug)]
pub struct Plan {
    /// `[http]`, as it is.
    pub http: Http,
    /// Server names, for SNI and Host alike.
    pub sni: SniTable,
    /// Host and path to route.
    pub table: RouteTable,
    /// What is stripped from every request, and set last.
    pub identity: IdentityHeaders,
    /// Which values of a client certificate have to be rendered.
    pub wanted: IdentityPlan,
    /// The operator's pages for our own error answers; read beside, see `setup`.
    pub error_pages: Arc<ErrorPages>,
    /// Files that are bodies of answers; read beside, too.
    pub body_files: Arc<[Box<[u8]>]>,
    /// One line of the access log; `None` writes none.
    pub access_log: Option<LineTemplate>,
    /// Which requests get one.
    pub access_filter: AccessFilter,
    /// Whose word on a client's address is taken.
    pub real_ip: Option<RealIpPlan>,
    /// Has every request an id or a trace, or may it tell its client's address?
    pub marks_requests: bool,
    listeners: Vec<ListenerPlan>,
    routes: Vec<RoutePlan>,
    upstreams: Vec<UpstreamPlan>,
    /// What refusals say in the operator's words.
    answers: Box<[BreakResponse]>,
    limits: Vec<LimitPlan>,
    stores: Vec<Store>,
    /// May a condition hold for one reader of a request and not for another?
    has_ambiguous_conditions: bool,
    split_turns: usize,
}

/// A listener.
#[derive(Debug)]
pub struct ListenerPlan {
    /// As configured.
    pub listen: Listen,
    /// What a missing or unknown server name means here; `None` refuses the handshake.
    pub fallback: Option<ServerId>,
}

/// A route.
#[derive(Debug)]
pub struct RoutePlan {
    /// Its id.
    pub id: Box<str>,
    /// Where it leads; `None` if its policy answers every request.
    pub upstream: Option<UpstreamId>,
    /// Taken off the path before it is sent upstream.
    pub strip_prefix: Option<Box<[u8]>>,
    /// The route's own, or its upstream's.
    pub timeout: UpstreamTimeout,
    /// Are upgrades to WebSocket forwarded?
    pub websocket: bool,
    /// Bytes of a request body; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// Keeps its upstream from being asked while that fails.
    pub breaker: Option<Box<CircuitBreaker>>,
    /// What it asks for beside forwarding; `None` if it only forwards.
    pub policy: Option<Box<RoutePolicy>>,
    /// What happens to request fields.
    pub headers: HeaderRules,
    /// What else it asks of a request.
    pub when: Option<Condition>,
    /// Who may take it.
    pub access: RouteAccess,
    /// Which server names lead to it.
    pub reach: Reach,
}

impl RoutePlan {
    fn is_ambiguous(&self) -> bool {
        self.when.as_ref().is_some_and(Condition::is_ambiguous)
    }

    /// How long an upstream may take for a request of this route that went there.
    #[must_use]
    pub fn timeout_at(&self, upstream: Option<UpstreamId>) -> UpstreamTimeout {
        let split = self.policy.as_ref().and_then(|policy| policy.split.as_ref());
        split.and_then(|split| split.timeout_at(upstream?)).unwrap_or(self.timeout)
    }
}

impl ListenerPlan {
    fn all(config: &Config, sni: &SniTable) -> Vec<Self> {
        config.listens.iter().map(|listen| Self::build(listen, sni)).collect()
    }

    fn build(listen: &Listen, sni: &SniTable) -> Self {
        let named = listen.fallback_sni.as_ref();
        Self {
            fallback: named.and_then(|name| sni.resolve(HostBuf::default().read(name.as_bytes()))),
            listen: listen.clone(),
        }
    }
}

impl Plan {
    /// Compiles a checked configuration.
    #[must_use]
    pub fn build(config: &Config) -> Self {
        let mut sni = SniTable::build(&config.servers);
        let mut compiler = Compiler::new(headers::field_rules(config));
        sni.compile_lists(compiler.wanted());
        compiler.wanted().set_xfcc(config.xfcc.keys.clone());
        let identity = IdentityHeaders::build(config, headers::strip_set(config), &mut compiler);
        let build = |upstream| UpstreamPlan::build(upstream, &mut compiler);
        let upstreams: Vec<_> = config.upstreams.iter().map(build).collect();
        // First, so that what the operator does to the same fields comes after it.
        let request_id_ops: Vec<_> = headers::request_id_ops(config).into_iter().collect();
        let (table, guards) = tables(config, &sni);
        let mut answers = AnswerTable::default();
        let mut limits = LimitTable::default();
        let mut turns = 0;
        let mut routes = (0..)
            .zip(&config.routes)
            .map(|(at, route)| {
                let upstream = route.upstream.and_then(|at| config.upstreams.get(at));
                let inherited = upstream.map(|upstream| upstream.timeout);
                let policy = RoutePolicy::of(route, config, &mut compiler, &mut limits, &mut turns);
                RoutePlan {
                    id: route.id.as_str().into(),
                    upstream: route.upstream.map(|at| UpstreamId(index(at))),
                    strip_prefix: route.strip_prefix.as_ref().map(|text| text.as_bytes().into()),
                    timeout: route.timeout.or(inherited).unwrap_or(upstream::TIMEOUT_DEFAULT),
                    websocket: route.websocket,
                    client_max_body_size: route.client_max_body_size,
                    breaker: route.breaker.clone().map(Box::new),
                    policy,
                    headers: HeaderRules::build(
                        &[request_id_ops.as_slice(), &route.headers].concat(),
                        &mut compiler,
                    )
                    .suppress(&identity),
                    when: route.when.as_ref().map(|when| Condition::build(when, &mut compiler)),
                    access: RouteAccess::build(route, &mut compiler, &mut answers),
                    reach: Reach::build(RouteId(at), route, &table, &config.servers, &sni, &guards),
                }
            })
            .collect::<Vec<RoutePlan>>();
        guard_rewrites(&mut routes, &upstreams);
        let access_log =
            config.log.access.as_ref().map(|log| access_log::compile(&log.format, &mut compiler));
        let access_filter = config.log.access.as_ref().map(|log| log.filter.clone());
        let access_filter = AccessFilter::new(&access_filter.unwrap_or_default());
        Self {
            http: config.http.clone(),
            listeners: ListenerPlan::all(config, &sni),
            sni,
            table,
            identity,
            wanted: compiler.into_wanted(),
            error_pages: Arc::default(),
            body_files: Arc::default(),
            access_log,
            access_filter,
            marks_requests: config.http.answers.request_id.is_some()
                || config.http.answers.traceparent != Traceparent::Off
                || config.http.real_ip.is_some(),
            real_ip: config.http.real_ip.as_ref().map(RealIpPlan::build),
            has_ambiguous_conditions: routes.iter().any(RoutePlan::is_ambiguous),
            routes,
            upstreams,
            answers: answers.finish(),
            split_turns: turns,
            limits: limits.into_limits(),
            stores: config.stores.clone(),
        }
    }

    /// What is wrong with a checked configuration after all: what only this room can tell.
    pub fn check(config: &Config, problems: &mut Problems) {
        client::check(config, problems);
        empty_variables::check(config, problems);
        bypass::check(config, problems);
        overlap::check(config, problems);
    }

    /// May a condition of some route hold for one reader of a request and not for another?
    #[must_use]
    pub const fn has_ambiguous_conditions(&self) -> bool {
        self.has_ambiguous_conditions
    }

    /// How many turns there are in its traffic splits: one for each share of each rule.
    #[must_use]
    pub const fn split_turns(&self) -> usize {
        self.split_turns
    }

    /// A listener of this plan.
    #[must_use]
    pub fn listener(&self, id: ListenerId) -> &ListenerPlan {
        &self.listeners[id.0 as usize]
    }

    /// Every listener, in the order of the file.
    #[must_use]
    pub fn listeners(&self) -> &[ListenerPlan] {
        &self.listeners
    }

    /// A route of this plan.
    #[must_use]
    pub fn route(&self, id: RouteId) -> &RoutePlan {
        &self.routes[id.0 as usize]
    }

    /// Every route, in the order of the file.
    #[must_use]
    pub fn routes(&self) -> &[RoutePlan] {
        &self.routes
    }

    /// What a refusal says in the operator's words.
    #[must_use]
    pub fn own_answer(&self, words: OwnWords) -> Option<&BreakResponse> {
        self.answers.get(words.answer as usize)
    }

    /// Where gateways count requests together, in the order of the file.
    #[must_use]
    pub fn stores(&self) -> &[Store] {
        &self.stores
    }

    /// An upstream of this plan.
    #[must_use]
    pub fn upstream(&self, id: UpstreamId) -> &UpstreamPlan {
        &self.upstreams[id.0 as usize]
    }

    /// Every upstream, in the order of the file.
    #[must_use]
    pub fn upstreams(&self) -> &[UpstreamPlan] {
        &self.upstreams
    }

    /// The server object of a handshake with this server name on this listener; `None` is alert 112.
    /// Without a listener no other name is assumed.
    #[must_use]
    pub fn server_for(
        &self,
        listener: Option<ListenerId>,
        name: Option<&[u8]>,
    ) -> Option<ServerId> {
        let named = name.and_then(|name| self.sni.resolve(HostBuf::default().read(name)));
        named.or_else(|| self.listener(listener?).fallback)
    }

    /// What a Host means on this listener.
    #[must_use]
    pub fn host_meaning(&self, listener: Option<ListenerId>, host: HostName<'_>) -> HostMeaning {
        self.sni.meaning(host, listener.and_then(|listener| self.listener(listener).fallback))
    }

    /// Every limit of requests, once.
    #[must_use]
    pub fn limits(&self) -> &[LimitPlan] {
        &self.limits
    }

    /// A limit of this plan.
    #[must_use]
    pub fn limit(&self, id: LimitId) -> &LimitPlan {
        &self.limits[id.0 as usize]
    }

    /// What one request head may cost.
    #[must_use]
    pub const fn head_limits(&self) -> HeadLimits {
        HeadLimits { head_bytes_max: self.http.head_bytes_max, fields_max: self.http.fields_max }
    }

    /// What one response head may cost, and the trailers of one response.
    #[must_use]
    pub const fn response_limits(&self) -> HeadLimits {
        HeadLimits {
            head_bytes_max: self.http.response_head_bytes_max,
            fields_max: self.http.response_fields_max,
        }
    }
}

/// Notes with each rewrite whose demands it must not lead around: those of routes to the same nodes.
fn guard_rewrites(routes: &mut [RoutePlan], upstreams: &[UpstreamPlan]) {
    let nodes = |route: &RoutePlan| -> Vec<Box<str>> {
        let split = route.policy.as_deref().and_then(|policy| policy.split.as_ref());
        let others = split.into_iter().flat_map(TrafficSplit::upstreams);
        let targets = route.upstream.into_iter().chain(others);
        let upstreams = targets.filter_map(|id| upstreams.get(id.0 as usize));
        upstreams.flat_map(|upstream| &upstream.nodes).map(|node| node.text.clone()).collect()
    };
    let demanding: Vec<_> = (0..)
        .zip(&*routes)
        .filter(|(_, route)| route.access.demands())
        .map(|(at, route)| (RouteId(index(at)), nodes(route)))
        .collect();
    for route in routes {
        let own = nodes(route);
        let Some(rewrite) = route.policy.as_deref_mut().and_then(|policy| policy.rewrite.as_mut())
        else {
            continue;
        };
        let shared =
            demanding.iter().filter(|(_, others)| own.iter().any(|node| others.contains(node)));
        rewrite.guarded = shared.map(|(id, _)| *id).collect();
    }
}
