//! Revocation lists that were fetched, as they are kept in the directory of `[crl_fetch]`.
//!
//! In: what a table wants fetched, and its authorities. Out: the lists that are there and that one of these
//! authorities signed. What is there was judged before it was kept; it is judged again, because others may
//! have written it since. A list that is not there refuses no load: its absence means what `crl_missing` says.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use ferrule_config::FileError;
use ferrule_config::model::{self, CrlUrl, Pem, PemSource};

use super::findings::Findings;
use super::{crl_files, crl_kinds};
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
    directory.join(format!("crl-{}.der", HEXLOWER.encode(&sha256(url.whole().as_bytes()))))
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
    let mut known = HashSet::new();
    all.retain(|url| known.insert(url.clone()));
    all
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
    if urls.len() > URLS_MAX {
        let message = format!(
            "{} lists are to be fetched here, by `crl` and what the certificates of `ca` name: more than {URLS_MAX}",
            urls.len()
        );
        let help = "fewer certificates in `ca`, or a file of lists in `crl` instead of their URLs";
        found.error(revocation.place, field, message, Some(help));
        return Vec::new();
    }
    let taken = urls.iter().map(|url| {
        let source = PemSource::Path(file_of(&directory, url));
        let shown = Some(url.to_string());
        let pem = Pem { place: revocation.place, source, shown };
        let lists = take_one(url, &pem, anchors, rules, field, found);
        TakenCrl { pem, lists }
    });
    taken.collect()
}

/// What is there of one URL. A file that holds an older list than the one in force, or none any more, takes nothing
/// away: what is in force was fetched, whoever has written that file since.
fn take_one(
    url: &CrlUrl,
    pem: &Pem,
    anchors: &Anchors,
    rules: RevocationRules,
    field: &str,
    found: &mut Findings<'_>,
) -> Arc<[Arc<Crl>]> {
    let file = pem.file().map(|path| found.crl_files.kept(path));
    let in_file = file.iter().flatten().flat_map(|file| file.sound()).collect::<Vec<_>>();
    let before = found.fetched_before.and_then(|fetched| fetched.get(url)).cloned();
    let ours: Arc<[Arc<Crl>]> =
        crl_kinds::merge(&before.unwrap_or_default(), &in_file, anchors).into();
    found.objects.add_fetched(url, &ours);
    if ours.is_empty() {
        let what = match &file {
            Some(Err(error)) if !is_absent(error) => {
                error.about(&"what was kept of the list of this URL")
            }
            Some(Ok(_)) => String::from(
                "what was kept of the list of this URL is no list of a CA that is configured here",
            ),
            _ => String::from("the list of this URL has not been fetched yet"),
        };
        let then = if rules.missing_refuses { "are refused" } else { "are not checked" };
        let message = format!("{}: {what}; until it is, certificates of its CA {then}", pem.name());
        found.warn_of_file(pem.place, field, message);
    }
    ours
}

fn is_absent(error: &FileError) -> bool {
    matches!(error, FileError::Io(error) if error.kind() == io::ErrorKind::NotFound)
}

/// The sound lists in the file of this name; none if there is no such file, or if it holds something else.
///
/// # Errors
/// It is there and cannot be read, or may be anybody's: what is held is not known then.
pub(crate) fn kept(path: &Path) -> Result<Vec<Arc<Crl>>, FileError> {
    match crl_files::kept(path) {
        Ok(file) => Ok(file.sound()),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::crl_kinds::testing::{ListAuthority, anchors, parsed};
    use super::super::loaded_objects::FetchedCrls;
    use super::*;

    const LIFE: [i64; 2] = [1_000, 9_000];
    const RULES: RevocationRules = RevocationRules { expired_refuses: true, missing_refuses: true };

    /// What the loader takes of one URL: the number of each list.
    fn taken(file: Option<&[u8]>, before: &[Vec<u8>], ours: &[&ListAuthority]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let url = CrlUrl::parse("http://pki.test/ca.crl").unwrap();
        let path = file_of(folder.path(), &url);
        if let Some(bytes) = file {
            fs::write(&path, bytes).unwrap();
        }
        let before = FetchedCrls::from([(url.clone(), parsed(before).into())]);
        let mut found = Findings { fetched_before: Some(&before), ..Findings::default() };
        let place = ferrule_config::Place::default();
        let pem = Pem { place, source: PemSource::Path(path), shown: None };
        let lists = take_one(&url, &pem, &anchors(ours), RULES, "crl", &mut found);
        assert_eq!(found.objects.fetched.get(&url).map(|lists| lists.len()), Some(lists.len()));
        lists.iter().map(|list| list.number().unwrap()[0]).collect()
    }

    /// A process that ends, or somebody who can write the file, may have put an older one there.
    #[test]
    fn a_file_does_not_go_back_behind_what_is_in_force() {
        let (one, other) = (ListAuthority::new("one"), ListAuthority::new("other"));
        let [first, second] = [1, 2].map(|number| one.list(number, LIFE, ""));
        let of_other = other.list(7, LIFE, "");
        let both = [&one, &other];
        assert_eq!(taken(Some(&second), std::slice::from_ref(&first), &both), [2]);
        assert_eq!(taken(Some(&first), std::slice::from_ref(&second), &both), [2]);
        assert_eq!(taken(None, std::slice::from_ref(&second), &both), [2]);
        assert_eq!(taken(Some(b"garbage"), std::slice::from_ref(&second), &both), [2]);
        assert_eq!(taken(Some(&of_other), std::slice::from_ref(&second), &both), [2, 7]);
        // Of an authority that is not trusted any more, nothing is left.
        assert_eq!(taken(Some(&of_other), &[second], &[&other]), [7]);
        assert!(taken(Some(&first), &[], &[&other]).is_empty());
    }
}
