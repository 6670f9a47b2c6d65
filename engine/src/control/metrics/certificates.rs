//! The certificates and revocation lists in force as metric families: from when to when they are valid.

use super::families::{Family, LabelSet, number, signed};
use crate::control::state::certificates::ConfiguredCertificate;
use crate::tls::load::loaded_crl::LoadedCrl;

/// One sample for each certificate that the configuration names.
pub(super) fn certificates(entries: &[ConfiguredCertificate]) -> Vec<Family> {
    let mut ends = Family::gauge(
        "ferrule_certificate_not_after_seconds",
        "When a certificate of the configuration expires, Unix seconds.",
    );
    let mut begins = Family::gauge(
        "ferrule_certificate_not_before_seconds",
        "When a certificate of the configuration becomes valid, Unix seconds.",
    );
    let mut seen: Vec<LabelSet> = Vec::new();
    for entry in entries {
        let labels = vec![
            ("role", entry.role.label().to_owned()),
            ("owner", entry.owner.clone()),
            ("file", entry.source.clone()),
            ("subject_cn", entry.common_name.clone()),
            ("serial", entry.serial.clone()),
        ];
        // One file may hold the same certificate twice; a sample may not.
        if seen.contains(&labels) {
            continue;
        }
        ends.push(labels.clone(), signed(entry.not_after));
        begins.push(labels.clone(), signed(entry.not_before));
        seen.push(labels);
    }
    vec![ends, begins]
}

/// One sample for each certificate revocation list.
pub(super) fn revocation_lists(lists: &[LoadedCrl]) -> Vec<Family> {
    let mut begins = Family::gauge(
        "ferrule_crl_this_update_seconds",
        "When a certificate revocation list was issued, Unix seconds; ferrule_time_seconds less \
         this is its age.",
    );
    let mut ends = Family::gauge(
        "ferrule_crl_next_update_seconds",
        "When the next issue of a certificate revocation list is due, Unix seconds; no sample for \
             a list that does not say.",
    );
    let mut counts = Family::gauge(
        "ferrule_crl_revoked_certificates",
        "How many certificates a certificate revocation list revokes.",
    );
    let mut seen: Vec<LabelSet> = Vec::new();
    for list in lists {
        let labels = vec![
            ("key", list.field.clone()),
            ("file", list.source.clone()),
            ("issuer", list.issuer.clone()),
        ];
        if seen.contains(&labels) {
            continue;
        }
        begins.push(labels.clone(), signed(list.this_update));
        if let Some(next) = list.next_update {
            ends.push(labels.clone(), signed(next));
        }
        counts.push(labels.clone(), number(list.count as u64));
        seen.push(labels);
    }
    vec![begins, ends, counts]
}
