//! Where requests go: the nodes of an upstream and how they are spoken to.

use std::time::Duration;

use ferrule_config::model::{
    KeepalivePool, NodeAddress, PassHost, ProxyProtocol, Scheme, Upstream, UpstreamTimeout,
};
use ferrule_config::template::{self as config, Variable};

use super::template::{Compiler, Template};

/// For a route whose upstream is not there, which a checked configuration does not have.
pub(crate) const TIMEOUT_DEFAULT: UpstreamTimeout = UpstreamTimeout {
    connect: Duration::from_secs(60),
    send: Duration::from_secs(60),
    read: Duration::from_secs(60),
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
    /// The nodes' shares, in their order: what a balancer starts from.
    pub weights: Vec<u32>,
    /// Which `Host` the nodes see.
    pub pass_host: PassHost,
    /// SNI and the name checked, if it is fixed.
    pub server_name: Option<Box<str>>,
    /// Further tries on other nodes after a failed connection.
    pub retries: u32,
    /// Connect, send and read.
    pub timeout: UpstreamTimeout,
    /// Kept-alive connections.
    pub pool: KeepalivePool,
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

/// A member of an upstream.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Where it is.
    pub address: NodeAddress,
    /// Its share; 0 gets nothing.
    pub weight: u32,
    /// Its `Host` (`pass_host = "node"`): the port is left out if it is the scheme's own.
    pub host: Box<[u8]>,
    /// Its name alone, as SNI would have it; an address without brackets; empty for Unix sockets.
    pub name: Box<str>,
    /// For logs: `127.0.0.1:8080`, `name:443`, `unix:/run/app`.
    pub text: Box<str>,
}

impl UpstreamPlan {
    /// Compiles one.
    #[must_use]
    pub fn build(upstream: &Upstream, compiler: &mut Compiler) -> Self {
        let nodes: Vec<_> = upstream
            .nodes
            .iter()
            .map(|node| NodePlan::build(&node.address, node.weight, upstream.scheme))
            .collect();
        Self {
            id: upstream.id.as_str().into(),
            scheme: upstream.scheme,
            weights: nodes.iter().map(|node| node.weight).collect(),
            nodes,
            pass_host: upstream.pass_host.clone(),
            server_name: upstream
                .tls
                .as_ref()
                .and_then(|tls| tls.server_name.as_deref())
                .map(Into::into),
            retries: upstream.retries,
            timeout: upstream.timeout,
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

impl NodePlan {
    fn build(address: &NodeAddress, weight: u32, scheme: Scheme) -> Self {
        let port_default = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let (name, text, port) = match address {
            NodeAddress::Ip(addr) => (addr.ip().to_string(), addr.to_string(), addr.port()),
            NodeAddress::Name { host, port } => (host.clone(), format!("{host}:{port}"), *port),
            NodeAddress::Unix(path) => {
                (String::new(), format!("unix:{}", path.display()), port_default)
            }
        };
        let host = match address {
            // What nginx sends for `proxy_pass http://unix:...`.
            NodeAddress::Unix(_) => "localhost".to_owned(),
            NodeAddress::Ip(addr) if addr.is_ipv6() && port == port_default => format!("[{name}]"),
            NodeAddress::Ip(_) | NodeAddress::Name { .. } if port == port_default => name.clone(),
            NodeAddress::Ip(_) | NodeAddress::Name { .. } => text.clone(),
        };
        Self {
            address: address.clone(),
            weight,
            host: host.into_bytes().into(),
            name: name.into(),
            text: text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(address: &str, scheme: Scheme) -> String {
        let node = NodePlan::build(&NodeAddress::Ip(address.parse().unwrap()), 1, scheme);
        String::from_utf8(node.host.to_vec()).unwrap()
    }

    #[test]
    fn a_nodes_host_leaves_out_the_port_of_its_scheme() {
        assert_eq!(host("10.0.0.1:80", Scheme::Http), "10.0.0.1");
        assert_eq!(host("10.0.0.1:443", Scheme::Http), "10.0.0.1:443");
        assert_eq!(host("10.0.0.1:443", Scheme::Https), "10.0.0.1");
        assert_eq!(host("[::1]:80", Scheme::Http), "[::1]");
        assert_eq!(host("[::1]:81", Scheme::Http), "[::1]:81");
    }

    #[test]
    fn a_unix_socket_is_localhost() {
        let node = NodePlan::build(&NodeAddress::Unix("/run/app".into()), 1, Scheme::Http);
        assert_eq!(&*node.host, b"localhost");
        assert_eq!(&*node.text, "unix:/run/app");
        assert_eq!(&*node.name, "");
    }
}
