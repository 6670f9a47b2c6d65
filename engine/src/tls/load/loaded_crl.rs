//! A revocation list in use, as those see it who watch its age.

use ferrule_config::model::{Pem, PemSource};

use super::crl_warnings::is_older;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::name;

/// A list in use, for those who watch its age.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoadedCrl {
    /// The key that names it, as `ssls[api].client.crl`.
    pub field: String,
    /// Its file, or `inline`.
    pub source: String,
    /// Its CA's name, RFC 2253.
    pub issuer: String,
    /// Unix seconds.
    pub this_update: i64,
    /// Unix seconds, if it says when.
    pub next_update: Option<i64>,
    /// How many certificates it revokes.
    pub count: usize,
    /// `cRLNumber`, big-endian without leading zeros.
    pub number: Option<Vec<u8>>,
    /// SHA-256 of its DER.
    pub digest: [u8; 32],
}

impl LoadedCrl {
    /// Of a list that was loaded, and the text that it came from.
    pub(crate) fn of(list: &Crl, pem: &Pem, field: &str) -> Self {
        let source = match &pem.source {
            PemSource::Inline(_) => "inline".to_owned(),
            PemSource::Path(path) => path.display().to_string(),
        };
        Self {
            field: field.to_owned(),
            source,
            issuer: issuer_text(list),
            this_update: list.this_update(),
            next_update: list.next_update(),
            count: list.count(),
            number: list.number().map(<[u8]>::to_vec),
            digest: list.digest(),
        }
    }
}

/// The lists that have a lower number than one of the same CA had under the same key before: a
/// file that was put back, perhaps by somebody whose certificate is on the newer one.
#[must_use]
pub fn gone_back<'l>(before: &[LoadedCrl], now: &'l [LoadedCrl]) -> Vec<&'l LoadedCrl> {
    let same = |one: &LoadedCrl, other: &LoadedCrl| {
        (&one.field, &one.source, &one.issuer) == (&other.field, &other.source, &other.issuer)
    };
    let is_known = |list: &LoadedCrl| before.iter().any(|old| old.digest == list.digest);
    now.iter()
        .filter(|list| {
            !is_known(list)
                && before.iter().any(|old| {
                    same(old, list) && is_older(list.number.as_deref(), old.number.as_deref())
                })
        })
        .collect()
}

/// The name of its CA, RFC 2253.
pub(crate) fn issuer_text(list: &Crl) -> String {
    let mut text = Vec::new();
    name::rfc2253(list.issuer(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
