//! Warnings about the authorities that a table lists.
//!
//! In: the certificates, each with the text it stands in. Out: a warning for each that will not be of use
//! as it stands, by name.

use ferrule_config::model::Pem;

use super::{Findings, keys};
use crate::identity::purpose::Purpose;
use crate::identity::{authorities, explain};

/// Warns of whatever is odd. A root may stand in another text, or behind whom it leads to.
pub(super) fn warn(
    listed: &[(&Pem, Vec<u8>)],
    purpose: Purpose,
    field: &str,
    found: &mut Findings<'_>,
) {
    let ders: Vec<&[u8]> = listed.iter().map(|(_, der)| der.as_slice()).collect();
    for (at, oddity) in authorities::oddities(&ders, purpose, found.now) {
        let Some((pem, der)) = listed.get(at) else { continue };
        let message = format!(
            "a CA certificate in {} ({}) {}",
            keys::name(pem),
            explain::subject(der).unwrap_or_default(),
            oddity.text()
        );
        found.warning(pem.place, field, message);
    }
}
