//! Four nodes behind a gateway under a constant load: one after the other is killed, stopped, black-holed, made
//! to answer garbage, made slow; then two at a time.
//!
//! Each request has a name, and each node notes the names that it was asked: a POST that was sent twice is seen.
//! What is told of each phase is in [`Row`].
//!
//! `cargo test -p ferrule-tests --test peers nodes -- --ignored --nocapture` takes 20 minutes for each proxy, and
//! prints a table in Markdown, with nginx, HAProxy and Envoy (where `bench/envoy` has put it) beside Ferrule.
//! `FERRULE_NODES_SECONDS` shortens each phase, and `FERRULE_NODES_ONLY=nginx` leaves out all others.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

mod cluster;
mod load;
mod proxies;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ferrule_tests::{Driver, now, on_both_drivers, poll, raw, scratch};
use ferrule_tools::load::Histogram;

use cluster::{Cluster, Fault};
use load::{Load, Sample};
use proxies::Proxy;

/// What is done at a time, each to a node of its own.
const PHASES: [&[Fault]; 9] = [
    &[],
    &[Fault::Killed],
    &[Fault::Stalled],
    &[Fault::BlackHoled],
    &[Fault::Garbage],
    &[Fault::Slow],
    &[Fault::Killed, Fault::Stalled],
    &[Fault::BlackHoled, Fault::Garbage],
    &[Fault::Slow, Fault::Killed],
];

/// A request that took longer, or failed, met a node that should have been set aside.
const TROUBLED: Duration = Duration::from_millis(300);

/// Requests that may still meet such a node in a second, to see whether it works again.
const PROBES: usize = 2;

/// A node that fails is set aside by then: `timeout.read` is 2 s, and it takes two failures.
const ASIDE: Duration = Duration::from_secs(5);

/// How long a phase lasts, and how strong the load is.
struct Shape {
    faulty: Duration,
    healed: Duration,
    clients: u32,
    pace: Duration,
}

/// What one phase came to.
struct Row {
    faults: &'static [Fault],
    gets: usize,
    gets_failed: usize,
    posts: usize,
    posts_failed: usize,
    /// What failed, for whoever reads why a test did.
    failed: Vec<Sample>,
    /// When the next phase began.
    ended: Duration,
    /// Requests that met the fault: they failed, or took long.
    met: usize,
    /// From the fault to the first second in which no more of them began than ask whether a node works again.
    aside: Duration,
    /// From the end of the fault until each node was asked again; nothing if one was not.
    back: Option<Duration>,
    p50: Duration,
    p99: Duration,
}

/// Of the table.
const HEAD: &str = "| nodes | proxy | GETs failed | POSTs failed | requests that met it | set aside, s | back, s | \
                    p50, ms | p99, ms |\n| --- | --- | --: | --: | --: | --: | --: | --: | --: |\n";

/// What all phases came to behind one proxy.
struct Report {
    rows: Vec<Row>,
    /// POSTs that nodes have seen more than once.
    posts_twice: usize,
}

/// When a phase began, when its nodes were healed, and when they were asked again.
struct Times {
    began: Duration,
    healed: Duration,
    back: Option<Duration>,
    ended: Duration,
}

fn wait(until: Instant) {
    while now() < until {
        thread::park_timeout(until.saturating_duration_since(now()));
    }
}

fn drive(proxy: &Proxy, cluster: &mut Cluster, shape: &Shape) -> Report {
    let load = Load::new(proxy.port, shape.clients, shape.pace);
    let mut phases = Vec::new();
    let samples = thread::scope(|scope| {
        let running = scope.spawn(|| load.run());
        for (number, faults) in PHASES.into_iter().enumerate() {
            phases.push(phase(cluster, &load, number, faults, shape));
        }
        load.stop.store(true, Ordering::SeqCst);
        running.join().expect("the load ran")
    });
    let rows = PHASES.into_iter().zip(&phases);
    Report {
        rows: rows.map(|(faults, times)| row(faults, times, &samples)).collect(),
        posts_twice: posts_twice(cluster),
    }
}

/// One fault after the other hits another node each time.
fn phase(
    cluster: &mut Cluster,
    load: &Load,
    number: usize,
    faults: &[Fault],
    shape: &Shape,
) -> Times {
    let hit: Vec<_> =
        faults.iter().enumerate().map(|(at, fault)| ((number + at) % 4, *fault)).collect();
    let began = load.start.elapsed();
    for (node, fault) in &hit {
        cluster.inflict(*node, *fault);
    }
    wait(load.start + began + shape.faulty);
    for (node, fault) in &hit {
        cluster.heal(*node, *fault);
    }
    let healed = load.start.elapsed();
    let counts: Vec<_> = hit.iter().map(|(node, _)| cluster.nodes[*node].count()).collect();
    let again = poll(shape.healed, || {
        let mut counted = hit.iter().zip(&counts);
        counted.all(|((node, _), count)| cluster.nodes[*node].count() > *count).then_some(())
    });
    let back = again.map(|()| load.start.elapsed() - healed);
    wait(load.start + healed + shape.healed);
    Times { began, healed, back, ended: load.start.elapsed() }
}

fn row(faults: &'static [Fault], times: &Times, samples: &[Sample]) -> Row {
    let within = |sample: &&Sample| (times.began..times.ended).contains(&sample.at);
    let all: Vec<&Sample> = samples.iter().filter(within).collect();
    let count = |is: &dyn Fn(&Sample) -> bool| all.iter().filter(|sample| is(sample)).count();
    let faulty = all.iter().filter(|sample| sample.at < times.healed);
    let troubled = faulty.filter(|sample| !sample.is_good() || sample.time > TROUBLED);
    let met: Vec<_> = troubled.map(|sample| sample.at - times.began).collect();
    let mut latency = Histogram::default();
    all.iter().filter(|sample| !sample.post).for_each(|sample| latency.record(sample.time));
    Row {
        faults,
        gets: count(&|sample| !sample.post),
        gets_failed: count(&|sample| !sample.post && !sample.is_good()),
        posts: count(&|sample| sample.post),
        posts_failed: count(&|sample| sample.post && !sample.is_good()),
        failed: all.iter().filter(|sample| !sample.is_good()).map(|sample| **sample).collect(),
        ended: times.ended,
        aside: set_aside(&met),
        met: met.len(),
        back: times.back,
        p50: micros(latency.at(5_000)),
        p99: micros(latency.at(9_900)),
    }
}

/// When a node was set aside, by when the requests began that met it.
fn set_aside(met: &[Duration]) -> Duration {
    let begun_by = |time: Duration| met.partition_point(|at| *at < time);
    let is_quiet = |from: Duration| {
        begun_by(from + Duration::from_secs(1)).saturating_sub(begun_by(from)) <= PROBES
    };
    let moments = met.iter().map(|at| *at + micros(1));
    std::iter::once(Duration::ZERO).chain(moments).find(|from| is_quiet(*from)).unwrap_or_default()
}

const fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Names of POSTs that were noted more than once, by whichever nodes.
fn posts_twice(cluster: &Cluster) -> usize {
    let mut seen = BTreeMap::<String, usize>::new();
    for line in cluster.nodes.iter().flat_map(cluster::Node::requests) {
        if line.starts_with("POST ") {
            *seen.entry(line).or_default() += 1;
        }
    }
    seen.values().filter(|count| **count > 1).count()
}

impl Report {
    /// As rows of [`HEAD`].
    fn markdown(&self, proxy: &str) -> String {
        let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
        let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let mut text = String::new();
        for row in &self.rows {
            let faults: Vec<_> = row.faults.iter().map(|fault| fault.word()).collect();
            let name = if faults.is_empty() { "all work".to_owned() } else { faults.join(" + ") };
            let cells = [
                name,
                proxy.to_owned(),
                format!("{} of {}", row.gets_failed, row.gets),
                format!("{} of {}", row.posts_failed, row.posts),
                row.met.to_string(),
                seconds(row.aside),
                row.back.map_or_else(|| "-".to_owned(), seconds),
                millis(row.p50),
                millis(row.p99),
            ];
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }

    /// No idempotent request failed, and no POST was sent twice.
    fn assert_nothing_lost(&self, proxy: &str) {
        assert_eq!(self.posts_twice, 0, "{proxy}");
        let failed: Vec<_> = self.rows.iter().filter(|row| row.gets_failed > 0).collect();
        let failed = failed.iter().map(|row| format!("{:?}: {:?}", row.faults, row.failed));
        assert_eq!(failed.collect::<Vec<_>>(), Vec::<String>::new(), "{proxy}: GETs that failed");
    }

    /// Nodes are set aside soon, and come back.
    fn assert_soon(&self, proxy: &str) {
        for row in &self.rows {
            // A slow node answers well.
            assert!(
                row.faults.contains(&Fault::Slow) || row.aside < ASIDE,
                "{proxy}: {:?} after {:?}",
                row.faults,
                row.aside
            );
            assert!(row.back.is_some(), "{proxy}: {:?} do not come back", row.faults);
        }
    }

    fn row(&self, faults: &[Fault]) -> &Row {
        self.rows.iter().find(|row| row.faults == faults).expect("a phase")
    }
}

on_both_drivers! {
    /// A few seconds of each: what holds however weak the machine is.
    fn nodes_fail_and_come_back(driver) {
        let (scratch, pace) = (scratch(), Duration::from_millis(20));
        let mut cluster = Cluster::start(scratch.path());
        let proxy = proxies::ferrule(scratch.path(), driver, &cluster);
        let second = Duration::from_secs(1);
        let shape = Shape { faulty: second, healed: second, clients: 8, pace };
        let report = drive(&proxy, &mut cluster, &shape);
        println!("{HEAD}{}", report.markdown(&proxy.name));
        report.assert_nothing_lost(&proxy.name);
        for faults in [&[][..], &[Fault::Slow]] {
            let row = report.row(faults);
            // What was under way when the next phase began may have met that.
            let within = |sample: &&Sample| sample.at + sample.time < row.ended;
            let failed: Vec<_> = row.failed.iter().filter(within).collect();
            assert!(failed.is_empty(), "{faults:?} {failed:?}");
            assert!(row.gets > 10, "{faults:?}: {}", row.gets);
        }
        for _ in 0..16 {
            assert_eq!(raw::plain_get(proxy.port, "nodes.test", "/-/check").status(), 200);
        }
    }
}

#[test]
#[ignore = "takes 20 minutes for each proxy"]
#[expect(clippy::disallowed_methods, reason = "how a person shortens it")]
fn the_table() {
    let seconds = std::env::var("FERRULE_NODES_SECONDS").ok().and_then(|word| word.parse().ok());
    let half = Duration::from_secs(seconds.unwrap_or(132)) / 2;
    let pace = Duration::from_millis(8);
    let shape = Shape { faulty: half, healed: half, clients: 16, pace };
    let only = std::env::var("FERRULE_NODES_ONLY").ok();
    let (mut table, mut twice, mut ours) = (HEAD.to_owned(), String::new(), Vec::new());
    let names = ["Ferrule io_uring", "Ferrule epoll", "nginx", "HAProxy", "Envoy"];
    let chosen = |name: &&str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for name in names.into_iter().filter(chosen) {
        let scratch = scratch();
        let dir = scratch.path();
        let mut cluster = Cluster::start(dir);
        let proxy = match name {
            "Ferrule io_uring" => proxies::ferrule(dir, Driver::IoUring, &cluster),
            "Ferrule epoll" => proxies::ferrule(dir, Driver::Epoll, &cluster),
            "nginx" => proxies::nginx(dir, &cluster),
            "HAProxy" => proxies::haproxy(dir, &cluster),
            _ => match proxies::envoy(dir, &cluster) {
                Some(proxy) => proxy,
                None => {
                    println!("\nEnvoy is left out: bench/envoy puts it where it is looked for");
                    continue;
                }
            },
        };
        let report = drive(&proxy, &mut cluster, &shape);
        let (hole, rows) = (cluster.black_hole(), report.markdown(name));
        println!(
            "\n{name}: a black hole is {hole}; {} POSTs came twice\n\n{HEAD}{rows}",
            report.posts_twice
        );
        table.push_str(&rows);
        let _ = write!(twice, "{name} {}, ", report.posts_twice);
        if name.starts_with("Ferrule") {
            ours.push((name, report));
        }
    }
    println!("\nAll of it. POSTs that came twice: {}\n\n{table}", twice.trim_end_matches(", "));
    for (name, report) in ours {
        report.assert_nothing_lost(name);
        // Shorter ones end while nodes are still set aside.
        if half >= Duration::from_secs(60) {
            report.assert_soon(name);
        }
    }
}
