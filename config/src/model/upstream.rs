//! `[[upstreams]]`: where requests go, and how.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::balance::Balance;
use super::checks::Checks;
use super::cipher_suite::CipherSuite;
use super::files::{KeyPair, Pem};
use super::limits::UpstreamQueue;
use super::retry::RetryPolicy;
use super::ssl::{KeyExchangeGroup, Protocols};
use super::trust::{Pin, Revocation};
use crate::place::Place;

/// `[[upstreams]]`
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where in the file.
    pub place: Place,
    /// Its id, given or made from the object that holds it.
    pub id: String,
    /// `http` or `https`: TLS towards the nodes.
    pub scheme: Scheme,
    /// At least one.
    pub nodes: Vec<Node>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// Who waits while every node has its `max_connections`.
    pub queue: UpstreamQueue,
    /// Which `Host` the upstream sees.
    pub pass_host: PassHost,
    /// When another try is made.
    pub retry: RetryPolicy,
    /// How long connecting, sending, reading and all of it together may take.
    pub timeout: UpstreamTimeout,
    /// Kept-alive connections.
    pub pool: KeepalivePool,
    /// Which requests may go over them.
    pub http_reuse: HttpReuse,
    /// Which nodes are asked.
    pub checks: Checks,
    /// TLS settings; present exactly if the scheme is `https`.
    pub tls: Option<UpstreamTls>,
    /// The PROXY protocol header that begins each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// `upstreams.proxy_protocol`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProxyProtocol {
    /// A line of text: addresses and ports.
    V1,
    /// Binary, with these further values, each once.
    V2(Vec<ProxyTlv>),
}

/// `upstreams.proxy_protocol_tlvs`: what a header of version 2 says beside the addresses.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ProxyTlv {
    /// The protocol chosen by ALPN.
    Alpn,
    /// The server name the client asked for.
    Authority,
    /// A checksum of the header.
    Crc32c,
    /// A name for the client connection that no other one has.
    UniqueId,
    /// That the client spoke TLS, in which version, and what its certificate was worth.
    Ssl,
    /// The common name of the client's certificate.
    CertCn,
    /// The cipher suite.
    SslCipher,
    /// The client's certificate, whole.
    ClientCert,
}

/// `upstreams.scheme`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// `upstreams.pass_host`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PassHost {
    /// The client's.
    Pass,
    /// The node's host, as written.
    Node,
    /// This one (`upstream_host`).
    Rewrite(String),
}

/// One member of an upstream.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where in the file.
    pub place: Place,
    /// Where it is.
    pub address: NodeAddress,
    /// Its share; 0 gets nothing new.
    pub weight: u32,
    /// Nodes of a lower one are asked only if there is none of a higher one.
    pub priority: i32,
    /// Is it asked only if there is no other?
    pub backup: bool,
    /// Connections to it, of all cores together; 0 is no limit.
    pub max_connections: u32,
    /// Requests at it at once, of all cores together; 0 is no limit.
    pub max_requests: u32,
}

impl Node {
    /// Connections that both limits leave, since an HTTP/1.1 connection carries one request at a time; 0 is no
    /// limit.
    #[must_use]
    pub fn connections_limit(&self) -> u32 {
        let limits = [self.max_connections, self.max_requests];
        limits.into_iter().filter(|limit| *limit > 0).min().unwrap_or(0)
    }
}

/// Where a node is.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NodeAddress {
    /// An address.
    Ip(SocketAddr),
    /// A name, resolved while we run.
    Name {
        /// The name, lower case.
        host: String,
        /// The port, given or by scheme.
        port: u16,
    },
    /// A service (RFC 2782): its name leads to names and ports, resolved while we run.
    Srv {
        /// The name of the SRV records, lower case: `_http._tcp.app.internal`.
        name: String,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl NodeAddress {
    /// The name that is looked up while we run, if it has one.
    #[must_use]
    pub const fn name(&self) -> Option<&String> {
        match self {
            Self::Name { host: name, .. } | Self::Srv { name } => Some(name),
            Self::Ip(_) | Self::Unix(_) => None,
        }
    }
}

/// `upstreams.timeout`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamTimeout {
    /// TCP and TLS handshake together.
    pub connect: Duration,
    /// Between two writes.
    pub send: Duration,
    /// Between two reads.
    pub read: Duration,
    /// The whole exchange, from the request's head to the response's last byte; `None`: no limit.
    pub total: Option<Duration>,
}

/// `upstreams.keepalive_pool`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepalivePool {
    /// Idle connections kept per core.
    pub size: u32,
    /// How long one may be idle.
    pub idle_timeout: Duration,
    /// Requests on one connection.
    pub requests: u32,
    /// How old one may get.
    pub max_age: Duration,
    /// Idle connections that each core keeps open to each node that has a weight.
    pub min_idle: u32,
}

/// `upstreams.http_reuse`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum HttpReuse {
    /// Every request.
    Always,
    /// Only those that may be sent twice, and whose body is held.
    Safe,
}

/// `upstreams.tls`
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Where in the file.
    pub place: Place,
    /// Our certificate.
    pub client: Option<KeyPair>,
    /// Whom we trust; `None` only with `verify = "off"`.
    pub ca: Option<UpstreamCa>,
    /// How much is checked.
    pub verify: UpstreamVerify,
    /// Which of their certificates are revoked; `None` asks nobody.
    pub revocation: Option<Revocation>,
    /// The leaf has to have one of these, if there are any; on top of `verify`.
    pub pins: Vec<Pin>,
    /// SNI and the name checked; `None`: the Host sent upstream, else the node's host.
    pub server_name: Option<String>,
    /// TLS versions.
    pub protocols: Protocols,
    /// Groups, the most wanted first; never empty.
    pub groups: Vec<KeyExchangeGroup>,
    /// Cipher suites, the most wanted first; at least one of each version.
    pub ciphers: Vec<CipherSuite>,
}

/// `upstreams.tls.ca`
#[derive(Clone, Debug)]
pub enum UpstreamCa {
    /// The operating system's store.
    System,
    /// These.
    Files(Vec<Pem>),
}

/// `upstreams.tls.verify`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum UpstreamVerify {
    /// Chain and name.
    Full,
    /// Chain only.
    Ca,
    /// Nothing. Warned about at every load.
    Off,
}
