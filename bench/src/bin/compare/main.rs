//! Ferrule beside its peers, doing the very same job: `cargo compare [--quick] [CASE...]`.
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
mod chart;
mod drive;
mod goals;
mod options;
mod peer;
mod proof;
mod report;
mod runs;
mod stage;
mod stats;
mod watch;

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use ferrule_tools::clock::now;
use ferrule_tools::process::{shell, source_dir};
use rustix::process::{Resource, getrlimit, setrlimit};

use options::{Options, USAGE};
use runs::{Lab, Results};
use stage::{Layout, Stage, cores, is_there};

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            println!("{why}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    for program in ["wrk", "cc", "openssl", "taskset", "setpriv"] {
        if !is_there(program) {
            println!("{program} is missing: apt install wrk gcc libssl-dev openssl util-linux");
            return ExitCode::FAILURE;
        }
    }
    if options.build && !build() {
        return ExitCode::FAILURE;
    }
    raise_limit();
    let start = now();
    let stage = Stage::set(envoy(options.envoy.clone()), options.against.clone());
    stage.build_preload();
    println!("{}", Layout::single(cores()).words(cores()));
    println!("about {} minutes, if no round is dropped", options.estimate().div_ceil(60));
    let mut lab =
        Lab { stage: &stage, options: &options, peers: Vec::new(), results: Results::default() };
    lab.admit();
    for case in &options.cases {
        lab.run(case);
    }
    let facts = report::facts(&stage, &lab.peers, &options);
    let whole = report::write(&lab.results, &facts, options.name);
    println!("took {} seconds", start.elapsed().as_secs());
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds what is started, the way we were built.
fn build() -> bool {
    println!("building ferrule, load and relay ...");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--locked"]);
    command.args(["-p", "ferrule-engine", "-p", "ferrule-tools", "-p", "ferrule-bench"]);
    command.args(["--bin", "ferrule", "--bin", "load", "--bin", "relay"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let built = command.current_dir(source_dir()).status();
    built.is_ok_and(|status| status.success())
}

/// Ten thousand connections want a descriptor each, in whoever we start.
fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // What remains is what there is; a case that needs more will say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The one that was named, the one that `bench/envoy` made, or the one on the path.
fn envoy(named: Option<PathBuf>) -> Option<PathBuf> {
    if let Some(path) = named {
        return path.is_file().then_some(path);
    }
    let script = "find -L target/envoy -path '*/_bin/envoy' -type f 2>/dev/null | head -n 1 | grep . \
                  || command -v envoy || true";
    let found = shell(&source_dir(), script);
    let found = found.trim();
    (!found.is_empty()).then(|| PathBuf::from(found))
}
