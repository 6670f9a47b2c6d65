//! One step: its process, its log, and a line now and then while it runs.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use ferrule_tools::clock::{now, poll};

use crate::outcome::{Suites, closing_lines, seconds};
use crate::steps::Step;

/// Nobody waits longer than this for a line.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Runs one step; did it pass?
pub(crate) fn run(step: &Step, top: &Path, logs: &Path, suites: &mut Suites) -> bool {
    let log = logs.join(format!("{}.log", step.name));
    println!("\n== {}: {}", step.name, step.command);
    let file = File::create(&log).expect("a writable target directory");
    let errors = file.try_clone().expect("a descriptor to spare");
    let start = now();
    let child = Command::new("bash")
        .args(["-euo", "pipefail", "-c", step.command])
        .current_dir(top)
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .expect("bash");
    let status = wait(child, step, &log);
    let text = read(&log);
    suites.count(step.name, &text);
    let passed = closing_lines(&text) && status.success();
    if !passed {
        print_end(&log, &text, 120);
    }
    let word = if passed { "ok" } else { "FAILED" };
    println!("-- {}: {word}, {}", step.name, seconds(start.elapsed()));
    passed
}

/// Waits for its end; says every [`SILENCE_MAX`] how far it is, by the last line of its log.
fn wait(mut child: Child, step: &Step, log: &Path) -> ExitStatus {
    let start = now();
    loop {
        if let Some(status) = poll(SILENCE_MAX, || child.try_wait().expect("our own child")) {
            return status;
        }
        let text = read(log);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
        let last: String = last.chars().take(100).collect();
        println!("   .. {}: {}, {last}", step.name, seconds(start.elapsed()));
    }
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

fn print_end(log: &Path, text: &str, count: usize) {
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(count)) {
        println!("   | {line}");
    }
    println!("   (whole output: {})", log.display());
}
