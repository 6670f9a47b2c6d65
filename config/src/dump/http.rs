//! `[http]`, as TOML.

use super::demands::dump_real_ip;
use super::writer::{Writer, file_text, list};
use crate::model::{Answers, Http, PageStatuses};
use crate::values::{duration_text, size_text};
use crate::words::Word;

/// `[http]`
pub(super) fn dump_http(out: &mut Writer, http: &Http) {
    out.header("[http]");
    out.text_line("router", http.router.word());
    out.line("wrong_method_status", http.wrong_method_status);
    out.text_line("client_header_timeout", &duration_text(http.client_header_timeout));
    out.text_line("client_body_timeout", &duration_text(http.client_body_timeout));
    out.text_line("send_timeout", &duration_text(http.send_timeout));
    out.text_line("lingering_time", &duration_text(http.lingering_time));
    out.text_line("lingering_timeout", &duration_text(http.lingering_timeout));
    out.text_line("client_half_close", http.client_half_close.word());
    out.text_line("keepalive_timeout", &duration_text(http.keepalive_timeout));
    out.line("keepalive_requests", http.keepalive_requests);
    out.text_line("client_max_body_size", &size_text(http.client_max_body_size.unwrap_or(0)));
    out.text_line("large_client_header_buffers", &size_text(http.head_bytes_max.into()));
    out.line("max_headers", http.fields_max);
    let response_bytes = size_text(http.response_head_bytes_max.into());
    out.text_line("response_header_buffer", &response_bytes);
    out.line("max_response_headers", http.response_fields_max);
    if !http.ticket_key_files.is_empty() {
        out.line("ssl_session_ticket_key", list(http.ticket_key_files.iter().map(file_text)));
    }
    out.line("underscores_in_headers", http.underscores_in_headers);
    out.line("server_tokens", http.server_tokens);
    out.text_line("via", http.via.as_deref().unwrap_or("off"));
    out.text_line("expect", http.expect.word());
    out.line("forwarded_headers", http.forwarded.enabled);
    if http.forwarded.enabled {
        out.text_line("forwarded_host", http.forwarded.host.word());
    }
    if !http.forwarded.trusted.is_empty() {
        let trusted = http.forwarded.trusted.iter().map(ToString::to_string);
        out.line("trusted_addresses", list(trusted));
    }
    http.real_ip.iter().for_each(|real_ip| dump_real_ip(out, real_ip));
    dump_answers(out, &http.answers);
    out.line("client_body_min_rate", http.pacing.body_min_rate);
    out.line("send_min_rate", http.pacing.send_min_rate);
    out.text_line("min_rate_grace", &duration_text(http.pacing.grace));
    out.line("connections_per_address", http.pacing.connections_per_address);
}

fn dump_answers(out: &mut Writer, answers: &Answers) {
    out.text_line("traceparent", answers.traceparent.word());
    let mut lists: Vec<(String, Vec<String>)> = Vec::new();
    for page in &answers.error_pages {
        let name = match page.statuses {
            PageStatuses::One(status) => status.to_string(),
            PageStatuses::Class(digit) => format!("{digit}xx"),
        };
        let path = page.path.display().to_string();
        match lists.last_mut() {
            Some((last, paths)) if *last == name => paths.push(path),
            _ => lists.push((name, vec![path])),
        }
    }
    let lists =
        lists.into_iter().map(|(name, paths)| format!("{name} = {}", list(paths.into_iter())));
    let lists: Vec<_> = lists.collect();
    if !lists.is_empty() {
        out.line("error_pages", format!("{{ {} }}", lists.join(", ")));
    }
}
