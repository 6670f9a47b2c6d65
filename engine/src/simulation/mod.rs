//! Seeded runs of whole exchanges: clients, this shell, and nodes, in one thread without a socket.
//!
//! A seed decides who the peers are, what they do wrong, how the network behaves and which task runs next
//! ([`setting`]), and in runs of another kind when nodes fail and come back ([`outage`]). Each peer checks
//! everything that it can see ([`client`], [`node`], [`journal`]), and at the end nothing may be left over
//! ([`run`]). `FERRULE_SEED=7` runs one seed and prints its steps. `FERRULE_SEEDS=1000` runs that many seeds,
//! starting with `FERRULE_FIRST`. See `docs/simulation.md`.

mod cases;
mod certificates;
mod client;
mod context;
mod failing;
mod fate;
mod gateway;
mod idle;
mod journal;
mod link;
mod message;
#[expect(
    clippy::needless_pass_by_ref_mut,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "its signatures are those of the kernel's network"
)]
pub(crate) mod network;
mod node;
mod outage;
mod response;
mod run;
mod setting;

use std::collections::BTreeSet;

use fate::{OUTAGES, Outage};
use run::run_drawn;
use setting::{Mode, Setting};

/// Runs of each mode in a normal test run.
const SEEDS: u64 = 500;
const SEEDS_TLS: u64 = 150;
/// Runs in which nodes fail and come back.
const SEEDS_OUTAGES: u64 = 100;
const SEEDS_OUTAGES_TLS: u64 = 20;
/// As many as it takes to be believed.
const SEEDS_ALL_OUTAGES: u64 = 5_000;

/// Runs `count` seeds, or as many as the environment says.
fn seeds(mode: Mode, count: u64) {
    let _ = seeds_drawn(mode, count, Setting::draw);
}

/// As [`seeds`], with settings that are drawn like this; what has befallen nodes.
fn seeds_drawn(mode: Mode, count: u64, draw: fn(Mode) -> Setting) -> BTreeSet<Outage> {
    let asked = |name: &str| run::environment(name);
    if let Some(seed) = asked("FERRULE_SEED") {
        let ended = run_drawn(mode, seed, true, draw);
        assert!(ended.violations.is_empty(), "{}", ended.describe(seed, mode));
        return BTreeSet::new();
    }
    let (first, count) =
        (asked("FERRULE_FIRST").unwrap_or(1), asked("FERRULE_SEEDS").unwrap_or(count));
    let mut failures = Vec::new();
    let (mut exchanges, mut delivered, mut met) = (0, 0, BTreeSet::new());
    for seed in first..first + count {
        let mut ended = run_drawn(mode, seed, false, draw);
        met.append(&mut ended.met);
        exchanges += ended.asks;
        delivered += ended.delivered;
        if !ended.violations.is_empty() {
            failures.push(ended.describe(seed, mode));
            if failures.len() == 5 {
                break;
            }
        }
    }
    run::tell(&format!("{mode:?}: {count} seeds, {exchanges} requests, {delivered} delivered"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    met
}

/// Runs `count` seeds in which nodes fail and come back; each kind of failure has to be met.
fn outages(mode: Mode, count: u64) {
    let met = seeds_drawn(mode, count, Setting::draw_outages);
    let missed: Vec<_> = OUTAGES.iter().filter(|outage| !met.contains(outage)).collect();
    let chosen = ["FERRULE_SEED", "FERRULE_SEEDS"].into_iter().find_map(run::environment);
    assert!(missed.is_empty() || chosen.is_some(), "nobody has met {missed:?}");
}

#[test]
fn plain_exchanges() {
    seeds(Mode::Plain, SEEDS);
}

#[test]
fn exchanges_over_mutual_tls() {
    seeds(Mode::Tls { fast: false }, SEEDS_TLS);
}

#[test]
fn exchanges_over_mutual_tls_by_our_own_records() {
    seeds(Mode::Tls { fast: true }, SEEDS_TLS);
}

#[test]
fn nodes_fail_and_come_back() {
    outages(Mode::Plain, SEEDS_OUTAGES);
}

#[test]
fn nodes_fail_and_come_back_under_mutual_tls() {
    for fast in [false, true] {
        let _ = seeds_drawn(Mode::Tls { fast }, SEEDS_OUTAGES_TLS, Setting::draw_outages);
    }
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn nodes_fail_and_come_back_in_thousands_of_runs() {
    outages(Mode::Plain, SEEDS_ALL_OUTAGES);
}
