//! Disk full, log pipe stalled, no descriptors, no memory: what well-behaved clients lose for as long as it lasts.
//!
//! In the normal run each lasts two seconds at a few hundred requests a second. For a minute each at half of
//! what the gateway can do, with nginx and HAProxy beside it and a table of what was lost:
//! `FERRULE_TESTS_EXHAUSTION=60 cargo test -p ferrule-tests --test journey exhaustion -- --nocapture`.
//! `--include-ignored` adds a control group's limit on memory.

#![expect(clippy::print_stdout, reason = "the table is for the reader")]

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Driver, Gateway, PATIENCE, Script, Setup, Upstream, on_both_drivers, poll, raw, scratch,
};
use ferrule_tools::haproxy::Haproxy;
use ferrule_tools::load::{self, Kind, Outcome, Plan, Request};
use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::process::free_port;

use crate::exhausted::connect;

/// What there is none of any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shortage {
    Disk,
    LogReader,
    Descriptors,
    Memory,
    /// A limit of the kernel (a control group) on what the process has, of which `buffer_memory` is a part.
    KernelMemory,
}

/// What the process may have in [`Shortage::KernelMemory`].
const GROUP_BYTES: u64 = 48 << 20;

/// Connections that bear the load. They are kept, and so have all that they need.
const CONNECTIONS: usize = 8;
/// Requests a second in the normal run.
const RATE: u64 = 300;
/// Bytes that the access log may grow to: a full disk, as far as a program can tell.
const LOG_BYTES: u64 = 16 * 1024;
/// Clients that use up what there is.
const CROWD: usize = 60;
/// A response that does not fit into the buffers of a socket.
const LARGE: usize = 16 << 20;

const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// How long, and how many seconds a table is made of; `None` in the normal run.
#[expect(clippy::disallowed_methods, reason = "how a longer run is asked for")]
fn minutes() -> Option<Duration> {
    let seconds = std::env::var("FERRULE_TESTS_EXHAUSTION").ok()?;
    Some(Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// Answers `/large` with a large body and everything else with a few bytes.
fn script() -> Script {
    let large = vec![b'x'; LARGE];
    Arc::new(move |client| {
        while let Some(request) = client.request() {
            let is_large = request.head.raw.contains("/large");
            if !client.answer(if is_large { &large } else { b"ok" }) {
                return;
            }
        }
    })
}

fn plan(port: u16, rate: u64, time: Duration) -> Plan {
    Plan {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: None,
        request: Request::get("a.test", "/", Kind::Kept),
        kind: Kind::Kept,
        nagle: false,
        connections: CONNECTIONS,
        threads: 1,
        time,
        rate,
    }
}

/// What a second without a pause comes to, halved; a fixed rate in the normal run.
fn load_for(port: u16) -> Plan {
    match minutes() {
        None => plan(port, RATE, Duration::from_secs(2)),
        Some(time) => {
            let able = load::run(&plan(port, 0, Duration::from_secs(1))).answered;
            plan(port, (able / 2).max(1), time)
        }
    }
}

/// The pipe that nobody reads from, and who holds it open.
fn stalled_pipe(dir: &Path) -> (PathBuf, File) {
    let path = dir.join("access.log");
    let done = Command::new("mkfifo").arg(&path).status();
    assert!(done.expect("mkfifo").success());
    // Open for both: that waits for nobody.
    let reader = File::options().read(true).write(true).open(&path).expect("a pipe");
    (path, reader)
}

/// Uses up what there is, for as long as it is held.
fn crowd(shortage: Shortage, port: u16) -> Vec<TcpStream> {
    let open = || {
        let mut client = connect(port);
        if matches!(shortage, Shortage::Memory | Shortage::KernelMemory) {
            // It may be turned away already.
            drop(client.write_all(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        }
        client
    };
    match shortage {
        Shortage::Disk | Shortage::LogReader => Vec::new(),
        Shortage::Descriptors | Shortage::Memory | Shortage::KernelMemory => {
            std::iter::repeat_with(open).take(CROWD).collect()
        }
    }
}

fn limit_descriptors(process: u32) {
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("our own child").count();
    let done = Command::new("prlimit")
        .args([format!("--pid={process}"), format!("--nofile={}:", open + CROWD / 4)])
        .status();
    assert!(done.expect("prlimit").success());
}

/// The load, and in the midst of it the shortage.
fn endure(shortage: Shortage, port: u16, process: u32, connected: &dyn Fn() -> bool) -> Outcome {
    let plan = load_for(port);
    let bearer = thread::spawn(move || load::run(&plan));
    assert!(poll(PATIENCE, || connected().then_some(())).is_some(), "the load has begun");
    if shortage == Shortage::Descriptors {
        limit_descriptors(process);
    }
    let crowd = crowd(shortage, port);
    let outcome = bearer.join().expect("a load");
    drop(crowd);
    outcome
}

/// What became of the requests and of their lines in the access log.
#[derive(Debug)]
struct Endured {
    outcome: Outcome,
    written: u64,
    /// Lines that are counted as lost.
    lost: Option<u64>,
}

fn lines(path: &Path) -> u64 {
    let text = fs::read(path).unwrap_or_default();
    u64::try_from(text.iter().filter(|byte| **byte == b'\n').count()).expect("few lines")
}

/// A control group of version 1 with [`GROUP_BYTES`], which is removed when this is dropped.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new() -> Self {
        let name = format!("/sys/fs/cgroup/memory/ferrule-{}", std::process::id());
        let group = Self(name.into());
        fs::create_dir_all(&group.0).expect("the right to make a control group of version 1");
        let limit = group.0.join("memory.limit_in_bytes");
        fs::write(limit, GROUP_BYTES.to_string()).expect("a limit");
        group
    }

    /// The most that it has held.
    fn most(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.max_usage_in_bytes"));
        text.expect("a number").trim().parse().expect("a number")
    }

    /// Processes that the kernel has ended for want of memory.
    fn killed(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.oom_control")).expect("a list");
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.expect("a count").trim().parse().expect("a number")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

fn launcher(shortage: Shortage) -> Vec<String> {
    match shortage {
        Shortage::KernelMemory => {
            let group = format!("/sys/fs/cgroup/memory/ferrule-{}", std::process::id());
            let enter = format!("echo $$ > {group}/cgroup.procs; exec \"$@\"");
            ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
        }
        Shortage::Disk => vec!["prlimit".to_owned(), format!("--fsize={LOG_BYTES}")],
        _ => Vec::new(),
    }
}

fn ferrule(driver: Driver, shortage: Shortage) -> Endured {
    let (scratch, upstream) = (scratch(), Upstream::plain(script()));
    let dir = scratch.path();
    let (log, reader) = match shortage {
        Shortage::LogReader => {
            let (log, reader) = stalled_pipe(dir);
            (log, Some(reader))
        }
        _ => (dir.join("access.log"), None),
    };
    let launcher = launcher(shortage);
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let mut setup = Setup::new(dir, driver, CONFIG).quiet().under(&launcher);
    setup = setup.log_line(&format!("access = {{ path = \"{}\" }}", log.display()));
    if matches!(shortage, Shortage::Memory | Shortage::KernelMemory) {
        setup = setup.runtime_line("buffer_memory = \"4m\"");
    }
    let gateway = setup.set("upstream", &upstream.port).start();
    let connected = || upstream.accepted() > 0;
    let outcome = endure(shortage, gateway.port("front"), gateway.process.id(), &connected);
    let lost = || lost_lines(&gateway);
    // Of a stalled pipe nobody knows what is in it.
    if reader.is_some() {
        return Endured { outcome, written: 0, lost: lost() };
    }
    let known = || lines(&log) + lost().unwrap_or(0);
    let all = poll(PATIENCE, || (known() >= outcome.answered).then_some(()));
    assert!(all.is_some(), "{} answered, {} lines written or lost", outcome.answered, known());
    if shortage == Shortage::Disk {
        // Some were under way when the load ended. A line that is cut off waits for its other half.
        let half = || u64::from(!fs::read(&log).unwrap_or_default().ends_with(b"\n"));
        let seen = || u64::try_from(upstream.seen().len()).expect("few requests");
        let exact = poll(PATIENCE, || (known() + half() == seen()).then_some(()));
        assert!(exact.is_some(), "{} requests, {} lines written or lost", seen(), known());
    }
    Endured { written: lines(&log), lost: lost(), outcome }
}

fn lost_lines(gateway: &Gateway) -> Option<u64> {
    let answer = raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/metrics");
    let found = Exposition::read(&answer.text());
    let lost = found.samples("ferrule_log_lines_dropped_total");
    let lost = lost.filter(|(labels, _)| labels.get("log").is_none_or(|log| log == "access"));
    let lost: f64 = lost.map(|(_, count)| count).sum();
    format!("{lost:.0}").parse().ok()
}

fn peers(shortage: Shortage) -> Vec<(&'static str, Endured)> {
    let (scratch, upstream) = (scratch(), Upstream::plain(script()));
    let dir = scratch.path();
    let (port, node) = (free_port(), upstream.port);
    let log = dir.join("access.log");
    let reader = (shortage == Shortage::LogReader).then(|| stalled_pipe(dir));
    let http = format!(
        "upstream u {{ server 127.0.0.1:{node}; keepalive 64; }}\nserver {{ listen 127.0.0.1:{port}; \
         access_log {}; location / {{ proxy_pass http://u; proxy_http_version 1.1; \
         proxy_set_header Connection \"\"; }} }}",
        log.display()
    );
    let launcher = launcher(shortage);
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let connected = || upstream.accepted() > 0;
    let mut found = Vec::new();
    {
        let nginx = Nginx::start_under(&launcher, dir, port, &http, Shape::Single);
        let outcome = endure(shortage, port, nginx.process.id(), &connected);
        found.push((
            "nginx",
            Endured { outcome, written: lines_if_file(&log, reader.is_some()), lost: None },
        ));
    }
    drop(reader);
    // HAProxy writes no files: it has no log that could be full.
    if matches!(shortage, Shortage::Descriptors | Shortage::Memory | Shortage::KernelMemory) {
        let port = free_port();
        let text = format!("listen l\n  bind 127.0.0.1:{port}\n  server s 127.0.0.1:{node}\n");
        let haproxy = Haproxy::start(dir, port, &text);
        let outcome = endure(shortage, port, haproxy.process.id(), &connected);
        found.push(("haproxy", Endured { outcome, written: 0, lost: None }));
    }
    found
}

fn lines_if_file(log: &Path, is_pipe: bool) -> u64 {
    if is_pipe { 0 } else { lines(log) }
}

fn show(who: &str, shortage: Shortage, endured: &Endured) {
    let Endured { outcome, written, lost } = endured;
    println!(
        "| {shortage:?} | {who} | {} | {:?} | {written} | {} |",
        outcome.answered,
        outcome.failed,
        lost.map_or_else(|| "not counted".to_owned(), |lost| lost.to_string())
    );
}

/// One shortage, with the table if there is time for it.
fn case(driver: Driver, shortage: Shortage) -> Endured {
    let endured = ferrule(driver, shortage);
    if minutes().is_some() {
        println!("| shortage | server | answered | failed | lines written | lines lost |");
        show(&format!("ferrule, {driver}"), shortage, &endured);
        let peers = if shortage == Shortage::KernelMemory { Vec::new() } else { peers(shortage) };
        for (name, endured) in peers {
            show(name, shortage, &endured);
        }
    }
    assert!(endured.outcome.answered > 0);
    endured
}

on_both_drivers! {
    fn a_full_disk_costs_log_lines_alone(driver) {
        let Endured { outcome, written, lost } = case(driver, Shortage::Disk);
        assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
        assert!(written > 0 && lost.is_some_and(|lost| lost > 0), "{written} written, {lost:?} lost");
    }

    fn a_stalled_log_pipe_costs_log_lines_alone(driver) {
        let Endured { outcome, .. } = case(driver, Shortage::LogReader);
        assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
    }

    /// Idle connections make room, and one that waits for its next request is idle: its client meets a closed
    /// connection, or is told to come again. Nothing else happens to anybody, and hardly ever that.
    fn no_descriptors_cost_few_a_second_try(driver) {
        let Endured { outcome, lost, .. } = case(driver, Shortage::Descriptors);
        let known = ["closed before the response", "status 503"];
        assert!(outcome.failed.keys().all(|reason| known.contains(&reason.as_str())), "{:?}", outcome.failed);
        assert!(outcome.failures() * 20 < outcome.answered, "{:?}", outcome.failed);
        assert_eq!(lost, Some(0));
    }

    fn no_memory_costs_those_nothing_who_read(driver) {
        let Endured { outcome, lost, .. } = case(driver, Shortage::Memory);
        assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
        assert_eq!(lost, Some(0));
    }
}

#[test]
#[ignore = "takes the right to make a control group of version 1"]
fn a_limit_of_the_kernel_is_not_met() {
    for driver in [Driver::IoUring, Driver::Epoll] {
        let group = MemoryGroup::new();
        let Endured { outcome, lost, .. } = case(driver, Shortage::KernelMemory);
        println!("most held: {} KiB of {} KiB", group.most() >> 10, GROUP_BYTES >> 10);
        let failed = outcome.failures();
        assert_eq!((failed, lost, group.killed()), (0, Some(0), 0), "{:?}", outcome.failed);
    }
}
