//! Commands from operators that have not been carried out yet.
//!
//! In: commands from signals and from the admin socket. Out: what each of two threads has to do next. The
//! supervisor takes what has to work even while a file cannot be read: to stop, and to reopen the logs.
//! The loader, the thread that reads files, takes reloads, and checks files whenever that is due.
//! A command that is given many times is pending once, and no number of commands delays a check of files.
//! After a command to stop there are no more reloads.
//!
//! One upgrade goes on at a time. While it does, reloads wait: the new process takes the sockets as they were at
//! its start. A command to stop ends an upgrade, but while the new process begins to accept connections: then it
//! waits for a moment, until it is known which process is to drain.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::control::process::clock;

/// The answer to a reload that is asked for during a drain.
pub(crate) const TOO_LATE: &str = "no reload during a drain";
/// The answer to an upgrade that is asked for during a drain.
pub(crate) const NO_UPGRADE: &str = "no upgrade during a drain";
/// The answer to an upgrade that is asked for during another one.
pub(crate) const UPGRADING: &str = "an upgrade is under way already";

/// A command for the supervisor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SupervisorCommand {
    /// `SIGTERM`, `SIGQUIT`, `SIGINT`: drain, then end. A second one: end at once.
    Stop,
    /// `SIGUSR1`: close the log files and open them again.
    ReopenLogs,
    /// `SIGHUP` during a drain: say that it is too late for a reload.
    TooLate,
}

/// What the loader does next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum LoaderJob {
    /// Check whether watched files have changed.
    CheckFiles,
    /// Load the configuration again, and answer these tickets.
    Reload(Vec<u64>),
    /// Begin the upgrade of this number.
    Upgrade(u64),
    /// The new process has proved itself, or has failed.
    EndUpgrade,
    /// Close the endpoints and end the thread.
    End,
}

/// How far the loader has got.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum LoaderProgress {
    /// It loads what the process starts with.
    #[default]
    Starting,
    /// It reloads and checks files.
    Serving,
    /// Its thread has ended.
    Ended,
}

/// How far the process is on its way to its end.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum RunStage {
    #[default]
    Serving,
    /// There was a command to stop: no more reloads, but files are still checked.
    Stopping,
    /// The cores have ended: the loader ends too.
    LoaderEnds,
}

/// The commands that have not been carried out yet. Shared by all threads of control.
#[derive(Debug, Default)]
pub struct CommandQueue {
    pending: Mutex<PendingCommands>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PendingCommands {
    /// Commands to stop that the supervisor has not taken yet.
    stops: u32,
    stage: RunStage,
    reopen: bool,
    too_late: bool,
    reload: bool,
    /// The tickets that the next reload answers.
    tickets: Vec<u64>,
    progress: LoaderProgress,
    upgrade: PendingUpgrade,
}

#[derive(Debug, Default)]
struct PendingUpgrade {
    /// How many were asked for.
    count: u64,
    stage: UpgradeStage,
}

/// How far the upgrade is that goes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum UpgradeStage {
    /// There is none.
    #[default]
    None,
    /// The loader is to begin it.
    Wanted,
    /// The new process is to prove itself.
    Offered,
    /// It has, or has failed.
    OfferEnded,
    /// The loader ends it.
    Ending,
    /// The new process begins to accept connections: a command to stop waits.
    Handing,
    /// It serves, and this process drains.
    HandedOver,
}

/// What came for this process while another one took over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Overtaken {
    /// A command to stop.
    pub(crate) stop: bool,
    /// A command to reload.
    pub(crate) reload: bool,
}

impl PendingCommands {
    fn next_command(&mut self) -> Option<SupervisorCommand> {
        if self.stops > 0 && self.upgrade.stage != UpgradeStage::Handing {
            self.stops -= 1;
            return Some(SupervisorCommand::Stop);
        }
        if std::mem::take(&mut self.reopen) {
            return Some(SupervisorCommand::ReopenLogs);
        }
        std::mem::take(&mut self.too_late).then_some(SupervisorCommand::TooLate)
    }

    /// A check that is due comes before a reload. Neither starves the other: after a check the next one
    /// is not due for a while.
    fn next_job(&mut self, now: Instant, check_due: Instant) -> Option<LoaderJob> {
        if self.stage == RunStage::LoaderEnds {
            return Some(LoaderJob::End);
        }
        if now >= check_due {
            return Some(LoaderJob::CheckFiles);
        }
        match self.upgrade.stage {
            UpgradeStage::Wanted => {
                self.upgrade.stage = UpgradeStage::Offered;
                return Some(LoaderJob::Upgrade(self.upgrade.count));
            }
            UpgradeStage::OfferEnded => {
                self.upgrade.stage = UpgradeStage::Ending;
                return Some(LoaderJob::EndUpgrade);
            }
            UpgradeStage::Offered | UpgradeStage::Ending | UpgradeStage::Handing => return None,
            UpgradeStage::None | UpgradeStage::HandedOver => {}
        }
        std::mem::take(&mut self.reload)
            .then(|| LoaderJob::Reload(std::mem::take(&mut self.tickets)))
    }

    fn upgrade(&mut self) -> Result<u64, &'static str> {
        if self.stage >= RunStage::Stopping {
            return Err(NO_UPGRADE);
        }
        if self.upgrade.stage != UpgradeStage::None {
            return Err(UPGRADING);
        }
        self.upgrade.count += 1;
        self.upgrade.stage = UpgradeStage::Wanted;
        Ok(self.upgrade.count)
    }

    fn stop(&mut self) {
        self.stops = self.stops.saturating_add(1);
        self.stage = self.stage.max(RunStage::Stopping);
        self.reload = false;
    }

    fn reload(&mut self, ticket: Option<u64>) -> bool {
        if self.stage >= RunStage::Stopping {
            self.too_late |= ticket.is_none();
            return false;
        }
        self.reload = true;
        self.tickets.extend(ticket);
        true
    }
}

impl CommandQueue {
    fn pending(&self) -> MutexGuard<'_, PendingCommands> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<R>(&self, change: impl FnOnce(&mut PendingCommands) -> R) -> R {
        let result = change(&mut self.pending());
        self.changed.notify_all();
        result
    }

    /// Commands the process to drain and end; given a second time, to end at once.
    pub fn stop(&self) {
        self.update(PendingCommands::stop);
    }

    /// Commands the supervisor to open the log files again.
    pub fn reopen_logs(&self) {
        self.update(|pending| pending.reopen = true);
    }

    /// Commands the loader to reload the configuration, and to answer this ticket. False if the process
    /// is stopping and there will be no reload.
    pub(crate) fn reload(&self, ticket: Option<u64>) -> bool {
        self.update(|pending| pending.reload(ticket))
    }

    /// Commands the loader to begin an upgrade, and returns its number.
    ///
    /// # Errors
    /// Why there will be none.
    pub(crate) fn upgrade(&self) -> Result<u64, &'static str> {
        self.update(PendingCommands::upgrade)
    }

    /// Does an upgrade go on?
    pub(crate) fn is_upgrading(&self) -> bool {
        !matches!(self.pending().upgrade.stage, UpgradeStage::None | UpgradeStage::HandedOver)
    }

    /// The new process has proved itself, or has failed.
    pub(crate) fn end_offer(&self) {
        self.update(|pending| pending.upgrade.stage = UpgradeStage::OfferEnded);
    }

    /// Lets commands to stop wait. False if there was one: then this process is to end, and no other takes over.
    pub(crate) fn hold_stops(&self) -> bool {
        self.update(|pending| {
            let goes_on = pending.stage == RunStage::Serving;
            if goes_on {
                pending.upgrade.stage = UpgradeStage::Handing;
            }
            goes_on
        })
    }

    /// The upgrade has ended. If another process has taken over, this one drains; what was commanded meanwhile is
    /// for the other one as well.
    pub(crate) fn end_upgrade(&self, taken_over: bool) -> Overtaken {
        self.update(|pending| {
            if !taken_over {
                pending.upgrade.stage = UpgradeStage::None;
                return Overtaken::default();
            }
            pending.upgrade.stage = UpgradeStage::HandedOver;
            let overtaken = Overtaken { stop: pending.stops > 0, reload: pending.reload };
            if pending.stops == 0 {
                pending.stop();
            }
            overtaken
        })
    }

    /// Does another process serve by now?
    pub(crate) fn has_handed_over(&self) -> bool {
        self.pending().upgrade.stage == UpgradeStage::HandedOver
    }

    /// Has there been a command to stop?
    pub(crate) fn is_stopping(&self) -> bool {
        self.pending().stage >= RunStage::Stopping
    }

    /// Takes the tickets of a reload that will not happen.
    pub(crate) fn take_unserved(&self) -> Vec<u64> {
        std::mem::take(&mut self.pending().tickets)
    }

    /// Waits for a command for the supervisor, until this time at most.
    pub(crate) fn next_command(&self, until: Instant) -> Option<SupervisorCommand> {
        self.wait(Some(until), |pending, _| pending.next_command())
    }

    /// Waits for the loader's next job; a check of files is due at this time.
    pub(crate) fn next_job(&self, check_due: Instant) -> LoaderJob {
        // There is a job at that time at the latest.
        self.wait(Some(check_due), |pending, now| pending.next_job(now, check_due))
            .unwrap_or(LoaderJob::CheckFiles)
    }

    /// Waits until the loader has loaded what the process starts with, or there is a command to stop.
    pub(crate) fn wait_for_start(&self) -> LoaderProgress {
        let over = |pending: &mut PendingCommands, _| {
            let over =
                pending.progress != LoaderProgress::Starting || pending.stage >= RunStage::Stopping;
            over.then_some(pending.progress)
        };
        self.wait(None, over).unwrap_or_default()
    }

    /// Waits until the loader's thread has ended, until this time at most. Has it ended by then?
    pub(crate) fn wait_for_end(&self, until: Instant) -> bool {
        let ended = |pending: &mut PendingCommands, _| {
            (pending.progress == LoaderProgress::Ended).then_some(())
        };
        self.wait(Some(until), ended).is_some()
    }

    /// Records how far the loader has got.
    pub(crate) fn set_progress(&self, progress: LoaderProgress) {
        self.update(|pending| pending.progress = progress);
    }

    /// How far has the loader got?
    pub(crate) fn progress(&self) -> LoaderProgress {
        self.pending().progress
    }

    /// Commands the loader to end.
    pub(crate) fn end_loader(&self) {
        self.update(|pending| pending.stage = RunStage::LoaderEnds);
    }

    fn wait<T>(
        &self,
        until: Option<Instant>,
        mut take: impl FnMut(&mut PendingCommands, Instant) -> Option<T>,
    ) -> Option<T> {
        let mut pending = self.pending();
        loop {
            let now = clock::monotonic();
            let taken = take(&mut pending, now);
            if taken.is_some() || until.is_some_and(|until| now >= until) {
                return taken;
            }
            let rest = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
            let waited = self.changed.wait_timeout(pending, rest);
            pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(500);

    /// What an operator, a script or a stranger at the admin socket may send, in any order.
    fn give(pending: &mut PendingCommands, which: u32) {
        match which % 4 {
            0 => pending.reopen = true,
            1 => drop(pending.reload(None)),
            2 => drop(pending.reload(Some(u64::from(which)))),
            _ => {}
        }
    }

    /// A cheap sequence that is the same in every run.
    fn next(seed: &mut u32) -> u32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *seed >> 8
    }

    /// However many commands there are, and however long each takes: files are checked when that is due,
    /// late by one job at most; and a reload is done between two checks.
    #[test]
    fn commands_do_not_delay_a_check_nor_checks_a_command() {
        for mut seed in 0..200 {
            let mut now = clock::monotonic();
            let mut pending = PendingCommands::default();
            let (mut due, mut wanted_since) = (now + EVERY, None);
            for _ in 0..500 {
                for _ in 0..next(&mut seed) % 5 {
                    give(&mut pending, next(&mut seed));
                }
                if pending.reload {
                    wanted_since.get_or_insert(now);
                }
                let takes = Duration::from_millis(u64::from(next(&mut seed) % 1_000));
                match pending.next_job(now, due) {
                    Some(LoaderJob::CheckFiles) => {
                        assert!(now - due <= Duration::from_secs(1), "{:?} late", now - due);
                        now += takes;
                        due = now + EVERY;
                    }
                    Some(LoaderJob::Reload(_)) => {
                        let waited = wanted_since.take().map(|since| now - since);
                        assert!(waited.is_some_and(|waited| waited <= Duration::from_secs(1)));
                        assert!(
                            pending.tickets.is_empty() && !pending.reload,
                            "all of them at once"
                        );
                        now += takes;
                    }
                    Some(other) => unreachable!("{other:?} was not commanded"),
                    None => now = due,
                }
            }
        }
    }

    #[test]
    fn to_stop_goes_before_everything_and_ends_reloads() {
        let commands = CommandQueue::default();
        let now = clock::monotonic();
        for ticket in 0..300 {
            assert!(commands.reload(Some(ticket)));
            commands.reopen_logs();
        }
        commands.stop();
        assert!(!commands.reload(None) && !commands.reload(Some(300)));
        commands.stop();
        let taken: Vec<_> = std::iter::from_fn(|| commands.next_command(now)).collect();
        assert_eq!(
            taken,
            [
                SupervisorCommand::Stop,
                SupervisorCommand::Stop,
                SupervisorCommand::ReopenLogs,
                SupervisorCommand::TooLate
            ]
        );
        assert_eq!(commands.take_unserved().len(), 300);
        assert_eq!(commands.next_job(now), LoaderJob::CheckFiles, "files are still checked");
        commands.end_loader();
        assert_eq!(commands.next_job(now + EVERY), LoaderJob::End);
    }

    #[test]
    fn a_thousand_reloads_are_one() {
        let commands = CommandQueue::default();
        let later = clock::monotonic() + EVERY;
        for ticket in 0..1_000 {
            assert!(commands.reload((ticket < 2).then_some(ticket)));
        }
        assert_eq!(commands.next_job(later), LoaderJob::Reload(vec![0, 1]));
        assert!(commands.pending().next_job(clock::monotonic(), later).is_none());
    }

    /// The thread that reads files hangs in a file system that has gone away: it never gets anywhere.
    #[test]
    fn a_stop_does_not_wait_for_files() {
        let commands = CommandQueue::default();
        commands.stop();
        assert_eq!(commands.wait_for_start(), LoaderProgress::Starting);
        assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
        assert!(!commands.wait_for_end(clock::monotonic()));
    }

    #[test]
    fn one_upgrade_goes_on_at_a_time_and_reloads_wait() {
        let commands = CommandQueue::default();
        let job = || commands.pending().next_job(clock::monotonic(), clock::monotonic() + EVERY);
        assert_eq!(commands.upgrade(), Ok(1));
        assert_eq!(commands.upgrade(), Err(UPGRADING));
        assert!(commands.reload(None) && commands.is_upgrading());
        assert_eq!((job(), job()), (Some(LoaderJob::Upgrade(1)), None));
        commands.end_offer();
        assert_eq!((job(), job()), (Some(LoaderJob::EndUpgrade), None));
        assert!(commands.hold_stops());
        commands.end_upgrade(false);
        assert_eq!((job(), job()), (Some(LoaderJob::Reload(Vec::new())), None));
        assert!(!commands.is_upgrading() && !commands.has_handed_over());
        assert_eq!(commands.upgrade(), Ok(2));
        commands.stop();
        assert!(!commands.hold_stops(), "this process is to end");
        commands.end_upgrade(false);
        assert_eq!(commands.upgrade(), Err(NO_UPGRADE));
    }

    /// What comes while the new process begins to accept waits, and is for both.
    #[test]
    fn a_stop_waits_until_it_is_known_who_drains() {
        let commands = CommandQueue::default();
        assert_eq!(commands.upgrade(), Ok(1));
        assert!(commands.hold_stops());
        commands.stop();
        assert_eq!(commands.next_command(clock::monotonic()), None);
        assert_eq!(commands.end_upgrade(true), Overtaken { stop: true, reload: false });
        assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
        assert_eq!(commands.next_command(clock::monotonic()), None, "it drains");
        let commands = CommandQueue::default();
        assert_eq!(commands.upgrade(), Ok(1));
        assert!(commands.hold_stops() && commands.reload(None));
        assert_eq!(commands.end_upgrade(true), Overtaken { stop: false, reload: true });
        assert!(commands.has_handed_over() && commands.is_stopping());
        assert_eq!(commands.next_command(clock::monotonic()), Some(SupervisorCommand::Stop));
    }
}
