//! The authorities that a table lists, loaded from their files.
//!
//! In: the texts that hold them. Out: what is built of their certificates, and a warning for each that
//! will not be of use as it stands, by name.

use std::path::Path;

use ferrule_config::model::Pem;

use super::findings::{Findings, NamedPem};
use super::keys;
use super::loaded_objects::Ders;
use crate::identity::digest::sha256;
use crate::identity::verify::purpose::Purpose;
use crate::identity::verify::{authorities, explain};
use crate::tls::pem::Contents;

/// What `build` makes of the authorities in these files. Where it refuses the new ones, because
/// nothing that belongs to them fits, those in force stay.
pub(crate) fn load<T>(
    pems: &[Pem],
    purpose: Purpose,
    field: &str,
    build: impl Fn(Vec<Vec<u8>>, &mut Findings<'_>) -> Option<T>,
    found: &mut Findings<'_>,
) -> Option<T> {
    let mut listed: Vec<(&Pem, Vec<u8>)> = Vec::new();
    for pem in pems {
        let (source, place) = (pem.source.clone(), vec![pem.place]);
        let taken = found.load_once(
            |all| &mut all.authorities,
            source,
            place,
            "",
            |found| {
                let files: Vec<&Path> = pem.file().into_iter().collect();
                found.take_or_keep(pem.place, &files, |found| {
                    let list = keys::certificates(pem, Contents::Authorities, field, found);
                    Some(Ders::from(list))
                })
            },
        );
        listed.extend(taken.iter().flat_map(|list| list.iter()).map(|der| (pem, der.to_vec())));
    }
    warn(&listed, purpose, field, found);
    let ders: Vec<Vec<u8>> = listed.into_iter().map(|(_, der)| der).collect();
    let places = pems.iter().map(|pem| pem.place);
    let old: Option<Vec<Ders>> = places.map(|place| found.in_force(place)).collect();
    let old = old.filter(|old| !old.is_empty());
    let old_ders = |old: &Vec<Ders>| -> Vec<Vec<u8>> {
        old.iter().flat_map(|list| list.iter()).map(|der| der.to_vec()).collect()
    };
    found.same_authorities = old.as_ref().is_some_and(|old| old_ders(old) == ders);
    let refusals = match found.tried(|found| build(ders, found)) {
        Ok(built) => return Some(built),
        Err(refusals) => refusals,
    };
    let Some(old) = old else {
        found.refusals.extend(refusals);
        return None;
    };
    let ders = old_ders(&old);
    let files: Vec<&Path> = pems.iter().filter_map(Pem::file).collect();
    found.refuse_or_keep(true, &files, refusals);
    for (pem, old) in pems.iter().zip(old) {
        found.objects.authorities.insert(pem.place, old);
    }
    found.same_authorities = true;
    build(ders, found)
}

/// Warns of whatever is odd. A root may stand in another text, or behind whom it leads to.
fn warn(listed: &[(&Pem, Vec<u8>)], purpose: Purpose, field: &str, found: &mut Findings<'_>) {
    let ders: Vec<&[u8]> = listed.iter().map(|(_, der)| der.as_slice()).collect();
    for (at, oddity) in authorities::warnings(&ders, purpose, found.now) {
        let Some((pem, der)) = listed.get(at) else { continue };
        let subject = explain::subject(der).unwrap_or_default();
        let name = format!("a CA certificate in {} ({subject})", pem.name());
        let at = NamedPem { pem, field, name: &name };
        found.warn_once(sha256(der), at, oddity.text());
    }
}
