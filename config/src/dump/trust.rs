//! Certificates, keys and what peers are verified by, as TOML. Keys are never shown.

use super::tls_choices::{dump_ciphers, dump_groups, dump_versions};
use super::writer::{Writer, file_text, list};
use crate::model::{KeyPair, Pem, PemSource, Pin, Revocation, UpstreamCa, UpstreamTls};
use crate::values::{sha256_base64_text, sha256_hex_text};
use crate::words::Word;

pub(super) fn dump_upstream_tls(out: &mut Writer, header: &str, tls: &UpstreamTls) {
    out.header(header);
    dump_password_file(out, tls.client.as_ref());
    if let Some(KeyPair { cert, key, .. }) = &tls.client {
        out.text_line("client_cert", &pem_text(cert));
        out.text_line("client_key", &key_text(out, key));
    }
    match &tls.ca {
        None => {}
        Some(UpstreamCa::System) => out.text_line("ca", "system"),
        Some(UpstreamCa::Files(files)) => out.line("ca", list(files.iter().map(pem_text))),
    }
    out.text_line("verify", tls.verify.word());
    dump_revocation(out, tls.revocation.as_ref());
    if !tls.pins.is_empty() {
        out.line("pins", list(tls.pins.iter().map(pin_text)));
    }
    if let Some(name) = &tls.server_name {
        out.text_line("server_name", name);
    }
    dump_versions(out, tls.protocols);
    dump_groups(out, &tls.groups);
    dump_ciphers(out, &tls.ciphers);
}

pub(super) fn dump_revocation(out: &mut Writer, revocation: Option<&Revocation>) {
    if let Some(revocation) = revocation {
        let urls = revocation.urls.iter().map(|url| url.whole().to_owned());
        let all: Vec<String> = revocation.crls.iter().map(pem_text).chain(urls).collect();
        if !all.is_empty() {
            out.line("crl", list(all.into_iter()));
        }
        out.line("crl_distribution_points", revocation.distribution_points);
        out.text_line("crl_expired", revocation.expired.word());
        out.text_line("crl_missing", revocation.missing.word());
    }
}

fn pin_text(pin: &Pin) -> String {
    match pin {
        Pin::Spki(digest) => format!("spki-sha256:{}", sha256_base64_text(digest)),
        Pin::Certificate(digest) => format!("sha256:{}", sha256_hex_text(digest)),
    }
}

pub(super) fn dump_password_file(out: &mut Writer, pair: Option<&KeyPair>) {
    if let Some(file) = pair.and_then(|pair| pair.password_file.as_ref()) {
        out.text_line("password_file", &file_text(file));
    }
}

pub(super) fn pem_text(pem: &Pem) -> String {
    match &pem.source {
        PemSource::Inline(inline) => inline.clone(),
        PemSource::Path(path) => path.display().to_string(),
    }
}

pub(super) fn key_text(out: &Writer, pem: &Pem) -> String {
    match &pem.source {
        PemSource::Path(path) if pem.shown.is_none() => path.display().to_string(),
        PemSource::Path(path) => out.secret(&path.display().to_string()),
        PemSource::Inline(text) => out.secret(text),
    }
}
