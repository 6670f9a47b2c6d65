//! Revocation lists that were fetched, as they are kept in the directory of `[crl_fetch]`.
//!
//! In: what a table wants fetched, and its authorities. Out: the lists that are there and that one of these
//! authorities signed. What is there was judged before it was kept; it is judged again, because others may
//! have written it since. A list that is not there refuses no load: its absence means what `crl_missing` says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use ferrule_config::model::{self, CrlUrl, Pem, PemSource};

use super::crl_files::{self, CrlFile};
use super::findings::Findings;
use crate::identity::der::Reader;
use crate::identity::digest::sha256;
use crate::identity::verify::anchors::Anchors;
use crate::identity::verify::revocation::RevocationRules;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::general_name::{GeneralName, Use};

/// Lists of one table that are fetched: a file of authorities may name any number.
const URLS_MAX: usize = 256;

/// Where a fetched list is kept.
pub(crate) fn file_of(directory: &Path, url: &CrlUrl) -> PathBuf {
    directory.join(format!("crl-{}.der", HEXLOWER.encode(&sha256(url.text().as_bytes()))))
}

/// Everything that a table wants fetched, each once: what it names itself, and then what the certificates of
/// its authorities name, if it asks for that.
pub(crate) fn urls(revocation: &model::Revocation, anchors: &Anchors) -> Vec<CrlUrl> {
    let mut all = revocation.urls.clone();
    if revocation.distribution_points {
        for der in anchors.ders() {
            all.extend(points_of(der));
        }
    }
    let mut known: Vec<CrlUrl> = Vec::new();
    for url in all {
        if known.len() < URLS_MAX && !known.contains(&url) {
            known.push(url);
        }
    }
    known
}

/// The first URL of each of a certificate's distribution points: the others of a point lead to the same list.
/// Points for some reasons, and those of another authority, have lists that would be refused.
fn points_of(der: &[u8]) -> Vec<CrlUrl> {
    let Some(certificate) = Certificate::parse(der) else { return Vec::new() };
    let points = certificate.extensions.distribution_points.as_deref().unwrap_or_default();
    let whole = points.iter().filter(|point| !point.some_reasons && !point.indirect);
    whole.filter_map(|point| point.names.iter().find_map(|name| url_of(name))).collect()
}

fn url_of(name: &[u8]) -> Option<CrlUrl> {
    match GeneralName::read(&mut Reader::new(name), Use::Name)? {
        GeneralName::Uri(uri) => CrlUrl::parse(str::from_utf8(uri).ok()?).ok(),
        _ => None,
    }
}

/// Did one of these authorities sign it? Of one that is not known, nobody could say whose list it is.
pub(crate) fn is_signed(list: &Crl, anchors: &Anchors) -> bool {
    let named = anchors.named(list.issuer());
    let mut parsed = named.into_iter().filter_map(Certificate::parse);
    parsed.any(|anchor| list.names_as_issuer(&anchor) && list.check_signature(&anchor).is_ok())
}

/// The lists that were fetched for a table.
pub(crate) struct TakenCrl {
    /// The file as a text of the table, by the name of its URL.
    pub(crate) pem: Pem,
    /// What counts of it; perhaps nothing.
    pub(crate) lists: Arc<[Arc<Crl>]>,
}

/// What is there of everything that a table wants fetched. What is not there is warned about.
pub(crate) fn take(
    revocation: &model::Revocation,
    anchors: &Anchors,
    rules: RevocationRules,
    field: &str,
    found: &mut Findings<'_>,
) -> Vec<TakenCrl> {
    // The configuration has refused what has no place to be kept.
    let Some(directory) = found.crl_directory.clone() else { return Vec::new() };
    let urls = urls(revocation, anchors);
    if urls.is_empty() && revocation.distribution_points {
        let message =
            "no certificate in `ca` names an `http` distribution point: nothing is fetched";
        found.warn_of_file(revocation.place, field, message.to_owned());
    }
    let taken = urls.iter().map(|url| {
        let source = PemSource::Path(file_of(&directory, url));
        let shown = Some(url.to_string());
        let pem = Pem { place: revocation.place, source, shown };
        let lists = take_one(&pem, anchors, rules, field, found);
        TakenCrl { pem, lists }
    });
    taken.collect()
}

fn take_one(
    pem: &Pem,
    anchors: &Anchors,
    rules: RevocationRules,
    field: &str,
    found: &mut Findings<'_>,
) -> Arc<[Arc<Crl>]> {
    let file = found.crl_files.of(pem);
    let in_file = file.as_deref().ok().and_then(CrlFile::whole);
    let is_there = pem.file().is_some_and(Path::exists);
    let before = || {
        let objects = found.before?;
        pem.file().and_then(|path| objects.fetched.get(path)).cloned()
    };
    let all = in_file.or_else(before).unwrap_or_default();
    if let Some(path) = pem.file() {
        found.objects.fetched.insert(path.to_owned(), Arc::clone(&all));
    }
    let ours: Arc<[Arc<Crl>]> =
        all.iter().filter(|list| is_signed(list, anchors)).map(Arc::clone).collect();
    if ours.is_empty() {
        let what = if is_there {
            "what was kept of the list of this URL is no list of a CA that is configured here"
        } else {
            "the list of this URL has not been fetched yet"
        };
        let then = if rules.missing_refuses { "are refused" } else { "are not checked" };
        let message = format!("{}: {what}; until it is, certificates of its CA {then}", pem.name());
        found.warn_of_file(pem.place, field, message);
    }
    ours
}

/// The lists in the file of this name, if it is there and every one of them is sound.
pub(crate) fn kept(path: &Path) -> Option<Vec<Arc<Crl>>> {
    let file = ferrule_config::read_file(path, crl_files::FILE_BYTES_MAX).ok()?;
    Some(crl_files::of_bytes(&file.bytes).whole()?.to_vec())
}
