//! The metrics endpoint: HTTP/1.1 with one request per connection.
//!
//! In: GET or HEAD of the path of the metrics, the status page, `/livez` or `/readyz`. Out: text. A browser that a web page has
//! sent here (DNS rebinding) names that page's host, so the metrics are served under configured names,
//! `localhost` and addresses only. The two answers about health hold nothing that would be worth it, and
//! load balancers ask under many names or none: they are served to anybody.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferrule_config::model::Metrics;

use super::connection::EndpointConnection;
use super::http_answer::{HttpAnswer, PLAIN_TEXT};
use super::status_page::{PageAnswer, StatusPage};
use crate::control::metrics::catalogue;
use crate::control::metrics::families::{self, ExpositionFormat};
use crate::control::process::clock;
use crate::control::state::commands::CommandQueue;
use crate::control::state::health::{self, HealthCheck};
use crate::control::state::status::ProcessStatus;
use crate::wire::fields::Known;
use crate::wire::head::{HeadScan, Method, RequestHead, parse_request};
use crate::wire::limits::HeadLimits;
use crate::wire::target::parse_authority;
use crate::wire::view::{FieldView, RequestView};

/// The limits for a request head; that of a scraper is far smaller.
const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 8 * 1024, fields_max: 64 };

/// How long a rendered text is used again, or as long as it took to make: more scrapers do not make more
/// work, and never more than half of a processor's.
const FRESH_MIN: Duration = Duration::from_millis(50);
/// Can the process serve at all? As Kubernetes names it.
const LIVEZ: &[u8] = b"/livez";
/// Should it get new connections?
const READYZ: &[u8] = b"/readyz";

/// The metrics endpoint.
#[derive(Debug)]
pub(crate) struct MetricsEndpoint {
    status: Arc<ProcessStatus>,
    commands: Arc<CommandQueue>,
    page: StatusPage,
    /// One for each format. Locked while one is made: whoever asks meanwhile waits, and gets the same.
    rendered: Mutex<[Option<RenderedMetrics>; 2]>,
}

/// The metrics as text.
#[derive(Debug)]
struct RenderedMetrics {
    fresh_until: Instant,
    text: Arc<str>,
}

impl MetricsEndpoint {
    /// Shows the metrics of this status, and whether these commands stop the process.
    pub(crate) fn new(status: Arc<ProcessStatus>, commands: Arc<CommandQueue>) -> Self {
        let page = StatusPage::new(Arc::clone(&status));
        Self { status, commands, page, rendered: Mutex::default() }
    }

    /// Reads one request and answers it.
    pub(crate) fn serve(&self, connection: &mut EndpointConnection) {
        let Some(buf) = read_head(connection) else { return };
        let mut head = RequestHead::default();
        let answer = match parse_request(&buf, buf.len(), LIMITS, &mut head) {
            Ok(()) => self.respond(head.method, head.view(&buf)),
            Err(error) => HttpAnswer::words(error.status(), error.word()).into(),
        };
        let head_only = head.method == Method::Head;
        match answer {
            PageAnswer::Whole(answer) => HttpAnswer { head_only, ..answer }.send(connection),
            PageAnswer::Stream(reader) => StatusPage::stream(&reader, head_only, connection),
        }
    }

    fn respond(&self, method: Method, request: RequestView<'_>) -> PageAnswer {
        if method != Method::Head && method != Method::Get {
            return HttpAnswer::words(405, "only GET and HEAD").into();
        }
        let target = request.target();
        let end = memchr::memchr(b'?', target).unwrap_or(target.len());
        let (path, query) = target.split_at(end);
        let verbose = query.get(1..).unwrap_or_default().split(|byte| *byte == b'&');
        let verbose = verbose.into_iter().any(|part| part == b"verbose" || part == b"verbose=true");
        if path == LIVEZ {
            let checks = health::liveness(&self.status, clock::monotonic());
            return health_answer(&checks, verbose).into();
        }
        if path == READYZ {
            let is_stopping = self.commands.is_stopping();
            return health_answer(&health::readiness(&self.status, is_stopping), verbose).into();
        }
        let settings = self.status.current().and_then(|now| now.generation.config.metrics.clone());
        let Some(settings) = settings else {
            return HttpAnswer::words(503, "there is no configuration in force yet").into();
        };
        let mut hosts = request.fields().all(Known::Host);
        let host = hosts.next().map(FieldView::value);
        if hosts.next().is_some() || !host.is_some_and(|host| is_host_allowed(host, &settings)) {
            return HttpAnswer::words(403, "this Host may not ask; see `hosts` in [metrics]")
                .into();
        }
        if let Some(at) = &settings.status_path
            && let Some(below) = path.strip_prefix(at.as_bytes())
            && let Ok(below) = std::str::from_utf8(below)
        {
            return self.page.answer(at, below, query.get(1..).unwrap_or_default());
        }
        if path != settings.path.as_bytes() {
            return HttpAnswer::words(404, "there is nothing here").into();
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
        HttpAnswer::new(200, media_type, self.text(format)).into()
    }

    /// The metrics as text; rendered now, unless they were a moment ago.
    fn text(&self, format: ExpositionFormat) -> Arc<str> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = rendered.get_mut(format as usize) else { return "".into() };
        let started = clock::monotonic();
        if let Some(recent) = slot
            && started < recent.fresh_until
        {
            return Arc::clone(&recent.text);
        }
        let text: Arc<str> = families::render(catalogue::families(&self.status), format).into();
        let made = clock::monotonic();
        let fresh_until = made + FRESH_MIN.max(made.saturating_duration_since(started));
        *slot = Some(RenderedMetrics { fresh_until, text: Arc::clone(&text) });
        text
    }
}

/// The checks in the words of Kubernetes: `ok` alone, or a line for each.
fn health_answer(checks: &[HealthCheck], verbose: bool) -> HttpAnswer {
    let is_healthy = checks.iter().all(|check| check.trouble.is_none());
    let mut body = String::new();
    if verbose || !is_healthy {
        for HealthCheck { name, trouble } in checks {
            // Writing to a `String` does not fail.
            let _ = match trouble {
                None => writeln!(body, "[+]{name} ok"),
                Some(trouble) => writeln!(body, "[-]{name} failed: {trouble}"),
            };
        }
        body.push_str(if is_healthy { "check passed\n" } else { "check failed\n" });
    } else {
        body.push_str("ok");
    }
    let status = if is_healthy { 200 } else { 503 };
    HttpAnswer::new(status, PLAIN_TEXT, body.into())
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
                HttpAnswer::words(error.status(), error.word()).send(connection);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_hosts_are_allowed() {
        let settings = Metrics {
            place: ferrule_config::Place::default(),
            listen: "127.0.0.1:9091".parse().unwrap(),
            path: "/metrics".to_owned(),
            status_path: None,
            import_report: None,
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
