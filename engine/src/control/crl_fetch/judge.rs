//! Which lists of what a server has sent may count?
//!
//! In: bytes from anybody, the lists that are held, who has to have signed them, and the time. Out: the lists that
//! are good, and why others are not. Each is judged for itself, against the one of its kind that is held: whoever is
//! between us and the server can send an old list, another authority's, or none; what they cannot do is to take
//! away a newer one, or to keep the next one out.

use std::sync::Arc;

use super::wanted::WantedCrl;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::time::Clock;
use crate::tls::load::crl_files::{self, CrlFile};
use crate::tls::load::crl_kinds;
use crate::tls::load::loaded_crl::issuer_text;

/// Lists of an answer. Whoever sends more sends copies.
const BLOCKS_MAX: usize = 64;

/// What has become of an answer.
#[derive(Debug, Default)]
pub(super) struct JudgedAnswer {
    /// Those that may count.
    pub(super) good: Vec<Arc<Crl>>,
    /// Why the first of the others may not.
    pub(super) refused: Option<String>,
}

/// Takes the lists in these bytes, and says of one that is not taken why.
///
/// # Errors
/// It is no text of sound lists: words for operators, without a byte of what was sent.
pub(super) fn judge(
    bytes: &[u8],
    held: &[Arc<Crl>],
    wanted: &WantedCrl,
    now: i64,
) -> Result<JudgedAnswer, String> {
    if crl_files::blocks(bytes) > BLOCKS_MAX {
        return Err(format!("it sends more than {BLOCKS_MAX} lists"));
    }
    let clock = Clock { now, skew: wanted.skew };
    let mut judged = JudgedAnswer::default();
    for list in lists(bytes)? {
        match wrong(&list, held, wanted, clock) {
            None => judged.good.push(list),
            Some(words) => judged.refused = judged.refused.or(Some(words)),
        }
    }
    Ok(judged)
}

/// Why a list is not taken, with no byte of it but the name of an authority that is ours.
fn wrong(list: &Crl, held: &[Arc<Crl>], wanted: &WantedCrl, clock: Clock) -> Option<String> {
    let anchors = &wanted.anchors;
    if crl_kinds::signer(list, anchors).is_none() {
        let words = "what it sends is not signed by a CA that is configured for this list";
        return Some(words.to_owned());
    }
    let issuer = issuer_text(list);
    if list.next_update().is_some_and(|end| clock.is_past(end)) {
        return Some(format!("the list of {issuer} that it sends has expired"));
    }
    if !clock.has_begun(list.this_update()) {
        return Some(format!("the list of {issuer} that it sends is not yet valid"));
    }
    match held.iter().find(|old| crl_kinds::is_same_kind(list, old, anchors)) {
        Some(old) if crl_kinds::goes_back(list, old) => {
            Some(format!("the list of {issuer} that it sends is older than the one that is held"))
        }
        None if !crl_kinds::has_room(held, list, anchors) => Some(format!(
            "it sends a list of {issuer} of one kind more than the {} that are kept",
            crl_kinds::KINDS_MAX
        )),
        _ => None,
    }
}

/// Every list, each of them sound.
fn lists(bytes: &[u8]) -> Result<Vec<Arc<Crl>>, String> {
    let file = crl_files::of_bytes(bytes);
    let CrlFile::Lists(lists) = file else {
        return Err(String::from("what it sends is no revocation list"));
    };
    let sound = |list: Result<Arc<Crl>, _>| {
        list.map_err(|error: crate::identity::x509::crl::CrlError| {
            format!("the list that it sends {}", error.text())
        })
    };
    lists.into_iter().map(|one| sound(one.list)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::load::crl_kinds::merge;
    use crate::tls::load::crl_kinds::testing::{ListAuthority, anchors, parsed};

    const LIFE: [i64; 2] = [1_000, 9_000];
    const NOW: i64 = 5_000;

    fn wanted(all: &[&ListAuthority]) -> WantedCrl {
        WantedCrl { anchors: anchors(all), skew: 0 }
    }

    fn pem(ders: &[Vec<u8>]) -> Vec<u8> {
        let block = |der: &Vec<u8>| {
            let text = data_encoding::BASE64.encode(der);
            format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
        };
        ders.iter().map(block).collect::<String>().into_bytes()
    }

    /// Whoever sends the root's list in the place of the issuing authority's pins nothing.
    #[test]
    fn a_list_of_another_authority_keeps_no_successor_out() {
        let (root, issuing) = (ListAuthority::new("root"), ListAuthority::new("issuing"));
        let wanted = wanted(&[&root, &issuing]);
        let mut held = Vec::new();
        for (sent, count) in [
            (issuing.list(1, LIFE, ""), 1),
            (root.list(1, LIFE, ""), 2),
            (issuing.list(2, LIFE, ""), 2),
            (issuing.list(9, LIFE, "http://part/"), 3),
            (root.list(2, LIFE, ""), 3),
        ] {
            let judged = judge(&sent, &held, &wanted, NOW).unwrap();
            assert_eq!((judged.good.len(), &judged.refused), (1, &None));
            held = merge(&held, &judged.good, &wanted.anchors);
            assert_eq!(held.len(), count);
        }
        let numbers: Vec<_> = held.iter().map(|list| list.number().unwrap().to_vec()).collect();
        assert_eq!(numbers, [[2], [2], [9]]);
    }

    /// One that has ended stays, too: where a missing one is allowed, it is what refuses.
    #[test]
    fn a_list_that_has_expired_is_replaced_by_its_successor_alone() {
        let (root, issuing) = (ListAuthority::new("root"), ListAuthority::new("issuing"));
        let wanted = wanted(&[&root, &issuing]);
        let held = parsed(&[issuing.list(5, [1_000, 2_000], "")]);
        let judged = judge(&root.list(1, LIFE, ""), &held, &wanted, NOW).unwrap();
        assert_eq!(merge(&held, &judged.good, &wanted.anchors).len(), 2);
        let judged = judge(&issuing.list(4, LIFE, ""), &held, &wanted, NOW).unwrap();
        assert!(judged.good.is_empty() && judged.refused.unwrap().contains("is older than"));
        let judged = judge(&issuing.list(6, LIFE, ""), &held, &wanted, NOW).unwrap();
        assert_eq!(merge(&held, &judged.good, &wanted.anchors)[0].number().unwrap(), [6]);
    }

    #[test]
    fn one_bad_list_takes_nothing_from_a_good_one() {
        let (root, far) = (ListAuthority::new("root"), ListAuthority::new("far"));
        let text = pem(&[far.list(1, LIFE, ""), root.list(1, LIFE, "")]);
        let judged = judge(&text, &[], &wanted(&[&root]), NOW).unwrap();
        assert_eq!(judged.good.len(), 1);
        assert!(judged.refused.unwrap().contains("is not signed by"));
    }

    #[test]
    fn copies_are_refused_before_they_are_read() {
        let root = ListAuthority::new("root");
        let list = root.list(1, LIFE, "");
        let wanted = wanted(&[&root]);
        let judged = judge(&pem(&vec![list.clone(); 64]), &[], &wanted, NOW).unwrap();
        assert_eq!(merge(&[], &judged.good, &wanted.anchors).len(), 1);
        let refused = judge(&pem(&vec![list; 65]), &[], &wanted, NOW).unwrap_err();
        assert_eq!(refused, "it sends more than 64 lists");
        // Not even looked at.
        let blocks = "-----BEGIN X509 CRL-----\n!!".repeat(65);
        let refused = judge(blocks.as_bytes(), &[], &wanted, NOW).unwrap_err();
        assert_eq!(refused, "it sends more than 64 lists");
    }
}
