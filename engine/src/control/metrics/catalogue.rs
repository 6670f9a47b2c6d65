//! What is measured, family by family: from counters to numbers with names.
//!
//! Labels come from the configuration and from lists of our own, never from a peer.

use std::collections::BTreeSet;

use strum::VariantArray;

use super::families::{Family, LabelSet, number};
use super::holdings::holdings;
use crate::control::process::clock;
use crate::control::state::certificates::ConfiguredCertificate;
use crate::control::state::status::{ActiveGeneration, ProcessStatus};
use crate::exchange::refusal::Refusal;
use crate::report::events::{self, SHAKEN};
use crate::report::histogram::{DAYS, MICROS, Spread};
use crate::report::{Counter, EventSums, HandshakeFault, Snapshot};
use crate::tls::loaded_crl::LoadedCrl;

/// Everything, as of now.
pub(crate) fn families(status: &ProcessStatus) -> Vec<Family> {
    let counters = Snapshot::sum(status.links.iter().map(|link| &link.counters));
    let sums = EventSums::of(status.links.iter().map(|link| &link.events));
    let current = status.current();
    let mut all = process(status, current.as_ref());
    all.extend(counted(&counters));
    all.extend(events(&sums));
    all.extend(by_object(status));
    all.extend(times(&sums));
    all.extend(holdings(&sums));
    let entries = current.as_ref().map(|current| &*current.certificates);
    all.extend(certificates(entries.unwrap_or_default()));
    let lists = current.as_ref().map(|current| &*current.generation.tls.crls);
    all.extend(revocation_lists(lists.unwrap_or_default()));
    all.push(refused_files(status));
    all
}

fn process(status: &ProcessStatus, current: Option<&ActiveGeneration>) -> Vec<Family> {
    let reloads = status.reloads();
    let good = !matches!(reloads.last, Some(Err(_)));
    let open: u64 = status.links.iter().map(|link| link.connections()).sum();
    let mut build = Family::gauge("ferrule_build_info", "Which build this is; always 1.");
    build.push(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0);
    let busy = status.links.iter().map(|link| {
        let nanoseconds = link.counters.get(Counter::BusyNanoseconds);
        (link.core.to_string(), number(nanoseconds) / 1e9)
    });
    vec![
        build,
        Family::gauge("ferrule_start_time_seconds", "When the process was started, Unix seconds.")
            .of(signed(status.started_unix)),
        Family::gauge("ferrule_time_seconds", "The process's clock, Unix seconds.")
            .of(signed(clock::unix_seconds())),
        Family::gauge("ferrule_workers", "Data cores.").of(number(status.links.len() as u64)),
        Family::counter(
            "ferrule_worker_busy_seconds",
            "Processor time of each data core's thread.",
        )
        .by("core", busy),
        Family::gauge("ferrule_generation", "The number of the configuration in force.")
            .of(current.map_or(0.0, |current| number(current.generation.number))),
        Family::gauge(
            "ferrule_generations_held",
            "Configurations in memory: the one in force, and older ones that a connection still \
                 needs.",
        )
        .of(number(status.generations() as u64)),
        Family::counter("ferrule_reloads", "Reloads of the configuration, by result.")
            .by("result", [("taken", number(reloads.taken)), ("refused", number(reloads.refused))]),
        Family::gauge(
            "ferrule_last_reload_success",
            "1 if the last load of the configuration was taken, 0 if it was refused.",
        )
        .of(f64::from(u8::from(good))),
        Family::gauge(
            "ferrule_last_reload_timestamp_seconds",
            "When the configuration was last loaded, taken or not, Unix seconds.",
        )
        .of(signed(reloads.last_at)),
        Family::gauge("ferrule_connections_open", "Client connections open now.").of(number(open)),
    ]
}

/// Where a counter is shown: its family, and the label that tells it from others there.
enum Shown {
    Alone(&'static str, &'static str),
    In(&'static Grouped, &'static str),
    InTwo(&'static str, &'static str),
    /// Another family has it in more detail.
    Elsewhere,
}

/// A family that several counters share.
#[derive(Debug, Eq, PartialEq)]
struct Grouped {
    name: &'static str,
    help: &'static str,
    label: &'static str,
}

static CONNECTIONS_REFUSED: Grouped = Grouped {
    name: "ferrule_connections_refused",
    help: "Client connections that were not served: over the limit of a core or of an address, shed \
           for want of descriptors or memory, lost by the kernel's accept, or without the PROXY \
           protocol header that their listener wants.",
    label: "reason",
};
static TUNNELS: Grouped = Grouped {
    name: "ferrule_tunnels",
    help: "WebSocket tunnels opened and closed; the difference is open now.",
    label: "event",
};
static TIMEOUTS: Grouped = Grouped {
    name: "ferrule_timeouts",
    help: "Deadlines that passed: of a client, of an upstream, or of a response that had begun.",
    label: "of",
};
static BYTES: (&str, &str) =
    ("ferrule_bytes", "Bytes of HTTP from (in) and to (out) clients and upstreams.");

const STALLED: Shown = Shown::Alone(
    "ferrule_connections_stalled",
    "Connections without progress that were ended because the memory budget was used up.",
);
const fn shown(counter: Counter) -> Shown {
    match counter {
        Counter::Accepted => {
            Shown::Alone("ferrule_connections_accepted", "Client connections accepted.")
        }
        Counter::AcceptedOverLimit => Shown::In(&CONNECTIONS_REFUSED, "limit"),
        Counter::AcceptedOverAddress => Shown::In(&CONNECTIONS_REFUSED, "address"),
        Counter::AcceptedShed => Shown::In(&CONNECTIONS_REFUSED, "shed"),
        Counter::AcceptedOverBudget => Shown::In(&CONNECTIONS_REFUSED, "memory"),
        Counter::Stalled => STALLED,
        Counter::AcceptFailed => Shown::In(&CONNECTIONS_REFUSED, "accept"),
        Counter::ClientAborts => Shown::Alone(
            "ferrule_client_aborts",
            "Requests whose client left before the response was complete.",
        ),
        Counter::UpstreamConnects | Counter::UpstreamReuses | Counter::UpstreamConnectFailed => {
            shown_of_upstreams(counter)
        }
        Counter::UpstreamLost | Counter::UpstreamSurplus | Counter::UpstreamUnasked => {
            shown_of_upstreams(counter)
        }
        Counter::UpstreamRevoked | Counter::UpstreamRetries => shown_of_upstreams(counter),
        Counter::ClientTimeouts => Shown::In(&TIMEOUTS, "client"),
        Counter::UpstreamTimeouts => Shown::In(&TIMEOUTS, "upstream"),
        Counter::ResponseTimeouts => Shown::In(&TIMEOUTS, "response"),
        Counter::TunnelsOpened => Shown::In(&TUNNELS, "opened"),
        Counter::TunnelsClosed => Shown::In(&TUNNELS, "closed"),
        Counter::ProxyHeadersRefused => Shown::In(&CONNECTIONS_REFUSED, "proxy_header"),
        Counter::ClientBytesIn => Shown::InTwo("client", "in"),
        Counter::ClientBytesOut => Shown::InTwo("client", "out"),
        Counter::UpstreamBytesIn => Shown::InTwo("upstream", "in"),
        Counter::UpstreamBytesOut => Shown::InTwo("upstream", "out"),
        Counter::ConnectionsRevoked => Shown::Alone(
            "ferrule_connections_revoked",
            "Client connections ended because a reload or a changed file took away the trust that \
                 had let them in.",
        ),
        Counter::LogDropped => Shown::Alone(
            "ferrule_log_lines_dropped",
            "Access log lines dropped because the writer was too slow.",
        ),
        Counter::Panics => Shown::Alone("ferrule_panics", "Connections ended by a bug in Ferrule."),
        Counter::HandshakesFull
        | Counter::HandshakesResumed
        | Counter::HandshakesFailed
        | Counter::Responses1xx
        | Counter::Responses2xx
        | Counter::Responses3xx
        | Counter::Responses4xx
        | Counter::Responses5xx
        | Counter::Refusals
        | Counter::BusyNanoseconds => Shown::Elsewhere,
    }
}

/// Those of connections to upstreams.
const fn shown_of_upstreams(counter: Counter) -> Shown {
    match counter {
        Counter::UpstreamConnects => {
            Shown::Alone("ferrule_upstream_connects", "Connections opened to upstream nodes.")
        }
        Counter::UpstreamReuses => Shown::Alone(
            "ferrule_upstream_reuses",
            "Requests sent over a connection from the pool.",
        ),
        Counter::UpstreamConnectFailed => Shown::Alone(
            "ferrule_upstream_connect_failures",
            "Connections to upstream nodes that could not be opened.",
        ),
        Counter::UpstreamLost => Shown::Alone(
            "ferrule_upstream_lost",
            "Responses that an upstream cut off after they had begun.",
        ),
        Counter::UpstreamSurplus => Shown::Alone(
            "ferrule_upstream_surplus",
            "Responses followed by bytes that nobody asked for; their connections were closed.",
        ),
        Counter::UpstreamUnasked => Shown::Alone(
            "ferrule_upstream_unasked",
            "Idle upstream connections closed because they said something unasked.",
        ),
        Counter::UpstreamRevoked => Shown::Alone(
            "ferrule_upstream_revoked",
            "Idle upstream connections and tunnels ended because the trust in their node's \
                 certificate has changed or expired.",
        ),
        Counter::UpstreamRetries => {
            Shown::Alone("ferrule_upstream_retries", "Tries beyond the first one.")
        }
        _ => Shown::Elsewhere,
    }
}

fn counted(counters: &Snapshot) -> Vec<Family> {
    let mut all: Vec<Family> = Vec::new();
    for counter in Counter::VARIANTS.iter().copied() {
        let (name, help, labels): (_, _, LabelSet) = match shown(counter) {
            Shown::Elsewhere => continue,
            Shown::Alone(name, help) => (name, help, Vec::new()),
            Shown::In(group, word) => {
                (group.name, group.help, vec![(group.label, word.to_owned())])
            }
            Shown::InTwo(side, direction) => {
                let labels = vec![("side", side.to_owned()), ("direction", direction.to_owned())];
                (BYTES.0, BYTES.1, labels)
            }
        };
        let value = number(counters.get(counter));
        match all.iter_mut().find(|family| family.name == name) {
            Some(family) => family.push(labels, value),
            None => {
                let mut family = Family::counter(name, help);
                family.push(labels, value);
                all.push(family);
            }
        }
    }
    all
}

fn events(sums: &EventSums) -> Vec<Family> {
    let mut handshakes = Family::counter(
        "ferrule_handshakes",
        "TLS handshakes with clients, by result, version and whether a session was resumed.",
    );
    for ((version, resumed), count) in SHAKEN.into_iter().zip(sums.shaken) {
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
    vec![
        handshakes,
        Family::counter(
            "ferrule_handshake_failures",
            "TLS handshakes with clients that failed, by reason; a refused certificate by \
             OpenSSL's words.",
        )
        .by("reason", words(HandshakeFault::words(), &sums.handshake_faults)),
        Family::counter(
            "ferrule_client_verdicts",
            "Completed handshakes by what $ssl_client_verify says: NONE, SUCCESS, or OpenSSL's \
             words for the failure.",
        )
        .by("verdict", words(events::verdict_words(), &sums.verdicts)),
        Family::counter(
            "ferrule_refusals",
            "Requests that were answered by the gateway itself, by reason.",
        )
        .by("reason", words(Refusal::words(), &sums.refusals)),
        Family::counter(
            "ferrule_upstream_faults",
            "Tries at an upstream that failed, by reason, whether or not another one followed.",
        )
        .by("reason", words(Refusal::words(), &sums.faults).filter(is_fault)),
    ]
}

/// The faults that an upstream can have are there from the start; others only once they have happened.
fn is_fault((word, count): &(&'static str, f64)) -> bool {
    *count > 0.0 || word.starts_with("upstream-") || ["no-live-node", "bad-response"].contains(word)
}

fn words<'a>(
    words: impl Iterator<Item = &'static str> + 'a,
    counts: &'a [u64],
) -> impl Iterator<Item = (&'static str, f64)> + 'a {
    words.zip(counts.iter().copied().map(number))
}

fn by_object(status: &ProcessStatus) -> Vec<Family> {
    let totals = status.totals();
    let mut requests = Family::counter(
        "ferrule_requests",
        "Requests, by listener, route (empty if none was found) and class of the status code.",
    );
    for (request, classes) in &totals.requests {
        for (class, count) in (1_u8..).zip(classes).filter(|(_, count)| **count > 0) {
            let labels = vec![
                ("listener", request.listener.to_string()),
                ("route", request.route.to_string()),
                ("code", format!("{class}xx")),
            ];
            requests.push(labels, number(*count));
        }
    }
    let mut days = Family::histogram(
        "ferrule_client_certificate_days_left",
        "Days that the certificates of verified clients had left at their handshakes, by server \
         object.",
    );
    for (server, spread) in &totals.days_left {
        let (buckets, sum) = buckets(spread, &DAYS, 1.0);
        days.push_spread(vec![("server", server.to_string())], buckets, sum);
    }
    let mut uses = Family::counter(
        "ferrule_client_ca_uses",
        "Handshakes of verified clients whose path ended at this authority.",
    );
    let mut last = Family::gauge(
        "ferrule_client_ca_last_used_timestamp_seconds",
        "When a verified client's path last ended at this authority, Unix seconds; 0 if never \
         since the start.",
    );
    for (authority, usage) in &totals.authorities {
        let labels = vec![
            ("server", authority.server.to_string()),
            ("subject", authority.subject.to_string()),
            ("serial", authority.serial.to_string()),
        ];
        uses.push(labels.clone(), number(usage.count));
        last.push(labels, number(usage.last_used));
    }
    vec![requests, days, uses, last]
}

fn times(sums: &EventSums) -> Vec<Family> {
    let mut family = Family::histogram(
        "ferrule_request_duration_seconds",
        "Time of requests: total (first byte of the head to last byte of the answer), upstream \
         (request sent to response complete), own (the difference).",
    );
    for (part, spread) in [("total", &sums.total), ("upstream", &sums.upstream), ("own", &sums.own)]
    {
        let (buckets, sum) = buckets(spread, &MICROS, 1e6);
        family.push_spread(vec![("part", part.to_owned())], buckets, sum);
    }
    vec![family]
}

fn certificates(entries: &[ConfiguredCertificate]) -> Vec<Family> {
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

fn revocation_lists(lists: &[LoadedCrl]) -> Vec<Family> {
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

fn refused_files(status: &ProcessStatus) -> Family {
    let mut refused = Family::gauge(
        "ferrule_file_refused",
        "1 for each changed file that is refused while its old content stays in force; no sample \
             otherwise.",
    );
    let files: BTreeSet<String> = status
        .refused_files()
        .iter()
        .flat_map(|object| &object.files)
        .map(|file| file.display().to_string())
        .collect();
    for file in files {
        refused.push(vec![("file", file)], 1.0);
    }
    refused
}

fn buckets<const N: usize>(
    spread: &Spread<N>,
    bounds: &[u64],
    unit: f64,
) -> (Vec<(f64, u64)>, f64) {
    let bounds = bounds.iter().map(|bound| number(*bound) / unit).chain([f64::INFINITY]);
    (bounds.zip(spread.counts).collect(), number(spread.sum) / unit)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
const fn signed(value: i64) -> f64 {
    value as f64
}

/// `docs/metrics.md`: every family with its kind and meaning.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(REFERENCE);
    for family in families(&ProcessStatus::new(Vec::new())) {
        let (name, kind) = (family.shown_name(), family.kind_word());
        for piece in ["| `", &name, "` | ", kind, " | ", family.help, " |\n"] {
            out.push_str(piece);
        }
    }
    out
}

const REFERENCE: &str = "# Metrics

Every family that the endpoint of `[metrics]` shows; [operations.md](operations.md) tells how to get there.
Labels come from the configuration or from fixed lists, never from a client. In OpenMetrics the families
of counters are called the same without `_total`. This file is made from the code: `cargo run -p
ferrule-tools --bin docs`.

| family | kind | meaning |
| --- | --- | --- |
";
