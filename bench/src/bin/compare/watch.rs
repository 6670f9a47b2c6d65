//! What `/proc` tells of a proxy: CPU time, time spent waiting for a core, memory.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use ferrule_tools::clock::now;

use crate::stats::Sample;

/// A look at a proxy and at the machine; two of them make a [`Sample`].
pub(crate) struct Look {
    at: Instant,
    processes: Vec<u32>,
    cpu_micros: f64,
    wait_nanos: f64,
    threads: Vec<(PathBuf, f64)>,
    ticks: Ticks,
}

impl Look {
    /// Now, at this process and all below it.
    pub(crate) fn at(id: u32) -> Self {
        Self::again(family(id))
    }

    fn again(processes: Vec<u32>) -> Self {
        Self {
            at: now(),
            cpu_micros: processes.iter().map(|id| micros(&format!("/proc/{id}/stat"))).sum(),
            wait_nanos: processes.iter().flat_map(|id| tasks(*id)).map(|at| waited(&at)).sum(),
            threads: processes.iter().flat_map(|id| tasks(*id)).map(thread).collect(),
            ticks: Ticks::now(),
            processes,
        }
    }

    /// What was spent since, over so many cores of its own.
    pub(crate) fn since(&self, requests: f64, cores: f64) -> Sample {
        let later = Self::again(self.processes.clone());
        let nanos = (later.at - self.at).as_secs_f64() * 1e9;
        let before = |path: &PathBuf| {
            self.threads.iter().find(|(other, _)| other == path).map_or(0.0, |(_, cpu)| *cpu)
        };
        let spent: Vec<f64> = later.threads.iter().map(|(path, cpu)| cpu - before(path)).collect();
        let all = spent.iter().sum::<f64>().max(1.0);
        Sample {
            cpu_micros: (later.cpu_micros - self.cpu_micros) / requests,
            waited: (later.wait_nanos - self.wait_nanos) / nanos / cores,
            stolen: self.ticks.until(&later.ticks),
            busiest: spent.iter().copied().fold(0.0, f64::max) / all,
            ..Sample::default()
        }
    }
}

/// A process and all below it.
pub(crate) fn family(id: u32) -> Vec<u32> {
    let mut all = vec![id];
    let mut next = 0;
    while let Some(id) = all.get(next).copied() {
        let children = tasks(id).into_iter().map(|task| fs::read_to_string(task.join("children")));
        for text in children.map(Result::unwrap_or_default) {
            all.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
        next += 1;
    }
    all
}

/// Its share of the memory it uses, shared pages counted in parts, in KiB.
pub(crate) fn pss_kib(id: u32) -> f64 {
    let of_process = |id: &u32| {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next())
            .map_or(0.0, number)
    };
    family(id).iter().map(of_process).sum()
}

fn tasks(id: u32) -> Vec<PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{id}/task"));
    tasks.map_or_else(|_| Vec::new(), |tasks| tasks.flatten().map(|task| task.path()).collect())
}

fn thread(path: PathBuf) -> (PathBuf, f64) {
    let cpu = micros(&path.join("stat").to_string_lossy());
    (path, cpu)
}

/// User and system time in a `stat` file.
fn micros(path: &str) -> f64 {
    // USER_HZ is 100 wherever Linux runs this.
    const MICROS_PER_TICK: f64 = 10_000.0;
    let stat = fs::read_to_string(path).unwrap_or_default();
    ticks(&stat) * MICROS_PER_TICK
}

fn ticks(stat: &str) -> f64 {
    // The name may hold anything, a closing bracket included.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    // Fields 14 and 15 of the manual, counted here from the third.
    fields.split_whitespace().skip(11).take(2).map(number).sum()
}

/// Time spent ready to run but not running.
fn waited(task: &std::path::Path) -> f64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().nth(1).map_or(0.0, number)
}

/// What `/proc/stat` says of all cores together.
struct Ticks {
    stolen: f64,
    all: f64,
}

impl Ticks {
    fn now() -> Self {
        Self::read(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn read(stat: &str) -> Self {
        let first = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal; what follows is counted in user already.
        let fields: Vec<f64> = first.split_whitespace().skip(1).take(8).map(number).collect();
        Self { stolen: fields.get(7).copied().unwrap_or(0.0), all: fields.iter().sum() }
    }

    /// The share stolen between two looks.
    fn until(&self, later: &Self) -> f64 {
        let all = later.all - self.all;
        if all > 0.0 { (later.stolen - self.stolen) / all } else { 0.0 }
    }
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 120 34 5 6 20 0 1 0 9";
        assert!((ticks(stat) - 154.0).abs() < 1e-9);
    }

    #[test]
    fn stolen_time_is_a_share_of_all() {
        let early = Ticks::read("cpu  100 0 100 700 0 0 0 100 5 5\ncpu0 ...");
        let late = Ticks::read("cpu  150 0 100 720 0 0 0 130 9 9\n");
        assert!((early.until(&late) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn our_own_process_is_seen() {
        let id = std::process::id();
        assert!(pss_kib(id) > 100.0);
        assert_eq!(family(id).first(), Some(&id));
        let look = Look::again(vec![id]);
        let mut sum = 0_u64;
        while look.since(1.0, 1.0).cpu_micros < 30_000.0 {
            sum = (0..1_000_000).fold(sum, |sum: u64, value: u64| sum.wrapping_add(value));
        }
        let sample = look.since(10.0, 1.0);
        assert!(sample.cpu_micros >= 3_000.0 && sample.busiest > 0.0, "{sample:?} {sum}");
    }
}
