//! Server-sent events: every section of the page again when it has changed, to one reader.
//!
//! A reader costs a thread, a bounded number of bytes in the kernel, and no more bytes a second than
//! [`BYTES_PER_SECOND`] for each section. One that does not read is closed; a browser comes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::sections::{SECTION_NAMES, Sections};
use crate::control::endpoints::connection::EndpointConnection;
use crate::control::process::clock;

/// Readers at a time, so that scrapers and health checks always have connections left.
const READERS_MAX: usize = 8;
/// How often a reader's thread looks whether something has changed, or the reader has left.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a reader may not read while there is something for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the kernel holds for a reader that does not read, about.
const SEND_BUFFER: usize = 64 * 1_024;
/// A section of so many bytes is sent once a second at most, a larger one less often.
const BYTES_PER_SECOND: usize = 64 * 1_024;
/// After so long without an event there is a comment, so that nobody in between thinks the connection dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Counts the readers.
#[derive(Debug, Default)]
pub(super) struct PageReaders(Arc<AtomicUsize>);

/// One reader; counted until this is dropped.
pub(crate) struct PageReader {
    count: Arc<AtomicUsize>,
    sections: Arc<Sections>,
}

impl Drop for PageReader {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a reader has of one section.
#[derive(Debug, Default)]
struct SentSection {
    text: Option<Arc<str>>,
    /// It is not sent again before.
    due: Option<Instant>,
}

impl SentSection {
    /// Is this to be sent now?
    fn take(&mut self, text: &Arc<str>, now: Instant) -> bool {
        let is_known = self.text.as_ref().is_some_and(|sent| **sent == **text);
        if is_known || self.due.is_some_and(|due| now < due) {
            return false;
        }
        let pause = Duration::from_secs(1 + (text.len() / BYTES_PER_SECOND) as u64);
        // A little less than the pace of the sections, so that each one is seen.
        self.due = Some(now + pause - LOOK_EVERY);
        self.text = Some(Arc::clone(text));
        true
    }
}

impl PageReaders {
    /// One more reader; `None` if there are too many.
    pub(super) fn enter(&self, sections: &Arc<Sections>) -> Option<PageReader> {
        let reader = PageReader { count: Arc::clone(&self.0), sections: Arc::clone(sections) };
        (self.0.fetch_add(1, Ordering::SeqCst) < READERS_MAX).then_some(reader)
    }
}

impl PageReader {
    /// Sends this head, and then events until the reader leaves or the endpoint closes.
    pub(super) fn serve(&self, head: &[u8], connection: &mut EndpointConnection) {
        connection.bound_send_buffer(SEND_BUFFER);
        let mut out = head.to_vec();
        let mut sent: Vec<SentSection> =
            SECTION_NAMES.iter().map(|_| SentSection::default()).collect();
        let mut last = clock::monotonic();
        loop {
            let now = clock::monotonic();
            let sections = self.sections.texts(now);
            for ((name, text), sent) in SECTION_NAMES.iter().zip(&sections).zip(&mut sent) {
                if sent.take(text, now) {
                    push_event(&mut out, name, text);
                }
            }
            if out.is_empty() && now.saturating_duration_since(last) >= SIGN_OF_LIFE {
                out.extend_from_slice(b":\n\n");
            }
            if !out.is_empty() {
                connection.deadline = now + PATIENCE;
                if connection.write_all(&out).is_err() {
                    return;
                }
                out.clear();
                last = now;
            }
            if connection.is_closed() || connection.is_endpoint_closing() {
                return;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

/// One event. JSON on one line needs no care here: it has no line ends of its own.
fn push_event(out: &mut Vec<u8>, name: &str, text: &str) {
    debug_assert!(!text.contains(['\r', '\n']));
    for piece in ["event: ", name, "\ndata: ", text, "\n\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_sent_when_it_has_changed_and_large_ones_less_often() {
        let start = clock::monotonic();
        let at = |millis| start + Duration::from_millis(millis);
        let (one, other): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        let mut sent = SentSection::default();
        assert!(sent.take(&one, at(0)));
        assert!(!sent.take(&one, at(5_000)), "not changed");
        assert!(sent.take(&other, at(5_000)));
        assert!(!sent.take(&one, at(5_700)), "too soon");
        assert!(sent.take(&one, at(5_800)));
        let large: Arc<str> = "x".repeat(10 * BYTES_PER_SECOND).into();
        assert!(sent.take(&large, at(7_000)));
        assert!(!sent.take(&one, at(17_000)));
        assert!(sent.take(&one, at(18_000)));
    }
}
