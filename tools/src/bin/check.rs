//! Every check of the project, in the order in which CI runs them; `--long` adds what takes long.
//!
//! Each step's whole output goes to `target/checks/`; here stand its time and its closing lines. A
//! tool that is not installed is named at the end as left out, never passed over in silence.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use ferrule_tools::clock::now;
use ferrule_tools::process::source_dir;

/// One check.
struct Step {
    name: &'static str,
    command: &'static str,
    needs: Needs,
    when: When,
}

/// What has to be installed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Needs {
    Cargo,
    Subcommand(&'static str),
    Program(&'static str),
    /// A program that `tests/run` installs: where it is missing in CI, that is a failure.
    Installed(&'static str),
}

/// Which runs it belongs to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum When {
    Always,
    Long,
}

const fn step(name: &'static str, command: &'static str) -> Step {
    Step { name, command, needs: Needs::Cargo, when: When::Always }
}

impl Step {
    const fn needing(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn long(mut self) -> Self {
        self.when = When::Long;
        self
    }
}

const STEPS: &[Step] = &[
    step("format", "cargo fmt --all -- --check"),
    step("core-is-pure", "cargo check -p ferrule-engine --no-default-features --lib --locked"),
    step("lints", "cargo clippy --workspace --all-targets --locked -- -D warnings"),
    step(
        "docs",
        "RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --document-private-items --locked",
    ),
    step("binary", "cargo build -p ferrule-engine --bin ferrule --locked"),
    step("tests", "cargo test --workspace --locked --no-fail-fast"),
    // On one driver; the other's half only waits once more for the same answers.
    step(
        "tests-without-fast-path",
        "FERRULE_TESTS_TLS_FAST_PATH=off cargo test -p ferrule-tests --test journey --locked --no-fail-fast -- ::io_uring",
    ),
    step(
        "tests-without-fast-path-epoll",
        "FERRULE_TESTS_TLS_FAST_PATH=off cargo test -p ferrule-tests --test journey --locked --no-fail-fast -- ::epoll",
    )
    .long(),
    step("benches-once", "cargo test -p ferrule-bench --benches --locked --no-fail-fast"),
    step("demo", "cargo demo --once"),
    // Behind the demo, which builds the same crates with the same settings.
    step(
        "instructions",
        "cargo run --release -q -p ferrule-bench --bin instructions --locked",
    )
    .needing(Needs::Installed("valgrind")),
    step("unused-dependencies", "cargo machete").needing(Needs::Subcommand("machete")),
    step("licences-and-bans", "cargo deny check bans licenses sources")
        .needing(Needs::Subcommand("deny")),
    step("spelling", "typos").needing(Needs::Program("typos")),
    step(
        "records",
        "FERRULE_RECORDS=5000000 cargo test --release -p ferrule-tests --test record --locked",
    )
    .long(),
    step("release-binary", "cargo build --release -p ferrule-engine --locked").long(),
    step("release-tests", "cargo test --release --workspace --locked --no-fail-fast").long(),
    step(
        "storm",
        "cargo build --release -q -p ferrule-engine --locked && cargo run --release -q -p ferrule-tools --bin storm",
    )
    .long(),
    step(
        "judge",
        "cargo test --release -p ferrule-tests --test judge --locked -- --ignored --nocapture",
    )
    .long(),
    step("compare", "cargo compare").long(),
    step(
        "fuzz",
        "for target in $(cargo fuzz list --fuzz-dir tests/fuzz); do RUSTC_BOOTSTRAP=1 cargo fuzz run \
         \"$target\" --fuzz-dir tests/fuzz -- -max_total_time=60; done",
    )
    .needing(Needs::Subcommand("fuzz"))
    .long(),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let long = words.iter().any(|word| word == "--long");
    let only: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let top = source_dir();
    let logs = top.join("target/checks");
    fs::create_dir_all(&logs).expect("a writable target directory");

    let mut failed = Vec::new();
    let mut left_out = Vec::new();
    let start = now();
    for step in STEPS {
        if !only.is_empty() && !only.iter().any(|name| *name == step.name) {
            continue;
        }
        if step.when == When::Long && !long && only.is_empty() {
            left_out.push(format!("{} (only with --long)", step.name));
        } else if let Some(missing) = missing(step.needs) {
            if in_ci() && matches!(step.needs, Needs::Installed(_)) {
                failed.push(step.name);
            }
            left_out.push(format!("{} ({missing} is missing)", step.name));
        } else if !run(step, &top, &logs) {
            failed.push(step.name);
        }
    }
    println!("\nall checks: {}", seconds(start.elapsed()));
    for name in &left_out {
        println!("left out: {name}");
    }
    if failed.is_empty() {
        println!("result: ok");
        return ExitCode::SUCCESS;
    }
    println!("result: FAILED: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// Nobody reads the list of what was left out there.
#[expect(clippy::disallowed_methods, reason = "CI says so in no other way")]
fn in_ci() -> bool {
    env::var("CI").is_ok_and(|word| word == "true")
}

fn missing(needs: Needs) -> Option<String> {
    let answers = |program: &str, word: &str| {
        let mut command = Command::new(program);
        command.arg(word).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok()
    };
    match needs {
        Needs::Cargo => None,
        Needs::Subcommand(name) => {
            let program = format!("cargo-{name}");
            (!answers(&program, "--version")).then_some(program)
        }
        Needs::Program(name) | Needs::Installed(name) => {
            (!answers(name, "--version")).then(|| name.to_owned())
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Runs one step; did it pass?
fn run(step: &Step, top: &Path, logs: &Path) -> bool {
    let log = logs.join(format!("{}.log", step.name));
    println!("\n== {}: {}", step.name, step.command);
    let file = File::create(&log).expect("a writable target directory");
    let errors = file.try_clone().expect("a descriptor to spare");
    let start = now();
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", step.command])
        .current_dir(top)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .status()
        .expect("bash");
    let passed = status.success() && closing_lines(&log);
    if !passed {
        print_end(&log, 120);
    }
    let word = if passed { "ok" } else { "FAILED" };
    println!("-- {}: {word}, {}", step.name, seconds(start.elapsed()));
    passed
}

/// Prints what the test runner said last about each target. False if it left out a test without a reason.
fn closing_lines(log: &Path) -> bool {
    let text = read(log);
    let mut reasons = true;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("Running ") || line.starts_with("test result:") {
            println!("   {line}");
        }
        if line.starts_with("test ") && line.contains("... ignored") {
            println!("   {line}");
            reasons &= line.contains("... ignored, ");
        }
    }
    reasons
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

fn print_end(log: &Path, count: usize) {
    let text = read(log);
    let lines: Vec<&str> = text.lines().collect();
    let failures = lines.iter().filter(|line| line.ends_with("... FAILED"));
    for line in failures {
        println!("   {line}");
    }
    for line in lines.iter().skip(lines.len().saturating_sub(count)) {
        println!("   | {line}");
    }
    println!("   (whole output: {})", log.display());
}
