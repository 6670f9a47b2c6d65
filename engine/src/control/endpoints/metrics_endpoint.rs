//! The metrics endpoint: HTTP/1.1 with one request per connection.
//!
//! In: GET or HEAD of one path. Out: the metrics as text. A browser that a web page has sent here (DNS
//! rebinding) names that page's host, so only configured names, `localhost` and addresses are served.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferrule_config::model::Metrics;

use super::connection::EndpointConnection;
use crate::control::metrics::catalogue;
use crate::control::metrics::families::{self, ExpositionFormat};
use crate::control::process::clock;
use crate::control::state::status::ProcessStatus;
use crate::wire::fields::Known;
use crate::wire::head::{HeadScan, Method, RequestHead, parse_request};
use crate::wire::limits::HeadLimits;
use crate::wire::target::parse_authority;
use crate::wire::view::FieldView;
use crate::wire::write;

/// The limits for a request head; that of a scraper is far smaller.
const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 8 * 1024, fields_max: 64 };

/// How long a rendered text is used again: more scrapers do not make more work.
const FRESH: Duration = Duration::from_millis(50);

/// The metrics endpoint.
#[derive(Debug)]
pub(crate) struct MetricsEndpoint {
    status: Arc<ProcessStatus>,
    /// One for each format.
    rendered: Mutex<[Option<RenderedMetrics>; 2]>,
}

/// The metrics as text.
#[derive(Debug)]
struct RenderedMetrics {
    at: Instant,
    text: Arc<str>,
}

/// A response to a scraper.
struct MetricsResponse {
    status: u16,
    media_type: &'static str,
    body: Arc<str>,
    head_only: bool,
}

impl MetricsEndpoint {
    /// Shows the metrics of this status.
    pub(crate) fn new(status: Arc<ProcessStatus>) -> Self {
        Self { status, rendered: Mutex::default() }
    }

    /// Reads one request and answers it.
    pub(crate) fn serve(&self, connection: &mut EndpointConnection) {
        let Some(buf) = read_head(connection) else { return };
        let settings = self.status.current().and_then(|now| now.generation.config.metrics.clone());
        let Some(settings) = settings else { return };
        let response = self.respond(&buf, &settings);
        // A client that has left does not need its response.
        drop(connection.write_all(&render(&response)));
    }

    fn respond(&self, buf: &[u8], settings: &Metrics) -> MetricsResponse {
        let mut head = RequestHead::default();
        if let Err(error) = parse_request(buf, buf.len(), LIMITS, &mut head) {
            return text_response(error.status(), error.word());
        }
        let head_only = head.method == Method::Head;
        if !head_only && head.method != Method::Get {
            return text_response(405, "only GET and HEAD");
        }
        let request = head.view(buf);
        let mut hosts = request.fields().all(Known::Host);
        let host = hosts.next().map(FieldView::value);
        if hosts.next().is_some() || !host.is_some_and(|host| is_host_allowed(host, settings)) {
            return text_response(403, "this Host may not ask; see `hosts` in [metrics]");
        }
        let target = request.target();
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        if path != settings.path.as_bytes() {
            return text_response(404, "there is nothing here");
        }
        let wants_open = request
            .fields()
            .named(b"accept")
            .is_some_and(|field| contains(field.value(), b"application/openmetrics-text"));
        let (format, media_type) = if wants_open {
            (ExpositionFormat::OpenMetrics, families::OPENMETRICS)
        } else {
            (ExpositionFormat::Plain, families::PLAIN)
        };
        MetricsResponse { status: 200, media_type, body: self.text(format), head_only }
    }

    /// The metrics as text; rendered now, unless they were a moment ago.
    fn text(&self, format: ExpositionFormat) -> Arc<str> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = rendered.get_mut(format as usize) else { return "".into() };
        if let Some(recent) = slot
            && recent.at.elapsed() < FRESH
        {
            return Arc::clone(&recent.text);
        }
        let text: Arc<str> = families::render(catalogue::families(&self.status), format).into();
        *slot = Some(RenderedMetrics { at: clock::monotonic(), text: Arc::clone(&text) });
        text
    }
}

fn text_response(status: u16, words: &str) -> MetricsResponse {
    MetricsResponse {
        status,
        media_type: "text/plain",
        body: format!("{words}\n").into(),
        head_only: false,
    }
}

/// Reads a whole request head; `None` if it does not come in time or is refused.
fn read_head(connection: &mut EndpointConnection) -> Option<Vec<u8>> {
    let mut scan = HeadScan::default();
    let mut buf = Vec::new();
    let mut piece = [0; 2_048];
    loop {
        let count = connection.read(&mut piece).ok().filter(|count| *count > 0)?;
        buf.extend_from_slice(piece.get(..count)?);
        match scan.advance(&buf, LIMITS) {
            Ok(Some(len)) => {
                buf.truncate(len);
                return Some(buf);
            }
            Ok(None) => {}
            Err(error) => {
                drop(connection.write_all(&render(&text_response(error.status(), error.word()))));
                return None;
            }
        }
    }
}

/// An address cannot be made to point elsewhere, unlike a name: only configured names are allowed.
fn is_host_allowed(host: &[u8], settings: &Metrics) -> bool {
    let Ok((name, _)) = parse_authority(host) else { return false };
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let name = bare.to_ascii_lowercase();
    name == "localhost" || name.parse::<IpAddr>().is_ok() || settings.hosts.contains(&name)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(&text.to_ascii_lowercase(), word).is_some()
}

fn render(response: &MetricsResponse) -> Vec<u8> {
    let mut out = Vec::with_capacity(response.body.len() + 256);
    write::status_line(response.status, &mut out);
    write::field(b"Content-Type", response.media_type.as_bytes(), &mut out);
    write::content_length(response.body.len() as u64, &mut out);
    if response.status == 405 {
        write::field(b"Allow", b"GET, HEAD", &mut out);
    }
    write::field(b"Cache-Control", b"no-store", &mut out);
    write::field(b"X-Content-Type-Options", b"nosniff", &mut out);
    out.extend_from_slice(write::CONNECTION_CLOSE);
    out.extend_from_slice(write::CRLF);
    if !response.head_only {
        out.extend_from_slice(response.body.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_hosts_are_allowed() {
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
            assert!(is_host_allowed(host.as_bytes(), &settings), "{host}");
        }
        for host in ["evil.test", "localhost.evil.test", "", "a b", "127.0.0.1.evil.test:9091"] {
            assert!(!is_host_allowed(host.as_bytes(), &settings), "{host}");
        }
    }
}
