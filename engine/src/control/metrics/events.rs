//! Handshakes, verdicts, refusals and durations as metric families.
//!
//! In: the sums over all cores. Out: one count for each word of a fixed list, and histograms of times.

use std::sync::Arc;

use ferrule_config::model::KeyExchangeGroup;
use strum::VariantArray;

use super::families::{Family, HistogramValue, number};
use crate::exchange::refusal::Refusal;
use crate::identity::VerifyFailure;
use crate::report::events::{self, COMPLETED_HANDSHAKES};
use crate::report::histogram::MICROS;
use crate::report::{EventSums, Finding, HandshakeFault};
use crate::setup::CoreLink;

/// What happened, counted by kind.
pub(super) fn events(sums: &EventSums) -> Vec<Family> {
    let mut handshakes = Family::counter(
        "ferrule_handshakes",
        "TLS handshakes with clients, by result, version and whether a session was resumed.",
    );
    for ((version, resumed), count) in
        COMPLETED_HANDSHAKES.into_iter().zip(sums.completed_handshakes)
    {
        let labels = vec![
            ("result", "ok".to_owned()),
            ("version", version.to_owned()),
            ("resumed", resumed.to_owned()),
        ];
        handshakes.push(labels, number(count));
    }
    let failed = sums.handshake_faults.iter().fold(0, |sum, count| count.wrapping_add(sum));
    let labels = [("result", "failed"), ("version", ""), ("resumed", "")];
    handshakes.push(
        labels.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
        number(failed),
    );
    let groups = KeyExchangeGroup::ALL.iter().map(|group| group.name());
    vec![
        handshakes,
        Family::counter(
            "ferrule_key_exchanges",
            "Completed TLS handshakes with clients that exchanged keys, by group, in OpenSSL's names. \
             X25519MLKEM768 is the share that a later quantum computer cannot read.",
        )
        .with_label("group", words(groups, &sums.key_exchanges)),
        Family::counter(
            "ferrule_handshake_failures",
            "TLS handshakes with clients that failed, by reason; a refused certificate by \
             OpenSSL's words.",
        )
        .with_label("reason", words(HandshakeFault::words(), &sums.handshake_faults)),
        Family::counter(
            "ferrule_client_certificates_refused",
            "Handshakes and requests that were refused because a client's certificate is not good, by \
             OpenSSL's words, whether the client was told by an alert or in HTTP.",
        )
        .with_label("reason", words(
            VerifyFailure::VARIANTS.iter().copied().map(VerifyFailure::text),
            &sums.certificates_refused,
        )),
        Family::counter(
            "ferrule_client_verdicts",
            "Completed handshakes by what $ssl_client_verify says: NONE, SUCCESS, or OpenSSL's \
             words for the failure.",
        )
        .with_label("verdict", words(events::verdict_words(), &sums.verdicts)),
        Family::counter(
            "ferrule_client_auth_findings",
            "Handshakes of clients whose certificate lacks clientAuth (let in all the same, or refused for that \
             alone), or whose issuer is known to stop issuing it (docs/client-auth-eku.md).",
        )
        .with_label("finding", words(
            Finding::VARIANTS.iter().copied().map(Finding::word),
            &sums.findings,
        )),
        Family::counter(
            "ferrule_refusals",
            "Requests that were answered by the gateway itself, by reason.",
        )
        .with_label("reason", words(Refusal::words(), &sums.refusals)),
    ]
}

fn words<'a>(
    words: impl Iterator<Item = &'static str> + 'a,
    counts: &'a [u64],
) -> impl Iterator<Item = (&'static str, f64)> + 'a {
    words.zip(counts.iter().copied().map(number))
}

/// How late the timer of each core woke.
pub(super) fn lag(links: &[Arc<CoreLink>]) -> Family {
    let mut family = Family::histogram(
        "ferrule_worker_lag_seconds",
        "How late the timer of each data core woke, ten times a second: whatever kept it busy, or its thread from \
         running, held up every connection of the core for as long.",
    )
    .labelled(&["core"]);
    for link in links {
        let spread = HistogramValue::of(&link.events.lag(), &MICROS, 1e6);
        family.push_histogram(vec![("core", link.core.to_string())], spread);
    }
    family
}

/// How long requests took.
pub(super) fn times(sums: &EventSums) -> Vec<Family> {
    let mut family = Family::histogram(
        "ferrule_request_duration_seconds",
        "Time of requests: total (first byte of the head to last byte of the answer), upstream \
         (all tries, each from connecting to its end), own (the difference).",
    );
    for (part, spread) in [("total", &sums.total), ("upstream", &sums.upstream), ("own", &sums.own)]
    {
        family.push_histogram(
            vec![("part", part.to_owned())],
            HistogramValue::of(spread, &MICROS, 1e6),
        );
    }
    vec![family]
}
