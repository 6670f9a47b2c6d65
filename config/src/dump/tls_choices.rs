//! Versions, groups and cipher suites, as TOML.

use super::writer::{Writer, list};
use crate::model::{CipherSuite, KeyExchangeGroup, Protocols};
use crate::words::{Version, Word};

pub(super) fn dump_versions(out: &mut Writer, protocols: Protocols) {
    let versions = [(protocols.tls12, Version::Tls12), (protocols.tls13, Version::Tls13)];
    let spoken = versions.into_iter().filter(|(spoken, _)| *spoken);
    out.line("ssl_protocols", list(spoken.map(|(_, version)| version.word().to_owned())));
}

pub(super) fn dump_groups(out: &mut Writer, groups: &[KeyExchangeGroup]) {
    out.line("ssl_ecdh_curve", list(groups.iter().map(|group| group.word().to_owned())));
}

/// Every suite by its name: what the list meant, whatever its words mean elsewhere.
pub(super) fn dump_ciphers(out: &mut Writer, ciphers: &[CipherSuite]) {
    let names: Vec<&str> = ciphers.iter().map(|suite| suite.name()).collect();
    out.text_line("ssl_ciphers", &names.join(":"));
}
