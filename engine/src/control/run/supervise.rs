//! The control loop: from "every core listens" to "every core has ended".

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::logs::writer::LogWriter;
use crate::control::process::clock;
use crate::control::state::commands::{CommandQueue, LoaderProgress, SupervisorCommand, TOO_LATE};
use crate::control::state::status::ProcessStatus;
use crate::report::{Counter, Snapshot};
use crate::setup::{CoreLink, Phase};

/// How often the loop looks at the cores while nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// How often it looks during a drain.
const DRAIN_TICK: Duration = Duration::from_millis(10);
/// How long cores may take to close everything once told to.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// A core that has not moved for this long is reported.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How often the counters of each core are written at level debug.
const COUNTERS_EVERY: Duration = Duration::from_secs(10);

/// The running cores, as far as control has to know them.
pub trait Cores {
    /// Their links.
    fn links(&self) -> &[Arc<CoreLink>];
    /// Has every core's thread ended?
    fn all_ended(&self) -> bool;
    /// Has any core's thread ended?
    fn any_ended(&self) -> bool;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// As told: every core has ended.
    Stopped,
    /// As told, but some cores did not end in time.
    Cut,
    /// A core, or the thread that reads files, ended by itself.
    Lost,
}

/// Everything that this thread works with. No file is among it.
pub(super) struct Post<'p> {
    pub(super) cores: &'p dyn Cores,
    pub(super) commands: &'p CommandQueue,
    pub(super) status: &'p ProcessStatus,
    pub(super) writer: &'p LogWriter,
}

/// Obeys commands until the process is to end, then drains.
pub(super) fn supervise(post: &Post<'_>) -> Ended {
    let (cores, commands) = (post.cores, post.commands);
    let started = clock::monotonic();
    let mut watch = Watch::new(cores.links(), started);
    let lost = loop {
        match commands.next_command(clock::monotonic() + TICK) {
            Some(SupervisorCommand::Stop) => break None,
            Some(SupervisorCommand::ReopenLogs) => post.reopen_logs(),
            Some(SupervisorCommand::TooLate) | None => {}
        }
        if cores.any_ended() {
            break Some("a data core has ended by itself");
        }
        if commands.progress() == LoaderProgress::Ended {
            break Some("the thread that reads files has ended by itself");
        }
        watch.look(cores.links(), clock::monotonic());
    };
    let ended = if let Some(lost) = lost {
        tracing::error!("{lost}; closing everything");
        stop(cores);
        Ended::Lost
    } else {
        drain(post, post.patience())
    };
    for line in summary(cores.links(), started.elapsed()) {
        tracing::info!("{line}");
    }
    ended
}

/// Lets the cores finish what they have, up to the deadline or a second order to stop. Files are looked
/// at meanwhile, by the thread that reads them: who is revoked does not stay until the deadline.
fn drain(post: &Post<'_>, patience: Duration) -> Ended {
    let cores = post.cores;
    let started = clock::monotonic();
    advance(cores, Phase::Draining);
    let open: u64 = cores.links().iter().map(|link| link.connections()).sum();
    tracing::info!("draining: {open} connections, {} s at most", patience.as_secs());
    while !cores.all_ended() {
        if started.elapsed() >= patience {
            tracing::warn!("the drain took too long; closing what is left");
            return stop(cores);
        }
        for ticket in post.commands.take_unserved() {
            post.status.answer_ticket(ticket, Err(vec![TOO_LATE.to_owned()]));
        }
        match post.commands.next_command(clock::monotonic() + DRAIN_TICK) {
            Some(SupervisorCommand::Stop) => {
                tracing::warn!("told to stop once more; closing what is left");
                return stop(cores);
            }
            Some(SupervisorCommand::TooLate) => tracing::warn!("{TOO_LATE}"),
            Some(SupervisorCommand::ReopenLogs) => post.reopen_logs(),
            None => {}
        }
    }
    tracing::info!("drained in {} ms", started.elapsed().as_millis());
    Ended::Stopped
}

impl Post<'_> {
    fn reopen_logs(&self) {
        self.writer.reopen();
        tracing::info!("log files opened anew");
    }

    /// How long the drain may take, as the configuration in force has it.
    fn patience(&self) -> Duration {
        let current = self.status.current();
        current.map_or(Duration::ZERO, |now| now.generation.config.runtime.shutdown_timeout)
    }
}

/// Tells the cores to close everything now.
pub(crate) fn stop(cores: &dyn Cores) -> Ended {
    let started = clock::monotonic();
    advance(cores, Phase::Stopping);
    while !cores.all_ended() {
        if started.elapsed() >= STOP_PATIENCE {
            tracing::error!("some cores did not stop in time");
            return Ended::Cut;
        }
        std::thread::park_timeout(DRAIN_TICK);
    }
    Ended::Stopped
}

fn advance(cores: &dyn Cores, phase: Phase) {
    for link in cores.links() {
        link.phase.advance(phase);
    }
}

/// What is looked at while nothing happens.
struct Watch {
    /// Per core: its last heartbeat, when it was seen, and whether its silence was reported.
    beats: Vec<(u64, Instant, bool)>,
    counters_written: Instant,
    started: Instant,
    log_dropped: u64,
}

impl Watch {
    fn new(links: &[Arc<CoreLink>], now: Instant) -> Self {
        let beats = links.iter().map(|link| (link.heartbeat(), now, false)).collect();
        Self { beats, counters_written: now, started: now, log_dropped: 0 }
    }

    fn look(&mut self, links: &[Arc<CoreLink>], now: Instant) {
        for core in self.silent(links, now) {
            tracing::warn!(core, "the core has not moved for {} s", SILENCE_MAX.as_secs());
        }
        if now.duration_since(self.counters_written) < COUNTERS_EVERY {
            return;
        }
        self.counters_written = now;
        let sum = Snapshot::sum(links.iter().map(|link| &link.counters));
        let dropped = sum.get(Counter::LogDropped);
        if dropped > self.log_dropped {
            let lines = dropped.saturating_sub(self.log_dropped);
            tracing::warn!(
                lines,
                total = dropped,
                "access log lines dropped: the writer is too slow"
            );
            self.log_dropped = dropped;
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            for line in summary(links, now.duration_since(self.started)) {
                tracing::debug!("{line}");
            }
        }
    }

    /// Cores whose silence is to be reported now: once each time they fall silent.
    fn silent(&mut self, links: &[Arc<CoreLink>], now: Instant) -> Vec<u32> {
        let mut silent = Vec::new();
        for (link, (beat, seen, reported)) in links.iter().zip(&mut self.beats) {
            let latest = link.heartbeat();
            if latest != *beat {
                (*beat, *seen, *reported) = (latest, now, false);
            } else if !*reported && now.duration_since(*seen) >= SILENCE_MAX {
                *reported = true;
                silent.push(link.core);
            }
        }
        silent
    }
}

/// One line per core: what it has done so far, and how much of its time it took.
fn summary(links: &[Arc<CoreLink>], elapsed: Duration) -> Vec<String> {
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1);
    let lines = links.iter().map(|link| {
        let snapshot = link.counters.snapshot();
        let requests = snapshot.requests();
        let busy = snapshot.get(Counter::BusyNanoseconds);
        let permille = u128::from(busy) * 1000 / u128::from(elapsed_ns);
        format!(
            "core {}: {} connections accepted, {} open, {} requests, busy {}.{} %",
            link.core,
            snapshot.get(Counter::Accepted),
            link.connections(),
            requests,
            permille / 10,
            permille % 10,
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::control::reload::reloader::{Reloader, testing};

    /// Cores that end when they see one of these phases.
    struct Scripted {
        links: Vec<Arc<CoreLink>>,
        end_at: Phase,
        lost: AtomicBool,
    }

    impl Cores for Scripted {
        fn links(&self) -> &[Arc<CoreLink>] {
            &self.links
        }
        fn all_ended(&self) -> bool {
            self.links.iter().all(|link| link.phase.get() as u8 >= self.end_at as u8)
        }
        fn any_ended(&self) -> bool {
            self.lost.load(Ordering::Relaxed)
        }
    }

    struct Bench {
        _folder: tempfile::TempDir,
        reloader: Reloader,
        cores: Scripted,
        commands: CommandQueue,
    }

    impl Bench {
        fn new(end_at: Phase, lost: bool) -> Self {
            let (folder, file) = testing::folder("127.0.0.1:0");
            let reloader = testing::reloader(&file);
            let links = reloader.links.clone();
            let cores = Scripted { links, end_at, lost: AtomicBool::new(lost) };
            Self { _folder: folder, reloader, cores, commands: CommandQueue::default() }
        }

        fn post(&self) -> Post<'_> {
            let (status, writer) = (&self.reloader.status, &self.reloader.writer);
            Post { cores: &self.cores, commands: &self.commands, status, writer }
        }

        fn run(&self) -> (Ended, Phase) {
            let ended = supervise(&self.post());
            (ended, self.cores.links[0].phase.get())
        }
    }

    #[test]
    fn one_order_drains() {
        let bench = Bench::new(Phase::Draining, false);
        bench.commands.reopen_logs();
        bench.commands.stop();
        assert_eq!(bench.run(), (Ended::Stopped, Phase::Draining));
    }

    #[test]
    fn a_second_order_stops_at_once() {
        let bench = Bench::new(Phase::Stopping, false);
        bench.commands.stop();
        bench.commands.stop();
        assert_eq!(bench.run(), (Ended::Stopped, Phase::Stopping));
    }

    /// The other thread never comes back from a file: nothing of this depends on it.
    #[test]
    fn who_waits_for_a_reload_is_told_when_it_is_too_late() {
        let bench = Bench::new(Phase::Stopping, false);
        let status = &bench.reloader.status;
        let ticket = status.open_ticket();
        assert!(bench.commands.reload(Some(ticket)));
        bench.commands.stop();
        let (status, commands) = (Arc::clone(status), &bench.commands);
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || {
                let answer = status.wait_for_reload(ticket, Duration::from_secs(20), || true);
                commands.stop();
                assert_eq!(answer, Some(Err(vec![TOO_LATE.to_owned()])));
            });
            bench.run()
        });
        assert_eq!(ended, (Ended::Stopped, Phase::Stopping));
    }

    #[test]
    fn a_drain_without_patience_stops() {
        let bench = Bench::new(Phase::Stopping, false);
        assert_eq!(drain(&bench.post(), Duration::ZERO), Ended::Stopped);
        assert_eq!(bench.cores.links[0].phase.get(), Phase::Stopping);
    }

    #[test]
    fn a_lost_core_or_reader_of_files_ends_the_process() {
        let bench = Bench::new(Phase::Stopping, true);
        bench.commands.reopen_logs();
        assert_eq!(bench.run(), (Ended::Lost, Phase::Stopping));
        let bench = Bench::new(Phase::Stopping, false);
        bench.commands.set_progress(LoaderProgress::Ended);
        bench.commands.reload(None);
        bench.commands.reopen_logs();
        assert_eq!(bench.run(), (Ended::Lost, Phase::Stopping));
    }

    #[test]
    fn silence_is_reported_once() {
        let start = clock::monotonic();
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        let mut watch = Watch::new(&links, start);
        links[0].beat();
        let later = start + SILENCE_MAX;
        assert_eq!(watch.silent(&links, later), [1]);
        assert!(watch.silent(&links, later).is_empty());
        assert_eq!(watch.silent(&links, later + SILENCE_MAX), [0]);
        links[1].beat();
        assert!(watch.silent(&links, later + SILENCE_MAX).is_empty());
    }

    #[test]
    fn the_summary_shows_each_core() {
        let links = [Arc::new(CoreLink::new(0)), Arc::new(CoreLink::new(1))];
        links[1].counters.add(Counter::Accepted, 3);
        links[1].counters.add(Counter::Responses2xx, 5);
        links[1].counters.add(Counter::BusyNanoseconds, 250_000_000);
        links[1].set_connections(2);
        let lines = summary(&links, Duration::from_secs(1));
        assert_eq!(lines[0], "core 0: 0 connections accepted, 0 open, 0 requests, busy 0.0 %");
        assert_eq!(lines[1], "core 1: 3 connections accepted, 2 open, 5 requests, busy 25.0 %");
    }
}
