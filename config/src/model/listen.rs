//! `[[listen]]`: where we listen.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::problem::Place;

/// `[[listen]]`
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where in the file.
    pub place: Place,
    /// The address to bind.
    pub address: SocketAddr,
    /// TLS, or plain HTTP.
    pub tls: bool,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// The name assumed for a missing or unknown server name.
    pub fallback_sni: Option<String>,
    /// Whose PROXY protocol header is taken; with any, every connection must begin with one.
    pub proxy_protocol: Option<Vec<IpNet>>,
}
