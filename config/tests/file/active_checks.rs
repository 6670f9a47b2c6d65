//! `upstreams.checks.active`: its defaults, and every mistake in it.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use std::time::Duration;

use ferrule_config::model::{ActiveChecks, CheckKind};

use crate::problems::{LISTEN, Wanted, assert_problems, draft};

/// One upstream with these keys, and these of its checks in line 6.
fn text(upstream: &str, checks: &str) -> String {
    format!(
        "{LISTEN}routes = [{{ uri = '/*', upstream_id = 'a' }}]\n[[upstreams]]\nid = 'a'\n{upstream}\n\
         checks.active = {{ {checks} }}\n"
    )
}

const PLAIN: &str = "nodes = { 'a:1' = 1 }";
const TLS: &str = "nodes = { 'a:1' = 1 }, scheme = 'https', tls = { ca = 'ca.pem' }";

fn active(upstream: &str, checks: &str) -> ActiveChecks {
    let draft = draft(&text(upstream, checks));
    let draft = draft.expect("nothing is wrong with it");
    draft.config.upstreams[0].checks.active.clone().expect("active checks")
}

#[test]
fn defaults_are_those_of_apisix() {
    let checks = active(PLAIN, "");
    let second = Duration::from_secs(1);
    assert_eq!((checks.kind, checks.timeout, checks.concurrency), (CheckKind::Http, second, 10));
    assert_eq!((checks.http_path.as_str(), checks.host, checks.port), ("/", None, None));
    assert!(checks.req_headers.is_empty());
    assert_eq!(checks.healthy.http_statuses, [200, 302]);
    assert_eq!((checks.healthy.interval, checks.healthy.successes), (second, 2));
    let unhealthy = checks.unhealthy;
    assert_eq!((unhealthy.interval, unhealthy.http_failures), (second, 5));
    assert_eq!((unhealthy.tcp_failures, unhealthy.timeouts), (2, 3));
    for (status, fails) in [(204, false), (399, false), (400, true), (404, true), (599, true)] {
        assert_eq!(unhealthy.has(status), fails, "{status}");
    }
    let without = format!("{LISTEN}[[routes]]\nuri = '/*'\nupstream.nodes = {{ 'a:1' = 1 }}\n");
    assert!(draft(&without).unwrap().config.upstreams[0].checks.active.is_none());
}

#[test]
fn every_key_is_taken() {
    let checks = active(
        PLAIN,
        "type = 'http', timeout = '300ms', concurrency = 3, http_path = '/h?a=1', host = 'x.test:81', \
         port = 90, req_headers = ['X-A:  b: c ', 'User-Agent: p'], https_verify_certificate = true, \
         healthy = { interval = 2, http_statuses = [204], successes = 1 }, \
         unhealthy = { interval = '100ms', http_statuses = [500], http_failures = 1, tcp_failures = 3, \
         timeouts = 4 }",
    );
    assert_eq!((checks.timeout, checks.concurrency), (Duration::from_millis(300), 3));
    assert_eq!((checks.http_path.as_str(), checks.host.as_deref()), ("/h?a=1", Some("x.test:81")));
    assert_eq!(checks.port, Some(90));
    let headers = checks.req_headers.iter().map(|header| (&*header.name, &*header.value));
    assert!(headers.eq([("X-A", "b: c"), ("User-Agent", "p")]));
    assert!(checks.healthy.has(204) && !checks.healthy.has(200));
    assert!(checks.unhealthy.has(500) && !checks.unhealthy.has(404));
    assert_eq!(checks.unhealthy.interval, Duration::from_millis(100));
    assert_eq!(active(PLAIN, "type = 'tcp'").kind, CheckKind::Tcp);
}

#[test]
fn every_mistake_is_told() {
    // The upstream, its checks, the value that is wrong, its key, a part of the message.
    let cases: [[&str; 5]; 15] = [
        [PLAIN, "type = 'https'", "'https'", "type", "needs an upstream that is spoken to in TLS"],
        [PLAIN, "type = 'grpc'", "'grpc'", "type", "grpc"],
        [PLAIN, "type = 'tcp', http_path = '/'", "'/'", "http_path", "says nothing with"],
        [
            PLAIN,
            "https_verify_certificate = false",
            "false",
            "https_verify_certificate",
            "no request trusts",
        ],
        [PLAIN, "http_path = 'health'", "'health'", "http_path", "begins with `/`"],
        [PLAIN, "http_path = '/a b'", "'/a b'", "http_path", "no spaces"],
        [PLAIN, "host = 'a b'", "'a b'", "host", ""],
        [PLAIN, "port = 0", "0", "port", ""],
        ["nodes = { 'unix:/run/a' = 1 }", "port = 1", "1", "port", "Unix socket"],
        [PLAIN, "req_headers = ['X']", "'X'", "req_headers[0]", "is not a header"],
        [PLAIN, "req_headers = ['Host: a']", "'Host: a'", "req_headers[0]", "key of its own"],
        [PLAIN, "req_headers = ['TE: x']", "'TE: x'", "req_headers[0]", "belongs to the gateway"],
        [PLAIN, "healthy = { interval = '10ms' }", "'10ms'", "healthy.interval", "too often"],
        [
            PLAIN,
            "healthy = { http_statuses = [404] }, unhealthy = { http_statuses = [404] }",
            "[404]",
            "unhealthy.http_statuses",
            "404 passes, and fails",
        ],
        [PLAIN, "unhealthy = { timeouts = 0 }", "0", "unhealthy.timeouts", ""],
    ];
    for [upstream, checks, value, key, message] in cases {
        let field = format!("upstreams[0].checks.active.{key}");
        let column = "checks.active = { ".len() + checks.rfind(value).unwrap() + 1;
        let wanted: [Wanted<'_>; 1] = [(6, column, &field, message)];
        assert_problems(&text(upstream, checks), &wanted);
    }
}

#[test]
fn plain_checks_of_nodes_with_tls_need_a_port() {
    let tls = TLS.replace(", scheme", "\nscheme").replace(", tls", "\ntls");
    let line = "type = 'http'";
    let wanted = "upstreams[0].checks.active.type";
    assert_problems(&text(&tls, line), &[(8, 26, wanted, "can never pass")]);
    assert_eq!(active(&tls, "type = 'http', port = 81").kind, CheckKind::Http);
    assert_eq!(active(&tls, "").kind, CheckKind::Https);
    // A certificate that requests do not look at, checks need not look at either.
    let off = tls.replace("ca = 'ca.pem'", "verify = 'off'");
    assert_eq!(active(&off, "https_verify_certificate = false").kind, CheckKind::Https);
}
