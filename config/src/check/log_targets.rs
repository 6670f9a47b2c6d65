//! `log.syslog` and `log.journald`, and which requests get a line.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::check::context::Check;
use crate::model::{
    Facility, Log, LogFilter, LogTarget, Route, Syslog, SyslogFormat, SyslogServer,
};
use crate::raw::{Raw, Text};
use crate::values::nearest;

/// Where UDP goes without a port (RFC 5426, section 3.3).
const SYSLOG_PORT: u16 = 514;
/// The longest name of a Unix socket, without its last NUL (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// What the words "syslog" and "journald" stand for; `None` is broken, and told.
pub(super) struct LogPlaces {
    pub(super) syslog: Option<Syslog>,
    pub(super) journald: Option<PathBuf>,
}

impl Check<'_> {
    pub(super) fn syslog(&mut self, raw: &Raw) -> Option<Syslog> {
        let text = raw.text("server")?;
        let server = self.syslog_server(raw, &text)?;
        let usual = match server {
            SyslogServer::Socket(_) => SyslogFormat::Rfc3164,
            SyslogServer::Udp(_) => SyslogFormat::Rfc5424,
        };
        if raw.is_broken("format") || raw.is_broken("facility") {
            return None;
        }
        Some(Syslog {
            server,
            format: raw.word("format").unwrap_or(usual),
            facility: raw.word("facility").unwrap_or(Facility::Daemon),
        })
    }

    fn syslog_server(&mut self, raw: &Raw, text: &Text) -> Option<SyslogServer> {
        if text.text.contains('/') {
            return self.socket(raw, "server", text).map(SyslogServer::Socket);
        }
        let address = text.text.parse::<SocketAddr>().ok();
        let bare = text.text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let address = address.or_else(|| bare.map(|ip| SocketAddr::new(ip, SYSLOG_PORT)));
        let Some(address) = address.filter(|address| address.port() != 0) else {
            let message = format!("`{}` is neither a path nor an address", text.text);
            let help = "write \"/dev/log\", or address and port for UDP: \"10.0.0.5:514\". A name is not \
                        looked up";
            self.error(text.place, raw.path("server"), &message, help);
            return None;
        };
        Some(SyslogServer::Udp(address))
    }

    pub(super) fn journald(&mut self, raw: &Raw) -> Option<PathBuf> {
        let text = raw.text("socket")?;
        self.socket(raw, "socket", &text)
    }

    fn socket(&mut self, raw: &Raw, key: &str, text: &Text) -> Option<PathBuf> {
        let path = self.path(&text.text);
        let len = path.as_os_str().len();
        if text.text.is_empty() || len > SOCKET_PATH_BYTES_MAX {
            let message = format!("the path of a socket has 1 to {SOCKET_PATH_BYTES_MAX} bytes");
            self.error(text.place, raw.path(key), &message, "write a shorter one");
            return None;
        }
        Some(path)
    }

    /// A table that nothing uses was meant for something.
    pub(super) fn log_tables_are_used(&mut self, log: &Raw, found: &Log) {
        let targets = || [Some(&found.error), found.access.as_ref().map(|access| &access.target)];
        let syslog = targets().iter().flatten().any(|to| matches!(to, LogTarget::Syslog(_)));
        let journald = targets().iter().flatten().any(|to| matches!(to, LogTarget::Journald(_)));
        let is_whole = !log.is_broken("access") && !log.is_broken("error");
        for (key, is_used) in [("syslog", syslog), ("journald", journald)] {
            let Some(table) = log.table(key) else { continue };
            let access_is_broken = log.has("access") && found.access.is_none();
            if !is_used && is_whole && !access_is_broken {
                let message = format!("no log goes to {key}");
                let help = format!("write `path = \"{key}\"` in `log.error` or `log.access`");
                self.error(table.place, log.path(key), &message, &help);
            }
        }
    }

    pub(super) fn log_filter(&mut self, raw: &Raw, routes: &[Route]) -> LogFilter {
        let min_duration = raw.has("min_duration").then(|| raw.duration("min_duration"));
        let chooses = raw.has("statuses") || min_duration.is_some();
        let sample = match raw.has("sample") {
            true => u16::try_from(raw.thousandths("sample")).unwrap_or(LogFilter::ALL),
            false if chooses => 0,
            false => LogFilter::ALL,
        };
        if sample >= LogFilter::ALL && chooses && !raw.is_broken("sample") {
            let message =
                "every other request is written, so `statuses` and `min_duration` choose nothing";
            let help = "write less than 1, or take it out";
            self.error(raw.at("sample"), raw.path("sample"), message, help);
        }
        if sample == 0 && !chooses && !raw.is_broken("sample") {
            let message = "no request would be written";
            let help =
                "write more than 0, or add `statuses` or `min_duration`, or take `log.access` out";
            self.error(raw.at("sample"), raw.path("sample"), message, help);
        }
        let statuses = raw.texts("statuses").iter();
        let statuses = statuses.filter_map(|text| self.log_statuses(raw, text)).collect();
        let ids = raw.texts("routes").iter();
        let known: Vec<usize> = ids.filter_map(|id| self.logged_route(raw, id, routes)).collect();
        LogFilter { routes: known, statuses, min_duration, sample }
    }

    fn log_statuses(&mut self, raw: &Raw, text: &Text) -> Option<RangeInclusive<u16>> {
        let found = statuses(&text.text);
        if found.is_none() {
            let message = format!("`{}` is no status", text.text);
            let help = "from \"100\" to \"599\", or a class: \"4xx\"";
            self.error(text.place, raw.path("statuses"), &message, help);
        }
        found
    }

    fn logged_route(&mut self, raw: &Raw, id: &Text, routes: &[Route]) -> Option<usize> {
        let found = routes.iter().position(|route| route.id == id.text);
        // Where a route is broken, it may be the one.
        if found.is_none() && self.problems.is_empty() {
            let message = format!("there are no [[routes]] with the id `{}`", id.text);
            let help = match nearest(&id.text, routes.iter().map(|route| route.id.as_str())) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "write the `id` of a route".to_owned(),
            };
            self.error(id.place, raw.path("routes"), &message, &help);
        }
        found
    }
}

/// `404`, `4xx`
fn statuses(name: &str) -> Option<RangeInclusive<u16>> {
    let (digits, is_class) = match name.strip_suffix("xx") {
        Some(digits) => (digits, true),
        None => (name, false),
    };
    let len = if is_class { 1 } else { 3 };
    if digits.len() != len || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u16 = digits.parse().ok()?;
    let range = if is_class { number * 100..=number * 100 + 99 } else { number..=number };
    (100..=599).contains(range.start()).then_some(range)
}
