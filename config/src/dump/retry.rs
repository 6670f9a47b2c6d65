//! How long and how often an upstream is tried, as its keys have it.

use super::writer::{Writer, list, text};
use crate::model::{RetryBudget, RetryPolicy, UpstreamTimeout};
use crate::values::{duration_text, size_text};

pub(super) fn dump_retry(out: &mut Writer, retry: &RetryPolicy) {
    out.line("retries", retry.retries);
    out.text_line("retry_timeout", &duration_text(retry.timeout));
    out.line("retry_on", list(retry.on.words().map(str::to_owned)));
    out.line("retry_non_idempotent", retry.non_idempotent);
    let RetryBudget { percent, min_per_second } = retry.budget;
    let table = format!("{{ percent = {percent}, min_per_second = {min_per_second} }}");
    out.line("retry_budget", table);
    out.text_line("retry_buffer", &size_text(retry.buffer));
}

pub(super) fn timeout_table(timeout: &UpstreamTimeout) -> String {
    let part = |duration| text(&duration_text(duration));
    let total = timeout.total.map(|total| format!(", total = {}", part(total)));
    format!(
        "{{ connect = {}, send = {}, read = {}{} }}",
        part(timeout.connect),
        part(timeout.send),
        part(timeout.read),
        total.unwrap_or_default()
    )
}
