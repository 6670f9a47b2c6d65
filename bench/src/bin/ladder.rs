//! What each rung of the driver's ladder costs: epoll, and `io_uring` with the flags it may be given.
//!
//! `ladder [--rounds N] [--seconds N] [--idle]`. The gateway runs on core 0, the upstream on core 1;
//! `taskset -c 2,3` in front of this program leaves the rest to the load. Rungs take turns, round
//! after round. The gateway takes the best rung that the kernel allows and has no setting for the
//! others, so this program plays it (`ladder run -c FILE`), with the rung forced.
//!
//! `--idle` instead measures the gateway itself for ten seconds without a request: with no connection
//! and with 1,000. Something that busy-waits would show.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that reports, and stops at the first surprise"
)]

use std::env;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ferrule_bench::scene::{Scene, Spent, per};
use ferrule_engine::control::cli::arguments::{self, Invocation};
use ferrule_engine::control::run::boot::Boot;
use ferrule_engine::control::run::supervisor::Cores;
use ferrule_engine::setup::connection_counts::ConnectionCounts;
use ferrule_engine::setup::{CoreLink, Driver};
use ferrule_engine::shell::worker::{WorkerSettings, run_on};
use ferrule_tools::gateway;
use ferrule_tools::load::{Kind, run, run_held};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Names the rung to the process that plays the gateway.
const RUNG: &str = "FERRULE_BENCH_RUNG";

const RUNGS: [(&str, Driver); 4] = [
    ("epoll", Driver::Epoll),
    ("plain", Driver::UringPlain),
    ("cooperative", Driver::UringCooperative),
    ("deferred", Driver::UringDeferred),
];

/// Entries of the submission queue: the default, and a small one.
const ENTRIES: [u32; 2] = [4096, 256];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "run") {
        return play();
    }
    let number = |name: &str, default: u64| {
        let word = words.iter().skip_while(|word| *word != name).nth(1);
        word.map_or(default, |word| word.parse().expect("a number"))
    };
    let scene = Scene::set(&["taskset", "-c", "1"]);
    if words.iter().any(|word| word == "--idle") {
        idle(&scene);
    } else {
        climb(&scene, number("--rounds", 5), Duration::from_secs(number("--seconds", 3)));
    }
    ExitCode::SUCCESS
}

/// The gateway as its `main` runs it, but for the rung.
#[expect(clippy::disallowed_methods, reason = "how the parent process says which rung is meant")]
fn play() -> ExitCode {
    let rung = env::var(RUNG).expect("a rung");
    let found = RUNGS.iter().find(|(name, _)| *name == rung);
    let (_, driver) = *found.expect("one of the rungs");
    let file = match arguments::execute(env::args_os()) {
        Invocation::Run(file) => file,
        Invocation::Done(code) => return code,
    };
    let mut boot = match Boot::prepare(&file) {
        Ok(boot) => boot,
        Err(code) => return code,
    };
    let (links, logs) = (boot.links().to_vec(), boot.take_logs());
    let connection_counts = Arc::new(ConnectionCounts::default());
    let threads = links.iter().zip(logs).map(|(link, log)| {
        let settings = WorkerSettings {
            pin: None,
            link: Arc::clone(link),
            log,
            io_driver: boot.runtime().io_driver,
            ring_entries: boot.runtime().ring_entries,
            connections_max: boot.max_connections_per_core(),
            tls_fast_path: boot.runtime().tls_fast_path,
            buffer_bytes: boot.buffer_bytes_per_core(),
            connection_counts: Arc::clone(&connection_counts),
        };
        std::thread::spawn(move || run_on(settings, driver))
    });
    let threads = threads.collect();
    boot.run(&Running { links, threads })
}

struct Running {
    links: Vec<Arc<CoreLink>>,
    threads: Vec<JoinHandle<()>>,
}

impl Cores for Running {
    fn links(&self) -> &[Arc<CoreLink>] {
        &self.links
    }

    fn all_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

/// What a request cost in one round.
#[derive(Clone, Copy)]
struct Cost {
    cpu_micros: f64,
    syscalls: f64,
    waits: f64,
    per_second: f64,
}

fn climb(scene: &Scene, rounds: u64, time: Duration) {
    println!(
        "| connections | rung | entries | CPU us/request: min / median / max | system calls | waits \
         | requests/s |\n|---:|---|---:|---|---:|---:|---:|"
    );
    for connections in [1, 4, 64] {
        let mut rows: Vec<(&str, u32, Vec<Cost>)> = Vec::new();
        for round in 0..rounds {
            for (name, _) in RUNGS {
                for entries in ENTRIES {
                    // epoll has no ring.
                    if name == "epoll" && entries != ENTRIES[0] {
                        continue;
                    }
                    let cost = measure(scene, (name, entries), connections, time);
                    if round == 0 {
                        rows.push((name, entries, Vec::new()));
                    }
                    let row = rows.iter_mut().find(|row| (row.0, row.1) == (name, entries));
                    row.expect("made in the first round").2.push(cost);
                }
            }
        }
        for (name, entries, costs) in rows {
            let [low, half, high] = spread(&costs, |cost| cost.cpu_micros);
            let [_, syscalls, _] = spread(&costs, |cost| cost.syscalls);
            let [_, waits, _] = spread(&costs, |cost| cost.waits);
            let [_, per_second, _] = spread(&costs, |cost| cost.per_second);
            println!(
                "| {connections} | {name} | {entries} | {low:.1} / {half:.1} / {high:.1} | \
                 {syscalls:.2} | {waits:.2} | {per_second:.0} |"
            );
        }
    }
}

fn measure(scene: &Scene, rung: (&str, u32), connections: usize, time: Duration) -> Cost {
    let (name, entries) = rung;
    let variable = format!("{RUNG}={name}");
    let launcher = ["env", &variable, "taskset", "-c", "0"];
    let own = env::current_exe().expect("our own path");
    let runtime = format!("ring_entries = {entries}");
    let driver = gateway::Driver::IoUring;
    let mut gateway = scene.gateway(driver, &runtime, &launcher, Some(&own));
    let id = gateway.process.id();
    let warm_up = scene.plan(&gateway, Kind::Kept, connections, Duration::from_secs(1));
    assert_eq!(run(&warm_up).failures(), 0, "a good run");
    let plan = scene.plan(&gateway, Kind::Kept, connections, time);
    let mut before = Spent::default();
    let mut calls = None;
    let outcome = run_held(&plan, || {
        calls = Some(SystemCalls::count(id));
        before = Spent::of(id);
    });
    let spent = Spent::of(id).since(before);
    let calls = calls.expect("the load was started").told();
    assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
    gateway.stop();
    let all = outcome.answered;
    Cost {
        cpu_micros: per(spent.cpu_nanos, all) / 1e3,
        syscalls: per(calls, all),
        waits: per(spent.waits, all),
        per_second: per(all, 1) / outcome.elapsed.as_secs_f64(),
    }
}

/// perf at work, counting a process's system calls; without perf there are none to be told.
struct SystemCalls(Option<std::process::Child>);

impl SystemCalls {
    fn count(id: u32) -> Self {
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &id.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(perf.ok())
    }

    fn told(self) -> u64 {
        let Some(perf) = self.0 else { return 0 };
        let id = i32::try_from(perf.id()).ok().and_then(rustix::process::Pid::from_raw);
        let signal = rustix::process::Signal::INT;
        rustix::process::kill_process(id.expect("a process"), signal).expect("perf lives");
        let text = perf.wait_with_output().expect("perf").stderr;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split(',').next().and_then(|word| word.trim().parse().ok()).unwrap_or(0)
    }
}

/// Ten seconds without a request.
fn idle(scene: &Scene) {
    println!(
        "| idle connections | driver | CPU ms in 10 s | wake-ups a second | system calls a second |\n\
         |---:|---|---:|---:|---:|"
    );
    for driver in [gateway::Driver::IoUring, gateway::Driver::Epoll] {
        for connections in [0, 1_000] {
            let mut gateway = scene.gateway(driver, "", &["taskset", "-c", "0"], None);
            let id = gateway.process.id();
            if connections == 0 {
                println!("| 0 | {driver} | {} |", look(id));
            } else {
                let plan = scene.plan(&gateway, Kind::Idle, connections, Duration::from_secs(30));
                let mut text = String::new();
                let outcome = run_held(&plan, || text = look(id));
                let alive = usize::try_from(outcome.alive).ok();
                assert_eq!(alive, Some(connections), "{:?}", outcome.failed);
                println!("| {connections} | {driver} | {text} |");
            }
            gateway.stop();
        }
    }
}

fn look(id: u32) -> String {
    let seconds = 10;
    // What came with the start, or with the last handshakes, has ended.
    std::thread::park_timeout(Duration::from_secs(2));
    let (before, calls) = (Spent::of(id), SystemCalls::count(id));
    std::thread::park_timeout(Duration::from_secs(seconds));
    let (spent, calls) = (Spent::of(id).since(before), calls.told());
    let milliseconds = per(spent.cpu_nanos, 1_000_000);
    format!("{milliseconds:.1} | {:.1} | {:.1}", per(spent.waits, seconds), per(calls, seconds))
}

/// Least, median and most.
fn spread(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> [f64; 3] {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
}
