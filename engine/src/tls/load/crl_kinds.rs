//! Which revocation lists speak of the same certificates, and which of two of a kind counts.
//!
//! In: lists that are held, others beside them, and the authorities. Out: one list of each kind, never an older one
//! in the place of a newer one. Lists of other kinds say nothing about each other: whoever sends the list of one
//! authority takes away that of no other.

use std::sync::Arc;

use super::crl_warnings::is_older;
use crate::identity::verify::anchors::Anchors;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::name;

/// Kinds of lists of one key under one URL. Authorities that divide their lists publish each under a URL of its own.
pub(crate) const KINDS_MAX: usize = 16;

/// The public key of the authority that signed a list. Of one that is not known, nobody could say whose list it is.
pub(crate) fn signer<'a>(list: &Crl, anchors: &'a Anchors) -> Option<&'a [u8]> {
    let named = anchors.named(list.issuer());
    let mut parsed = named.into_iter().filter_map(Certificate::parse);
    let found = parsed
        .find(|anchor| list.names_as_issuer(anchor) && list.check_signature(anchor).is_ok())?;
    Some(found.raw.spki)
}

/// Are both lists of the same authority, and about the same certificates? Two authorities may have one name; a key
/// is one's own.
pub(crate) fn is_same_kind(one: &Crl, other: &Crl, anchors: &Anchors) -> bool {
    name::same(one.issuer(), other.issuer())
        && one.scope() == other.scope()
        && signer(one, anchors) == signer(other, anchors)
}

/// Would the first put back what the second has brought?
pub(crate) fn goes_back(new: &Crl, old: &Crl) -> bool {
    let lost_number = new.number().is_none() && old.number().is_some();
    lost_number || is_older(new.number(), old.number()) || new.this_update() < old.this_update()
}

/// Is there room beside these for another kind of list of the key that signed this one?
pub(crate) fn has_room(held: &[Arc<Crl>], list: &Crl, anchors: &Anchors) -> bool {
    let key = signer(list, anchors);
    held.iter().filter(|other| signer(other, anchors) == key).count() < KINDS_MAX
}

/// One list of each kind: what is held, and what is offered in its place or beside it. What none of the authorities
/// has signed is left out. One that has expired stays until there is a newer one: its absence may mean something else.
pub(crate) fn merge(held: &[Arc<Crl>], offered: &[Arc<Crl>], anchors: &Anchors) -> Vec<Arc<Crl>> {
    let mut merged: Vec<Arc<Crl>> = Vec::new();
    for list in held.iter().chain(offered).filter(|list| signer(list, anchors).is_some()) {
        if let Some(old) = merged.iter_mut().find(|old| is_same_kind(list, old, anchors)) {
            if !goes_back(list, old) {
                *old = Arc::clone(list);
            }
        } else if has_room(&merged, list, anchors) {
            merged.push(Arc::clone(list));
        }
    }
    merged
}

/// Do both hold the same, in the same order?
pub(crate) fn is_same(one: &[Arc<Crl>], other: &[Arc<Crl>]) -> bool {
    one.iter().map(|list| list.digest()).eq(other.iter().map(|list| list.digest()))
}

#[cfg(test)]
pub(crate) mod testing {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
        CrlIssuingDistributionPoint, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams,
        SerialNumber,
    };
    use time::UtcDateTime;

    use super::*;

    /// An authority of a test.
    pub(crate) struct ListAuthority {
        pub(crate) der: Vec<u8>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl ListAuthority {
        pub(crate) fn new(name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let der = params.self_signed(&key).unwrap().der().to_vec();
            Self { der, issuer: Issuer::new(params, key) }
        }

        /// Its list of this number, from the one to the other Unix second; of a point, if one is named.
        pub(crate) fn list(&self, number: u64, [start, end]: [i64; 2], point: &str) -> Vec<u8> {
            let at = |seconds| UtcDateTime::from_unix_timestamp(seconds).unwrap().into();
            let point = CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![point.to_owned()] },
                scope: None,
            };
            let whole = point.distribution_point.uris == [""];
            let list = CertificateRevocationListParams {
                this_update: at(start),
                next_update: at(end),
                crl_number: SerialNumber::from(number),
                issuing_distribution_point: (!whole).then_some(point),
                revoked_certs: vec![RevokedCertParams {
                    serial_number: SerialNumber::from(3_u64),
                    revocation_time: at(start),
                    reason_code: None,
                    invalidity_date: None,
                }],
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&self.issuer).unwrap().der().to_vec()
        }
    }

    /// Those who may sign.
    pub(crate) fn anchors(all: &[&ListAuthority]) -> Anchors {
        Anchors::new(&all.iter().map(|one| one.der.clone()).collect::<Vec<_>>()).unwrap()
    }

    pub(crate) fn parsed(ders: &[Vec<u8>]) -> Vec<Arc<Crl>> {
        ders.iter().map(|der| Arc::new(Crl::parse(der.clone()).unwrap())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{ListAuthority, anchors, parsed};
    use super::*;

    const LIFE: [i64; 2] = [1_000, 9_000];

    #[test]
    fn a_list_is_replaced_by_a_newer_one_of_its_kind_alone() {
        let (one, other) = (ListAuthority::new("ours"), ListAuthority::new("ours"));
        let anchors = anchors(&[&one, &other]);
        let held = parsed(&[one.list(5, LIFE, "")]);
        let stays = |offered: Vec<u8>| {
            let merged = merge(&held, &parsed(&[offered]), &anchors);
            merged.first().map(|list| list.digest()) == held.first().map(|list| list.digest())
        };
        assert!(!stays(one.list(6, LIFE, "")) && !stays(one.list(5, [1_001, 9_000], "")));
        assert!(stays(one.list(4, LIFE, "")) && stays(one.list(6, [999, 9_000], "")));
        // Of another scope, of a namesake, and of a stranger of that name.
        assert!(stays(one.list(9, LIFE, "http://a/")) && stays(other.list(9, LIFE, "")));
        assert!(stays(ListAuthority::new("ours").list(9, LIFE, "")));
    }

    #[test]
    fn copies_are_one_and_a_key_has_so_many_kinds() {
        let (one, other) = (ListAuthority::new("one"), ListAuthority::new("other"));
        let anchors = anchors(&[&one, &other]);
        let copies = parsed(&vec![one.list(5, LIFE, ""); 100]);
        assert_eq!(merge(&copies, &copies, &anchors).len(), 1);
        let kinds: Vec<_> =
            (0..99).map(|at| one.list(1, LIFE, &format!("http://a/{at}"))).collect();
        let merged = merge(&copies, &parsed(&kinds), &anchors);
        assert_eq!(merged.len(), KINDS_MAX);
        // That takes nothing from others.
        assert_eq!(merge(&merged, &parsed(&[other.list(1, LIFE, "")]), &anchors).len(), 17);
    }
}
