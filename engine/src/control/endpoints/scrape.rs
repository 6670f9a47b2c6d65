//! The metrics endpoint: one request, one answer, and goodbye.
//!
//! Plain HTTP for machines: GET and HEAD of one path. A browser that was led here by a web page names
//! that page's host, so only names that were configured, `localhost` and addresses are answered.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferrule_config::model::Metrics;

use super::door::Guest;
use crate::control::metrics::catalogue;
use crate::control::metrics::families::{self, Format};
use crate::control::process::clock;
use crate::control::state::status::ProcessStatus;
use crate::wire::fields::Known;
use crate::wire::head::{HeadScan, Method, RequestHead, parse_request};
use crate::wire::limits::HeadLimits;
use crate::wire::target::parse_authority;
use crate::wire::view::FieldView;
use crate::wire::write;

/// A scraper's head is far smaller.
const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 8 * 1024, fields_max: 64 };

/// An answer is good for so long: more scrapers do not make more work.
const FRESH: Duration = Duration::from_millis(50);

/// The endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    status: Arc<ProcessStatus>,
    made: Mutex<[Option<Made>; 2]>,
}

/// When it was made, and what.
type Made = (Instant, Arc<str>);

/// What is answered.
struct Answer {
    status: u16,
    media_type: &'static str,
    body: Arc<str>,
    head_only: bool,
}

impl Endpoint {
    /// Over what this status knows.
    pub(crate) fn new(status: Arc<ProcessStatus>) -> Self {
        Self { status, made: Mutex::default() }
    }

    /// Serves one guest.
    pub(crate) fn serve(&self, guest: &mut Guest) {
        let Some(buf) = read_head(guest) else { return };
        let settings = self.status.current().and_then(|now| now.generation.config.metrics.clone());
        let Some(settings) = settings else { return };
        let answer = self.answer(&buf, &settings);
        // Who does not take it has lost it.
        drop(guest.write_all(&render(&answer)));
    }

    fn answer(&self, buf: &[u8], settings: &Metrics) -> Answer {
        let mut head = RequestHead::default();
        if let Err(error) = parse_request(buf, buf.len(), LIMITS, &mut head) {
            return said(error.status(), error.word());
        }
        let head_only = head.method == Method::Head;
        if !head_only && head.method != Method::Get {
            return said(405, "only GET and HEAD");
        }
        let request = head.view(buf);
        let mut hosts = request.fields().all(Known::Host);
        let host = hosts.next().map(FieldView::value);
        if hosts.next().is_some() || !host.is_some_and(|host| may_ask(host, settings)) {
            return said(403, "this Host may not ask; see `hosts` in [metrics]");
        }
        let target = request.target();
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        if path != settings.path.as_bytes() {
            return said(404, "there is nothing here");
        }
        let wants_open = request
            .fields()
            .named(b"accept")
            .is_some_and(|field| contains(field.value(), b"application/openmetrics-text"));
        let (format, media_type) = if wants_open {
            (Format::OpenMetrics, families::OPENMETRICS)
        } else {
            (Format::Plain, families::PLAIN)
        };
        Answer { status: 200, media_type, body: self.text(format), head_only }
    }

    /// The metrics as text, made anew unless they just were.
    fn text(&self, format: Format) -> Arc<str> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = made.get_mut(format as usize) else { return "".into() };
        if let Some((at, text)) = slot
            && at.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        let text: Arc<str> = families::render(catalogue::families(&self.status), format).into();
        *slot = Some((clock::monotonic(), Arc::clone(&text)));
        text
    }
}

fn said(status: u16, words: &str) -> Answer {
    Answer { status, media_type: "text/plain", body: format!("{words}\n").into(), head_only: false }
}

/// Reads until the head is whole. `None` for a guest that has nothing of use to say.
fn read_head(guest: &mut Guest) -> Option<Vec<u8>> {
    let mut scan = HeadScan::default();
    let mut buf = Vec::new();
    let mut piece = [0; 2_048];
    loop {
        let count = guest.read(&mut piece).ok().filter(|count| *count > 0)?;
        buf.extend_from_slice(piece.get(..count)?);
        match scan.advance(&buf, LIMITS) {
            Ok(Some(len)) => {
                buf.truncate(len);
                return Some(buf);
            }
            Ok(None) => {}
            Err(error) => {
                drop(guest.write_all(&render(&said(error.status(), error.word()))));
                return None;
            }
        }
    }
}

/// An address cannot be made to point elsewhere; of the names only those that were configured count.
fn may_ask(host: &[u8], settings: &Metrics) -> bool {
    let Ok((name, _)) = parse_authority(host) else { return false };
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = bare.to_ascii_lowercase();
    name == "localhost" || name.parse::<IpAddr>().is_ok() || settings.hosts.contains(&name)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(&text.to_ascii_lowercase(), word).is_some()
}

fn render(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer.body.len() + 256);
    write::status_line(answer.status, &mut out);
    write::field(b"Content-Type", answer.media_type.as_bytes(), &mut out);
    write::content_length(answer.body.len() as u64, &mut out);
    if answer.status == 405 {
        write::field(b"Allow", b"GET, HEAD", &mut out);
    }
    write::field(b"Cache-Control", b"no-store", &mut out);
    write::field(b"X-Content-Type-Options", b"nosniff", &mut out);
    out.extend_from_slice(write::CONNECTION_CLOSE);
    out.extend_from_slice(write::CRLF);
    if !answer.head_only {
        out.extend_from_slice(answer.body.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_hosts_ask() {
        let settings = Metrics {
            place: ferrule_config::Place::default(),
            listen: "127.0.0.1:9091".parse().unwrap(),
            path: "/metrics".to_owned(),
            hosts: vec!["gw.internal".to_owned()],
        };
        for host in [
            "localhost",
            "LOCALHOST:9091",
            "127.0.0.1:9091",
            "10.1.2.3",
            "[::1]:9091",
            "Gw.Internal:1",
        ] {
            assert!(may_ask(host.as_bytes(), &settings), "{host}");
        }
        for host in ["evil.test", "localhost.evil.test", "", "a b", "127.0.0.1.evil.test:9091"] {
            assert!(!may_ask(host.as_bytes(), &settings), "{host}");
        }
    }
}
