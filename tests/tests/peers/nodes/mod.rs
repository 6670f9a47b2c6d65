//! Four nodes behind a gateway under a constant load: one after the other is killed, stopped, black-holed, made
//! to answer garbage, made slow; then two at a time.
//!
//! Each request has a name, and each node notes the names that it was asked: a POST that was sent twice is seen.
//! What is told of each phase is in [`Row`].
//!
//! `cargo test -p ferrule-tests --test peers nodes -- --ignored --nocapture` takes 20 minutes for each proxy, and
//! prints the table with nginx, HAProxy and Envoy (where `bench/envoy` has put it) beside Ferrule;
//! `FERRULE_NODES_SECONDS` shortens each phase.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

mod cluster;
mod load;
mod proxies;

use std::collections::BTreeMap;
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
    /// From the fault to the beginning of the last request that met it; nothing if none did.
    aside: Option<Duration>,
    /// From the end of the fault until each node was asked again; nothing if one was not.
    back: Option<Duration>,
    p50: Duration,
    p99: Duration,
}

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
    let mut troubled = faulty.filter(|sample| !sample.is_good() || sample.time > TROUBLED);
    let mut latency = Histogram::default();
    all.iter().filter(|sample| !sample.post).for_each(|sample| latency.record(sample.time));
    Row {
        faults,
        gets: count(&|sample| !sample.post),
        gets_failed: count(&|sample| !sample.post && !sample.is_good()),
        posts: count(&|sample| sample.post),
        posts_failed: count(&|sample| sample.post && !sample.is_good()),
        aside: troubled.next_back().map(|sample| sample.at - times.began),
        back: times.back,
        p50: micros(latency.at(5_000)),
        p99: micros(latency.at(9_900)),
    }
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
    fn print(&self, proxy: &str, black_hole: &str) {
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{:.1}", time.as_secs_f64()))
        };
        let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        println!(
            "\n{proxy}: POSTs sent twice {}; a black hole is {black_hole}\n",
            self.posts_twice
        );
        println!(
            "| phase | GETs failed | POSTs failed | set aside, s | back, s | p50, ms | p99, ms |"
        );
        println!("| --- | --: | --: | --: | --: | --: | --: |");
        for row in &self.rows {
            let name = format!("{:?}", row.faults);
            println!(
                "| {name} | {} of {} | {} of {} | {} | {} | {} | {} |",
                row.gets_failed,
                row.gets,
                row.posts_failed,
                row.posts,
                seconds(row.aside),
                seconds(row.back),
                millis(row.p50),
                millis(row.p99)
            );
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
        report.print(&proxy.name, cluster.black_hole());
        assert_eq!(report.posts_twice, 0);
        for faults in [&[][..], &[Fault::Slow]] {
            let row = report.row(faults);
            assert_eq!((row.gets_failed, row.posts_failed), (0, 0), "{faults:?}");
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
    for proxy in 0..5 {
        let scratch = scratch();
        let dir = scratch.path();
        let mut cluster = Cluster::start(dir);
        let proxy = match proxy {
            0 => proxies::ferrule(dir, Driver::IoUring, &cluster),
            1 => proxies::ferrule(dir, Driver::Epoll, &cluster),
            2 => proxies::nginx(dir, &cluster),
            3 => proxies::haproxy(dir, &cluster),
            _ => match proxies::envoy(dir, &cluster) {
                Some(proxy) => proxy,
                None => {
                    println!("\nEnvoy is left out: bench/envoy puts it where it is looked for");
                    continue;
                }
            },
        };
        let report = drive(&proxy, &mut cluster, &shape);
        report.print(&proxy.name, cluster.black_hole());
        if proxy.name.starts_with("Ferrule") {
            assert_eq!(report.posts_twice, 0);
        }
    }
}
