//! Counts the instructions of the core paths under callgrind, and holds them against
//! `bench/instructions.toml`: a guard that does not care how busy the machine is.
//!
//! `instructions` counts and compares; `instructions --write` takes what it counts as the new
//! baselines; `instructions go PATH TIMES` goes one path so often. Each path is counted as the
//! difference of two runs, so that making ready for it is not counted.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that reports, and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;

use ferrule_bench::paths::{PATHS, path};
use ferrule_tools::process::{shell, source_dir};

/// Goes that are counted in neither run: tables and buffers have their sizes afterwards.
const WARM_UP: u64 = 100;

/// What the baselines say of themselves.
const WORDS: &str = "\
# Instructions of the core paths, as `cargo run --release -p ferrule-bench --bin instructions` counts
# them under callgrind: release profile, x86-64 with AVX2 and AES (all that valgrind lets a program
# see). Counts belong to one compiler; with another, or after a change that is worth its price, renew
# them with `-- --write` and say why in the commit.
";

/// What counts are held against.
struct Baselines {
    toolchain: String,
    tolerance_percent: f64,
    counts: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if cfg!(debug_assertions) {
        println!("counts of a debug build say nothing: run it with --release");
        return ExitCode::FAILURE;
    }
    match words.as_slice() {
        [] => compare(),
        ["--write"] => write(),
        ["go", name, times] => {
            let mut once = path(name).expect("one of the paths");
            let times: u64 = times.parse().expect("a number");
            let sum: usize = (0..times).map(|_| black_box(once())).sum();
            println!("{sum}");
            ExitCode::SUCCESS
        }
        _ => {
            println!("instructions [--write | go PATH TIMES]");
            ExitCode::FAILURE
        }
    }
}

fn file() -> PathBuf {
    source_dir().join("bench/instructions.toml")
}

fn toolchain() -> String {
    let text = shell(&source_dir(), "rustc --version");
    text.split_whitespace().nth(1).unwrap_or("unknown").to_owned()
}

/// Instructions of one go of every path, in the order of the paths.
fn count_all() -> Vec<(&'static str, u64)> {
    let next = Mutex::new(PATHS.iter());
    let counts = Mutex::new(BTreeMap::new());
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&(name, times)) = take(&next) {
                    let difference = run(name, WARM_UP + times) - run(name, WARM_UP);
                    counts.lock().expect("no panic").insert(name, difference / times);
                }
            });
        }
    });
    let counts = counts.into_inner().expect("no panic");
    PATHS.iter().map(|(name, _)| (*name, counts[name])).collect()
}

fn take<T>(next: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    next.lock().expect("no panic").next()
}

/// Instructions of a whole run.
fn run(name: &str, times: u64) -> u64 {
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("our own path"))
        .args(["go", name, &times.to_string()])
        .output()
        .expect("valgrind");
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    let collected = text.split_once("Collected : ").map(|(_, rest)| rest);
    let word = collected.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
}

fn read() -> Baselines {
    let text = fs::read_to_string(file()).expect("bench/instructions.toml");
    let table: toml::Table = text.parse().expect("TOML");
    let counts = table["counts"].as_table().expect("[counts]");
    let number = |value: &toml::Value| value.as_integer().and_then(|n| u64::try_from(n).ok());
    Baselines {
        toolchain: table["toolchain"].as_str().expect("a version").to_owned(),
        tolerance_percent: table["tolerance_percent"].as_float().expect("a number with a point"),
        counts: counts
            .iter()
            .map(|(name, value)| (name.clone(), number(value).expect("a count")))
            .collect(),
    }
}

/// Prints every path beside its baseline. Fails with one that grew by more than the tolerance.
fn compare() -> ExitCode {
    let baselines = read();
    let (ours, theirs) = (toolchain(), &baselines.toolchain);
    if ours != *theirs {
        println!(
            "FAILED: the baselines are Rust {theirs}'s, this is {ours}: renew with -- --write"
        );
        return ExitCode::FAILURE;
    }
    let mut whole = true;
    println!("{:>10} {:>10} {:>8}  instructions: baseline, now", "baseline", "now", "change");
    for (name, now) in count_all() {
        let Some(before) = baselines.counts.get(name) else {
            println!("{:>10} {now:>10} {:>8}  {name}: FAILED: without a baseline", "-", "-");
            whole = false;
            continue;
        };
        let change = (exact(now) / exact(*before) - 1.0) * 100.0;
        let (verdict, good) = if change > baselines.tolerance_percent {
            (": FAILED: more than the tolerance", false)
        } else if change < -baselines.tolerance_percent {
            (": better; renew the baselines, or the gain can be lost unseen", true)
        } else {
            ("", true)
        };
        println!("{before:>10} {now:>10} {change:>+7.1}%  {name}{verdict}");
        whole &= good;
    }
    println!("Rust {ours}, tolerance {} %", baselines.tolerance_percent);
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write() -> ExitCode {
    let mut text = format!("{WORDS}toolchain = \"{}\"\n", toolchain());
    text.push_str("tolerance_percent = 2.0\n\n[counts]\n");
    for (name, count) in count_all() {
        writeln!(text, "\"{name}\" = {count}").expect("a string takes text");
    }
    fs::write(file(), &text).expect("a writable file");
    print!("{text}");
    ExitCode::SUCCESS
}

fn exact(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
