//! One round: wrk drives, `/proc` tells what the proxy spent.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ferrule_tools::clock::now;

use crate::case::Case;
use crate::peer::Proxy;
use crate::stage::{NAME, Stage};

/// What one round showed.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// CPU time of all the proxy's processes per request.
    pub(crate) cpu_micros: f64,
    /// Requests a second.
    pub(crate) per_second: f64,
    /// Half of all requests took no longer.
    pub(crate) p50_micros: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99_micros: f64,
    /// Share of the time in which the proxy wanted its core and did not have it.
    pub(crate) waited: f64,
    /// Share of the time in which the machine itself was kept from its cores: a virtual machine whose
    /// host has other guests.
    pub(crate) stolen: f64,
    /// TLS handshakes wrk made.
    pub(crate) handshakes: u64,
}

/// What wrk said.
struct Load {
    text: String,
    errors: String,
}

/// Runs wrk for this long.
pub(crate) fn load(stage: &Stage, case: &Case, port: u16, time: Duration) -> String {
    let load = wrk(stage, case, port, time);
    load.text + &load.errors
}

fn wrk(stage: &Stage, case: &Case, port: u16, time: Duration) -> Load {
    let connections = usize::try_from(case.connections).expect("a few");
    let threads = stage.load_threads.min(connections);
    let scheme = if case.tls { "https" } else { "http" };
    let mut command = Command::new("taskset");
    command.args(["-c", &stage.load_cores, "wrk", "--latency"]);
    command.args([format!("-t{threads}"), format!("-c{connections}")]);
    command.arg(format!("-d{}s", time.as_secs()));
    command.args(["-H", &format!("Host: {NAME}")]);
    if case.fresh {
        command.args(["-H", "Connection: close"]);
    }
    command.arg(format!("{scheme}://127.0.0.1:{port}{}", case.path));
    if case.tls {
        command.env("LD_PRELOAD", &stage.preload).env("FERRULE_WRK_SNI", NAME);
        command.env("FERRULE_WRK_CERT", stage.dir().join("client.crt"));
        command.env("FERRULE_WRK_KEY", stage.dir().join("client.key"));
        command.env("FERRULE_WRK_TLS", "1.3");
    }
    let done = command.output().expect("wrk");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Load { text: text(&done.stdout), errors: text(&done.stderr) }
}

/// One measured round, or why it does not count.
pub(crate) fn round(
    stage: &Stage,
    case: &Case,
    proxy: &Proxy,
    time: Duration,
) -> Result<Sample, String> {
    let processes = family(proxy.id());
    let (cpu, wait, start) = (cpu_micros(&processes), wait_nanos(&processes), now());
    let stolen = stolen_share();
    let load = wrk(stage, case, proxy.port, time);
    let elapsed = start.elapsed();
    let cpu = cpu_micros(&processes) - cpu;
    let wait = wait_nanos(&processes) - wait;
    let stolen = stolen.until(&stolen_share());
    for sign in ["Socket errors", "Non-2xx"] {
        if let Some(line) = load.text.lines().find(|line| line.contains(sign)) {
            return Err(line.trim().to_owned());
        }
    }
    let requests = word_before(&load.text, "requests in").and_then(|word| word.parse().ok());
    let requests: f64 = requests.filter(|count| *count > 0.0).ok_or_else(|| {
        format!("wrk counted nothing: {}{}", load.text.trim(), load.errors.trim())
    })?;
    let handshakes = word_after(&load.errors, "wrk_mtls: full").and_then(|word| word.parse().ok());
    let handshakes: u64 = handshakes.unwrap_or(0);
    if case.tls && !case.fresh && handshakes != u64::from(case.connections) {
        return Err(format!("{handshakes} handshakes for {} connections", case.connections));
    }
    let percentile = |name: &str| {
        word_after(&load.text, name).and_then(micros).ok_or_else(|| format!("wrk without {name}"))
    };
    let per_second = word_after(&load.text, "Requests/sec:").and_then(|word| word.parse().ok());
    Ok(Sample {
        cpu_micros: cpu / requests,
        per_second: per_second.ok_or("wrk without Requests/sec")?,
        p50_micros: percentile(" 50%")?,
        p99_micros: percentile(" 99%")?,
        waited: wait / 1e9 / elapsed.as_secs_f64(),
        stolen,
        handshakes,
    })
}

fn word_after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

fn word_before<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.0.split_whitespace().last()
}

/// wrk's `1.23ms`, `456.00us`, `1.20s`.
fn micros(word: &str) -> Option<f64> {
    let scales = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    scales.iter().find_map(|(unit, scale)| {
        word.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * scale)
    })
}

/// A process and all below it.
fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let mut next = 0;
    while let Some(id) = all.get(next).copied() {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        all.extend(
            children.unwrap_or_default().split_whitespace().filter_map(|w| w.parse::<u32>().ok()),
        );
        next += 1;
    }
    all
}

/// User and system time.
fn cpu_micros(processes: &[u32]) -> f64 {
    // USER_HZ is 100 wherever Linux runs this.
    const MICROS_PER_TICK: f64 = 10_000.0;
    let ticks = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name may hold anything, a closing bracket included.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Fields 14 and 15 of the manual, counted here from the third.
        [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum::<f64>()
    };
    processes.iter().map(ticks).sum::<f64>() * MICROS_PER_TICK
}

/// Time spent ready to run but not running, all threads together.
fn wait_nanos(processes: &[u32]) -> f64 {
    let of_task = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let of_process = |id: &u32| {
        let tasks = fs::read_dir(format!("/proc/{id}/task"));
        tasks.map_or(0.0, |tasks| tasks.flatten().map(|task| of_task(task.path())).sum::<f64>())
    };
    processes.iter().map(of_process).sum()
}

/// What `/proc/stat` says of all cores together, in ticks.
struct Ticks {
    stolen: f64,
    all: f64,
}

impl Ticks {
    /// The share stolen between two looks.
    fn until(&self, later: &Self) -> f64 {
        let all = later.all - self.all;
        if all > 0.0 { (later.stolen - self.stolen) / all } else { 0.0 }
    }
}

fn stolen_share() -> Ticks {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal; what follows is counted in user already.
    let fields: Vec<f64> = first.split_whitespace().skip(1).take(8).map(number).collect();
    Ticks { stolen: fields.get(7).copied().unwrap_or(0.0), all: fields.iter().sum() }
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or(0.0)
}
