//! Many slow clients through mTLS, and what the others notice: p99 without and with them, memory
//! before, during and after.
//!
//! `slow [--connections N] [--seconds S] [--rate N] [--workers N] [--mode headers|body|read|idle]
//! [--driver io_uring|epoll]`; every mode and both drivers unless one is named. Ends with 1 if a
//! request of the others failed, a slow client was not held, or memory did not come back.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use ferrule_tools::gateway::Driver;
use ferrule_tools::slow::{Mode, Siege};
use strum::VariantArray;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let after = |name: &str| words.iter().skip_while(|word| *word != name).nth(1);
    let number = |name: &str, default: u32| {
        after(name).map_or(default, |word| word.parse().expect("a number"))
    };
    let drivers = match after("--driver").map(String::as_str) {
        Some("epoll") => vec![Driver::Epoll],
        Some("io_uring") => vec![Driver::IoUring],
        _ => vec![Driver::IoUring, Driver::Epoll],
    };
    let wanted = after("--mode");
    let modes =
        Mode::VARIANTS.iter().copied().filter(|mode| wanted.is_none_or(|word| word == mode.word()));
    let modes: Vec<Mode> = modes.collect();
    assert!(!modes.is_empty(), "a mode is one of headers, body, read, idle");
    let mut good = true;
    for driver in drivers {
        for mode in &modes {
            let scratch = tempfile::tempdir().expect("a temporary directory");
            let siege = Siege {
                driver,
                mode: *mode,
                connections: number("--connections", 1_000) as usize,
                time: Duration::from_secs(number("--seconds", 60).into()),
                rate: number("--rate", 1_000).into(),
                workers: number("--workers", 1),
            };
            let report = siege.run(scratch.path());
            println!("{report}");
            for problem in report.problems() {
                println!("PROBLEM: {problem}");
                good = false;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
