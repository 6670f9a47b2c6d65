//! Every `$ssl_client_*` value that comes from the certificate, rendered once, in nginx's bytes.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use ferrule_config::model::XfccKey;
use ring::digest;

use super::all_values::AllValues;
use super::client_value::ClientValue;
use super::forwarded;
use super::identity_plan::{IdentityPlan, PlannedAttribute};
use super::leaf_view::LeafView;
use super::render;
use crate::identity::verify::verdict::Verdict;
use crate::identity::x509::alt_names::{self, AltKind};
use crate::identity::x509::name;

/// The rendered values: one buffer, and where each value is in it.
#[derive(Debug, Default)]
pub struct ClientValues {
    buffer: Box<[u8]>,
    spans: Box<[ValueSpan]>,
    every: Box<[AllValues]>,
}

/// Where a value is in the buffer.
#[derive(Clone, Copy, Debug)]
struct ValueSpan {
    start: u32,
    end: u32,
}

impl ClientValues {
    /// Renders what is wanted. Without a certificate only the verdict has a value.
    pub(crate) fn render(
        leaf: Option<&LeafView<'_>>,
        verdict: Verdict,
        wanted: &IdentityPlan,
    ) -> Self {
        let mut buffer = Vec::new();
        let mut spans = Vec::with_capacity(ClientValue::ALL.len() + wanted.attributes.len());
        let mut span = |buffer: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>)| {
            let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            write(buffer);
            spans.push(ValueSpan { start, end: u32::try_from(buffer.len()).unwrap_or(u32::MAX) });
        };
        for value in ClientValue::ALL {
            span(&mut buffer, &mut |out| {
                if !wanted.has(value) {
                } else if value == ClientValue::Verify {
                    write_verdict(verdict, out);
                } else if let Some(leaf) = leaf {
                    write(value, leaf, verdict, wanted.xfcc(), out);
                }
            });
        }
        for PlannedAttribute { selector, .. } in &wanted.attributes {
            span(&mut buffer, &mut |out| {
                if let Some(leaf) = leaf {
                    leaf.write_attribute(selector, out);
                }
            });
        }
        let every = wanted.compared.iter().map(|several| AllValues::of(several, leaf, verdict));
        Self { buffer: buffer.into(), spans: spans.into(), every: every.collect() }
    }

    /// Bytes of all values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len() + self.every.iter().map(AllValues::bytes).sum::<usize>()
    }

    /// Every value of what [`IdentityPlan::every`] has noted.
    #[must_use]
    pub fn every(&self, at: usize) -> Option<&AllValues> {
        self.every.get(at)
    }

    /// The value, empty if there is none (or it was not wanted).
    #[must_use]
    pub fn get(&self, value: ClientValue) -> &[u8] {
        let Some(ValueSpan { start, end }) = self.spans.get(value.position()) else { return &[] };
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

/// Appends this value of a certificate.
fn write(
    value: ClientValue,
    view: &LeafView<'_>,
    verdict: Verdict,
    xfcc: &[XfccKey],
    out: &mut Vec<u8>,
) {
    let leaf = &view.leaf;
    match value {
        ClientValue::Verify | ClientValue::Attribute(_) => {}
        ClientValue::Fingerprint => {
            let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf.der);
            render::encode(sha1.as_ref(), &HEXLOWER, out);
        }
        ClientValue::FingerprintSha256 => render::encode(&view.leaf_sha256, &HEXLOWER, out),
        ClientValue::Serial => render::serial(leaf.serial, out),
        ClientValue::SDn => name::rfc2253(leaf.subject, out),
        ClientValue::IDn => name::rfc2253(leaf.issuer, out),
        ClientValue::SDnLegacy => name::one_line(leaf.subject, out),
        ClientValue::IDnLegacy => name::one_line(leaf.issuer, out),
        ClientValue::VStart => leaf.not_before.print(out),
        ClientValue::VEnd => leaf.not_after.print(out),
        ClientValue::EscapedCert => render::percent(&render::pem(leaf.der), out),
        ClientValue::RawCert => out.extend_from_slice(&render::pem(leaf.der)),
        ClientValue::Cert => render::folded(&render::pem(leaf.der), out),
        ClientValue::SpkiSha256 => {
            render::encode(digest::digest(&digest::SHA256, leaf.spki).as_ref(), &BASE64, out);
        }
        ClientValue::X5tS256 => render::encode(&view.leaf_sha256, &BASE64URL_NOPAD, out),
        ClientValue::San => alt_names::all(&view.alt_names, out),
        ClientValue::SanDns => alt_names::of_kind(&view.alt_names, AltKind::Dns, out),
        ClientValue::SanUri => alt_names::of_kind(&view.alt_names, AltKind::Uri, out),
        ClientValue::SanEmail => alt_names::of_kind(&view.alt_names, AltKind::Email, out),
        ClientValue::SanIp => alt_names::of_kind(&view.alt_names, AltKind::Ip, out),
        // The readers of these take their presence for proof, so they are given with it only.
        ClientValue::SpiffeId
        | ClientValue::CertRfc9440
        | ClientValue::ChainRfc9440
        | ClientValue::Xfcc
        | ClientValue::TraefikCert
        | ClientValue::TraefikInfo => {
            if verdict == Verdict::Success {
                write_proven(value, view, xfcc, out);
            }
        }
    }
}

/// Appends a value whose readers take its presence for proof.
fn write_proven(value: ClientValue, view: &LeafView<'_>, xfcc: &[XfccKey], out: &mut Vec<u8>) {
    match value {
        ClientValue::SpiffeId => {
            let id = alt_names::spiffe_id(&view.alt_names).unwrap_or_default();
            out.extend_from_slice(id);
        }
        ClientValue::CertRfc9440 => render::byte_sequence(view.leaf.der, out),
        ClientValue::ChainRfc9440 => {
            for (at, der) in view.issuers.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                render::byte_sequence(der, out);
            }
        }
        ClientValue::TraefikCert => forwarded::traefik_cert(view, out),
        ClientValue::TraefikInfo => forwarded::traefik_info(view, out),
        _ => forwarded::xfcc(view, xfcc, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_certificate_only_the_verdict_speaks() {
        let mut wanted = IdentityPlan::default();
        ClientValue::ALL.into_iter().for_each(|value| wanted.add(value));
        let values = ClientValues::render(None, Verdict::None, &wanted);
        for value in ClientValue::ALL {
            let expected: &[u8] = if value == ClientValue::Verify { b"NONE" } else { b"" };
            assert_eq!(values.get(value), expected, "{value:?}");
        }
        assert_eq!(values.get(ClientValue::Attribute(3)), b"");
    }
}
