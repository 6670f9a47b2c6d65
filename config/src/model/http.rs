//! `[http]`: what holds for every listener.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::answers::{Answers, Pacing};
use super::files::FileAt;
use super::real_ip::RealIp;

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// In which order routes are looked for.
    pub router: Router,
    /// What is said where only the method does not fit a route: 405, or 404 as in APISIX.
    pub wrong_method_status: u16,
    /// From the first byte of a head to its end.
    pub client_header_timeout: Duration,
    /// Between two reads of a request body.
    pub client_body_timeout: Duration,
    /// Between two writes to a client.
    pub send_timeout: Duration,
    /// How long the rest of a request is read that nobody needs.
    pub lingering_time: Duration,
    /// Between two reads of that rest.
    pub lingering_timeout: Duration,
    /// What a client's half-close means.
    pub client_half_close: HalfClose,
    /// An idle kept-alive client connection.
    pub keepalive_timeout: Duration,
    /// Requests on one client connection.
    pub keepalive_requests: u32,
    /// Bytes of a request body; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// Bytes of one request head.
    pub head_bytes_max: u32,
    /// Field lines in one request head.
    pub fields_max: u16,
    /// Bytes of one response head, or of the trailers of one response.
    pub response_head_bytes_max: u32,
    /// Field lines in the same.
    pub response_fields_max: u16,
    /// Files of 48 or 80 random bytes that session tickets are sealed with: the first seals, all
    /// open. Empty: the process makes its own.
    pub ticket_key_files: Vec<FileAt>,
    /// Accept field names with an underscore (they are dropped otherwise).
    pub underscores_in_headers: bool,
    /// Our own answers say `Server: ferrule`.
    pub server_tokens: bool,
    /// Our name in `Via`; `None` adds none.
    pub via: Option<String>,
    /// Who answers `Expect: 100-continue`.
    pub expect: Expect,
    /// What is said about the client's connection to upstreams.
    pub forwarded: Forwarded,
    /// Whose word on a client's address is taken; `None`: nobody's but the PROXY protocol's.
    pub real_ip: Option<RealIp>,
    /// Ids of requests and traces, and our own answers.
    pub answers: Answers,
    /// How slow a peer may be, and how many connections it may hold.
    pub pacing: Pacing,
}

/// In which order routes are looked for, and whether their paths have parameters.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Router {
    /// The most exact host first, then the most exact path.
    RadixtreeHostUri,
    /// The most exact path first, then the priority, then the most exact host.
    RadixtreeUri,
    /// Likewise; `:name` in a path stands for any segment.
    RadixtreeUriWithParameter,
}

impl Router {
    /// Does the path come before the host?
    #[must_use]
    pub const fn is_path_first(self) -> bool {
        !matches!(self, Self::RadixtreeHostUri)
    }
}

/// Who answers `Expect: 100-continue`.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Expect {
    /// We do, once there is a connection to the upstream.
    Answer,
    /// The upstream.
    Forward,
}

/// What it means that a client ends its sending direction while it waits for an answer.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum HalfClose {
    /// It has left, as in nginx.
    Abort,
    /// It has nothing more to say, and takes its answers.
    Serve,
}

/// `X-Forwarded-*`, `X-Real-IP` and `Forwarded`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Forwarded {
    /// Are these fields ours to make? Otherwise they pass as they came.
    pub enabled: bool,
    /// Peers whose word on them is taken.
    pub trusted: Vec<IpNet>,
    /// Which host upstreams are told.
    pub host: ForwardedHost,
}

/// `http.forwarded_host`: what `X-Forwarded-Host` and `-Port` hold, in nginx's words.
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ForwardedHost {
    /// The host that was routed by, without its port; and the listener's port.
    #[default]
    Host,
    /// The host as the client wrote it, with the port that it named; and that port, or the listener's.
    HttpHost,
}

impl Forwarded {
    /// Is this peer's word on `X-Forwarded-*` taken?
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}
