//! The checked config compiled once for lookup. Immutable; shared by reference count between cores.
//!
//! In: a [`Config`]. Out: a [`Plan`], whose tables answer every question of the hot path without
//! allocating: which server object a name means ([`sni`]), which route a request takes ([`route`]),
//! what its headers become ([`headers`], [`template`]), and where it goes ([`upstream`]).
//! Ids index the plan that gave them out, and no other one.

pub mod access;
mod access_log;
mod arguments;
mod bypass;
pub mod claims;
mod client;
pub mod condition;
pub mod error_pages;
pub mod facts;
mod field;
#[cfg(test)]
pub(crate) mod fixture;
pub mod forwarded;
mod gap;
pub mod gate;
pub mod guards;
pub mod headers;
mod hidden;
pub mod hosts;
pub mod line;
pub mod marks;
mod methods;
pub mod names;
mod overlap;
mod readings;
pub mod route;
pub mod sni;
pub mod template;
pub mod upstream;
mod values;

use ferrule_config::model::{Http, Listen};
use ferrule_config::{Config, Problems};
use std::sync::Arc;

use crate::identity::IdentityPlan;
use crate::wire::limits::HeadLimits;
use guards::GuardIndex;
use template::Compiler;

pub use access::{Forbidden, RouteAccess, TrustId};
pub use condition::{Condition, Truth};
pub use facts::Facts;
pub use forwarded::ForwardedFields;
pub use gate::Gate;
pub use guards::Reach;
pub use headers::{HeaderRules, IdentityHeaders};
pub use hosts::{HostBuf, HostName};
pub use marks::Marks;
pub use methods::MethodSet;
pub use route::{Found, Match, RouteTable};
pub use sni::{HostMeaning, Known, SniTable};
pub use template::Template;
pub use upstream::{NodePlan, UpstreamPlan};

/// Index of a server object (`[[ssls]]` of type `server`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(pub u32);

/// Index of a route.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RouteId(pub u32);

/// Index of an upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UpstreamId(pub u32);

/// Index of a node within its upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeIndex(pub u32);

/// Index of a listener.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenerId(pub u32);

/// Two server names with the same policy trust the same clients in the same way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PolicyId(pub u32);

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
    pub error_pages: Arc<error_pages::ErrorPages>,
    /// One line of the access log; `None` writes none.
    pub access_log: Option<line::LineTemplate>,
    listeners: Vec<ListenerPlan>,
    routes: Vec<RoutePlan>,
    upstreams: Vec<UpstreamPlan>,
    /// May a condition hold for one reader of a request and not for another?
    has_readings: bool,
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
    /// Where it leads.
    pub upstream: UpstreamId,
    /// Taken off the path before it is sent upstream.
    pub strip_prefix: Option<Box<[u8]>>,
    /// The route's own, or its upstream's.
    pub timeout: ferrule_config::model::UpstreamTimeout,
    /// Are upgrades to WebSocket forwarded?
    pub websocket: bool,
    /// Bytes of a request body; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// What happens to request fields.
    pub headers: HeaderRules,
    /// What else it asks of a request.
    pub when: Option<Condition>,
    /// Who may take it.
    pub access: RouteAccess,
    /// Which server names lead to it.
    pub reach: Reach,
}

impl Plan {
    /// Compiles a checked configuration.
    #[must_use]
    pub fn build(config: &Config) -> Self {
        let mut sni = SniTable::build(&config.servers);
        let mut compiler = Compiler::new(headers::field_rules(config));
        sni.compile_lists(compiler.wanted());
        compiler.wanted().set_xfcc(client::xfcc_keys(&config.xfcc.keys));
        let identity = IdentityHeaders::build(config, headers::strip_set(config), &mut compiler);
        let build = |upstream| UpstreamPlan::build(upstream, &mut compiler);
        let upstreams: Vec<_> = config.upstreams.iter().map(build).collect();
        // First, so that what the operator does to the same fields comes after it.
        let marked: Vec<_> = headers::marks(config).into_iter().collect();
        let (table, guards) = tables(config, &sni);
        let routes = (0..)
            .zip(&config.routes)
            .map(|(at, route)| {
                let inherited = config.upstreams.get(route.upstream).map(|up| up.timeout);
                RoutePlan {
                    id: route.id.as_str().into(),
                    upstream: UpstreamId(index(route.upstream)),
                    strip_prefix: route.strip_prefix.as_ref().map(|text| text.as_bytes().into()),
                    timeout: route.timeout.or(inherited).unwrap_or(upstream::TIMEOUT_DEFAULT),
                    websocket: route.websocket,
                    client_max_body_size: route.client_max_body_size,
                    headers: HeaderRules::build(
                        &[marked.as_slice(), &route.headers].concat(),
                        &mut compiler,
                    )
                    .silence(&identity),
                    when: route.when.as_ref().map(|when| Condition::build(when, &mut compiler)),
                    access: RouteAccess::build(&route.clients, compiler.wanted()),
                    reach: Reach::build(
                        (RouteId(at), route),
                        &table,
                        (&config.servers, &sni),
                        &guards,
                    ),
                }
            })
            .collect::<Vec<RoutePlan>>();
        let access_log =
            config.log.access.as_ref().map(|log| access_log::compile(&log.format, &mut compiler));
        let listeners = config
            .listens
            .iter()
            .map(|listen| ListenerPlan {
                fallback: listen
                    .fallback_sni
                    .as_ref()
                    .and_then(|name| sni.resolve(HostBuf::default().read(name.as_bytes()))),
                listen: listen.clone(),
            })
            .collect();
        Self {
            http: config.http.clone(),
            sni,
            table,
            identity,
            wanted: compiler.into_wanted(),
            error_pages: Arc::default(),
            access_log,
            listeners,
            has_readings: routes
                .iter()
                .any(|route| route.when.as_ref().is_some_and(Condition::has_readings)),
            routes,
            upstreams,
        }
    }

    /// What is wrong with a checked configuration after all: what only this room can tell.
    pub fn check(config: &Config, problems: &mut Problems) {
        client::check(config, problems);
        hidden::check(config, problems);
        bypass::check(config, problems);
        overlap::check(config, problems);
    }

    /// May a condition of some route hold for one reader of a request and not for another?
    #[must_use]
    pub const fn conditions_have_readings(&self) -> bool {
        self.has_readings
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
    #[must_use]
    pub fn server_for(&self, listener: ListenerId, name: Option<&[u8]>) -> Option<ServerId> {
        let named = name.and_then(|name| self.sni.resolve(HostBuf::default().read(name)));
        named.or_else(|| self.listener(listener).fallback)
    }

    /// What a Host means on this listener.
    #[must_use]
    pub fn host_meaning(&self, listener: ListenerId, host: HostName<'_>) -> HostMeaning {
        self.sni.meaning(host, self.listener(listener).fallback)
    }

    /// What one request or response head may cost.
    #[must_use]
    pub const fn head_limits(&self) -> HeadLimits {
        HeadLimits { head_bytes_max: self.http.head_bytes_max, fields_max: self.http.fields_max }
    }
}

/// Host and path to route, with what server names have to do with it.
fn tables<'a>(config: &Config, sni: &'a SniTable) -> (RouteTable, GuardIndex<'a>) {
    let guards = GuardIndex::build(&config.servers, sni);
    let mut table = RouteTable::build(&config.routes);
    table.guard(&config.routes, &guards);
    (table, guards)
}

/// An index as the 32 bits that ids hold; the tables of a configuration file are far smaller.
pub(crate) fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
