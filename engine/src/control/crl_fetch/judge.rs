//! May what a server has sent take the place of the list that is held?
//!
//! In: bytes from anybody, the lists that are held, who has to have signed them, and the time. Out: the lists, or
//! why they are refused. Whoever is between us and the server can send an old list, or none; what they
//! cannot do is to take away a newer one.

use std::sync::Arc;

use super::wanted::WantedCrl;
use crate::identity::x509::crl::Crl;
use crate::identity::x509::name;
use crate::identity::x509::time::Clock;
use crate::tls::load::crl_files::{self, CrlFile};
use crate::tls::load::crl_warnings::is_older;
use crate::tls::load::fetched_crls::is_signed;
use crate::tls::load::loaded_crl::issuer_text;

/// Takes the lists in these bytes, or says why not.
///
/// # Errors
/// Words for operators, without a byte of what was sent but the name of an authority that is ours.
pub(super) fn judge(
    bytes: &[u8],
    held: &[Arc<Crl>],
    wanted: &WantedCrl,
    now: i64,
) -> Result<Vec<Arc<Crl>>, String> {
    let lists = lists(bytes)?;
    let clock = Clock { now, skew: wanted.skew };
    for list in &lists {
        if !is_signed(list, &wanted.anchors) {
            return Err(String::from(
                "what it sends is not signed by a CA that is configured for this list",
            ));
        }
        let issuer = issuer_text(list);
        if list.next_update().is_some_and(|end| clock.is_past(end)) {
            return Err(format!("the list of {issuer} that it sends has expired"));
        }
        if !clock.has_begun(list.this_update()) {
            return Err(format!("the list of {issuer} that it sends is not yet valid"));
        }
        if held.iter().any(|old| is_same_kind(list, old) && goes_back(list, old)) {
            return Err(format!(
                "the list of {issuer} that it sends is older than the one that is held"
            ));
        }
    }
    let in_force =
        held.iter().filter(|old| !old.next_update().is_some_and(|end| clock.is_past(end)));
    for old in in_force {
        if !lists.iter().any(|list| is_same_kind(list, old)) {
            let issuer = issuer_text(old);
            return Err(format!("it sends no list in place of the one of {issuer} that is held"));
        }
    }
    Ok(lists)
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

/// Are both lists of the same authority, and about the same certificates?
fn is_same_kind(one: &Crl, other: &Crl) -> bool {
    name::same(one.issuer(), other.issuer()) && one.scope() == other.scope()
}

/// Would the first put back what the second has brought?
fn goes_back(new: &Crl, old: &Crl) -> bool {
    let lost_number = new.number().is_none() && old.number().is_some();
    lost_number || is_older(new.number(), old.number()) || new.this_update() < old.this_update()
}

/// Do both hold the same?
pub(super) fn is_same(one: &[Arc<Crl>], other: &[Arc<Crl>]) -> bool {
    let digests = |lists: &[Arc<Crl>]| lists.iter().map(|list| list.digest()).collect::<Vec<_>>();
    digests(one) == digests(other)
}
