//! When is another node asked? A real nginx (`proxy_next_upstream`) and the real gateway before the same three
//! scripted nodes: who is asked, how often, and what the client gets.
//!
//! Every difference is on a list ([`Meant`]), as docs/retries.md has it; any other one fails the test.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

mod case;
mod stand;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use ferrule_tests::{Driver, scratch};

use case::{Case, Does, On, cases};
use stand::{Seen, Stand};

/// Why the two differ.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Meant {
    /// nginx takes whatever does not begin like HTTP/1 for an answer of HTTP/0.9, and passes it on without a head; to
    /// HEAD, that is nothing at all.
    GarbageIsAnAnswer,
    /// nginx: half a head is `error`; here it is `bad_response`, which is not named.
    HalfAHeadIsAnError,
    /// nginx sends every method twice but POST, LOCK and PATCH; here only those that the RFC calls idempotent.
    UnknownMethodIsSentAgain,
    /// nginx has the whole body on disk; here it is longer than `retry_buffer`.
    LongBodyIsSentAgain,
}

/// Why nginx did what it did and we did not; `None`: that is not known.
fn meant(case: &Case, ours: &Seen, theirs: &Seen) -> Option<Meant> {
    let last = |seen: &Seen| seen.asked.last().map(|at| case.nodes[*at]);
    // As far as we have gone, nginx has gone too; and then to the next one, who may not even listen.
    let after = ours.asked.last().map_or(0, |at| at + 1);
    let refuses = case.nodes.get(after) == Some(&Does::Refuses);
    let further = theirs.asked.starts_with(&ours.asked)
        && (theirs.asked.len() > ours.asked.len() || refuses && theirs.status == 502);
    let is_silent = case.method == "HEAD" && theirs.status == 0 && theirs.answer.is_empty();
    if last(theirs) == Some(Does::Garbage) && (is_silent || theirs.answer.starts_with("220 ")) {
        return Some(Meant::GarbageIsAnAnswer);
    }
    if !further {
        return None;
    }
    match last(ours) {
        Some(Does::HalfAHead) if case.on == On::Errors => Some(Meant::HalfAHeadIsAnError),
        _ if case.method == "PURGE" && !case.is_repeatable() => {
            Some(Meant::UnknownMethodIsSentAgain)
        }
        Some(_) if case.is_repeatable() && case.is_long() => Some(Meant::LongBodyIsSentAgain),
        _ => None,
    }
}

/// What the two differ in; an error if that is not on the list. What does not come again is the machine's: a node
/// that it had no time for seems silent.
fn difference(case: &Case, stands: [&Stand; 2], first: [Seen; 2]) -> Result<Option<Meant>, String> {
    let mut seen = first;
    for _ in 0..4 {
        let [theirs, ours] = &seen;
        if ours == theirs {
            return Ok(None);
        }
        if let Some(meant) = meant(case, ours, theirs) {
            return Ok(Some(meant));
        }
        seen = stands.map(|stand| stand.run(case));
    }
    let [theirs, ours] = &seen;
    Err(format!("{case:?}\n  {}: {ours:?}\n  {}: {theirs:?}", stands[1].name, stands[0].name))
}

/// What a comparison came to.
#[derive(Default)]
struct Compared {
    /// How often each of the list was met.
    found: BTreeMap<Meant, usize>,
    /// Differences that are not on the list.
    others: Vec<String>,
}

/// Runs `cases` through nginx and both drivers, one after the other.
fn compare_some(cases: &[Case]) -> Compared {
    let scratch = scratch();
    let places: BTreeSet<_> = cases.iter().map(Case::place).collect();
    let stands = [
        Stand::nginx(scratch.path(), &places),
        Stand::ferrule(scratch.path(), Driver::IoUring, &places),
        Stand::ferrule(scratch.path(), Driver::Epoll, &places),
    ];
    let seen: Vec<Vec<Seen>> = thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all run before one is waited for")]
        let running: Vec<_> = stands
            .iter()
            .map(|stand| scope.spawn(|| cases.iter().map(|case| stand.run(case)).collect()))
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a stand")).collect()
    });
    let mut compared = Compared::default();
    for (at, case) in cases.iter().enumerate() {
        for (stand, seen_there) in stands.iter().zip(&seen).skip(1) {
            let first = [seen[0][at].clone(), seen_there[at].clone()];
            match difference(case, [&stands[0], stand], first) {
                Ok(None) => {}
                Ok(Some(meant)) => *compared.found.entry(meant).or_default() += 1,
                Err(text) => compared.others.push(text),
            }
        }
    }
    compared
}

/// The same with some at a time, each with proxies and nodes of its own, and prints how often each of the list was
/// met: a node that says nothing costs two seconds at each proxy, and nobody else has to wait for that.
fn compare(cases: &[Case], at_a_time: usize) -> BTreeMap<Meant, usize> {
    let all = thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all run before one is waited for")]
        let running: Vec<_> = cases
            .chunks(cases.len().div_ceil(at_a_time))
            .map(|some| scope.spawn(|| compare_some(some)))
            .collect();
        running.into_iter().map(|some| some.join().expect("a comparison")).collect::<Vec<_>>()
    });
    let mut found = BTreeMap::new();
    for (meant, count) in all.iter().flat_map(|some| &some.found) {
        *found.entry(*meant).or_default() += count;
    }
    let others: Vec<_> = all.into_iter().flat_map(|some| some.others).collect();
    println!("{} cases, both drivers: {found:?}", cases.len());
    assert!(others.is_empty(), "{} differences:\n{}", others.len(), others.join("\n"));
    found
}

#[test]
fn nginx_and_the_gateway_ask_the_same_nodes() {
    let found = compare(&cases(1, 100), 1);
    // What is on the list is met: the cases are not too tame.
    let all = [
        Meant::GarbageIsAnAnswer,
        Meant::HalfAHeadIsAnError,
        Meant::UnknownMethodIsSentAgain,
        Meant::LongBodyIsSentAgain,
    ];
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), all);
}

#[test]
#[ignore = "takes minutes: 6,000 cases of any kind"]
fn nginx_and_the_gateway_ask_the_same_nodes_whatever_happens() {
    compare(&cases(2, 6_000), 12);
}
