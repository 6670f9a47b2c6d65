//! Runs a plan: its threads, and the moment in which all of them begin.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::outcome::Outcome;
use super::plan::Plan;
use super::worker::Worker;
use crate::clock::now;

/// Runs the plan to its end.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    run_held(plan, || ())
}

/// Runs the plan to its end; `hold` comes when all connections are made, and the clock starts when it
/// is done.
#[must_use]
pub fn run_held(plan: &Plan, hold: impl FnOnce()) -> Outcome {
    let threads = plan.threads.clamp(1, plan.connections.max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let (warm, is_warm) = mpsc::channel::<()>();
                let (go, start) = mpsc::channel::<Instant>();
                let work = move || {
                    let mut worker = Worker::new(plan, number, threads);
                    worker.warm_up();
                    // The other ends live as long as we do, unless a thread panics, which is told.
                    let _ = warm.send(());
                    start.recv().map_or_else(|_| Outcome::default(), |start| worker.run(start))
                };
                (is_warm, go, scope.spawn(work))
            })
            .collect();
        for (is_warm, ..) in &workers {
            let _ = is_warm.recv();
        }
        hold();
        let start = now();
        for (_, go, _) in &workers {
            let _ = go.send(start);
        }
        let mut all = Outcome::default();
        for (_, _, thread) in workers {
            all.merge(thread.join().expect("a worker does not panic"));
        }
        all.elapsed = start.elapsed();
        all
    })
}

/// Lets this process have so many descriptors, if it may.
///
/// # Errors
/// If it may not.
pub fn allow_descriptors(wanted: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|most| most >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|most| most.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    Ok(())
}
