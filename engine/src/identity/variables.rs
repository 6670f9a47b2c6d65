//! Every `$ssl_client_*` value that comes from the certificate, rendered once, in nginx's bytes.
//!
//! Only [`ClientValue::Cert`] and [`ClientValue::RawCert`] hold line feeds (they are for logs);
//! every other value is free of control bytes.

use super::allow::{Access, Lists};
use super::alt_names::AltKind;
use super::every::{Every, Several};
use super::forwarded::XfccKey;
use super::name::Selector;
use super::render::Rendering;
use super::verdict::Verdict;

/// A value that comes from the client's certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ClientValue {
    /// `$ssl_client_verify`
    Verify,
    /// `$ssl_client_fingerprint`: SHA-1 of the DER, lower-case hexadecimal
    Fingerprint,
    /// `$ssl_client_fingerprint_sha256`: SHA-256 of the DER, lower-case hexadecimal
    FingerprintSha256,
    /// `$ssl_client_serial`: on one line, however long
    Serial,
    /// `$ssl_client_s_dn`
    SDn,
    /// `$ssl_client_i_dn`
    IDn,
    /// `$ssl_client_s_dn_legacy`
    SDnLegacy,
    /// `$ssl_client_i_dn_legacy`
    IDnLegacy,
    /// `$ssl_client_v_start`
    VStart,
    /// `$ssl_client_v_end`
    VEnd,
    /// `$ssl_client_escaped_cert`
    EscapedCert,
    /// `$ssl_client_raw_cert`: log only
    RawCert,
    /// `$ssl_client_cert`: log only
    Cert,
    /// `$ssl_client_spki_sha256`: SHA-256 of the public key info, base64 as in pins
    SpkiSha256,
    /// `$ssl_client_san`: `DNS:a,URI:b,IP:c,email:d`
    San,
    /// `$ssl_client_san_dns`
    SanDns,
    /// `$ssl_client_san_uri`
    SanUri,
    /// `$ssl_client_san_email`
    SanEmail,
    /// `$ssl_client_san_ip`
    SanIp,
    /// `$ssl_client_spiffe_id`: of a verified client only
    SpiffeId,
    /// `$ssl_client_cert_rfc9440`: of a verified client only
    CertRfc9440,
    /// `$ssl_client_chain_rfc9440`: of a verified client only, what it sent of the verified path
    ChainRfc9440,
    /// `$ssl_client_xfcc`: of a verified client only
    Xfcc,
    /// `$ssl_client_cert_traefik`: of a verified client only
    TraefikCert,
    /// `$ssl_client_info_traefik`: of a verified client only
    TraefikInfo,
    /// `$ssl_client_s_dn_NAME`: by position, see [`Wanted::attribute`]
    Attribute(u16),
}

impl ClientValue {
    /// Every value but the attributes, in the order of their positions.
    pub const ALL: [Self; 25] = [
        Self::Verify,
        Self::Fingerprint,
        Self::FingerprintSha256,
        Self::Serial,
        Self::SDn,
        Self::IDn,
        Self::SDnLegacy,
        Self::IDnLegacy,
        Self::VStart,
        Self::VEnd,
        Self::EscapedCert,
        Self::RawCert,
        Self::Cert,
        Self::SpkiSha256,
        Self::San,
        Self::SanDns,
        Self::SanUri,
        Self::SanEmail,
        Self::SanIp,
        Self::SpiffeId,
        Self::CertRfc9440,
        Self::ChainRfc9440,
        Self::Xfcc,
        Self::TraefikCert,
        Self::TraefikInfo,
    ];

    /// Where its span is.
    fn position(self) -> usize {
        match self {
            Self::Attribute(index) => Self::ALL.len() + usize::from(index),
            Self::Verify => 0,
            Self::Fingerprint => 1,
            Self::FingerprintSha256 => 2,
            Self::Serial => 3,
            Self::SDn => 4,
            Self::IDn => 5,
            Self::SDnLegacy => 6,
            Self::IDnLegacy => 7,
            Self::VStart => 8,
            Self::VEnd => 9,
            Self::EscapedCert => 10,
            Self::RawCert => 11,
            Self::Cert => 12,
            Self::SpkiSha256 => 13,
            Self::San => 14,
            Self::SanDns => 15,
            Self::SanUri => 16,
            Self::SanEmail => 17,
            Self::SanIp => 18,
            Self::SpiffeId => 19,
            Self::CertRfc9440 => 20,
            Self::ChainRfc9440 => 21,
            Self::Xfcc => 22,
            Self::TraefikCert => 23,
            Self::TraefikInfo => 24,
        }
    }
}

/// Which values the configuration uses; only those are rendered and held.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    bits: u32,
    attributes: Vec<(String, Selector)>,
    compared: Vec<Several>,
    lists: Vec<Lists>,
    xfcc: Vec<XfccKey>,
    own_uris: Vec<Vec<Box<[u8]>>>,
}

impl Wanted {
    /// Adds a value; an attribute is added by [`Wanted::attribute`].
    pub fn add(&mut self, value: ClientValue) {
        if !matches!(value, ClientValue::Attribute(_)) {
            self.bits |= 1 << value.position();
        }
    }

    /// Adds the subject attribute with this OpenSSL short name in lower case, or with these dotted
    /// numbers, and says how to ask for it. `None` if there is no such attribute.
    pub fn attribute(&mut self, name: &str) -> Option<ClientValue> {
        let selector = Selector::new(name)?;
        let known = self.attributes.iter().position(|(known, _)| known == name);
        let index = known.unwrap_or_else(|| {
            self.attributes.push((name.to_owned(), selector));
            self.attributes.len() - 1
        });
        u16::try_from(index).ok().map(ClientValue::Attribute)
    }

    /// Notes that conditions are about every one of these values, and says how to ask for them. `None`
    /// if a certificate has one at most.
    pub fn every(&mut self, value: ClientValue) -> Option<usize> {
        let several = match value {
            ClientValue::Attribute(at) => {
                let (_, selector) = self.attributes.get(usize::from(at))?;
                Several::Attribute(selector.clone())
            }
            ClientValue::San => Several::Names(None),
            ClientValue::SanDns => Several::Names(Some(AltKind::Dns)),
            ClientValue::SanEmail => Several::Names(Some(AltKind::Email)),
            ClientValue::SanIp => Several::Names(Some(AltKind::Ip)),
            ClientValue::SanUri => Several::Names(Some(AltKind::Uri)),
            ClientValue::SpiffeId => Several::SpiffeIds,
            _ => return None,
        };
        let known = self.compared.iter().position(|known| *known == several);
        Some(known.unwrap_or_else(|| {
            self.compared.push(several);
            self.compared.len() - 1
        }))
    }

    /// Adds lists that every client is held against, and says how to ask for the answer.
    pub fn list(&mut self, lists: Lists) -> usize {
        self.lists.iter().position(|known| *known == lists).unwrap_or_else(|| {
            self.lists.push(lists);
            self.lists.len() - 1
        })
    }

    /// Has it the same lists in the same places? Then answers of one are answers of the other.
    #[must_use]
    pub fn has_lists_of(&self, other: &Self) -> bool {
        self.lists == other.lists
    }

    /// What all lists say of a certificate.
    pub(super) fn access(
        &self,
        rendering: Option<&Rendering<'_>>,
        verdict: Verdict,
    ) -> Box<[Access]> {
        Lists::judge_all(&self.lists, rendering, verdict)
    }

    /// What elements of `X-Forwarded-Client-Cert` say, in Envoy's order; Envoy's usual without.
    pub fn set_xfcc(&mut self, keys: Vec<XfccKey>) {
        self.xfcc = keys;
    }

    fn xfcc(&self) -> &[XfccKey] {
        if self.xfcc.is_empty() { &XfccKey::DEFAULT } else { &self.xfcc }
    }

    /// The URIs of our own certificates, by server object.
    pub fn set_own_uris(&mut self, own_uris: Vec<Vec<Box<[u8]>>>) {
        self.own_uris = own_uris;
    }

    /// The URIs of what this server object presents.
    #[must_use]
    pub fn own_uris(&self, server: u32) -> &[Box<[u8]>] {
        self.own_uris.get(server as usize).map_or(&[], Vec::as_slice)
    }

    /// Is this value to be rendered?
    #[must_use]
    pub fn has(&self, value: ClientValue) -> bool {
        match value {
            ClientValue::Attribute(index) => usize::from(index) < self.attributes.len(),
            _ => self.bits & (1 << value.position()) != 0,
        }
    }
}

/// The rendered values: one buffer, and where each value is in it.
#[derive(Debug, Default)]
pub struct ClientValues {
    buffer: Box<[u8]>,
    spans: Box<[(u32, u32)]>,
    every: Box<[Every]>,
}

impl ClientValues {
    /// Renders what is wanted. Without a certificate only the verdict has a value.
    pub(super) fn render(
        rendering: Option<&Rendering<'_>>,
        verdict: Verdict,
        wanted: &Wanted,
    ) -> Self {
        let mut buffer = Vec::new();
        let mut spans = Vec::with_capacity(ClientValue::ALL.len() + wanted.attributes.len());
        let mut span = |buffer: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>)| {
            let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            write(buffer);
            spans.push((start, u32::try_from(buffer.len()).unwrap_or(u32::MAX)));
        };
        for value in ClientValue::ALL {
            span(&mut buffer, &mut |out| {
                if !wanted.has(value) {
                } else if value == ClientValue::Verify {
                    write_verdict(verdict, out);
                } else if let Some(rendering) = rendering {
                    rendering.write(value, (verdict, wanted.xfcc()), out);
                }
            });
        }
        for (_, selector) in &wanted.attributes {
            span(&mut buffer, &mut |out| {
                if let Some(rendering) = rendering {
                    rendering.write_attribute(selector, out);
                }
            });
        }
        let every = wanted.compared.iter().map(|several| Every::of(several, rendering, verdict));
        Self { buffer: buffer.into(), spans: spans.into(), every: every.collect() }
    }

    /// Bytes of all values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len() + self.every.iter().map(Every::bytes).sum::<usize>()
    }

    /// Every value of what [`Wanted::every`] has noted.
    #[must_use]
    pub fn every(&self, at: usize) -> Option<&Every> {
        self.every.get(at)
    }

    /// The value, empty if there is none (or it was not wanted).
    #[must_use]
    pub fn get(&self, value: ClientValue) -> &[u8] {
        let Some((start, end)) = self.spans.get(value.position()) else { return &[] };
        let start = usize::try_from(*start).unwrap_or(usize::MAX);
        let end = usize::try_from(*end).unwrap_or(usize::MAX);
        self.buffer.get(start..end).unwrap_or_default()
    }
}

/// `SUCCESS`, `NONE`, or `FAILED:` and OpenSSL's words.
fn write_verdict(verdict: Verdict, out: &mut Vec<u8>) {
    match verdict {
        Verdict::None => out.extend_from_slice(b"NONE"),
        Verdict::Success => out.extend_from_slice(b"SUCCESS"),
        Verdict::Failed(failure) => {
            out.extend_from_slice(b"FAILED:");
            out.extend_from_slice(failure.text().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_own_position() {
        for (at, value) in ClientValue::ALL.into_iter().enumerate() {
            assert_eq!(value.position(), at);
        }
    }

    #[test]
    fn attributes_are_registered_once() {
        let mut wanted = Wanted::default();
        assert_eq!(wanted.attribute("cn"), Some(ClientValue::Attribute(0)));
        assert_eq!(wanted.attribute("ou"), Some(ClientValue::Attribute(1)));
        assert_eq!(wanted.attribute("cn"), Some(ClientValue::Attribute(0)));
        assert_eq!(wanted.attribute("CN"), None);
        assert_eq!(wanted.attribute("nothing"), None);
        assert!(wanted.has(ClientValue::Attribute(1)) && !wanted.has(ClientValue::Attribute(2)));
    }

    #[test]
    fn without_a_certificate_only_the_verdict_speaks() {
        let mut wanted = Wanted::default();
        ClientValue::ALL.into_iter().for_each(|value| wanted.add(value));
        let values = ClientValues::render(None, Verdict::None, &wanted);
        for value in ClientValue::ALL {
            let expected: &[u8] = if value == ClientValue::Verify { b"NONE" } else { b"" };
            assert_eq!(values.get(value), expected, "{value:?}");
        }
        assert_eq!(values.get(ClientValue::Attribute(3)), b"");
    }
}
