//! `api_breaker`, as TOML.

use super::redaction::fixed_value;
use super::writer::{Writer, quoted_key, text};
use crate::model::{BreakHeader, CircuitBreaker};

pub(super) fn dump_breaker(out: &mut Writer, breaker: &CircuitBreaker) {
    let response = &breaker.response;
    let mut keys = vec![format!("break_response_code = {}", response.status)];
    keys.extend(response.body.as_ref().map(|body| format!("break_response_body = {}", text(body))));
    if !response.headers.is_empty() {
        let headers = response.headers.iter().map(|BreakHeader { name, value }| {
            let value = fixed_value(out, name, value);
            format!("{} = {}", quoted_key(name), text(&value.replace('$', "$$")))
        });
        let headers: Vec<_> = headers.collect();
        keys.push(format!("break_response_headers = {{ {} }}", headers.join(", ")));
    }
    keys.push(format!("max_breaker_sec = {}", breaker.max_seconds));
    keys.push(format!(
        "unhealthy = {{ http_statuses = {:?}, failures = {} }}",
        breaker.unhealthy_statuses, breaker.failures
    ));
    keys.push(format!(
        "healthy = {{ http_statuses = {:?}, successes = {} }}",
        breaker.healthy_statuses, breaker.successes
    ));
    out.line("api_breaker", format!("{{ {} }}", keys.join(", ")));
}
