//! Large bodies through mTLS on both sides, every byte checked, memory watched.
//!
//! `stream [--mib N] [--way down|up|both] [--driver io_uring|epoll]`; 10 GiB, every way and both
//! drivers unless told otherwise. Ends with 1 if a byte was wrong or memory moved by more than 8 MiB.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::process::ExitCode;

use ferrule_tools::gateway::Driver;
use ferrule_tools::stream::{Streams, Way};
use strum::VariantArray;

/// Flat is what stays within this.
const SWING_KIB_MAX: u64 = 8 << 10;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let after = |name: &str| words.iter().skip_while(|word| *word != name).nth(1);
    let mib: u64 = after("--mib").map_or(10 << 10, |word| word.parse().expect("a number"));
    let drivers = match after("--driver").map(String::as_str) {
        Some("epoll") => vec![Driver::Epoll],
        Some("io_uring") => vec![Driver::IoUring],
        _ => vec![Driver::IoUring, Driver::Epoll],
    };
    let wanted = after("--way");
    let mut good = true;
    println!("| driver | way | moved | checked | memory in the second half |");
    println!("| --- | --- | --- | --- | --- |");
    for driver in drivers {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let streams = Streams::start(scratch.path(), driver);
        for way in
            Way::VARIANTS.iter().copied().filter(|way| wanted.is_none_or(|word| word == way.word()))
        {
            match streams.flow(way, mib << 20) {
                Ok(report) => {
                    println!("{report}");
                    good &= report.swing() <= SWING_KIB_MAX;
                }
                Err(error) => {
                    println!("PROBLEM: {driver}, {}: {error}", way.word());
                    good = false;
                }
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
