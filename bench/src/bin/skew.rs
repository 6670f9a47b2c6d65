//! How `SO_REUSEPORT` spreads connections over cores: with 8 and with 1,000 connections.
//!
//! `skew [--workers N] [--runs N] [--seconds N]`. Each run starts a gateway of its own, opens the
//! connections at once, sends at a fixed rate that all connections share equally, stops it, and reads
//! what each core says it had. Prints a Markdown table over all runs.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::path::Path;
use std::time::Duration;

use ferrule_tools::gateway::{Driver, Setup};
use ferrule_tools::load::{Kind, Plan, Request, run};
use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::process::free_port;

// Not on 127.0.0.1, where the kit would look whether it listens: that would be one more connection.
const CONFIG: &str = r#"
[http]
keepalive_requests = 1000000000

[[listen]]
address = "127.0.0.2:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Requests a second, all connections together: enough to be measured, not enough to saturate.
const RATE: u64 = 4_000;

/// What one core had in one run.
#[derive(Clone, Copy, Debug)]
struct Core {
    connections: u64,
    busy_percent: f64,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let word = words.iter().skip_while(|word| *word != name).nth(1);
        word.map_or(default, |word| word.parse().expect("a number"))
    };
    let cores = std::thread::available_parallelism().map_or(4, usize::from);
    let workers = number("--workers", u64::try_from(cores).expect("a few"));
    let (runs, seconds) = (number("--runs", 20), number("--seconds", 3));
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let dir = scratch.path();
    let port = free_port();
    let http = format!(
        "server {{\nlisten 127.0.0.1:{port} backlog=4096;\nlocation / {{ return 200 \"ok\"; }}\n}}"
    );
    let _upstream = Nginx::start(dir, port, &http, Shape::MasterAndWorker);
    println!("{workers} workers, {runs} runs of {seconds} s, {RATE} requests/s\n");
    println!(
        "| connections | per core: min / median / max | share of the fullest core: median / max | \
         runs with an idle core | busy per core: min / median / max |\n|---:|---|---|---:|---|"
    );
    for connections in [8, 1_000] {
        let all: Vec<Vec<Core>> = (0..runs)
            .map(|_| once(dir, port, workers, connections, Duration::from_secs(seconds)))
            .collect();
        println!("{}", row(connections, &all));
    }
}

fn once(dir: &Path, upstream: u16, workers: u64, connections: usize, time: Duration) -> Vec<Core> {
    let front = free_port();
    let runtime = format!("workers = {workers}\nio_driver = \"auto\"\n");
    let mut gateway = Setup::new(dir, Driver::IoUring, CONFIG)
        .runtime(&runtime)
        .quiet()
        .set("front", &front)
        .set("upstream", &upstream)
        .start();
    let outcome = run(&Plan {
        address: ([127, 0, 0, 2], front).into(),
        tls: None,
        request: Request::get("skew.test", "/", Kind::Kept),
        kind: Kind::Kept,
        nagle: false,
        connections,
        threads: 1,
        time,
        rate: RATE,
    });
    gateway.stop();
    assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
    let log = gateway.log();
    let cores: Vec<Core> = log.lines().filter_map(core).collect();
    let sum: u64 = cores.iter().map(|core| core.connections).sum();
    assert_eq!(usize::try_from(sum).ok(), Some(connections), "{log}");
    cores
}

/// Reads `core 1: 3 connections accepted, 0 open, 5 requests, busy 25.0 %`.
fn core(line: &str) -> Option<Core> {
    let (before, after) = line.split_once(" connections accepted, ")?;
    let connections = before.rsplit(' ').next()?.parse().ok()?;
    let busy_percent = after.split_once("busy ")?.1.split(' ').next()?.parse().ok()?;
    Some(Core { connections, busy_percent })
}

fn row(connections: usize, runs: &[Vec<Core>]) -> String {
    let cores: Vec<Core> = runs.iter().flatten().copied().collect();
    let all = count(connections);
    let [least, half, most] = spread(cores.iter().map(|core| exact(core.connections)).collect());
    let fullest = |run: &Vec<Core>| run.iter().map(|core| core.connections).max().unwrap_or(0);
    let [_, top, worst] = spread(runs.iter().map(|run| exact(fullest(run)) / all).collect());
    let is_idle = |run: &&Vec<Core>| run.iter().any(|core| core.connections == 0);
    let idle = runs.iter().filter(is_idle).count();
    let busy = spread(cores.iter().map(|core| core.busy_percent).collect());
    format!(
        "| {connections} | {least:.0} / {half:.0} / {most:.0} | {:.0} % / {:.0} % | {idle} of {} | \
         {:.1} % / {:.1} % / {:.1} % |",
        top * 100.0,
        worst * 100.0,
        runs.len(),
        busy[0],
        busy[1],
        busy[2]
    )
}

fn exact(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// Least, median and most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
}
