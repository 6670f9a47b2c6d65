//! What is checked: each node of a generation whose upstream has active checks, and how it is asked. Of a name it is
//! each address.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::{ActiveChecks, CheckKind, NodeAddress, ProxyProtocol};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::health::checks::{check_host, check_request, server_name_of};
use crate::plan::{NodeId, NodeIndex, NodePlan, UpstreamId, UpstreamPlan};
use crate::setup::{Addresses, Generation};
use crate::tls::UpstreamTls;
use crate::wire::proxy_write::{VERSION_1_UNKNOWN, VERSION_2_LOCAL};

/// An upstream whose nodes are checked.
#[derive(Debug)]
pub(super) struct CheckedUpstream {
    pub(super) id: Box<str>,
    pub(super) checks: Rc<ActiveChecks>,
    pub(super) targets: Vec<CheckTarget>,
}

/// A node that is checked, or one address of its name.
#[derive(Debug)]
pub(super) struct CheckTarget {
    pub(super) node: NodeId,
    /// The node as written.
    pub(super) text: Box<str>,
    pub(super) address: NodeAddress,
    /// Where requests are sent to; nothing for a path, and for a name without an address.
    pub(super) asked: Option<SocketAddr>,
    pub(super) question: Rc<Question>,
}

/// How a node is asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) timeout: Duration,
    port: Option<u16>,
    /// What the connection begins with, in front of TLS.
    pub(super) proxy_header: &'static [u8],
    pub(super) tls: Option<TlsQuestion>,
    /// The request; none if a connection is all that is asked for.
    pub(super) request: Option<Rc<Box<[u8]>>>,
    /// A certificate of ours is shown.
    pub(super) shows_certificate: bool,
}

/// How TLS is spoken.
#[derive(Debug)]
pub(super) struct TlsQuestion {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Where a node is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum CheckPlace {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl CheckTarget {
    /// Where to ask, if its name has an address.
    pub(super) fn place(&self) -> Option<CheckPlace> {
        if let NodeAddress::Unix(path) = &self.address {
            return Some(CheckPlace::Unix(path.clone()));
        }
        let mut address = self.asked?;
        if let Some(port) = self.question.port {
            address.set_port(port);
        }
        Some(CheckPlace::Ip(address))
    }

    /// The address of a name that is asked here.
    pub(super) fn address_of_name(&self) -> Option<SocketAddr> {
        self.asked.filter(|_| self.address.name().is_some())
    }
}

/// Does an upstream have active checks?
pub(super) fn any(generation: &Generation) -> bool {
    generation.plan.upstreams().iter().any(|upstream| upstream.checks.active.is_some())
}

/// Everything that is to be checked, with these addresses.
pub(super) fn of(generation: &Generation, addresses: &Addresses) -> Vec<CheckedUpstream> {
    let upstreams = (0..).map(UpstreamId).zip(generation.plan.upstreams());
    upstreams
        .filter_map(|(id, upstream)| {
            let checks = upstream.checks.active.as_ref()?;
            let tls = generation.tls.upstreams.get(id.0 as usize).and_then(Option::as_ref);
            let config = generation.config.upstreams.get(id.0 as usize);
            let own = config.and_then(|config| config.tls.as_ref()?.client.as_ref()).is_some();
            Some(CheckedUpstream {
                id: upstream.id.clone(),
                checks: Rc::new(checks.clone()),
                targets: targets(id, upstream, checks, tls, own, addresses),
            })
        })
        .collect()
}

fn targets(
    id: UpstreamId,
    upstream: &UpstreamPlan,
    checks: &ActiveChecks,
    tls: Option<&UpstreamTls>,
    shows_certificate: bool,
    addresses: &Addresses,
) -> Vec<CheckTarget> {
    // One for all nodes.
    let tls = tls.filter(|_| checks.kind == CheckKind::Https);
    let tls = tls.map(|settings| (settings, settings.check_config()));
    let proxy_header = match &upstream.proxy {
        Some(proxy) if checks.port.is_none() => match proxy.protocol {
            ProxyProtocol::V1 => VERSION_1_UNKNOWN,
            ProxyProtocol::V2(_) => VERSION_2_LOCAL,
        },
        _ => b"",
    };
    let question = |plan: &NodePlan| {
        let host = check_host(upstream, plan, checks);
        Rc::new(Question {
            timeout: checks.timeout,
            port: checks.port,
            proxy_header,
            tls: tls.as_ref().map(|(settings, config)| TlsQuestion {
                config: Arc::clone(config),
                name: settings.server_name(server_name_of(&host)),
            }),
            request: (checks.kind != CheckKind::Tcp)
                .then(|| Rc::new(check_request(checks, &host).into())),
            shows_certificate,
        })
    };
    let mut targets = Vec::new();
    for (node, plan) in (0..).map(NodeIndex).zip(&upstream.nodes) {
        let known = addresses.get(id.0 as usize, node.0 as usize);
        let mut asked: Vec<_> =
            known.into_iter().flat_map(|known| known.known().map(Some)).collect();
        if asked.is_empty() {
            asked.push(None);
        }
        let question = question(plan);
        targets.extend(asked.into_iter().map(|asked| CheckTarget {
            node: NodeId { upstream: id, node },
            text: plan.text.clone(),
            address: plan.address.clone(),
            asked,
            question: Rc::clone(&question),
        }));
    }
    targets
}
