//! Revocation lists of files, held against their CA, or refused by name.
//!
//! A list that is signed by somebody else than the CA it names is no list. Where that CA is not
//! configured (an intermediate that peers send), the signature is checked when it first turns up.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use ferrule_config::FileError;
use ferrule_config::model::{self, CrlExpired, CrlMissing, Pem};

use super::crl_files::{CrlFile, CrlInFile};
use super::crl_warnings;
use super::fetched_crls::{self, TakenCrl};
use super::findings::{Findings, NamedPem};
use super::loaded_crl::{self, CrlText};
use crate::identity::verify::anchors::Anchors;
use crate::identity::verify::explain::look_alike;
use crate::identity::verify::revocation::{Revocation, RevocationRules};
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::name;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::signature::SignatureError;
use crate::identity::x509::time::Clock;
use crate::tls::pem::Contents;

const KINDS: &str = "a PEM block that starts with -----BEGIN X509 CRL-----, or DER";

/// The lists that a table names; pushes every problem. `field` is the table's.
pub(crate) fn load(
    revocation: &model::Revocation,
    anchors: &Anchors,
    skew: i64,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Revocation> {
    let field = format!("{field}.crl");
    let rules = RevocationRules {
        expired_refuses: revocation.expired == CrlExpired::Reject,
        missing_refuses: revocation.missing == CrlMissing::Reject,
    };
    let fetched = fetched_crls::take(revocation, anchors, rules, &field, found);
    let mut lists: Vec<(Arc<Crl>, &Pem)> = Vec::new();
    let (mut whole, mut texts) = (true, Vec::new());
    for pem in &revocation.crls {
        match take_or_keep(pem, anchors, &field, found) {
            Some(taken) => {
                lists.extend(taken.iter().map(|list| (Arc::clone(list), pem)));
                texts.push(CrlText::of(taken, loaded_crl::source_of(pem), &field));
            }
            None => whole = false,
        }
    }
    for TakenCrl { pem, lists: taken } in &fetched {
        lists.extend(taken.iter().map(|list| (Arc::clone(list), pem)));
        texts.push(CrlText::of(Arc::clone(taken), pem.name().into_owned(), &field));
    }
    // What is fetched may not be there yet.
    let may_be_empty = revocation.distribution_points || !revocation.urls.is_empty();
    if !whole || (lists.is_empty() && !may_be_empty) {
        return None;
    }
    // Several files may hold one list, and every handshake would look at each.
    let mut known = HashSet::new();
    lists.retain(|(list, _)| known.insert(list.digest()));
    let mut of_ca: HashMap<Vec<u8>, Vec<&Crl>> = HashMap::new();
    for (list, _) in &lists {
        of_ca.entry(name::key(list.issuer())).or_default().push(list);
    }
    let clock = Clock { now: found.now, skew };
    for (list, pem) in &lists {
        let beside = of_ca.get(&name::key(list.issuer())).map_or(&[][..], Vec::as_slice);
        for words in crl_warnings::of(list, beside, rules, clock) {
            let name = format!("a list in {}", pem.name());
            found.warn_once(list.digest(), NamedPem { pem, field: &field, name: &name }, &words);
        }
    }
    found.crls.append(&mut texts);
    Some(Revocation::new(lists.into_iter().map(|(list, _)| list).collect(), rules))
}

/// The lists in a file; or those of before, where these are refused and those fit these authorities.
fn take_or_keep(
    pem: &Pem,
    anchors: &Anchors,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Arc<[Arc<Crl>]>> {
    let taken = found.tried(|found| {
        let file = found.crl_files.of(pem);
        let in_file = read(&file, pem, field, found)?;
        // Every list is looked at, whatever the ones before it are; but a copy only once.
        let mut known = HashSet::new();
        let each = in_file
            .iter()
            .filter(|one| one.list.as_ref().map_or(true, |list| known.insert(list.digest())));
        let lists: Vec<_> = each.map(|one| accept(one, pem, anchors, field, found)).collect();
        lists.into_iter().collect::<Option<Vec<_>>>().map(Arc::from)
    });
    let lists: Arc<[Arc<Crl>]> = match taken {
        Ok(lists) => lists,
        Err(refusals) => {
            let before: Option<Arc<[Arc<Crl>]>> = found.in_force(pem.place);
            let same = found.same_authorities;
            let before =
                before.filter(|lists| same || lists.iter().all(|list| fits(list, anchors)));
            let files: Vec<&Path> = pem.file().into_iter().collect();
            found.refuse_or_keep(before.is_some(), &files, refusals);
            before?
        }
    };
    found.objects.lists.insert(pem.place, Arc::clone(&lists));
    Some(lists)
}

/// The authorities that have a list's name and may have issued it.
fn issuers<'a>(list: &Crl, anchors: &'a Anchors) -> Vec<Certificate<'a>> {
    let named = anchors.named(list.issuer()).into_iter().filter_map(Certificate::parse);
    // Not what others have found out about it: that depends on who was loaded before.
    named.filter(|anchor| list.names_as_issuer(anchor)).collect()
}

/// Is a list of before signed by the authority that it names, if that is known? Of the same name alone it
/// would be passed over.
fn fits(list: &Crl, anchors: &Anchors) -> bool {
    let named = anchors.named(list.issuer());
    let mut parsed = named.iter().filter_map(|der| Certificate::parse(der));
    named.is_empty() || parsed.any(|issuer| list.check_signature(&issuer).is_ok())
}

/// Every list in a file; problems are pushed.
fn read<'f>(
    file: &'f Result<Arc<CrlFile>, Arc<FileError>>,
    pem: &Pem,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<&'f [CrlInFile]> {
    let name = pem.name();
    let (message, help) = match file.as_deref() {
        Ok(CrlFile::Lists(lists)) => return Some(lists),
        Ok(CrlFile::NotPem(Some(object), error)) => {
            let message = format!("{name}, {error}: it is {}", object.text());
            (message, Some(object.help(Contents::Lists)))
        }
        Ok(CrlFile::NotPem(None, error)) => (format!("{name}, {error}"), Some(error.flaw.help())),
        Ok(CrlFile::Other(object)) => {
            let message = format!("{name} is no revocation list: it is {}", object.text());
            (message, Some(object.help(Contents::Lists)))
        }
        Ok(CrlFile::Empty) => (format!("{name} is empty"), Some(KINDS)),
        Ok(CrlFile::Nothing(object)) => {
            let instead = object.map(|object| format!(": it is {}", object.text()));
            let instead = instead.unwrap_or_default();
            (format!("there is no revocation list in {name}{instead}"), Some(KINDS))
        }
        Err(error) => (error.about(&name), None),
    };
    found.error(pem.place, field, message, help);
    None
}

/// One list, if it is sound and signed by whom it says.
fn accept(
    one: &CrlInFile,
    pem: &Pem,
    anchors: &Anchors,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Arc<Crl>> {
    let place = pem.place;
    let name = pem.name();
    let which = match one.line {
        Some(line) => format!("{name}, line {line}: this list"),
        None => format!("{name}: this list"),
    };
    let at = NamedPem { pem, field, name: &which };
    let list = match &one.list {
        Ok(list) => Arc::clone(list),
        Err(error) => {
            let help = Some("a complete list that the CA issued itself, in DER or PEM");
            found.error(place, field, format!("{which} {}", error.text()), help);
            return None;
        }
    };
    let issuers = issuers(&list, anchors);
    if issuers.is_empty() {
        let words = format!(
            "is of {}, which is not among the CAs{}; it counts only where a peer sends that CA's \
             certificate",
            loaded_crl::issuer_text(&list),
            look_alike(list.issuer(), anchors.ders().iter().filter_map(|der| subject_of(der)))
        );
        found.warn_once(list.digest(), at, &words);
        return Some(list);
    }
    let signed_by = |issuer: &&Certificate<'_>| list.check_signature(issuer).is_ok();
    let unsupported =
        |issuer: &Certificate<'_>| list.check_signature(issuer) == Err(SignatureError::Unsupported);
    let Some(issuer) = issuers.iter().find(signed_by) else {
        if issuers.iter().any(unsupported) {
            // It is there, and says nothing that can be believed: of its CA nobody gets in.
            let words = format!(
                "is signed by {} with an unsupported algorithm: certificates of that CA are \
                 refused",
                loaded_crl::issuer_text(&list)
            );
            found.warn_once(list.digest(), at, &words);
            return Some(list);
        }
        let message = format!("{which} is not signed by {}", loaded_crl::issuer_text(&list));
        let help = "the list of the very CA that is configured, signed with SHA-256 or better";
        found.error(place, field, message, Some(help));
        return None;
    };
    if issuer.extensions.key_usage.as_ref().is_some_and(|usage| !usage.crl_sign()) {
        let words = format!(
            "was signed by {}, which may not sign lists (keyUsage): its certificates are \
             refused",
            loaded_crl::issuer_text(&list)
        );
        found.warn_once(list.digest(), at, &words);
    }
    Some(list)
}

fn subject_of(der: &[u8]) -> Option<&[u8]> {
    RawCertificate::read(der).map(|raw| raw.subject)
}

#[cfg(test)]
mod tests {
    use ferrule_config::Place;
    use ferrule_config::model::PemSource;

    use super::super::crl_kinds::testing::{ListAuthority, anchors};
    use super::*;

    /// Nobody pays for a list as often as it is there: not the loader, and not a handshake.
    #[test]
    fn copies_are_one_list() {
        let one = ListAuthority::new("one");
        let list = data_encoding::BASE64.encode(&one.list(1, [1_000, 9_000], ""));
        let block = format!("-----BEGIN X509 CRL-----\n{list}\n-----END X509 CRL-----\n");
        let pem = |count, end| Pem {
            place: Place { start: 0, end },
            source: PemSource::Inline(block.repeat(count)),
            shown: None,
        };
        let revocation = model::Revocation {
            place: Place::default(),
            crls: vec![pem(200, 1), pem(1, 2)],
            urls: Vec::new(),
            distribution_points: false,
            expired: CrlExpired::Reject,
            missing: CrlMissing::Reject,
        };
        let mut found = Findings { now: 5_000, ..Findings::default() };
        let loaded = load(&revocation, &anchors(&[&one]), 0, "ssls[0].client", &mut found);
        assert_eq!(loaded.map(|loaded| loaded.lists().len()), Some(1));
        assert!(found.objects.lists.values().all(|lists| lists.len() == 1));
    }
}
