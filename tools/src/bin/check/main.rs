//! Every check of the project, in the order in which CI runs them; `--long` adds what takes long.
//!
//! Each step's whole output goes to `target/checks/`; here stand its time, its closing lines, and a
//! line now and then while it runs. Behind all steps come the times per suite and the slowest tests. A
//! tool that is not installed is named at the end as left out, never passed over in silence.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

mod outcome;
mod run;
mod steps;

use std::env;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use ferrule_tools::clock::now;
use ferrule_tools::process::source_dir;

use outcome::{Suites, seconds};
use run::run;
use steps::{Needs, STEPS, When};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let long = words.iter().any(|word| word == "--long");
    let only: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        println!("no check is called {unknown}; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let top = source_dir();
    let logs = top.join("target/checks");
    fs::create_dir_all(&logs).expect("a writable target directory");

    let mut failed = Vec::new();
    let mut left_out = Vec::new();
    let mut suites = Suites::default();
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
        } else if !run(step, &top, &logs, &mut suites) {
            failed.push(step.name);
        }
    }
    suites.print();
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

/// The program that this step needs and the machine lacks.
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
