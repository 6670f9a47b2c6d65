//! A revocation list in use, as those see it who watch its age.
//!
//! Equal lists are one, whoever names them and whatever files they are in.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ferrule_config::model::{Pem, PemSource};

use super::bounded_names::BoundedNames;
use super::crl_warnings::is_older;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::name;

/// A list in use, for those who watch its age.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoadedCrl {
    /// The keys that name it, as `ssls[0].client.crl`.
    pub keys: BoundedNames,
    /// Its files or URLs, or `inline`.
    pub sources: BoundedNames,
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

/// The lists of one text, and who names it.
#[derive(Clone, Debug)]
pub(crate) struct CrlText {
    lists: Arc<[Arc<Crl>]>,
    source: String,
    pub(super) keys: BoundedNames,
}

impl CrlText {
    /// Lists that were loaded, the file or URL that they came from, and the key that names it.
    pub(crate) fn of(lists: Arc<[Arc<Crl>]>, source: String, key: &str) -> Self {
        Self { lists, source, keys: BoundedNames::of(&key) }
    }
}

/// The file of a text, or `inline`.
pub(crate) fn source_of(pem: &Pem) -> String {
    match &pem.source {
        PemSource::Inline(_) => INLINE.to_owned(),
        PemSource::Path(path) => path.display().to_string(),
    }
}

/// What stands for the file of a text in the configuration itself.
const INLINE: &str = "inline";

/// Every list of these texts, each once.
pub(crate) fn in_use(texts: Vec<CrlText>) -> Vec<LoadedCrl> {
    let mut known: HashMap<[u8; 32], usize> = HashMap::new();
    let mut all: Vec<LoadedCrl> = Vec::new();
    for CrlText { lists, source, keys } in texts {
        for list in lists.iter() {
            match known.entry(list.digest()) {
                Entry::Occupied(at) => {
                    let Some(known) = all.get_mut(*at.get()) else { continue };
                    known.keys.join(&keys);
                    known.sources.add(&source);
                }
                Entry::Vacant(free) => {
                    free.insert(all.len());
                    all.push(LoadedCrl::of(list, &source, keys.clone()));
                }
            }
        }
    }
    all
}

impl LoadedCrl {
    fn of(list: &Crl, source: &str, keys: BoundedNames) -> Self {
        Self {
            keys,
            sources: BoundedNames::of(&source),
            issuer: issuer_text(list),
            this_update: list.this_update(),
            next_update: list.next_update(),
            count: list.count(),
            number: list.number().map(<[u8]>::to_vec),
            digest: list.digest(),
        }
    }

    /// What stays when a list is replaced by the next one: where it is, and of which CA it is.
    fn origin(&self) -> CrlOrigin<'_> {
        let source = self.sources.first();
        let key = if source == INLINE { self.keys.first() } else { "" };
        CrlOrigin { source, key, issuer: &self.issuer }
    }
}

/// Where a list is, and of which CA.
#[derive(Eq, Hash, PartialEq)]
struct CrlOrigin<'l> {
    source: &'l str,
    /// Empty if it is in a file.
    key: &'l str,
    issuer: &'l str,
}

/// The lists that have a lower number than one of the same CA had in the same file before (or under the
/// same key, without a file): a file that was put back, perhaps by somebody whose certificate is on the
/// newer one.
#[must_use]
pub fn gone_back<'l>(before: &[LoadedCrl], now: &'l [LoadedCrl]) -> Vec<&'l LoadedCrl> {
    let known: HashSet<&[u8; 32]> = before.iter().map(|list| &list.digest).collect();
    let mut by_origin: HashMap<_, Vec<&LoadedCrl>> = HashMap::new();
    for old in before {
        by_origin.entry(old.origin()).or_default().push(old);
    }
    let older = |list: &&LoadedCrl| {
        let old = by_origin.get(&list.origin()).map_or(&[][..], Vec::as_slice);
        old.iter().any(|old| is_older(list.number.as_deref(), old.number.as_deref()))
    };
    now.iter().filter(|list| !known.contains(&list.digest)).filter(older).collect()
}

/// The name of its CA, RFC 2253.
pub(crate) fn issuer_text(list: &Crl) -> String {
    let mut text = Vec::new();
    name::rfc2253(list.issuer(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
