//! Server names that trust the same authorities, and differ where somebody may have forgotten something.
//!
//! Whose certificate is revoked, or on no list, should not get in by another name. What differs may be
//! meant: `defaults = false` says so.

use std::collections::BTreeMap;

use crate::check::context::Check;
use crate::model::{ClientAuth, ClientVerify, PemSource};
use crate::place::Place;

/// A server name that asks for certificates, as far as it is compared.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) place: Place,
    pub(super) field: String,
    /// Files and texts of its authorities, as they are named.
    authorities: Vec<String>,
    has_crl: bool,
    has_allow: bool,
}

impl Asking {
    /// `None` if it verifies nobody.
    pub(super) fn of(auth: &ClientAuth, field: String) -> Option<Self> {
        if auth.verify == ClientVerify::Off || auth.ca.is_empty() {
            return None;
        }
        let names = auth.ca.iter().map(|pem| match &pem.source {
            PemSource::Inline(text) => text.clone(),
            PemSource::Path(path) => path.display().to_string(),
        });
        Some(Self {
            place: auth.place,
            field,
            authorities: names.collect(),
            has_crl: auth.revocation.is_some(),
            has_allow: !auth.lists.allow.is_empty(),
        })
    }
}

impl Check<'_> {
    /// Warns of those that lack what others have.
    pub(super) fn alike(&mut self, asking: &[Asking]) {
        let mut by_authority: BTreeMap<&str, Vec<&Asking>> = BTreeMap::new();
        for one in asking {
            for name in &one.authorities {
                by_authority.entry(name).or_default().push(one);
            }
        }
        for group in by_authority.into_values() {
            if let Some(other) = group.iter().find(|one| one.has_crl) {
                let line = self.problems.position(other.place).line;
                let message = format!(
                    "there is no `crl` here, and line {line} has one for the same authorities: who is \
                     revoked there gets in here"
                );
                for one in group.iter().filter(|one| !one.has_crl) {
                    self.warn_unlike(one, "crl", &message);
                }
            }
            // Of two, either may be the one that is meant to differ.
            let mut lacking = group.iter().filter(|one| !one.has_allow);
            if let (Some(one), None, true) = (lacking.next(), lacking.next(), group.len() > 2) {
                let message = "there is no `allow` here, and every other server name with the same \
                               authorities has one: every client of theirs gets in here";
                self.warn_unlike(one, "allow", message);
            }
        }
    }

    fn warn_unlike(&mut self, one: &Asking, key: &str, message: &str) {
        let help = format!(
            "write it here, or once in [ssl_defaults.client]; if it is meant, say `defaults = false` \
             beside `ca`: no `{key}` is missed then"
        );
        self.warn(one.place, format!("{}.{key}", one.field), message, &help);
    }
}
