//! A reload every 0.6 s for a minute under load, the server certificate changed each time.
//!
//! `storm [--reloads N] [--workers N] [--driver io_uring|epoll]`; both drivers
//! unless one is named. Ends with 1 if anything went wrong, and also if the load was too weak to
//! prove anything: the gateway must have used half of its cores or more.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use ferrule_tools::gateway::Driver;
use ferrule_tools::storm::Storm;

const BETWEEN: Duration = Duration::from_millis(600);
/// Less is no storm.
const BUSY_MIN: f64 = 0.5;

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
    let mut good = true;
    for driver in drivers {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let storm = Storm {
            driver,
            reloads: number("--reloads", 100),
            between: BETWEEN,
            workers: number("--workers", 1),
            kept: 64,
            fresh: 100,
        };
        let report = storm.run(scratch.path());
        println!("{report}");
        let mut problems = report.problems();
        if report.busy() < BUSY_MIN {
            problems.push(String::from("too weak a load: the machine has too much else to do"));
        }
        for problem in &problems {
            println!("PROBLEM: {problem}");
        }
        good &= problems.is_empty();
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
