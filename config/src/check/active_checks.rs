//! `upstreams.checks.active`.

use std::time::Duration;

use crate::check::checks::statuses;
use crate::check::context::Check;
use crate::check::headers::OURS;
use crate::check::upstreams::authority;
use crate::defaults;
use crate::model::{
    ActiveChecks, ActiveHealthy, ActiveUnhealthy, CheckHeader, CheckKind, Scheme, UpstreamVerify,
};
use crate::raw::Raw;
use crate::values::{Wrong, is_token};

/// Less would be a load of its own.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// One request is one write.
const HEADERS_BYTES_MAX: usize = 8 * 1_024;

impl Check<'_> {
    /// The active checks of an upstream, if it has any.
    pub(super) fn active_checks(&mut self, upstream: &Raw, checks: &Raw) -> Option<ActiveChecks> {
        let raw = checks.table("active")?;
        let kind = self.check_kind(upstream, raw)?;
        self.only_of_requests(raw, kind);
        self.verified_as_upstream(upstream, raw);
        self.port_of_sockets(upstream, raw);
        let absent = raw.absent_table("healthy");
        let healthy = raw.table("healthy").unwrap_or(&absent);
        let absent = raw.absent_table("unhealthy");
        let unhealthy = raw.table("unhealthy").unwrap_or(&absent);
        let active = ActiveChecks {
            kind,
            timeout: raw.duration("timeout"),
            concurrency: raw.int("concurrency"),
            http_path: self.check_path(raw),
            host: self.check_host(raw),
            port: raw.int_given("port"),
            req_headers: self.check_headers(raw),
            healthy: ActiveHealthy {
                interval: self.check_interval(healthy),
                http_statuses: statuses(healthy)
                    .unwrap_or_else(|| defaults::CHECK_PASSING_STATUSES.to_vec()),
                successes: healthy.int("successes"),
            },
            unhealthy: ActiveUnhealthy {
                interval: self.check_interval(unhealthy),
                http_statuses: statuses(unhealthy),
                http_failures: unhealthy.int("http_failures"),
                tcp_failures: unhealthy.int("tcp_failures"),
                timeouts: unhealthy.int("timeouts"),
            },
        };
        let failing = active.unhealthy.http_statuses.iter().flatten();
        if let Some(status) = failing.copied().find(|status| active.healthy.has(*status)) {
            let message = format!("{status} passes, and fails");
            let help = "take it out here, or of `healthy.http_statuses`".to_owned();
            let (place, path) = (unhealthy.at("http_statuses"), unhealthy.path("http_statuses"));
            self.problems.push_at(place, path, message, Some(help));
        }
        Some(active)
    }

    fn check_kind(&mut self, upstream: &Raw, raw: &Raw) -> Option<CheckKind> {
        if raw.is_broken("type") {
            return None;
        }
        let scheme: Scheme = upstream.word("scheme")?;
        let kind = raw.word("type").unwrap_or(match scheme {
            Scheme::Http => CheckKind::Http,
            Scheme::Https => CheckKind::Https,
        });
        let (message, help) = match (scheme, kind) {
            (Scheme::Http, CheckKind::Https) => (
                "a check over TLS needs an upstream that is spoken to in TLS",
                "set the upstream's `scheme = \"https\"` and `tls`, or `type = \"http\"`",
            ),
            (Scheme::Https, CheckKind::Http) if !raw.has("port") => (
                "the nodes speak TLS, and a check in plain HTTP can never pass",
                "take it out, or name the `port` that answers in plain HTTP",
            ),
            _ => return Some(kind),
        };
        self.error(raw.at("type"), raw.path("type"), message, help);
        None
    }

    /// A check that only connects sends nothing.
    fn only_of_requests(&mut self, raw: &Raw, kind: CheckKind) {
        if kind != CheckKind::Tcp {
            return;
        }
        let help = "take it out, or set `type` to \"http\" or \"https\"";
        for key in ["http_path", "host", "req_headers", "https_verify_certificate"] {
            if raw.has(key) {
                let message = format!("`{key}` says nothing with `type = \"tcp\"`");
                self.error(raw.at(key), raw.path(key), &message, help);
            }
        }
    }

    fn verified_as_upstream(&mut self, upstream: &Raw, raw: &Raw) {
        const KEY: &str = "https_verify_certificate";
        let tls = upstream.table("tls").and_then(|tls| tls.word("verify"));
        if !raw.has(KEY) || raw.is_broken(KEY) || raw.flag(KEY) || tls == Some(UpstreamVerify::Off)
        {
            return;
        }
        let message = "a check that takes any certificate would call a node healthy that no request \
                       trusts";
        let help = "take it out: checks use the upstream's `tls`, its `verify` too";
        self.error(raw.at(KEY), raw.path(KEY), message, help);
    }

    fn port_of_sockets(&mut self, upstream: &Raw, raw: &Raw) {
        let mut nodes = upstream.nodes("nodes").iter();
        if raw.has("port") && nodes.any(|node| node.host.starts_with("unix:")) {
            let help = "take it out, or the Unix sockets out of `nodes`";
            self.error(raw.at("port"), raw.path("port"), "a Unix socket has no port", help);
        }
    }

    fn check_interval(&mut self, raw: &Raw) -> Duration {
        let interval = raw.duration("interval");
        if interval < INTERVAL_MIN && !raw.is_broken("interval") {
            let help = "at least \"100ms\": checks are a load of their own";
            self.error(raw.at("interval"), raw.path("interval"), "this is too often", help);
        }
        interval
    }

    fn check_path(&mut self, raw: &Raw) -> String {
        let Some(text) = raw.text("http_path") else { return "/".to_owned() };
        let wrong = if !text.text.starts_with('/') {
            "a path begins with `/`"
        } else if text.text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            "a path has no spaces, and no letters beyond ASCII"
        } else if text.text.contains('#') {
            "what is behind a `#` is never sent"
        } else {
            return text.text;
        };
        let wrong = Wrong::new(wrong).help("write it as it is sent, as \"/health?full=1\"");
        self.wrong(text.place, raw.path("http_path"), wrong);
        text.text
    }

    fn check_host(&mut self, raw: &Raw) -> Option<String> {
        let text = raw.text("host")?;
        if let Err(wrong) = authority(&text.text) {
            self.wrong(text.place, raw.path("host"), wrong);
        }
        Some(text.text)
    }

    fn check_headers(&mut self, raw: &Raw) -> Vec<CheckHeader> {
        let texts = raw.texts("req_headers");
        let mut headers = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match check_header(&text.text) {
                Ok(header) => headers.push(header),
                Err(wrong) => {
                    let path = format!("{}[{index}]", raw.path("req_headers"));
                    self.wrong(text.place, path, wrong);
                }
            }
        }
        let bytes: usize = texts.iter().map(|text| text.text.len() + 4).sum();
        if bytes > HEADERS_BYTES_MAX {
            let help = "8 KiB are room enough";
            let (place, path) = (raw.at("req_headers"), raw.path("req_headers"));
            self.error(place, path, "these headers are too long", help);
        }
        headers
    }
}

fn check_header(text: &str) -> Result<CheckHeader, Wrong> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(Wrong::new(format!("{text:?} is not a header"))
            .help("write \"Name: value\", as \"User-Agent: probe\""));
    };
    let value = value.trim_matches([' ', '\t']);
    let lower = name.to_ascii_lowercase();
    if !is_token(name) {
        return Err(Wrong::new(format!("{name:?} is not a header name"))
            .help("letters, digits and `-`; no spaces in front of the `:`"));
    }
    if lower == "host" {
        return Err(Wrong::new("`Host` has a key of its own").help("set `host`"));
    }
    if OURS.contains(&lower.as_str()) {
        return Err(Wrong::new(format!("`{name}` belongs to the gateway"))
            .help("it says where a message ends, or is for one hop alone"));
    }
    if value.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(
            Wrong::new("this value holds control characters").help("a header value is one line")
        );
    }
    Ok(CheckHeader { name: name.to_owned(), value: value.to_owned() })
}
