//! What a route asks for beside forwarding: conditions (`vars`) by operator, another path, changes of a response.

#![expect(clippy::expect_used, reason = "a bench that cannot run shall stop")]

use std::hint::black_box;
use std::path::Path;

use criterion::Criterion;
use ferrule_bench::input::{Connection, NOW};
use ferrule_config::Config;
use ferrule_engine::exchange::response::{PendingRequest, ResponseStep, admit_response};
use ferrule_engine::exchange::response_block::ResponseBlock;
use ferrule_engine::exchange::response_head::client_head;
use ferrule_engine::exchange::response_shape::{ResponseChange, shaped_head};
use ferrule_engine::exchange::rewritten::Rewritten;
use ferrule_engine::plan::facts::LogFacts;
use ferrule_engine::plan::response_plan::{FieldChange, ResponseRulePlan};
use ferrule_engine::plan::{Facts, RouteId};
use ferrule_engine::wire::head::{ResponseHead, parse_response};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\
    Date: Sat, 21 Nov 2026 22:55:28 GMT\r\nContent-Type: application/json\r\nContent-Length: 128\r\n\
    ETag: \"0123\"\r\n\r\n";

/// One route that takes the request of all benches, with these lines.
fn config(lines: &str) -> Config {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[routes]]\nuri = '/anything/*'\n\
         upstream.nodes = {{ 'a:1' = 1 }}\n{lines}\n"
    );
    let draft = ferrule_config::read_text(Path::new("/bench.toml"), text, &|_| None);
    let draft = draft.expect("a configuration");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
    draft.config
}

/// Each operator, where it holds; `arg_q` is `1`.
fn conditions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vars");
    for (name, condition) in [
        ("is", "['arg_q', '==', '1']"),
        ("is-not", "['arg_q', '~=', '2']"),
        ("is-not, inverted", "['arg_q', '!', '==', '2']"),
        ("greater", "['arg_q', '>', 0]"),
        ("at-least", "['arg_q', '>=', 1]"),
        ("less", "['arg_q', '<', 2]"),
        ("at-most", "['arg_q', '<=', 1]"),
        ("matches", "['http_user_agent', '~~', '^curl/[0-9]+']"),
        ("matches-any-case", "['http_user_agent', '~*', '^CURL/[0-9]+']"),
        ("in", "['arg_q', 'in', ['0', '2', '3', '1']]"),
        ("has", "['http_accept_encoding', 'has', 'gzip']"),
        ("ipmatch", "['remote_addr', 'ipmatch', ['10.0.0.0/8', '192.0.2.0/24']]"),
    ] {
        // Another route takes the request: conditions are asked for facts that only the shell has.
        let lines = format!(
            "vars = [{condition}]\n[[routes]]\nuri = '/anything/*'\nupstream.nodes = {{ 'a:1' = 1 }}"
        );
        let mut connection = Connection::of(&config(&lines), &[]);
        let admission = connection.admit();
        let facts = connection.facts(&admission);
        let when = connection.plan.route(RouteId(0)).when.as_ref().expect("a condition");
        let mut value = Vec::with_capacity(256);
        group.bench_function(name, |bencher| {
            bencher.iter(|| when.holds(black_box(&facts), &mut value));
        });
        assert!(when.holds(&facts, &mut value), "{name}");
    }
    group.finish();
}

/// From what the client asked for to the path that is sent.
fn rewrites(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewritten");
    for (name, line) in [
        ("uri", "rewrite.uri = '/new$uri'"),
        ("regex", "rewrite.regex_uri = ['^/anything/([0-9]+)/(.*)$', '/items/$1/$2']"),
        (
            "regex, fifth pair",
            "rewrite.regex_uri = ['^/a/', '/', '^/b/', '/', '^/c/', '/', '^/d/', '/', '^/anything/([0-9]+)/(.*)$', '/items/$1/$2']",
        ),
    ] {
        let mut connection = Connection::of(&config(line), &[]);
        let admission = connection.admit();
        let facts = connection.facts(&admission);
        let policy = connection.plan.route(admission.route).policy.as_deref().expect("a policy");
        let rewrite = policy.rewrite.as_ref().expect("a rewrite");
        let mut rewritten = Rewritten::default();
        rewritten.rewrite(rewrite, &mut { admission }, &facts);
        assert!(!rewritten.is_unusable && !rewritten.target.is_empty(), "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                rewritten.rewrite(rewrite, &mut black_box(admission), &facts);
                black_box(rewritten.target.len())
            });
        });
    }
    group.finish();
}

/// One rule after another, as `shell/request/shaping.rs` goes through them.
fn change(
    rules: &[ResponseRulePlan],
    facts: &Facts<'_>,
    value: &mut Vec<u8>,
    block: &mut ResponseBlock,
) {
    for rule in rules {
        if !rule.holds(facts, value) {
            continue;
        }
        rule.each_change(facts, value, &mut |change| match change {
            FieldChange::Add(name, value) => block.add(name, value),
            FieldChange::Set(name, value) => block.set(name, value),
            FieldChange::Remove(name) => block.remove(name),
        });
    }
}

/// From an admitted response to the head that the client gets, as it came and with rules.
fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("response");
    let rules = "response = [{ headers = { set = { X-Frame-Options = 'DENY' }, remove = ['Server'] } }, \
                 { vars = [['status', '>=', 500]], status = 503, body = 'later' }]";
    let mut connection = Connection::of(&config(rules), &[]);
    let admission = connection.admit();
    let log = LogFacts { status: 200, ..LogFacts::default() };
    let facts = Facts { log: Some(&log), ..connection.facts(&admission) };
    let policy = connection.plan.route(admission.route).policy.as_deref().expect("a policy");
    let pending = PendingRequest {
        upgrade: false,
        method: admission.method,
        version: admission.version,
        keep_alive: true,
        repeatable: false,
        interims: 0,
        http_date: NOW.http_date,
        continue_wanted: false,
        trailers: None,
        via: None,
        request_id: None,
    };
    let mut head = ResponseHead::default();
    let limits = connection.plan.response_limits();
    parse_response(RESPONSE, RESPONSE.len(), limits, &mut head).expect("a good head");
    let view = head.view(RESPONSE);
    let Ok(ResponseStep::Final(delivery)) = admit_response(view, &pending) else { return };
    let mut out = Vec::with_capacity(4096);
    group.bench_function("as it came", |bencher| {
        bencher.iter(|| {
            out.clear();
            client_head(black_box(view), &delivery, &pending, &mut out);
        });
    });
    let (mut block, mut value) = (ResponseBlock::default(), Vec::with_capacity(256));
    group.bench_function("two rules", |bencher| {
        bencher.iter(|| {
            out.clear();
            block.clear();
            change(&policy.response, black_box(&facts), &mut value, &mut block);
            let none = ResponseChange::default();
            shaped_head(view, &delivery, &pending, admission.method, &none, &mut block, &mut out)
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    conditions(&mut criterion);
    rewrites(&mut criterion);
    responses(&mut criterion);
    criterion.final_summary();
}
