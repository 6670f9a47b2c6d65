//! What upstreams are told of the client's connection: `X-Forwarded-*` and `X-Real-IP`.
//!
//! In: `[http]` and a connection's addresses. Out: lines rendered once per connection, and the
//! question which of the client's own lines give way to them. As APISIX does: `X-Forwarded-For` is
//! appended to (or begun anew, where others than the peer are trusted), `X-Real-IP` set, `-Proto`, `-Host` and
//! `-Port` overwritten and `Forwarded` dropped, but the last four are kept where the peer is trusted. A rule of a route that sets or removes one
//! of these names has the last word on it.

use std::net::IpAddr;

use ferrule_config::model::{Forwarded, ForwardedHost};

use super::facts::ConnectionFacts;
use super::names::Folded;
use crate::wire::fields::Known;
use crate::wire::view::FieldsView;
use crate::wire::{target, write};

/// The names we make, in the order they are sent.
const NAMES: [(&str, Known); 5] = [
    ("X-Real-IP", Known::XRealIp),
    ("X-Forwarded-Proto", Known::XForwardedProto),
    ("X-Forwarded-Port", Known::XForwardedPort),
    ("X-Forwarded-Host", Known::XForwardedHost),
    ("X-Forwarded-For", Known::XForwardedFor),
];

/// Whose value of a field is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FieldTrust {
    /// Any client's: the field says nothing about the client's connection.
    AnyClient,
    /// That of a peer in `http.trusted_addresses`.
    TrustedPeers,
    /// Only our own.
    GatewayOnly,
}

impl FieldTrust {
    /// The trust in this field, in its own spelling.
    pub(super) const fn of(known: Known) -> Self {
        match known {
            Known::XRealIp => Self::GatewayOnly,
            Known::Forwarded
            | Known::XForwardedFor
            | Known::XForwardedHost
            | Known::XForwardedPort
            | Known::XForwardedProto => Self::TrustedPeers,
            Known::Connection
            | Known::ContentLength
            | Known::Date
            | Known::Expect
            | Known::Host
            | Known::KeepAlive
            | Known::MaxForwards
            | Known::ProxyConnection
            | Known::Referer
            | Known::Server
            | Known::Te
            | Known::Trailer
            | Known::TransferEncoding
            | Known::Upgrade
            | Known::UserAgent
            | Known::Via
            | Known::Other => Self::AnyClient,
        }
    }
}

/// Which of the fields we make a route removes or sets itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SuppressedFields(u8);

impl SuppressedFields {
    /// The fields for which `is_suppressed` holds.
    pub(super) fn of(is_suppressed: impl Fn(&[u8]) -> bool) -> Self {
        let names = NAMES.iter().enumerate();
        let bits = names.filter(|(_, (name, _))| is_suppressed(name.as_bytes()));
        Self(bits.fold(0, |set, (at, _)| set | 1 << at))
    }

    const fn has(self, at: usize) -> bool {
        self.0 & (1 << at) != 0
    }
}

/// One connection's lines.
#[derive(Debug, Default)]
pub struct ForwardedFields {
    enabled: bool,
    trusted: bool,
    /// Others than the peer are trusted: of its list nothing is passed on.
    begins_list: bool,
    host: ForwardedHost,
    peer: Vec<u8>,
    /// The lines that stay the same: `X-Real-IP`, `-Proto`, `-Port`.
    block: Vec<u8>,
    /// Where each of them ends.
    ends: [usize; 3],
}

/// What the lines take from one request.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedRequest<'a> {
    /// Its fields.
    pub fields: FieldsView<'a>,
    /// The host it asks for, without port.
    pub host: &'a [u8],
    /// The host as it came, perhaps with a port; empty if there is none.
    pub authority: &'a [u8],
    /// The fields that its route suppresses.
    pub suppressed: SuppressedFields,
}

impl ForwardedFields {
    /// Renders what stays the same for all requests of a connection; keeps its memory.
    pub fn render(&mut self, config: &Forwarded, connection: &ConnectionFacts) {
        self.enabled = config.enabled;
        self.peer.clear();
        self.block.clear();
        self.ends = [0; 3];
        if !self.enabled {
            return;
        }
        let peer = connection.own_addr();
        // An address that is none (a Unix socket) is nobody's to trust.
        self.trusted = peer.parse::<IpAddr>().is_ok_and(|peer| config.trusts(peer));
        self.begins_list = !self.trusted && !config.trusted.is_empty();
        self.host = config.host;
        self.peer.extend_from_slice(peer.as_bytes());
        let scheme = if connection.tls { "https" } else { "http" };
        let client = connection.remote_addr.as_str();
        let values = [client, scheme, connection.server_port.as_str()];
        for ((end, value), (name, _)) in self.ends.iter_mut().zip(values).zip(NAMES) {
            if !value.is_empty() {
                write::field(name.as_bytes(), value.as_bytes(), &mut self.block);
            }
            *end = self.block.len();
        }
    }

    /// Does the client's field end here, because we make it or because its word is not taken?
    #[must_use]
    pub fn drops(&self, known: Known, value: &[u8]) -> bool {
        if !self.enabled {
            return false;
        }
        match FieldTrust::of(known) {
            FieldTrust::GatewayOnly => true,
            // That list is written anew, with whatever came in front. Who says nothing has no word to be taken.
            FieldTrust::TrustedPeers => {
                !self.trusted || known == Known::XForwardedFor || value.is_empty()
            }
            FieldTrust::AnyClient => false,
        }
    }

    /// Does a field of this name, which is respelt, end here? An application may read `_` or `.` as
    /// `-`, and nobody that is to be believed writes it.
    #[must_use]
    pub fn drops_respelt(&self, name: &[u8]) -> bool {
        self.enabled && is_ours_respelt(name)
    }

    /// Appends our lines.
    pub fn append(&self, request: &ForwardedRequest<'_>, out: &mut Vec<u8>) {
        if !self.enabled {
            return;
        }
        let port = self.named_port(request);
        if request.suppressed == SuppressedFields::default() && !self.trusted && port.is_none() {
            out.extend_from_slice(&self.block);
        } else {
            self.append_some(request, port, out);
        }
        let host = match self.host {
            ForwardedHost::Host => request.host,
            ForwardedHost::HttpHost => request.authority,
        };
        if !host.is_empty() && self.makes(3, request) {
            write::field(b"X-Forwarded-Host", host, out);
        }
        if self.makes(4, request) {
            self.append_for(request, out);
        }
    }

    /// The port that the client named, where that is told.
    fn named_port(&self, request: &ForwardedRequest<'_>) -> Option<u16> {
        match self.host {
            ForwardedHost::Host => None,
            ForwardedHost::HttpHost => target::parse_authority(request.authority).ok()?.1,
        }
    }

    /// Appends the lines of the block that are ours to send; `port` in the place of that of the listener.
    fn append_some(&self, request: &ForwardedRequest<'_>, port: Option<u16>, out: &mut Vec<u8>) {
        let mut start = 0;
        for (at, end) in self.ends.into_iter().enumerate() {
            match port {
                _ if !self.makes(at, request) => {}
                Some(port) if at == 2 => {
                    out.extend_from_slice(b"X-Forwarded-Port: ");
                    write::decimal(port.into(), out);
                    out.extend_from_slice(write::CRLF);
                }
                _ => out.extend_from_slice(self.block.get(start..end).unwrap_or_default()),
            }
            start = end;
        }
    }

    /// Is this one ours to send? Of a trusted peer's own word there is nothing to add.
    fn makes(&self, at: usize, request: &ForwardedRequest<'_>) -> bool {
        let kept = |known| {
            self.trusted
                && matches!(
                    known,
                    Known::XForwardedHost | Known::XForwardedPort | Known::XForwardedProto
                )
                && request.fields.all(known).any(|field| !field.value().is_empty())
        };
        !request.suppressed.has(at) && NAMES.get(at).is_some_and(|(_, known)| !kept(*known))
    }

    /// Appends all values that came, in their order, and the peer after them.
    fn append_for(&self, request: &ForwardedRequest<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"X-Forwarded-For: ");
        let came = request.fields.all(Known::XForwardedFor);
        for field in came.filter(|_| !self.begins_list) {
            let value = field.value();
            if !value.is_empty() {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(&self.peer);
        out.extend_from_slice(write::CRLF);
    }
}

fn is_ours_respelt(name: &[u8]) -> bool {
    Folded::of(name).is_some_and(|folded| {
        let folded = folded.as_bytes();
        folded == b"forwarded"
            || NAMES.iter().any(|(name, _)| name.as_bytes().eq_ignore_ascii_case(folded))
    })
}
