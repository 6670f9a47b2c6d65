//! The certificates and revocation lists in force as metric families: from when to when they are valid.

use std::collections::{BTreeMap, HashSet};

use super::families::{Family, LabelSet, number, signed};
use crate::control::crl_fetch::{CrlFetchBoard, CrlFetchRecord};
use crate::control::state::certificates::ConfiguredCertificate;
use crate::tls::load::loaded_crl::LoadedCrl;

/// One sample for each certificate that the configuration names, whoever shares it.
pub(super) fn certificates(entries: &[ConfiguredCertificate]) -> Vec<Family> {
    let mut ends = Family::gauge(
        "ferrule_certificate_not_after_seconds",
        "When a certificate of the configuration expires, Unix seconds. Equal certificates are one \
         sample, with the first few of their owners and files.",
    )
    .labelled(&["role", "owner", "file", "subject_cn", "serial"]);
    let mut begins = Family::gauge(
        "ferrule_certificate_not_before_seconds",
        "When a certificate of the configuration becomes valid, Unix seconds.",
    )
    .labelled(&["role", "owner", "file", "subject_cn", "serial"]);
    // The soonest to expire first: they stay if there are too many.
    let mut entries: Vec<&ConfiguredCertificate> = entries.iter().collect();
    entries.sort_by_key(|entry| entry.not_after);
    let mut seen: HashSet<LabelSet> = HashSet::new();
    for entry in entries {
        let labels = vec![
            ("role", entry.role.label().to_owned()),
            ("owner", entry.owners.to_string()),
            ("file", entry.sources.to_string()),
            ("subject_cn", entry.common_name.clone()),
            ("serial", entry.serial.clone()),
        ];
        // Two certificates may differ in nothing of this; of two such samples Prometheus takes neither.
        if !seen.insert(labels.clone()) {
            continue;
        }
        ends.push(labels.clone(), signed(entry.not_after));
        begins.push(labels, signed(entry.not_before));
    }
    vec![ends, begins]
}

/// How fetches of revocation lists went, by URL.
pub(super) fn fetched_lists(board: &CrlFetchBoard) -> [Family; 2] {
    let mut fetches = Family::counter(
        "ferrule_crl_fetches",
        "Fetches of certificate revocation lists, by result: success if what was fetched is in force, new or \
             not.",
    )
    .labelled(&["url", "result"]);
    let mut last = Family::gauge(
        "ferrule_crl_last_fetch_timestamp_seconds",
        "When a certificate revocation list was last fetched with success, Unix seconds; 0 if never since the \
             start.",
    )
    .labelled(&["url"]);
    // URLs that differ in what is not shown of them are one.
    let mut shown: BTreeMap<String, CrlFetchRecord> = BTreeMap::new();
    for (url, record) in board.records() {
        let of_url = shown.entry(url.to_string()).or_insert_with(|| CrlFetchRecord {
            fetched_at: record.fetched_at,
            ..CrlFetchRecord::default()
        });
        of_url.successes += record.successes;
        of_url.failures += record.failures;
        of_url.fetched_at = of_url.fetched_at.min(record.fetched_at);
    }
    for (url, record) in shown {
        for (result, count) in [("success", record.successes), ("failure", record.failures)] {
            fetches.push(vec![("url", url.clone()), ("result", result.to_owned())], number(count));
        }
        last.push(vec![("url", url)], signed(record.fetched_at.unwrap_or_default()));
    }
    [fetches, last]
}

/// One sample for each certificate revocation list, whoever shares it.
pub(super) fn revocation_lists(lists: &[LoadedCrl]) -> Vec<Family> {
    let mut begins = Family::gauge(
        "ferrule_crl_this_update_seconds",
        "When a certificate revocation list was issued, Unix seconds; ferrule_time_seconds less \
         this is its age.",
    )
    .labelled(&["key", "file", "issuer"]);
    let mut ends = Family::gauge(
        "ferrule_crl_next_update_seconds",
        "When the next issue of a certificate revocation list is due, Unix seconds; no sample for \
             a list that does not say.",
    )
    .labelled(&["key", "file", "issuer"]);
    let mut counts = Family::gauge(
        "ferrule_crl_revoked_certificates",
        "How many certificates a certificate revocation list revokes.",
    )
    .labelled(&["key", "file", "issuer"]);
    let mut seen: HashSet<LabelSet> = HashSet::new();
    for list in lists {
        let labels = vec![
            ("key", list.keys.to_string()),
            ("file", list.sources.to_string()),
            ("issuer", list.issuer.clone()),
        ];
        if !seen.insert(labels.clone()) {
            continue;
        }
        begins.push(labels.clone(), signed(list.this_update));
        if let Some(next) = list.next_update {
            ends.push(labels.clone(), signed(next));
        }
        counts.push(labels, number(list.count as u64));
    }
    vec![begins, ends, counts]
}
