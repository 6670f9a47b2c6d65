//! A judge of proxies: more than a thousand shapes of requests and hundreds of shapes of answers,
//! each with a request behind it on the same connection and one on a fresh connection.
//!
//! A recording upstream keeps every byte and stamps every answer ([`recorder`]); what reached it, and
//! what reached the client, is read strictly and in the ways of lenient servers ([`reading`]). A relay
//! that copies bytes must fail, or the judge is worth nothing. The whole table, peers and mutual TLS
//! included: `cargo test -p ferrule-tests --test peers judge -- --ignored --nocapture`.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, with its text; the table is for the reader"
)]

mod answers;
mod chunks;
mod grammar;
mod line;
mod message;
mod policies;
mod reading;
mod recorder;
mod requests;
mod stand;
mod table;
mod valid;
mod verdict;
mod ways;

use ferrule_tests::Driver;

use line::Below;
use stand::Proxy;
use table::{Row, heading};

/// Every `step`th of these.
fn some<C>(cases: Vec<C>, step: usize) -> Vec<C> {
    cases.into_iter().step_by(step).collect()
}

/// One proxy before all three kinds of cases, or before every `step`th of them.
fn judge(proxy: Proxy, below: Below, step: usize) -> Vec<Row> {
    let requests = |side, cases: Vec<verdict::RequestCase>| {
        Row::judge((proxy, below, side), &cases, |stand, case, number| {
            (case.name.clone(), verdict::request(stand, case, number))
        })
    };
    let answers = some(answers::cases(), step);
    vec![
        requests("requests", some(requests::cases(), step)),
        requests("valid requests", some(valid::cases(below == Below::Plain), step.div_ceil(3))),
        Row::judge((proxy, below, "answers"), &answers, |stand, case, number| {
            (case.name.clone(), verdict::answer(stand, case, number))
        }),
    ]
}

/// Prints the rows of the table, and fails with everything that may not happen.
fn must_hold(rows: &[Row]) {
    let findings: Vec<String> = rows.iter().flat_map(Row::findings).collect();
    println!("{}", heading());
    rows.iter().for_each(|row| println!("{}", row.line()));
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn there_are_as_many_shapes_as_we_say() {
    let valid = valid::cases(true);
    assert!(requests::cases().len() >= 1000 && valid.len() >= 300 && answers::cases().len() >= 400);
    let kinds = [message::Kind::Request];
    for case in valid {
        let found = reading::all(&case.bytes, &kinds, &ways::STRICT);
        assert!(
            matches!(found.rest, reading::Rest::Clean | reading::Rest::Closed),
            "{}",
            case.name
        );
        assert_eq!(reading::ambiguity(&case.bytes, &kinds), None, "{}", case.name);
    }
}

/// The control: who copies bytes is caught at every turn.
#[test]
fn a_relay_fails() {
    for row in judge(Proxy::Relay, Below::Plain, 7) {
        let findings = row.findings().len();
        let valid = row.side == "valid requests";
        assert!(valid || findings * 4 > row.outcomes.len(), "{} {findings}", row.line());
    }
}

#[test]
fn nothing_misleads_ferrule_on_io_uring() {
    must_hold(&judge(Proxy::Ferrule(Driver::IoUring), Below::Plain, 1));
}

/// Every third shape; all of them in the whole table.
#[test]
fn nothing_misleads_ferrule_on_epoll() {
    must_hold(&judge(Proxy::Ferrule(Driver::Epoll), Below::Plain, 3));
}

/// Every eleventh shape on each driver; more of them in the whole table.
#[test]
fn nothing_misleads_ferrule_under_mutual_tls() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        must_hold(&judge(Proxy::Ferrule(driver), Below::Mutual, 11));
    }
}

#[test]
#[ignore = "takes minutes: every proxy, plain and under mutual TLS"]
fn the_whole_table() {
    let ours = [Proxy::Ferrule(Driver::IoUring), Proxy::Ferrule(Driver::Epoll)];
    println!("{}", heading());
    let mut rows = Vec::new();
    for below in [Below::Plain, Below::Mutual] {
        let peers = [Proxy::Nginx, Proxy::Haproxy, Proxy::Relay];
        let peers = peers.into_iter().filter(|peer| below == Below::Plain || *peer != Proxy::Relay);
        for proxy in ours.into_iter().chain(peers) {
            // A handshake costs more than all the rest of a case.
            let step = if below == Below::Plain { 1 } else { 4 };
            for row in judge(proxy, below, step) {
                println!("{}", row.line());
                row.examples().iter().for_each(|line| println!("    {line}"));
                rows.push(row);
            }
        }
    }
    let ours: Vec<Row> = rows.into_iter().filter(|row| row.proxy.is_ferrule()).collect();
    must_hold(&ours);
}
