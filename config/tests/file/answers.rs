//! Error pages, request ids, traces and slow peers: what is taken, and what is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrule_config::model::{Pacing, PageMedia, PageStatuses, Traceparent};
use ferrule_config::{Config, Draft, read_text};

const REST: &str = "listen = [{ address = '0.0.0.0:80' }]\n[[routes]]\nuri = '/*'\n\
                    upstream.nodes = { 'a:1' = 1 }\n";

#[expect(clippy::expect_used, reason = "a test ends where this fails")]
fn draft(text: &str) -> Draft {
    let file = Path::new("/etc/ferrule.toml");
    read_text(file, format!("{text}{REST}"), &|_| None).expect("it is TOML")
}

fn config(text: &str) -> Config {
    let draft = draft(text);
    assert_eq!(draft.problems.all(), [], "{}", draft.problems);
    draft.config
}

/// Column, field, and a part of the message, of the only error; it is in line 1.
#[expect(clippy::expect_used, reason = "a test ends where this fails")]
fn wrong(text: &str) -> (usize, String, String) {
    let draft = draft(text);
    let all: Vec<_> = draft.problems.iter().collect();
    assert_eq!(all.len(), 1, "{text}: {}", draft.problems);
    let problem = all.first().expect("just counted");
    let position = draft.problems.position(problem.place);
    assert_eq!(position.line, 1, "{text}");
    (position.column, problem.field.clone(), problem.message.clone())
}

#[test]
fn defaults_demand_little_and_change_nothing() {
    let http = config("").http;
    assert!(http.answers.error_pages.is_empty() && http.answers.request_id.is_none());
    assert_eq!(http.answers.traceparent, Traceparent::Off);
    let grace = Duration::from_secs(60);
    let wanted =
        Pacing { body_min_rate: 240, send_min_rate: 240, grace, connections_per_address: 4096 };
    assert_eq!(http.pacing, wanted);
}

#[test]
fn pages_are_read_with_their_statuses_and_types() {
    let text = "http.error_pages = { 404 = ['p/404.html', '/x/404.JSON'], 5xx = 'sorry.txt', \
                497 = 'plain.htm', 4xx = 'a.xml' }\n";
    let found: Vec<_> = config(text)
        .http
        .answers
        .error_pages
        .into_iter()
        .map(|page| (page.statuses, page.media, page.path))
        .collect();
    let wanted = [
        (PageStatuses::One(404), PageMedia::Html, "/etc/p/404.html"),
        (PageStatuses::One(404), PageMedia::Json, "/x/404.JSON"),
        (PageStatuses::Class(5), PageMedia::Plain, "/etc/sorry.txt"),
        (PageStatuses::One(497), PageMedia::Html, "/etc/plain.htm"),
        (PageStatuses::Class(4), PageMedia::Xml, "/etc/a.xml"),
    ];
    assert_eq!(found, wanted.map(|(statuses, media, path)| (statuses, media, PathBuf::from(path))));
}

#[test]
fn every_mistake_is_told() {
    for (text, column, field, message) in [
        ("http.error_pages = 1", 20, "http.error_pages", "a table is wanted"),
        ("http.error_pages = { 404 = 1 }", 28, "http.error_pages.404", "a string is wanted"),
        ("http.error_pages = { 200 = 'a.html' }", 22, "http.error_pages.200", "no status"),
        ("http.error_pages = { 6xx = 'a.html' }", 22, "http.error_pages.6xx", "no status"),
        ("http.error_pages = { '+404' = 'a.html' }", 22, "http.error_pages.\"+404\"", "no status"),
        ("http.error_pages = { 404 = 'a.png' }", 28, "http.error_pages.404", "no known type"),
        ("http.error_pages = { 404 = '' }", 28, "http.error_pages.404", "no known type"),
        (
            "http.error_pages = { 404 = ['a.html', 'b.htm'] }",
            39,
            "http.error_pages.404",
            "two pages of one type",
        ),
        ("http.error_pages = { 404 = [] }", 28, "http.error_pages.404", "is empty"),
        ("http.traceparent = 'on'", 20, "http.traceparent", "not known here"),
        ("http.client_body_min_rate = -1", 29, "http.client_body_min_rate", "out of range"),
        ("http.send_min_rate = 9999999999", 22, "http.send_min_rate", "out of range"),
        ("http.min_rate_grace = '0s'", 23, "http.min_rate_grace", "nothing"),
        ("http.connections_per_address = -1", 32, "http.connections_per_address", "out of range"),
        ("http.request_id = 'X-Id'", 6, "http.request_id", "[[global_rules]]"),
        (
            "services = [{ id = 1, request_id = 'X-Id' }]",
            23,
            "services[0].request_id",
            "[[global_rules]]",
        ),
        (
            "global_rules = [{ request_id = 'a b' }]",
            32,
            "global_rules[0].request_id",
            "not a header name",
        ),
        (
            "global_rules = [{ request_id = 'Connection' }]",
            32,
            "global_rules[0].request_id",
            "belongs to the gateway",
        ),
        (
            "global_rules = [{ request_id = 'X-A' }, { request_id = 'X-B' }]",
            56,
            "global_rules[1].request_id",
            "second rule",
        ),
    ] {
        let (found_column, found_field, found_message) = wrong(&format!("{text}\n"));
        assert_eq!((found_column, found_field.as_str()), (column, field), "{text}");
        assert!(found_message.contains(message), "{text}: {found_message}");
    }
}

/// An identity header holds what the gateway knows, not what a client chose.
#[test]
fn ids_of_clients_are_no_identity() {
    let text = "identity_headers = { X-Who = '$request_id' }\n";
    assert!(wrong(text).2.contains("as it likes"));
    let both = "identity_headers = { X-Id = '$remote_addr' }\n";
    let rules = format!("global_rules = [{{ request_id = 'x-id' }}]\n{both}");
    assert!(wrong(&rules).2.contains("[identity_headers]"));
}
