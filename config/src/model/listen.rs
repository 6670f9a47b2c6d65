//! `[[listen]]`: where we listen.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::place::Place;

/// `[[listen]]`
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where in the file.
    pub place: Place,
    /// Where its address is.
    pub address_place: Place,
    /// The address to bind.
    pub address: SocketAddr,
    /// An IPv6 address takes IPv6 alone (nginx's `ipv6only`).
    pub ipv6only: bool,
    /// TLS, or plain HTTP.
    pub tls: bool,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// The name assumed for a missing or unknown server name.
    pub fallback_sni: Option<String>,
    /// Whose PROXY protocol header is taken; with any, every connection must begin with one.
    pub proxy_protocol: Option<Vec<IpNet>>,
    /// On plain HTTP: every request is sent to TLS on this port (`redirect_to_https`).
    pub https_port: Option<u16>,
    /// On plain HTTP: what becomes of requests for routes that a server name asks certificates for.
    pub mtls_routes: Option<MtlsRoutes>,
}

/// What one listening socket is bound to: two listeners of the same address share no socket if they differ
/// in what it takes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenAddress {
    /// The address to bind.
    pub address: SocketAddr,
    /// Of an IPv6 address: no IPv4.
    pub ipv6only: bool,
}

impl Listen {
    /// What its socket is bound to.
    #[must_use]
    pub const fn listen_address(&self) -> ListenAddress {
        ListenAddress { address: self.address, ipv6only: self.ipv6only }
    }
}

/// `listen.mtls_routes`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum MtlsRoutes {
    /// They are answered with 421.
    Reject,
    /// They are served to anybody.
    Allow,
}
