//! `ferrule ctl events`: changes of nodes as they happen, a line of JSON each, to one reader.
//!
//! A reader that does not read holds up its own thread alone. When it goes on, it is told how many events it has
//! missed; if it does not for long, its connection is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::connection::EndpointConnection;
use crate::control::process::clock;
use crate::health::{EventKind, NodeEvents, NumberedEvent};

/// Readers at a time, so that other commands always have connections left.
const READERS_MAX: usize = 8;
/// How often a reader's thread looks for events.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a reader may not read while there is something for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the kernel holds for a reader that does not read, about.
const SEND_BUFFER: usize = 16 * 1_024;

/// Counts the readers.
#[derive(Debug, Default)]
pub(super) struct EventReaders(Arc<AtomicUsize>);

/// One reader; counted until this is dropped.
struct EventReader(Arc<AtomicUsize>);

impl Drop for EventReader {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl EventReaders {
    fn enter(&self) -> Option<EventReader> {
        let reader = EventReader(Arc::clone(&self.0));
        (self.0.fetch_add(1, Ordering::SeqCst) < READERS_MAX).then_some(reader)
    }

    /// Sends events to this reader until it leaves or the endpoint closes; first the last ones, as many as it asks
    /// for.
    ///
    /// # Errors
    /// There are too many readers.
    pub(super) fn serve(
        &self,
        events: &NodeEvents,
        last: usize,
        connection: &mut EndpointConnection,
    ) -> Result<(), &'static str> {
        let Some(_reader) = self.enter() else {
            return Err("8 others read events already");
        };
        connection.bound_send_buffer(SEND_BUFFER);
        let mut seen = events.before_last(last);
        let mut lines = json!({ "ok": true, "now": clock::unix_seconds() }).to_string();
        lines.push('\n');
        loop {
            for event in events.after(seen) {
                seen = event.number;
                if event.lost > 0 {
                    push_line(&mut lines, &json!({ "lost": event.lost }));
                }
                push_line(&mut lines, &event_json(&event));
            }
            if !lines.is_empty() {
                connection.deadline = clock::monotonic() + PATIENCE;
                if connection.write_all(lines.as_bytes()).is_err() {
                    return Ok(());
                }
                lines.clear();
            }
            if connection.is_closed() || connection.is_endpoint_closing() {
                return Ok(());
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

fn push_line(lines: &mut String, value: &Value) {
    lines.push_str(&value.to_string());
    lines.push('\n');
}

pub(super) fn event_json(event: &NumberedEvent) -> Value {
    let NumberedEvent { number, event, .. } = event;
    let (at, upstream) = (event.unix_seconds, &event.upstream);
    match &event.what {
        EventKind::Node { node, change, state, reason, again_in_ms } => json!({
            "number": number,
            "at": at,
            "upstream": upstream,
            "node": node,
            "change": change,
            "state": state,
            "reason": reason,
            "asked_again_in_ms": again_in_ms,
        }),
        EventKind::Panic { begins, healthy, eligible } => json!({
            "number": number,
            "at": at,
            "upstream": upstream,
            "change": if *begins { "panic-begins" } else { "panic-ends" },
            "healthy": healthy,
            "eligible": eligible,
        }),
        EventKind::Circuit { route, broken_seconds } => json!({
            "number": number,
            "at": at,
            "upstream": upstream,
            "route": route,
            "change": if broken_seconds.is_some() { "circuit-broken" } else { "circuit-recovered" },
            "broken_for_s": broken_seconds,
        }),
    }
}
