//! Seeded runs of whole exchanges: clients, this shell, and nodes, in one thread without a socket.
//!
//! A seed decides who the peers are, what they do wrong, how the network behaves and which task runs next
//! ([`setting`]). Each peer checks everything that it can see ([`client`], [`node`], [`journal`]), and at the
//! end nothing may be left over ([`run`]). `FERRULE_SEED=7` runs one seed and prints its steps.
//! `FERRULE_SEEDS=1000` runs that many seeds, starting with `FERRULE_FIRST`. See `docs/simulation.md`.

mod cases;
mod certificates;
mod client;
mod context;
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
mod response;
mod run;
mod setting;

use run::run_seed;
use setting::Mode;

/// Runs of each mode in a normal test run.
const SEEDS: u64 = 500;
const SEEDS_TLS: u64 = 150;

/// Runs `count` seeds, or as many as the environment says.
fn seeds(mode: Mode, count: u64) {
    let asked = |name: &str| run::environment(name);
    if let Some(seed) = asked("FERRULE_SEED") {
        let ended = run_seed(mode, seed, true);
        assert!(ended.violations.is_empty(), "{}", ended.describe(seed, mode));
        return;
    }
    let (first, count) =
        (asked("FERRULE_FIRST").unwrap_or(1), asked("FERRULE_SEEDS").unwrap_or(count));
    let mut failures = Vec::new();
    let (mut exchanges, mut delivered) = (0, 0);
    for seed in first..first + count {
        let ended = run_seed(mode, seed, false);
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
