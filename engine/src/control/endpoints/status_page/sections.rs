//! What the page shows, in sections that change at a pace of their own.
//!
//! In: the status of the process. Out: one JSON text for each section, made when a reader asks and the last ones are
//! old; all readers get the same. Nobody reads, nothing is made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::import_report;
use crate::control::endpoints::{client_answers, event_stream, status_answers, upstream_answers};
use crate::control::process::clock;
use crate::control::state::status::ProcessStatus;
use crate::exchange::refusal::Refusal;
use crate::identity::VerifyFailure;
use crate::report::{Counter, EventSums, HandshakeFault};
use strum::VariantArray;

/// The sections, in the order in which they are sent.
pub(super) const SECTION_NAMES: [&str; 7] =
    ["overview", "upstreams", "history", "refusals", "certificates", "clients", "imported"];

/// How old the texts may be.
const FRESH: Duration = Duration::from_millis(900);
/// Making them takes no more than this share of one processor: so many times as long as it took, they are fresh.
const SHARE: u32 = 20;
/// How often the file of an importer is read.
const IMPORT_EVERY: Duration = Duration::from_secs(10);
/// How often the cores are asked for their clients: each of them copies a table then.
const CLIENTS_EVERY: Duration = Duration::from_secs(10);
/// Nodes that the page lists.
const NODES_MAX: usize = 1_000;
/// Certificates, and lists of revoked ones, that the page lists.
const CERTIFICATES_MAX: usize = 500;
/// Clients in each of its lists.
const CLIENTS_MAX: usize = 50;
/// Changes of nodes that it lists.
const EVENTS_MAX: usize = 30;
/// Files that are refused.
const FILES_MAX: usize = 20;

/// The sections of one process.
#[derive(Debug)]
pub(super) struct Sections {
    status: Arc<ProcessStatus>,
    /// Locked while they are made: whoever asks meanwhile waits, and gets the same.
    made: Mutex<MadeSections>,
}

type SectionTexts = [Arc<str>; SECTION_NAMES.len()];

#[derive(Debug, Default)]
struct MadeSections {
    texts: SectionTexts,
    fresh_until: Option<Instant>,
    clients_until: Option<Instant>,
    import_until: Option<Instant>,
}

impl Sections {
    /// Those of this process.
    pub(super) fn new(status: Arc<ProcessStatus>) -> Self {
        Self { status, made: Mutex::default() }
    }

    /// The texts, in the order of [`SECTION_NAMES`].
    pub(super) fn texts(&self, now: Instant) -> SectionTexts {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.fresh_until.is_some_and(|until| now < until) {
            return made.texts.clone();
        }
        let status = &self.status;
        let clients = made.clients_until.is_none_or(|until| now >= until).then(|| {
            made.clients_until = Some(now + CLIENTS_EVERY);
            client_answers::clients(status, CLIENTS_MAX)
        });
        let imported = made.import_until.is_none_or(|until| now >= until).then(|| {
            made.import_until = Some(now + IMPORT_EVERY);
            imported(status)
        });
        // Without what cores that are busy or stuck are waited for: that takes no processor, and the other sections
        // would be old for as many times as long.
        let started = clock::monotonic();
        let upstreams = upstream_answers::upstreams(status, None, NODES_MAX).unwrap_or_default();
        let new = [
            Some(overview(status)),
            Some(without(upstreams, &["now", "changes"])),
            Some(history(status)),
            Some(refusals(status)),
            Some(certificates(status)),
            clients.map(|clients| without(clients, &["now"])),
            imported,
        ];
        for (text, new) in made.texts.iter_mut().zip(new) {
            let Some(new) = new.map(|new| new.to_string()) else { continue };
            if **text != *new {
                *text = new.into();
            }
        }
        let took = clock::monotonic().saturating_duration_since(started);
        made.fresh_until = Some(now + FRESH.max(took * SHARE));
        made.texts.clone()
    }
}

/// Times of day would make a section change every second.
fn without(mut value: Value, keys: &[&str]) -> Value {
    if let Some(value) = value.as_object_mut() {
        keys.iter().for_each(|key| drop(value.remove(*key)));
    }
    value
}

/// What `ferrule ctl status` says, and what else is to be seen at a glance.
fn overview(status: &ProcessStatus) -> Value {
    let mut value = status_answers::status(status);
    let silent = status.silent_cores();
    let cores = status.links.iter().map(|link| {
        json!({
            "core": link.core,
            "driver": link.driver.get().text(),
            "generation": link.seen_generation(),
            "connections": link.connections(),
            "requests": link.counters.snapshot().requests(),
            "busy_ns": link.counters.get(Counter::BusyNanoseconds),
            "silent": silent.iter().any(|silent| silent.core == link.core),
        })
    });
    let cores: Vec<Value> = cores.collect();
    let files = status.refused_files();
    let refused = files.iter().take(FILES_MAX).map(|object| {
        let files: Vec<String> =
            object.files.iter().map(|file| file.display().to_string()).collect();
        json!({ "files": files, "reasons": object.reasons })
    });
    let renewals = status.renewals();
    let routes = status.current().map(|active| active.generation.config.routes.len());
    let more = json!({
        "now": clock::unix_seconds(),
        "uptime_ms": u64::try_from(status.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "cores": cores,
        "refused_files": refused.collect::<Vec<_>>(),
        "renewals": { "taken": renewals.taken, "refused": renewals.refused },
        "routes": routes,
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        // The page lists names with the routes.
        value.remove("servers");
        value.extend(more);
    }
    value
}

/// How reloads and upgrades went, and how nodes and circuits have changed; the newest first.
fn history(status: &ProcessStatus) -> Value {
    let reloads = status.reloads();
    let reloads = reloads.history.iter().rev().map(|reload| match &reload.result {
        Ok(generation) => json!({ "at": reload.at, "generation": generation }),
        Err(reasons) => json!({ "at": reload.at, "reasons": reasons }),
    });
    let upgrades = status.upgrades.get();
    let upgrades = upgrades.history.iter().rev().map(|upgrade| match &upgrade.result {
        Ok(to) => json!({ "at": upgrade.at, "pid": to.pid, "version": to.version }),
        Err(reasons) => json!({ "at": upgrade.at, "reasons": reasons }),
    });
    let upgrades: Vec<Value> = upgrades.collect();
    let states = status.node_states();
    let events = states.events();
    let events = events.after(events.before_last(EVENTS_MAX));
    let events: Vec<Value> = events.iter().rev().map(event_stream::event_json).collect();
    let reloads: Vec<Value> = reloads.collect();
    json!({ "reloads": reloads, "upgrades": upgrades, "events": events })
}

/// What the importer said that made the configuration.
fn imported(status: &ProcessStatus) -> Value {
    let active = status.current();
    let metrics = active.as_ref().and_then(|active| active.generation.config.metrics.as_ref());
    import_report::report(metrics.and_then(|metrics| metrics.import_report.as_deref()))
}

/// What was refused, by reason; only what has happened.
fn refusals(status: &ProcessStatus) -> Value {
    let sums = EventSums::of(status.links.iter().map(|link| &link.events));
    let certificates = VerifyFailure::VARIANTS.iter().copied().map(VerifyFailure::text);
    json!({
        "requests": counts(Refusal::words(), &sums.refusals),
        "handshakes": counts(HandshakeFault::words(), &sums.handshake_faults),
        "certificates": counts(certificates, &sums.certificates_refused),
    })
}

fn counts(words: impl Iterator<Item = &'static str>, counts: &[u64]) -> Map<String, Value> {
    let happened = words.zip(counts).filter(|(_, count)| **count > 0);
    happened.map(|(word, count)| (word.to_owned(), json!(count))).collect()
}

/// What `ferrule ctl certs` says, the soonest to expire first.
fn certificates(status: &ProcessStatus) -> Value {
    let mut value = without(status_answers::certs(status), &["now"]);
    for key in ["certificates", "crls", "client_cas"] {
        let Some(Value::Array(list)) = value.get_mut(key) else { continue };
        list.sort_by_key(|one| one.get("days_left").and_then(Value::as_i64).unwrap_or(i64::MAX));
        let left_out = list.len().saturating_sub(CERTIFICATES_MAX);
        list.truncate(CERTIFICATES_MAX);
        if let Some(value) = value.as_object_mut() {
            value.insert(format!("{key}_left_out"), json!(left_out));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::CoreLink;

    /// A core that is stuck is waited for when its clients are asked for, and the page is no older because of it.
    #[test]
    fn a_stuck_core_does_not_make_the_page_old() {
        let link = Arc::new(CoreLink::new(0));
        let sections = Sections::new(Arc::new(ProcessStatus::new(vec![link])));
        let now = clock::monotonic();
        sections.texts(now);
        let waited = now.elapsed();
        let fresh = sections.made.lock().unwrap().fresh_until.unwrap().duration_since(now);
        assert!(waited >= Duration::from_secs(1) && fresh < Duration::from_secs(10), "{fresh:?}");
    }
}
