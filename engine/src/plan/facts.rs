//! What a template may read: borrowed views, made for one rendering and never kept.

use core::fmt::Write as _;

use super::attempts::AttemptRecord;
use super::captures::Captures;
use super::node::NodePlan;
use super::real_ip::ToldAddress;
use super::request_ids::RequestIds;
use crate::identity::ClientIdentity;
use crate::wire::hex;
use crate::wire::target::Target;
use crate::wire::view::RequestView;

/// All that a template may read; what is missing renders as nothing.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client connection.
    pub connection: &'a ConnectionFacts,
    /// Its TLS session; `None` on plain HTTP.
    pub session: Option<&'a SessionFacts>,
    /// Who the client is; `None` on plain HTTP.
    pub client: Option<&'a ClientIdentity>,
    /// The request; `None` if no head was understood.
    pub request: Option<RequestFacts<'a>>,
    /// The time.
    pub now: Now<'a>,
    /// How it ended; in logs only.
    pub log: Option<&'a LogFacts<'a>>,
    /// The ids of the request and of its trace.
    pub request_ids: Option<&'a RequestIds>,
}

/// A client connection, rendered once when it is accepted.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFacts {
    /// `$remote_addr`
    pub remote_addr: String,
    /// `$remote_port`
    pub remote_port: String,
    /// `$server_addr`
    pub server_addr: String,
    /// `$server_port`
    pub server_port: String,
    /// `$scheme` is `https`.
    pub tls: bool,
    /// `$connection`
    pub serial: u64,
    /// `$connection_requests`: requests so far, the current one included.
    pub requests: u64,
    /// What a PROXY protocol header has replaced; `None` if there was none, or it named no client.
    pub proxied: Option<Box<ProxiedFacts>>,
    /// What the address that the current request tells has replaced; `None` while no request has told one.
    pub replaced: Option<Box<ReplacedAddress>>,
}

/// The connection's own end, where a request tells another address of its client (`http.real_ip`). Kept from then on,
/// so that it allocates once.
#[derive(Clone, Debug)]
pub struct ReplacedAddress {
    addr: String,
    port: String,
    /// What the current request tells; `None` if that is nothing. Then the two texts are memory.
    by: Option<ToldAddress>,
}

/// The longest text of an address (IPv6 with an IPv4 end) and of a port.
const ADDRESS_BYTES_MAX: usize = 45;
const PORT_BYTES_MAX: usize = 5;

impl ConnectionFacts {
    /// The address that the connection came from, or that of its PROXY protocol header: whom to believe.
    #[must_use]
    pub fn own_addr(&self) -> &str {
        self.own_end().map_or(&self.remote_addr, |own| &own.addr)
    }

    /// The port of that end.
    #[must_use]
    pub fn own_port(&self) -> &str {
        self.own_end().map_or(&self.remote_port, |own| &own.port)
    }

    /// What is replaced at the moment.
    fn own_end(&self) -> Option<&ReplacedAddress> {
        self.replaced.as_deref().filter(|own| own.by.is_some())
    }

    /// The client has the address that its request tells, or else its own. False if it had that before.
    pub fn take_told(&mut self, told: Option<ToldAddress>) -> bool {
        let Self { remote_addr, remote_port, replaced, .. } = self;
        if replaced.as_ref().and_then(|own| own.by) == told {
            return false;
        }
        let own = replaced.get_or_insert_with(|| {
            let (addr, port) =
                (String::with_capacity(ADDRESS_BYTES_MAX), String::with_capacity(PORT_BYTES_MAX));
            Box::new(ReplacedAddress { addr, port, by: None })
        });
        if own.by.is_some() != told.is_some() {
            core::mem::swap(remote_addr, &mut own.addr);
            core::mem::swap(remote_port, &mut own.port);
        }
        own.by = told;
        if let Some(told) = told {
            remote_addr.clear();
            remote_port.clear();
            // Writing into a text does not fail.
            let _ = write!(remote_addr, "{}", told.ip);
            if let Some(port) = told.port {
                let _ = write!(remote_port, "{port}");
            }
        }
        true
    }
}

/// What a PROXY protocol header says beside the client's own address.
#[derive(Clone, Debug, Default)]
pub struct ProxiedFacts {
    /// `$proxy_protocol_server_addr`
    pub server_addr: String,
    /// `$proxy_protocol_server_port`
    pub server_port: String,
    /// `$realip_remote_addr`: who sent the header.
    pub peer_addr: String,
    /// `$realip_remote_port`
    pub peer_port: String,
}

/// Numbers that a client offered in its hello; rendered only where a template asks for them.
#[derive(Clone, Debug)]
pub struct Offered {
    /// In its order.
    pub numbers: Vec<u16>,
    /// `OpenSSL`'s name for a number.
    pub name: fn(u16) -> Option<&'static str>,
}

impl Default for Offered {
    fn default() -> Self {
        Self { numbers: Vec::new(), name: |_| None }
    }
}

impl Offered {
    /// Names with colons between them, piece by piece; a number without a name in hexadecimal, as
    /// nginx writes it.
    pub fn each_piece(&self, mut put: impl FnMut(&[u8])) {
        for (at, number) in self.numbers.iter().enumerate() {
            if at > 0 {
                put(b":");
            }
            if let Some(name) = (self.name)(*number) {
                put(name.as_bytes());
            } else {
                let digit = |shift: u16| hex::LOWER[usize::from((number >> shift) & 15)];
                put(&[b'0', b'x', digit(12), digit(8), digit(4), digit(0)]);
            }
        }
    }
}

/// A TLS session, rendered once after the handshake.
#[derive(Clone, Debug, Default)]
pub struct SessionFacts {
    /// `$ssl_protocol`: `TLSv1.3`
    pub protocol: &'static str,
    /// `$ssl_cipher`, by OpenSSL's name
    pub cipher: &'static str,
    /// `$ssl_curve`, by OpenSSL's name
    pub curve: &'static str,
    /// `$ssl_ciphers`: the client's list
    pub ciphers: Offered,
    /// `$ssl_curves`: the client's list
    pub curves: Offered,
    /// `$ssl_alpn_protocol`
    pub alpn: &'static str,
    /// `$ssl_server_name`
    pub server_name: String,
    /// `$ssl_client_sigalg`: how the client signed; empty after a resumption
    pub client_sigalg: &'static str,
    /// `$ssl_session_reused`: `r` if true, else `.`
    pub reused: bool,
}

/// A request whose head is still in its buffer.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The head, with its buffer.
    pub head: RequestView<'a>,
    /// The target, if it was understood.
    pub target: Option<&'a Target>,
    /// Lower case, without port.
    pub host: &'a [u8],
    /// Normalised.
    pub path: &'a [u8],
    /// What its route has found in it; `None` where nobody has looked.
    pub captures: Option<&'a Captures>,
    /// The route taken; empty before there is one.
    pub route_id: &'a str,
}

/// A reading of the clock, with the texts that the shell makes once a second.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Seconds since 1970.
    pub unix_seconds: i64,
    /// 0..=999
    pub millis: u16,
    /// As in a `Date` field.
    pub http_date: &'a str,
    /// `$time_local`: `21/Nov/2026:22:55:28 +0000`
    pub local: &'a str,
    /// `$time_iso8601`: `2026-11-21T22:55:28+00:00`
    pub iso8601: &'a str,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogFacts<'a> {
    /// `$status`
    pub status: u16,
    /// `$outcome`: `ok`, or the word of what went wrong.
    pub outcome: &'static str,
    /// `$bytes_sent`: to the client, heads included.
    pub bytes_sent: u64,
    /// `$body_bytes_sent`: to the client, without heads and framing.
    pub body_bytes_sent: u64,
    /// `$request_length`: from the client, heads included.
    pub request_bytes: u64,
    /// `$request_time`
    pub request_ms: u64,
    /// The tries at nodes, in their order: what `$upstream_*` list.
    pub attempts: &'a [AttemptRecord],
    /// What the tries count nodes in.
    pub nodes: &'a [NodePlan],
}
