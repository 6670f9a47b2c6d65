//! Does memory grow with the number of requests? Prints what the gateway holds at every tenth of them.
//!
//! `soak [--requests N] [--kind kept|full|resumed] [--connections N] [--epoll] [--under 'WORDS']
//! [--binary FILE]`. Ten million requests on 64 connections unless told otherwise; `--under` puts a
//! launcher such as `perf record` in front of the gateway; `FERRULE_TESTS_TLS_FAST_PATH=off` leaves
//! TLS 1.3 to rustls.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that reports")]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ferrule_bench::scene::{Scene, Spent, per, resident_kib};
use ferrule_tools::gateway::Driver;
use ferrule_tools::load::{Kind, run};

/// Memory may grow by so much between the first tenth and the last: buffers and tables find their
/// sizes late, and a leak of one byte a request would be three times as much.
const GROWTH_KIB_MAX: u64 = 3 * 1024;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let value = |name: &str| words.iter().skip_while(|word| *word != name).nth(1).cloned();
    let number = |name: &str, default: u64| {
        value(name).map_or(default, |word| word.parse().expect("a number"))
    };
    let has = |name: &str| words.iter().any(|word| word == name);
    let requests = number("--requests", 10_000_000);
    let connections = usize::try_from(number("--connections", 64)).expect("a few");
    let kind = match value("--kind").as_deref() {
        None | Some("kept") => Kind::Kept,
        Some("full") => Kind::Fresh,
        Some("resumed") => Kind::Resumed,
        Some(other) => {
            println!("{other}: not a kind of load");
            return ExitCode::FAILURE;
        }
    };
    let driver = if has("--epoll") { Driver::Epoll } else { Driver::IoUring };
    let launcher = value("--under").unwrap_or_default();
    let launcher: Vec<&str> = launcher.split_whitespace().collect();
    let scene = Scene::set(&[]);
    let binary = value("--binary").map(PathBuf::from);
    let mut gateway = scene.gateway(driver, "", &launcher, binary.as_deref());
    let id = gateway.process.id();
    println!("{:>12} {:>10} {:>12}", "requests", "RSS KiB", "CPU us/req");
    let (mut done, mut told, mut first, mut last) = (0, 0, None, 0);
    let plan = scene.plan(&gateway, kind, connections, Duration::from_secs(1));
    while done < requests {
        let before = Spent::of(id);
        let outcome = run(&plan);
        if outcome.failures() > 0 || outcome.answered == 0 {
            println!("FAILED: {} of {}: {:?}", outcome.failures(), done, outcome.failed);
            return ExitCode::FAILURE;
        }
        done += outcome.answered;
        last = resident_kib(id);
        let tenth = (done * 10 / requests.max(1)).min(10);
        if tenth > told {
            told = tenth;
            first = first.or(Some(last));
            let micros = per(Spent::of(id).since(before).cpu_nanos, outcome.answered) / 1e3;
            println!("{done:>12} {last:>10} {micros:>12.1}");
        }
    }
    gateway.stop();
    let growth = last.saturating_sub(first.unwrap_or(last));
    println!("grown by {growth} KiB since the first tenth");
    if growth > GROWTH_KIB_MAX {
        println!("FAILED: more than {GROWTH_KIB_MAX} KiB");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
