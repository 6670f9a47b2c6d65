//! Ferrule beside its peers, doing the very same job: `cargo compare [--quick] [--peer=NAME] [CASE...]`.
//!
//! One core for the proxy, one for the upstream, the rest for the load. Peers take turns, round after
//! round; what counts is CPU time of all the proxy's processes per request, as a ratio within the run.
//! Before anything is measured each peer shows that it does the whole job. Results go to
//! `bench/results/`.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that reports, and stops at the first surprise"
)]

mod case;
mod measure;
mod peer;
mod report;
mod stage;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use case::{CASES, Case};
use measure::Sample;
use peer::Peer;
use stage::Stage;

/// A round in which the proxy, or the whole machine, did without its cores for more than this share
/// of the time says little.
const DISTURBED: f64 = 0.10;

/// Disturbed rounds are repeated, up to so many times the number wanted.
const ROUNDS_TRIED_MAX: usize = 3;

/// How long and how often.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    warm_up: Duration,
    measured: Duration,
}

/// All rounds of one peer in one case.
struct Row {
    peer: Peer,
    samples: Vec<Sample>,
    dropped: usize,
    void: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    let effort = if quick {
        Effort { rounds: 3, warm_up: Duration::from_secs(1), measured: Duration::from_secs(2) }
    } else {
        Effort { rounds: 7, warm_up: Duration::from_secs(1), measured: Duration::from_secs(5) }
    };
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| !CASES.iter().any(|case| case.name == **name))
    {
        println!("{unknown}: no such case; there are:");
        CASES.iter().for_each(|case| println!("  {}", case.name));
        return ExitCode::FAILURE;
    }
    let peer = words.iter().find_map(|word| word.strip_prefix("--peer="));
    let peers: Vec<Peer> = Peer::ALL
        .into_iter()
        .filter(|candidate| peer.is_none_or(|name| name == candidate.name()))
        .collect();
    let stage = Stage::set();
    println!("{}", stage.cores);
    let mut results = Vec::new();
    for case in CASES {
        if wanted.is_empty() || wanted.iter().any(|name| *name == case.name) {
            println!("\n== {}: {}", case.name, case.words);
            results.push((case, compare(&stage, case, &peers, effort)));
        }
    }
    let whole = report::print_and_write(&results, &stage, quick);
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Peers take turns, so that what else the machine does hits all alike.
fn compare(stage: &Stage, case: &Case, peers: &[Peer], effort: Effort) -> Vec<Row> {
    let mut rows: Vec<Row> = peers
        .iter()
        .map(|peer| Row { peer: *peer, samples: Vec::new(), dropped: 0, void: Vec::new() })
        .collect();
    for round in 0..effort.rounds * ROUNDS_TRIED_MAX {
        if rows.iter().all(|row| row.samples.len() >= effort.rounds) {
            break;
        }
        for row in &mut rows {
            let proxy = row.peer.start(stage, case);
            if round == 0 {
                row.peer.prove(stage, case, &proxy);
            }
            measure::load(stage, case, proxy.port, effort.warm_up);
            match measure::round(stage, case, &proxy, effort.measured) {
                Err(why) => row.void.push(why),
                Ok(sample) if sample.waited > DISTURBED || sample.stolen > DISTURBED => {
                    row.dropped += 1;
                }
                Ok(sample) => {
                    println!(
                        "   {:8} {:6.2} us CPU/request {:8.0} requests/s p50 {:6.0} us p99 {:6.0} us",
                        row.peer.name(),
                        sample.cpu_micros,
                        sample.per_second,
                        sample.p50_micros,
                        sample.p99_micros
                    );
                    row.samples.push(sample);
                }
            }
        }
    }
    rows
}
