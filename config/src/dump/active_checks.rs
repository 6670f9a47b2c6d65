//! `upstreams.checks.active`, as TOML.

use crate::dump::redaction::{fixed_value, uri};
use crate::dump::writer::{Writer, list, text};
use crate::model::{ActiveChecks, CheckHeader, CheckKind};
use crate::values::duration_text;
use crate::words::Word;

pub(super) fn dump_active_checks(out: &mut Writer, active: &ActiveChecks) {
    out.header("[upstreams.checks.active]");
    out.text_line("type", active.kind.word());
    out.text_line("timeout", &duration_text(active.timeout));
    out.line("concurrency", active.concurrency);
    if active.kind != CheckKind::Tcp {
        let path = uri(out, &active.http_path);
        out.text_line("http_path", &path);
    }
    if let Some(host) = &active.host {
        out.text_line("host", host);
    }
    if let Some(port) = active.port {
        out.line("port", port);
    }
    if !active.req_headers.is_empty() {
        let headers = active.req_headers.iter();
        let headers = headers.map(|CheckHeader { name, value }| {
            format!("{name}: {}", fixed_value(out, name, value))
        });
        let headers = list(headers);
        out.line("req_headers", headers);
    }
    let healthy = &active.healthy;
    out.line(
        "healthy",
        format!(
            "{{ interval = {}, http_statuses = {:?}, successes = {} }}",
            text(&duration_text(healthy.interval)),
            healthy.http_statuses,
            healthy.successes,
        ),
    );
    let unhealthy = &active.unhealthy;
    let statuses = unhealthy.http_statuses.as_ref();
    let statuses = statuses.map(|statuses| format!("http_statuses = {statuses:?}, "));
    out.line(
        "unhealthy",
        format!(
            "{{ interval = {}, {}http_failures = {}, tcp_failures = {}, timeouts = {} }}",
            text(&duration_text(unhealthy.interval)),
            statuses.unwrap_or_default(),
            unhealthy.http_failures,
            unhealthy.tcp_failures,
            unhealthy.timeouts,
        ),
    );
}
