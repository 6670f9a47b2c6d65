//! A judge of proxies: more than a thousand shapes of requests and hundreds of shapes of answers,
//! each with a request behind it on the same connection and one on a fresh connection.
//!
//! A recording upstream keeps every byte and stamps every answer ([`recorder`]); what reached it, and
//! what reached the client, is read strictly and in the ways of lenient servers ([`reading`]). A relay
//! that copies bytes must fail, or the judge is worth nothing. The whole table, peers and mutual TLS
//! included: `cargo test -p ferrule-tests --test judge -- --ignored --nocapture`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, with its text; the table is for the reader"
)]

mod answers;
mod chunks;
mod line;
mod policies;
mod reading;
mod recorder;
mod requests;
mod stand;
mod table;
mod valid;
mod verdict;

use ferrule_tests::Driver;

use line::Below;
use stand::Proxy;
use table::Row;
use verdict::Verdict;

#[test]
fn probe_run() {
    for proxy in [Proxy::Ferrule(Driver::IoUring)] {
        let row = Row::judge((proxy, Below::Plain), &requests::cases(), |stand, case, number| {
            (case.name.clone(), verdict::request(stand, case, number))
        });
        show(&row);
        let row = Row::judge((proxy, Below::Plain), &valid::cases(true), |stand, case, number| {
            (case.name.clone(), verdict::request(stand, case, number))
        });
        show(&row);
        let row = Row::judge((proxy, Below::Plain), &answers::cases(), |stand, case, number| {
            (case.name.clone(), verdict::answer(stand, case, number))
        });
        show(&row);
    }
}

fn show(row: &Row) {
    println!("{} {:?} {:?}", row.proxy.name(), row.below, row.counts());
    if row.proxy.is_ferrule() {
        for line in row.list(|v| !matches!(v, Verdict::Passed | Verdict::Refused(_) | Verdict::Policy(_))) {
            println!("  {line}");
        }
    }
}
