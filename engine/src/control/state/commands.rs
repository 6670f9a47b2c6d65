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
//! waits for a moment, until it is known which process is to drain. It waits in the new process, too.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pending_upgrade::{Overtaken, PendingUpgrade, UpgradeStage};
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

    /// Lets commands to stop wait, in either process. False if there was one: then this process is to end, and
    /// no other takes over, or it takes over from none.
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
            let (stop, reload) = (pending.stops > 0, pending.reload);
            // Both processes stop, and then nobody reloads.
            let tickets = if reload { std::mem::take(&mut pending.tickets) } else { Vec::new() };
            if !stop {
                pending.stop();
            }
            Overtaken { stop, reload, tickets }
        })
    }

    /// Commands the process to end at once: it was to take over from another one, and may not.
    pub(crate) fn abandon(&self) {
        self.update(|pending| {
            (pending.upgrade.stage, pending.upgrade.abandoned) = (UpgradeStage::None, true);
            pending.stop();
        });
    }

    /// May this process not take over?
    pub(crate) fn is_abandoned(&self) -> bool {
        self.pending().upgrade.abandoned
    }

    /// The process that has taken over has failed: nobody serves.
    pub(crate) fn lose_successor(&self) {
        self.update(|pending| pending.upgrade.lost = true);
    }

    /// Has the process failed that has taken over?
    pub(crate) fn has_lost_successor(&self) -> bool {
        self.pending().upgrade.lost
    }

    /// The process that has taken over has ended as it was told to, and no other has taken over from it.
    pub(crate) fn end_successor(&self) {
        self.update(|pending| pending.upgrade.ended = true);
    }

    /// Has the process ended well that has taken over? Then the whole service stops.
    pub(crate) fn has_successor_ended(&self) -> bool {
        self.pending().upgrade.ended
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
mod tests;
