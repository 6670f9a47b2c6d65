//! `upstreams.checks`, as TOML.

use crate::dump::active_checks::dump_active_checks;
use crate::dump::writer::{Writer, text};
use crate::model::Checks;
use crate::values::duration_text;

pub(super) fn dump_checks(out: &mut Writer, checks: &Checks) {
    out.header("[upstreams.checks]");
    out.line("panic_threshold", checks.panic_threshold);
    let (passive, healthy) = (&checks.passive, &checks.passive.healthy);
    out.header("[upstreams.checks.passive]");
    out.text_line("max_ejection_time", &duration_text(passive.max_ejection_time));
    let statuses = healthy.http_statuses.as_ref();
    let statuses = statuses.map(|statuses| format!("http_statuses = {statuses:?}, "));
    let successes = healthy.successes;
    out.line("healthy", format!("{{ {}successes = {successes} }}", statuses.unwrap_or_default()));
    let unhealthy = &passive.unhealthy;
    out.line(
        "unhealthy",
        format!(
            "{{ http_statuses = {:?}, http_failures = {}, tcp_failures = {}, timeouts = {}, fail_timeout = {} }}",
            unhealthy.http_statuses,
            unhealthy.http_failures,
            unhealthy.tcp_failures,
            unhealthy.timeouts,
            text(&duration_text(unhealthy.fail_timeout)),
        ),
    );
    if let Some(outliers) = &passive.outliers {
        out.header("[upstreams.checks.passive.outliers]");
        out.text_line("interval", &duration_text(outliers.interval));
        out.line("min_nodes", outliers.min_nodes);
        out.line("min_requests", outliers.min_requests);
        out.line("success_rate_stdev_factor", outliers.success_rate_stdev_factor);
        out.line("failure_percentage", outliers.failure_percentage);
        out.line("latency_factor", outliers.latency_factor);
        out.line("latency_intervals", outliers.latency_intervals);
        out.text_line("latency_min", &duration_text(outliers.latency_min));
    }
    if let Some(active) = &checks.active {
        dump_active_checks(out, active);
    }
}
