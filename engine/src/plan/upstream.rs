//! Where requests go: the nodes of an upstream and how they are spoken to.

use std::time::Duration;

use ferrule_config::model::{
    Checks, HttpReuse, KeepalivePool, PassHost, ProxyProtocol, RetryPolicy, Scheme, Upstream,
    UpstreamQueue, UpstreamTimeout,
};
use ferrule_config::template::{self as config, Variable};

use super::balance::BalancePlan;
use super::node::NodePlan;
use super::template::{Compiler, Template};

/// For a route whose upstream is not there, which a checked configuration does not have.
pub(crate) const TIMEOUT_DEFAULT: UpstreamTimeout = UpstreamTimeout {
    connect: Duration::from_secs(5),
    send: Duration::from_secs(60),
    read: Duration::from_secs(60),
    total: None,
};

/// An upstream.
#[derive(Debug)]
pub struct UpstreamPlan {
    /// Its id.
    pub id: Box<str>,
    /// TLS towards the nodes?
    pub scheme: Scheme,
    /// At least one.
    pub nodes: Vec<NodePlan>,
    /// Who waits for a place at one of them; `None` if no node has a limit.
    pub queue: Option<UpstreamQueue>,
    /// How one of them is chosen.
    pub balance: BalancePlan,
    /// Which `Host` the nodes see.
    pub pass_host: PassHost,
    /// SNI and the name checked, if it is fixed.
    pub server_name: Option<Box<str>>,
    /// When another try is made.
    pub retry: RetryPolicy,
    /// Connect, send and read.
    pub timeout: UpstreamTimeout,
    /// Kept-alive connections.
    pub pool: KeepalivePool,
    /// Which requests may go over them.
    pub http_reuse: HttpReuse,
    /// Which nodes are asked.
    pub checks: Checks,
    /// The PROXY protocol header of each connection.
    pub proxy: Option<ProxyPlan>,
}

/// What a PROXY protocol header is made from.
#[derive(Debug)]
pub struct ProxyPlan {
    /// Its version and values.
    pub protocol: ProxyProtocol,
    /// The common name in the client's certificate.
    pub common_name: Template,
}

impl UpstreamPlan {
    /// Compiles one.
    #[must_use]
    pub fn build(upstream: &Upstream, compiler: &mut Compiler) -> Self {
        let nodes: Vec<_> = upstream
            .nodes
            .iter()
            .map(|node| {
                let mut plan = NodePlan::build(&node.address, node.weight, upstream.scheme);
                plan.max_connections = node.connections_limit();
                plan
            })
            .collect();
        Self {
            id: upstream.id.as_str().into(),
            scheme: upstream.scheme,
            queue: nodes.iter().any(|node| node.max_connections > 0).then_some(upstream.queue),
            balance: BalancePlan::build(upstream, &nodes, compiler),
            nodes,
            pass_host: upstream.pass_host.clone(),
            server_name: upstream
                .tls
                .as_ref()
                .and_then(|tls| tls.server_name.as_deref())
                .map(Into::into),
            retry: upstream.retry,
            timeout: upstream.timeout,
            http_reuse: upstream.http_reuse,
            checks: upstream.checks.clone(),
            // A connection that began with one client's header is nobody else's.
            pool: match &upstream.proxy_protocol {
                Some(_) => KeepalivePool { size: 0, ..upstream.pool },
                None => upstream.pool,
            },
            proxy: upstream.proxy_protocol.as_ref().map(|protocol| {
                let name = Variable::SslClientSDnAttribute("cn".to_owned());
                let name = config::Template { pieces: vec![config::Piece::Variable(name)] };
                ProxyPlan { protocol: protocol.clone(), common_name: compiler.compile(&name) }
            }),
        }
    }

    /// May connections be kept at all?
    #[must_use]
    pub const fn keeps_connections(&self) -> bool {
        self.pool.size > 0 && self.pool.requests > 1 && !self.pool.idle_timeout.is_zero()
    }
}
