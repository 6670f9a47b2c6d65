//! The lines of a `frontend`, `backend` or `listen`, sorted by what they are about. A line that nobody takes is refused.

use std::collections::BTreeMap;

use crate::report::Kind;
use crate::work::Work;

use super::global::{duration, number};
use super::section::ProxySection;
use super::words::ConfigLine;

/// What a proxy says.
#[derive(Debug)]
pub(super) struct ProxyLines<'a> {
    pub(super) section: &'a ProxySection,
    pub(super) binds: Vec<&'a ConfigLine>,
    /// `http-request`, and then `redirect`, which HAProxy takes behind them.
    pub(super) requests: Vec<&'a ConfigLine>,
    pub(super) responses: Vec<&'a ConfigLine>,
    pub(super) switches: Vec<&'a ConfigLine>,
    pub(super) default_backend: Option<&'a ConfigLine>,
    pub(super) servers: Vec<ServerWords<'a>>,
    pub(super) balance: Option<&'a ConfigLine>,
    /// Milliseconds, by what they are for: `connect`, `http-request`.
    pub(super) timeouts: BTreeMap<&'a str, u64>,
    /// `option forwardfor`: where it stands.
    pub(super) forwarded_for: Option<&'a ConfigLine>,
    pub(super) check: Option<&'a ConfigLine>,
    pub(super) check_steps: Vec<&'a ConfigLine>,
    pub(super) retries: Option<u64>,
}

/// A `server` line, and the `default-server` lines before it.
#[derive(Debug)]
pub(super) struct ServerWords<'a> {
    pub(super) line: &'a ConfigLine,
    pub(super) defaults: Vec<&'a ConfigLine>,
}

/// Options that change logs, sockets, or what Ferrule does anyway.
const PLAIN_OPTIONS: [&str; 28] = [
    "httplog",
    "tcplog",
    "httpslog",
    "dontlognull",
    "dontlog-normal",
    "logasap",
    "log-separate-errors",
    "log-health-checks",
    "http-keep-alive",
    "http-server-close",
    "httpclose",
    "redispatch",
    "abortonclose",
    "splice-auto",
    "splice-request",
    "splice-response",
    "tcp-smart-accept",
    "tcp-smart-connect",
    "clitcpka",
    "srvtcpka",
    "tcpka",
    "socket-stats",
    "contstats",
    "http-ignore-probes",
    "prefer-last-server",
    "nolinger",
    "http-restrict-req-hdr-names",
    "idle-close-on-response",
];

/// Lines about logs and bookkeeping.
const DROPPED: [&str; 15] = [
    "log",
    "log-format",
    "log-tag",
    "error-log-format",
    "description",
    "id",
    "capture",
    "fullconn",
    "backlog",
    "email-alert",
    "load-server-state-from-file",
    "declare",
    "hash-type",
    "unique-id-header",
    "clitcpka-cnt",
];

impl<'a> ProxyLines<'a> {
    pub(super) fn of(section: &'a ProxySection, work: &Work) -> Self {
        let mut lines = Self {
            section,
            binds: Vec::new(),
            requests: Vec::new(),
            responses: Vec::new(),
            switches: Vec::new(),
            default_backend: None,
            servers: Vec::new(),
            balance: None,
            timeouts: BTreeMap::new(),
            forwarded_for: None,
            check: None,
            check_steps: Vec::new(),
            retries: None,
        };
        let mut defaults = Vec::new();
        let mut redirects = Vec::new();
        let mut mode = "tcp";
        for line in &section.lines {
            match line.word(0) {
                "mode" => mode = line.words.get(1).map_or("", |word| word.text.as_str()),
                "default-server" => defaults.push(line),
                "server" => lines.servers.push(ServerWords { line, defaults: defaults.clone() }),
                "redirect" => redirects.push(line),
                _ => lines.take(line, work),
            }
        }
        lines.requests.extend(redirects);
        if mode != "http" {
            let message = format!(
                "`mode {mode}`: only `mode http` is converted, and `tcp` holds where none is said"
            );
            section.head.refuse(work, 0, message);
        }
        lines
    }

    fn take(&mut self, line: &'a ConfigLine, work: &Work) {
        match line.word(0) {
            "bind" => self.binds.push(line),
            "acl" => {}
            "http-request" => self.requests.push(line),
            "http-response" | "http-after-response" => self.responses.push(line),
            "use_backend" => self.switches.push(line),
            "default_backend" => self.default_backend = Some(line),
            "balance" => self.balance = Some(line),
            "timeout" => self.timeout(line, work),
            "option" => self.option(line, 1, true, work),
            "no" if line.word(1) == "option" => self.option(line, 2, false, work),
            "retries" => self.retries = number(line, 1, 0..=16, work),
            "http-check" => self.check_steps.push(line),
            "maxconn" => line.changed(
                work,
                0,
                "connections are bounded for the whole process (`runtime.max_connections`), not for each frontend",
            ),
            "errorfile" | "errorloc" | "errorloc302" | "errorloc303" | "errorfiles" | "http-error" => {
                line.changed(work, 0, "pages for errors are not taken over: `http.error_pages` names them");
            }
            "compression" => line.changed(work, 0, "responses are passed as they come, and not compressed"),
            "http-reuse" if line.word(1) != "never" => {
                line.say(work, Kind::Dropped, 0, "connections are shared only where TLS and identity are the same");
            }
            word if DROPPED.contains(&word) => line.say(work, Kind::Dropped, 0, "this is not imported"),
            word => line.refuse(work, 0, format!("`{word}` is not converted")),
        }
    }

    fn timeout(&mut self, line: &'a ConfigLine, work: &Work) {
        let name = line.words.get(1).map_or("", |word| word.text.as_str());
        match name {
            "connect" | "server" | "client" | "http-request" | "http-keep-alive" | "queue"
            | "check" => {
                if let Some(found) = duration(line, 2, work) {
                    self.timeouts.insert(name, found);
                }
            }
            "tunnel" => {
                line.changed(work, 1, "a tunnel ends when no byte has come for `timeout.read`");
            }
            "client-fin" | "server-fin" | "tarpit" | "client-hs" => {
                line.changed(work, 1, "there is no such time here");
            }
            other => line.refuse(work, 1, format!("`timeout {other}` is not known")),
        }
    }

    fn option(&mut self, line: &'a ConfigLine, at: usize, on: bool, work: &Work) {
        match line.word(at) {
            "forwardfor" => {
                self.forwarded_for = on.then_some(line);
                let known = |word: &str| word == "header";
                let more = line.words.len() > 4;
                if on && (more || line.words.get(2).is_some_and(|word| !known(&word.text))) {
                    line.refuse(work, 2, "`except` and `if-none` are not converted");
                }
            }
            "httpchk" => self.check = on.then_some(line),
            _ if !on => {}
            word if PLAIN_OPTIONS.contains(&word) => {
                line.say(work, Kind::Dropped, at, "this says nothing that is configured here");
            }
            word => line.refuse(work, at, format!("`option {word}` is not converted")),
        }
    }
}
