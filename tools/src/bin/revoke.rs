//! Ten thousand connected clients, some of which are revoked.
//!
//! `revoke [--connections N] [--revoked N] [--workers N] [--measure SECONDS] [--rate N]
//! [--driver io_uring|epoll]`; both drivers unless one is named. Ends with 1 if a revoked client is
//! connected for more than two seconds, or if any other client notices.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use ferrule_tools::gateway::Driver;
use ferrule_tools::revoke::Revoke;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let after = |name: &str| words.iter().skip_while(|word| *word != name).nth(1);
    let number = |name: &str, default: u32| {
        after(name).map_or(default, |word| word.parse().expect("a number"))
    };
    let count = |name, default| usize::try_from(number(name, default)).expect("a small number");
    let drivers = match after("--driver").map(String::as_str) {
        Some("epoll") => vec![Driver::Epoll],
        Some("io_uring") => vec![Driver::IoUring],
        _ => vec![Driver::IoUring, Driver::Epoll],
    };
    let mut good = true;
    for driver in drivers {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let revoke = Revoke {
            driver,
            connections: count("--connections", 10_000),
            revoked: count("--revoked", 100),
            workers: number("--workers", 1),
            measure: Duration::from_secs(number("--measure", 5).into()),
            rate: number("--rate", 1_000).into(),
            limit: Duration::from_secs(2),
        };
        let report = revoke.run(scratch.path());
        println!("{report}");
        for problem in report.problems() {
            println!("PROBLEM: {problem}");
            good = false;
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
