//! Every metric family of the process, in the order in which they are shown.
//!
//! In: the status of the process. Out: families with their samples as of now. Labels come from the
//! configuration and from fixed lists, never from a peer.

use std::collections::BTreeSet;

use super::breakers::breakers;
use super::buffers::buffers;
use super::certificates::{certificates, fetched_lists, revocation_lists};
use super::counters::counted;
use super::events::{events, lag, times};
use super::families::{Family, leave_out_surplus, number, signed};
use super::logs::{cut_lines, lost_lines};
use super::names::names;
use super::objects::by_object;
use super::request_limits::{request_limits, stores};
use super::upstreams::{by_node, bytes, checks, failing, health, limits};
use crate::control::process::clock;
use crate::control::state::status::{ActiveGeneration, ProcessStatus};
use crate::report::{Counter, CounterSums, EventSums};

/// Everything, as of now.
pub(crate) fn families(status: &ProcessStatus) -> Vec<Family> {
    let counters = CounterSums::sum(status.links.iter().map(|link| &link.counters));
    let sums = EventSums::of(status.links.iter().map(|link| &link.events));
    let current = status.current();
    let mut all = process(status, current.as_ref());
    let totals = status.totals();
    all.extend(counted(&counters));
    all.push(bytes(&counters, &totals.nodes));
    all.push(lost_lines(&counters, &status.lost_lines));
    all.push(cut_lines(&status.lost_lines));
    all.extend(events(&sums));
    all.extend(by_object(&totals));
    all.extend(by_node(&totals.nodes));
    let states = status.node_states();
    all.push(failing(&states, clock::unix_seconds().unsigned_abs()));
    all.extend(health(&states, states.now_ms(clock::monotonic())));
    all.extend(limits(&states));
    all.extend(breakers(&status.breakers(), states.now_ms(clock::monotonic())));
    let limits_now = status.limits();
    all.extend(request_limits(&limits_now));
    all.extend(stores(&limits_now, limits_now.now_ns(clock::monotonic())));
    all.push(checks(&status.checks));
    all.extend(names(&status.names));
    all.extend(times(&sums));
    all.push(lag(&status.links));
    all.extend(buffers(&sums));
    let entries = current.as_ref().map(|current| &*current.certificates);
    all.extend(certificates(entries.unwrap_or_default()));
    let lists = current.as_ref().map(|current| &*current.generation.tls.crls);
    all.extend(revocation_lists(lists.unwrap_or_default()));
    all.extend(fetched_lists(&status.crl_fetches));
    all.push(refused_files(status));
    let left_out = leave_out_surplus(&mut all);
    all.push(
        Family::gauge(
            "ferrule_samples_left_out",
            "Samples that are not shown, because there is no room for them in one answer.",
        )
        .with_value(number(left_out as u64)),
    );
    all
}

fn process(status: &ProcessStatus, current: Option<&ActiveGeneration>) -> Vec<Family> {
    let (reloads, renewals) = (status.reloads(), status.renewals());
    let upgrades = status.upgrades.get();
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
            .with_value(signed(status.started_unix)),
        Family::gauge("ferrule_time_seconds", "The process's clock, Unix seconds.")
            .with_value(signed(clock::unix_seconds())),
        Family::gauge("ferrule_workers", "Data cores.")
            .with_value(number(status.links.len() as u64)),
        Family::counter(
            "ferrule_worker_busy_seconds",
            "Processor time of each data core's thread.",
        )
        .with_label("core", busy),
        Family::gauge("ferrule_generation", "The number of the configuration in force.")
            .with_value(current.map_or(0.0, |current| number(current.generation.number))),
        Family::gauge(
            "ferrule_generations_held",
            "Configurations in memory: the one in force, and older ones that a connection still \
                 needs.",
        )
        .with_value(number(status.generations() as u64)),
        Family::counter("ferrule_reloads", "Reloads of the configuration, by result.").with_label(
            "result",
            [("taken", number(reloads.taken)), ("refused", number(reloads.refused))],
        ),
        Family::gauge(
            "ferrule_last_reload_success",
            "1 if the last reload of the configuration was taken, 0 if it was refused; files that are read \
                 again do not count.",
        )
        .with_value(f64::from(u8::from(good))),
        Family::gauge(
            "ferrule_last_reload_timestamp_seconds",
            "When the configuration was last loaded, taken or not, Unix seconds.",
        )
        .with_value(signed(reloads.last_at)),
        Family::counter(
            "ferrule_file_renewals",
            "How often changed certificates, keys and lists were read again without a reload, by \
                 result.",
        )
        .with_label(
            "result",
            [("taken", number(renewals.taken)), ("refused", number(renewals.refused))],
        ),
        Family::counter(
            "ferrule_upgrades",
            "Binary upgrades by result, over all processes that took over from each other.",
        )
        .with_label(
            "result",
            [("taken", number(upgrades.taken)), ("refused", number(upgrades.refused))],
        ),
        Family::gauge("ferrule_connections_open", "Client connections open now.")
            .with_value(number(open)),
    ]
}

fn refused_files(status: &ProcessStatus) -> Family {
    let mut refused = Family::gauge(
        "ferrule_file_refused",
        "1 for each changed file that is refused while its old content stays in force; no sample \
             otherwise.",
    )
    .labelled(&["file"]);
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

/// `docs/metrics.md`: every family with its kind, labels and meaning.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(REFERENCE);
    for family in families(&ProcessStatus::new(Vec::new())) {
        let (name, kind) = (family.shown_name(), family.kind_text());
        let labels: Vec<_> = family.label_names.iter().map(|name| format!("`{name}`")).collect();
        let labels = labels.join(", ");
        for piece in ["| `", &name, "` | ", kind, " | ", &labels, " | ", family.help, " |\n"] {
            out.push_str(piece);
        }
    }
    out
}

const REFERENCE: &str = "# Metrics

Every metric of the endpoint of `[metrics]`; [operations.md](operations.md) says how to reach it. Labels
come from the configuration or from fixed lists, never from a client; histograms also have `le`. In
OpenMetrics, the names of counters lack `_total`. This file is made from the code: `cargo run -p ferrule-tools --bin docs`.

| family | kind | labels | meaning |
| --- | --- | --- | --- |
";
