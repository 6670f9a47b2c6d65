//! A node of an upstream: where it is, and the names that it goes by.

use ferrule_config::model::{NodeAddress, Scheme};

/// A member of an upstream.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Where it is.
    pub address: NodeAddress,
    /// Its share; 0 gets nothing.
    pub weight: u32,
    /// Connections to it, of all cores together; 0 is no limit.
    pub max_connections: u32,
    /// Its `Host` (`pass_host = "node"`): the port is left out if it is the scheme's own.
    pub host: Box<[u8]>,
    /// Its name alone, as SNI would have it; an address without brackets; empty for Unix sockets.
    pub name: Box<str>,
    /// For logs: `127.0.0.1:8080`, `name:443`, `unix:/run/app`.
    pub text: Box<str>,
}

impl NodePlan {
    /// Compiles one of an upstream that is spoken to in this way.
    #[must_use]
    pub fn build(address: &NodeAddress, weight: u32, scheme: Scheme) -> Self {
        let port_default = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let (name, text, port) = match address {
            NodeAddress::Ip(addr) => (addr.ip().to_string(), addr.to_string(), addr.port()),
            NodeAddress::Name { host, port } => (host.clone(), format!("{host}:{port}"), *port),
            NodeAddress::Srv { name } => {
                (service_domain(name).to_owned(), name.clone(), port_default)
            }
            NodeAddress::Unix(path) => {
                (String::new(), format!("unix:{}", path.display()), port_default)
            }
        };
        let host = match address {
            // What nginx sends for `proxy_pass http://unix:...`.
            NodeAddress::Unix(_) => "localhost".to_owned(),
            NodeAddress::Ip(addr) if addr.is_ipv6() && port == port_default => format!("[{name}]"),
            NodeAddress::Srv { .. } => name.clone(),
            NodeAddress::Ip(_) | NodeAddress::Name { .. } if port == port_default => name.clone(),
            NodeAddress::Ip(_) | NodeAddress::Name { .. } => text.clone(),
        };
        Self {
            address: address.clone(),
            weight,
            max_connections: 0,
            host: host.into_bytes().into(),
            name: name.into(),
            text: text.into(),
        }
    }
}

/// The domain that a service belongs to. It is what a client knows, and so what a certificate has to say (RFC
/// 6125, section 1.7.2): the names that the SRV records lead to come from DNS, which proves nothing.
fn service_domain(name: &str) -> &str {
    name.splitn(3, '.').last().unwrap_or(name)
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
    fn a_service_goes_by_its_domain() {
        let address = NodeAddress::Srv { name: "_https._tcp.pay.internal".to_owned() };
        let node = NodePlan::build(&address, 1, Scheme::Https);
        assert_eq!((&*node.host, &*node.name), (&b"pay.internal"[..], "pay.internal"));
        assert_eq!(&*node.text, "_https._tcp.pay.internal");
    }

    #[test]
    fn a_unix_socket_is_localhost() {
        let node = NodePlan::build(&NodeAddress::Unix("/run/app".into()), 1, Scheme::Http);
        assert_eq!(&*node.host, b"localhost");
        assert_eq!(&*node.text, "unix:/run/app");
        assert_eq!(&*node.name, "");
    }
}
