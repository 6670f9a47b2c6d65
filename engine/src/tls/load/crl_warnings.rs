//! What should be looked at in revocation lists that are good.
//!
//! In: a list, all of its CA that stand beside it, and the time. Out: words that follow its name, and are true of
//! what [`crate::identity::verify::revocation`] makes of the set.

use crate::identity::verify::revocation::{RevocationRules, holds};
use crate::identity::x509::crl::{Crl, CrlScope};
use crate::identity::x509::time::Clock;

/// The warnings about one of the lists of a CA.
pub(crate) fn of(list: &Crl, of_ca: &[&Crl], rules: RevocationRules, clock: Clock) -> Vec<String> {
    let ended = list.next_update().is_some_and(|end| clock.is_past(end));
    let to_come = !clock.has_begun(list.this_update());
    let speaks_for =
        |other: &&Crl| other.scope() == list.scope() || *other.scope() == CrlScope::default();
    let another_holds = of_ca.iter().any(|other| holds(other, clock) && speaks_for(other));
    let older = of_ca
        .iter()
        .any(|other| other.scope() == list.scope() && is_older(list.number(), other.number()));
    let mut words = Vec::new();
    if ended {
        let result = match (another_holds, rules.expired_refuses) {
            (true, _) => "it says nothing beside the one of its CA that holds",
            (false, true) => "certificates of its CA are refused",
            (false, false) => "it is used",
        };
        words.push(format!("has expired: {result}"));
    } else if to_come {
        let result = if another_holds {
            "until then the one of its CA that holds is used"
        } else {
            "certificates of its CA are refused"
        };
        words.push(format!("is not yet valid: {result}"));
    } else if older {
        let result = "until it ends, whom it names stays revoked";
        words.push(format!("is older than another of its CA: {result}"));
    }
    if list.removals() > 0 {
        let count = list.removals();
        words.push(format!(
            "has {count} entries with removeFromCRL, which means nothing in a complete list: they revoke"
        ));
    }
    words
}

/// Has the first a lower `cRLNumber` than the second?
pub(crate) fn is_older(number: Option<&[u8]>, than: Option<&[u8]>) -> bool {
    match (number, than) {
        (Some(one), Some(other)) => (one.len(), one) < (other.len(), other),
        _ => false,
    }
}
