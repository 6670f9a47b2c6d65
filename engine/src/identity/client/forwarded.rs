//! A certificate as other gateways pass it on: Envoy's `X-Forwarded-Client-Cert`, Traefik's headers.
//!
//! Their readers take presence for proof, so nothing of this is written for a client that is not
//! verified. What their formats cannot carry without ambiguity is left out.

use data_encoding::{BASE64, HEXLOWER};
use ferrule_config::model::XfccKey;

use super::leaf_view::LeafView;
use super::render;
use crate::identity::x509::alt_names::{self, AltKind, AltName};
use crate::identity::x509::certificate;
use crate::identity::x509::general_name::GeneralName;
use crate::identity::x509::name::{self, Selector};
use crate::identity::x509::raw_certificate::RawCertificate;

/// What an element says unless told otherwise, in Envoy's order.
pub(crate) const XFCC_DEFAULT: [XfccKey; 5] =
    [XfccKey::By, XfccKey::Hash, XfccKey::Subject, XfccKey::Uri, XfccKey::Dns];

/// Appends one element: `Hash=...;Subject="...";URI=...`.
pub(crate) fn xfcc(certificate: &LeafView<'_>, keys: &[XfccKey], out: &mut Vec<u8>) {
    let start = out.len();
    let pair = |key: &[u8], out: &mut Vec<u8>| {
        if out.len() > start {
            out.push(b';');
        }
        out.extend_from_slice(key);
        out.push(b'=');
    };
    for key in keys {
        match key {
            XfccKey::By => {
                for uri in certificate.own_uris {
                    pair(b"By", out);
                    quoted(uri, out);
                }
            }
            XfccKey::Hash => {
                pair(b"Hash", out);
                render::encode(&certificate.leaf_sha256, &HEXLOWER, out);
            }
            XfccKey::Cert => {
                pair(b"Cert", out);
                out.push(b'"');
                render::percent(&render::pem(certificate.leaf.der), out);
                out.push(b'"');
            }
            XfccKey::Chain => {
                pair(b"Chain", out);
                out.push(b'"');
                for der in certificate.chain() {
                    render::percent(&render::pem(der), out);
                }
                out.push(b'"');
            }
            XfccKey::Subject => {
                pair(b"Subject", out);
                out.push(b'"');
                // RFC 2253 has escaped the quotation marks.
                name::rfc2253(certificate.leaf.subject, out);
                out.push(b'"');
            }
            XfccKey::Uri | XfccKey::Dns => {
                let (name, wanted): (&[u8], _) = match key {
                    XfccKey::Uri => (b"URI", AltKind::Uri),
                    _ => (b"DNS", AltKind::Dns),
                };
                for AltName { kind, value } in alt_names::names(&certificate.alt_names) {
                    if kind == wanted {
                        pair(name, out);
                        quoted(value, out);
                    }
                }
            }
        }
    }
}

/// In quotation marks if it holds what separates elements, pairs or values.
fn quoted(value: &[u8], out: &mut Vec<u8>) {
    if !value.iter().any(|byte| matches!(byte, b',' | b';' | b'=' | b'"')) {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Appends the verified path as Traefik does: PEM without delimiters and line feeds, joined by commas.
pub(crate) fn traefik_cert(certificate: &LeafView<'_>, out: &mut Vec<u8>) {
    for (at, der) in certificate.chain().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        render::encode(der, &BASE64, out);
    }
}

/// Appends what Traefik tells of the leaf and of each certificate of its path, escaped for a query.
pub(crate) fn traefik_info(certificate: &LeafView<'_>, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    one_info(&certificate.leaf, &certificate.alt_names, &mut text);
    for der in certificate.issuers {
        if let Some(raw) = RawCertificate::read(der) {
            text.push(b',');
            one_info(&raw, &certificate::alt_names(der), &mut text);
        }
    }
    for byte in text {
        if byte == b' ' {
            out.push(b'+');
        } else {
            render::percent(&[byte], out);
        }
    }
}

/// `Subject="..";Issuer="..";NB="..";NA="..";SAN=".."`.
fn one_info(raw: &RawCertificate<'_>, names: &[GeneralName<'_>], out: &mut Vec<u8>) {
    let start = out.len();
    let mut field = |key: &str, value: &[u8]| {
        if value.is_empty() {
            return;
        }
        if out.len() > start {
            out.push(b';');
        }
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"=\"");
        out.extend_from_slice(value);
        out.push(b'"');
    };
    field("Subject", &short_name(raw.subject, true));
    field("Issuer", &short_name(raw.issuer, false));
    for (key, time) in [("NB", raw.not_before), ("NA", raw.not_after)] {
        field(key, time.seconds().unwrap_or(0).max(0).to_string().as_bytes());
    }
    let mut all = Vec::new();
    for wanted in [AltKind::Dns, AltKind::Email, AltKind::Ip, AltKind::Uri] {
        let of_kind = alt_names::names(names).filter(|name| name.kind == wanted);
        for AltName { kind, value: name } in of_kind {
            let mut value = Vec::new();
            alt_names::plain(kind, name, &mut value);
            if !value.iter().any(|byte| matches!(byte, b',' | b'"' | b';')) {
                if !all.is_empty() {
                    all.push(b',');
                }
                all.extend_from_slice(&value);
            }
        }
    }
    field("SAN", &all);
}

/// `C=FR,O=Acme,CN=a`, in Traefik's order. A value that could be read as two attributes, or as the
/// end of the name, is left out.
fn short_name(name: &[u8], subject: bool) -> Vec<u8> {
    let keys = [
        ("dc", "DC"),
        ("c", "C"),
        ("st", "ST"),
        ("l", "L"),
        ("o", "O"),
        ("ou", "OU"),
        ("serialnumber", "SN"),
        ("cn", "CN"),
    ];
    let mut out = Vec::new();
    for (attribute, key) in keys {
        if attribute == "ou" && !subject {
            continue;
        }
        let Some(selector) = Selector::new(attribute) else { continue };
        for value in name::safe_values(name, &selector) {
            let double = value.contains(',') && value.contains('=');
            if value.is_empty() || value.contains('"') || double {
                continue;
            }
            if !out.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xfcc_values_are_quoted_where_needed() {
        let written = |value: &[u8]| {
            let mut out = Vec::new();
            quoted(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(b"spiffe://a/b"), "spiffe://a/b");
        assert_eq!(written(b"a;b=\"c"), "\"a;b=\\\"c\"");
        assert_eq!(written(b"a,b\\c"), "\"a,b\\\\c\"");
    }
}
