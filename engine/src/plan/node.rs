//! A node of an upstream: where it is, and the names that it goes by.

use std::net::SocketAddr;
use std::ops::Range;

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
    /// For logs: `127.0.0.1:8080`, `name:443`, `unix:/run/app`.
    pub text: Box<str>,
    /// The other two are parts of `text`: a reload builds a hundred thousand of these (the bench `reload`).
    name: Range<usize>,
    host: Range<usize>,
}

impl NodePlan {
    /// Compiles one of an upstream that is spoken to in this way.
    #[must_use]
    pub fn build(address: &NodeAddress, weight: u32, scheme: Scheme) -> Self {
        let port_default = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let text = match address {
            NodeAddress::Ip(addr) => socket_text(*addr),
            NodeAddress::Name { host, port } => format!("{host}:{port}"),
            NodeAddress::Srv { name } => name.clone(),
            NodeAddress::Unix(path) => format!("unix:{}", path.display()),
        };
        let end = text.len();
        let port_at = text.rfind(':').unwrap_or(end);
        let host_of = |port: u16| 0..if port == port_default { port_at } else { end };
        let (name, host) = match address {
            NodeAddress::Ip(addr) if addr.is_ipv6() => {
                (1..port_at.saturating_sub(1), host_of(addr.port()))
            }
            NodeAddress::Ip(addr) => (0..port_at, host_of(addr.port())),
            NodeAddress::Name { port, .. } => (0..port_at, host_of(*port)),
            NodeAddress::Srv { name } => (end - service_domain(name).len()..end, 0..end),
            NodeAddress::Unix(_) => (0..0, 0..0),
        };
        Self { address: address.clone(), weight, max_connections: 0, text: text.into(), name, host }
    }

    /// Its name alone, as SNI would have it; an address without brackets; empty for Unix sockets.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.get(self.name.clone()).unwrap_or_default()
    }

    /// Its `Host` (`pass_host = "node"`): the port is left out if it is the scheme's own.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.address {
            // What nginx sends for `proxy_pass http://unix:...`.
            NodeAddress::Unix(_) => "localhost",
            NodeAddress::Srv { .. } => self.name(),
            NodeAddress::Ip(_) | NodeAddress::Name { .. } => {
                self.text.get(self.host.clone()).unwrap_or_default()
            }
        }
    }
}

/// As `SocketAddr` displays itself. That takes 1,800 instructions, a third of what a reload needs for a node beside
/// the file (the bench `reload`).
fn socket_text(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { return address.to_string() };
    let (mut text, mut digits) = (String::with_capacity(21), itoa::Buffer::new());
    for (number, octet) in address.ip().octets().into_iter().enumerate() {
        if number > 0 {
            text.push('.');
        }
        text.push_str(digits.format(octet));
    }
    text.push(':');
    text.push_str(digits.format(address.port()));
    text
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
        node.host().to_owned()
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
    fn a_nodes_name_has_no_port_and_no_brackets() {
        for port in [80, 443] {
            let name =
                |address: NodeAddress| NodePlan::build(&address, 1, Scheme::Http).name().to_owned();
            let ip = |text: &str| NodeAddress::Ip(format!("{text}:{port}").parse().unwrap());
            assert_eq!(name(ip("10.0.0.1")), "10.0.0.1");
            assert_eq!(name(ip("[2001:db8::1]")), "2001:db8::1");
            assert_eq!(name(ip("[::ffff:10.0.0.1]")), "::ffff:10.0.0.1");
            assert_eq!(name(NodeAddress::Name { host: "app".to_owned(), port }), "app");
        }
    }

    #[test]
    fn an_address_is_written_as_it_displays_itself() {
        for address in ["0.0.0.0:1", "10.20.30.40:80", "255.255.255.255:65535", "[2001:db8::1]:443"]
        {
            assert_eq!(socket_text(address.parse().unwrap()), address);
        }
    }

    #[test]
    fn a_service_goes_by_its_domain() {
        let address = NodeAddress::Srv { name: "_https._tcp.pay.internal".to_owned() };
        let node = NodePlan::build(&address, 1, Scheme::Https);
        assert_eq!((node.host(), node.name()), ("pay.internal", "pay.internal"));
        assert_eq!(&*node.text, "_https._tcp.pay.internal");
    }

    #[test]
    fn a_unix_socket_is_localhost() {
        let node = NodePlan::build(&NodeAddress::Unix("/run/app".into()), 1, Scheme::Http);
        assert_eq!(node.host(), "localhost");
        assert_eq!(&*node.text, "unix:/run/app");
        assert_eq!(node.name(), "");
    }
}
