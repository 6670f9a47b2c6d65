//! The supervisor: from "every core listens" to "every core has ended".
//!
//! In: commands, and the state of the cores. Out: how the run ended. A stop works even while the loader
//! cannot read a file.

use std::sync::Arc;
use std::time::Duration;

use ferrule_config::model::Runtime;

use super::core_monitor::{self, CoreMonitor};
use super::port_monitor::PortMonitor;
use crate::control::logs::writer::LogWriter;
use crate::control::process::clock;
use crate::control::process::service_manager::{ServiceManager, Watchdog};
use crate::control::state::commands::{CommandQueue, LoaderProgress, SupervisorCommand, TOO_LATE};
use crate::control::state::health;
use crate::control::state::status::ProcessStatus;
use crate::health::Moment;
use crate::health::announce::announce;
use crate::setup::listeners::Listeners;
use crate::setup::{CoreLink, Phase};

/// How often the cores are checked while there is no command.
const TICK: Duration = Duration::from_millis(500);
/// How often they are checked during a drain.
const DRAIN_TICK: Duration = Duration::from_millis(10);
/// Before the end of a drain idle connections are closed in good order; longer than `DRAIN_GRACE` of the cores.
const IDLE_CLOSE: Duration = Duration::from_secs(2);
/// How long the cores may take to close everything.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The running cores, as far as control needs to know them.
pub trait Cores {
    /// One link for each core.
    fn links(&self) -> &[Arc<CoreLink>];
    /// Has every core's thread ended?
    fn all_ended(&self) -> bool;
    /// Has any core's thread ended?
    fn any_ended(&self) -> bool;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunEnd {
    /// By command, and every core has ended.
    Stopped,
    /// By command, but some cores did not end in time.
    TimedOut,
    /// A core, or the loader, ended by itself, or the process that had taken over.
    Lost,
}

/// Watches over the cores and carries out commands. Reads no file.
pub(super) struct Supervisor<'p> {
    pub(super) cores: &'p dyn Cores,
    pub(super) commands: &'p CommandQueue,
    pub(super) listeners: &'p Listeners,
    pub(super) status: &'p ProcessStatus,
    pub(super) writer: &'p LogWriter,
    pub(super) manager: &'p ServiceManager,
}

impl Supervisor<'_> {
    /// Carries out commands until there is one to stop, then drains.
    pub(super) fn run(&self) -> RunEnd {
        let (cores, commands) = (self.cores, self.commands);
        let started = clock::monotonic();
        let mut monitor = CoreMonitor::new(cores.links(), started);
        let mut ports = PortMonitor::new(started);
        let mut watchdog = Watchdog::new();
        let lost = loop {
            match commands.next_command(clock::monotonic() + self.tick()) {
                Some(SupervisorCommand::Stop) => break None,
                Some(SupervisorCommand::ReopenLogs) => self.reopen_logs(),
                Some(SupervisorCommand::TooLate) | None => {}
            }
            if cores.any_ended() {
                break Some("a data core has ended by itself");
            }
            if commands.progress() == LoaderProgress::Ended {
                break Some("the thread that reads files has ended by itself");
            }
            let silent = monitor.check(cores.links(), clock::monotonic());
            self.status.set_silent_cores(silent);
            self.show_life(&mut watchdog);
            // The new process of an upgrade opens sockets beside ours.
            if !commands.is_upgrading() {
                ports.check(self.listeners, clock::monotonic());
            }
            self.compare_nodes();
        };
        let end = if let Some(lost) = lost {
            tracing::error!("{lost}; closing everything");
            // From here on no other process takes over. One that does so now has the sockets, and they are not
            // closed: control marks them before that (`Listeners::share`).
            commands.stop();
            self.status.set_lost();
            self.listeners.close_all(clock::monotonic()).close_now();
            stop(cores);
            RunEnd::Lost
        } else if commands.is_abandoned() {
            // There are no clients: the former process serves on.
            self.listeners.close_all(clock::monotonic()).close_now();
            stop(cores)
        } else {
            self.announce();
            self.drain(self.drain_time())
        };
        for line in core_monitor::summary(cores.links(), started.elapsed()) {
            tracing::info!("{line}");
        }
        end
    }

    /// Tells that the process stops, and goes on as before for `runtime.shutdown_delay`, so that load balancers
    /// notice. Another command to stop ends that. A process that another one has taken over from says nothing: the
    /// service goes on.
    fn announce(&self) {
        if self.commands.has_handed_over() {
            return;
        }
        self.manager.stopping();
        let delay = self.runtime().map_or(Duration::ZERO, |runtime| runtime.shutdown_delay);
        if delay.is_zero() {
            return;
        }
        tracing::info!("not ready any more; draining in {} ms", delay.as_millis());
        let end = clock::monotonic() + delay;
        while clock::monotonic() < end && !self.cores.any_ended() {
            match self.commands.next_command(end.min(clock::monotonic() + TICK)) {
                Some(SupervisorCommand::Stop) => return,
                Some(SupervisorCommand::TooLate) => tracing::warn!("{TOO_LATE}"),
                Some(SupervisorCommand::ReopenLogs) => self.reopen_logs(),
                None => {}
            }
        }
    }

    /// A manager that wants signs of life more often than the cores are checked gets them.
    fn tick(&self) -> Duration {
        self.manager.alive_every().map_or(TICK, |every| every.min(TICK))
    }

    fn show_life(&self, watchdog: &mut Watchdog) {
        let now = clock::monotonic();
        let is_alive =
            || health::liveness(self.status, now).iter().all(|check| check.trouble.is_none());
        watchdog.check(self.manager, now, is_alive);
    }

    /// Refuses new connections, and lets the cores finish their exchanges, until the deadline or a second
    /// command to stop. The loader still checks files: a connection whose client is revoked does not stay
    /// until the deadline.
    fn drain(&self, patience: Duration) -> RunEnd {
        let cores = self.cores;
        let started = clock::monotonic();
        // The phase first: a core that gets another generation from now on leaves its listeners alone.
        let relieved = self.commands.has_handed_over();
        advance(cores, if relieved { Phase::Relieved } else { Phase::Draining });
        let mut closing = self.listeners.close_all(started);
        let open: u64 = cores.links().iter().map(|link| link.connections()).sum();
        tracing::info!("draining: {open} connections, {} s at most", patience.as_secs());
        while !cores.all_ended() {
            closing.advance(clock::monotonic());
            let nobody_serves = self.commands.has_successor_ended();
            if nobody_serves || started.elapsed() >= patience.saturating_sub(IDLE_CLOSE) {
                advance(cores, Phase::Draining);
            }
            if started.elapsed() >= patience {
                tracing::warn!("the drain took too long; closing what is left");
                closing.close_now();
                return stop(cores);
            }
            if self.commands.has_lost_successor() {
                // Those who watch over the service see its end, and start it again. systemd watches the main process,
                // and of one that is no child of its own it hears nothing.
                tracing::error!("nobody serves; ending the drain");
                self.manager.main_process(std::process::id());
                closing.close_now();
                stop(cores);
                return RunEnd::Lost;
            }
            for ticket in self.commands.take_unserved() {
                self.status.answer_ticket(ticket, Err(vec![TOO_LATE.to_owned()]));
            }
            match self.commands.next_command(clock::monotonic() + DRAIN_TICK) {
                Some(SupervisorCommand::Stop) => {
                    tracing::warn!("told to stop once more; closing what is left");
                    closing.close_now();
                    return stop(cores);
                }
                Some(SupervisorCommand::TooLate) => tracing::warn!("{TOO_LATE}"),
                Some(SupervisorCommand::ReopenLogs) => self.reopen_logs(),
                None => {}
            }
        }
        tracing::info!("drained in {} ms", started.elapsed().as_millis());
        RunEnd::Stopped
    }

    fn reopen_logs(&self) {
        self.writer.reopen();
        tracing::info!("log files opened anew");
    }

    /// Sets aside the nodes that do worse than the others, where upstreams are to be compared, and makes room for
    /// further events.
    fn compare_nodes(&self) {
        let states = self.status.node_states();
        let when = Moment {
            now_ms: states.now_ms(clock::monotonic()),
            unix_seconds: clock::unix_seconds().unsigned_abs(),
            took_ms: 0,
        };
        for (node, reported) in states.compare(when) {
            announce(&states, node, reported, when);
        }
        states.events().collect();
    }

    /// How long a drain may take, by the configuration in force.
    fn drain_time(&self) -> Duration {
        self.runtime().map_or(Duration::ZERO, |runtime| runtime.shutdown_timeout)
    }

    fn runtime(&self) -> Option<Runtime> {
        Some(self.status.current()?.generation.config.runtime.clone())
    }
}

/// Makes the cores close everything now, and waits for their end.
pub(crate) fn stop(cores: &dyn Cores) -> RunEnd {
    let started = clock::monotonic();
    advance(cores, Phase::Stopping);
    while !cores.all_ended() {
        if started.elapsed() >= STOP_PATIENCE {
            tracing::error!("some cores did not stop in time");
            return RunEnd::TimedOut;
        }
        std::thread::park_timeout(DRAIN_TICK);
    }
    RunEnd::Stopped
}

fn advance(cores: &dyn Cores, phase: Phase) {
    for link in cores.links() {
        link.phase.advance(phase);
    }
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

    struct Fixture {
        _folder: tempfile::TempDir,
        reloader: Reloader,
        cores: Scripted,
        commands: CommandQueue,
        manager: ServiceManager,
    }

    impl Fixture {
        fn new(end_at: Phase, lost: bool) -> Self {
            let (folder, file) = testing::folder("127.0.0.1:0");
            let reloader = testing::reloader(&file);
            let links = reloader.links.clone();
            let cores = Scripted { links, end_at, lost: AtomicBool::new(lost) };
            Self {
                _folder: folder,
                reloader,
                cores,
                commands: CommandQueue::default(),
                manager: ServiceManager::default(),
            }
        }

        fn supervisor(&self) -> Supervisor<'_> {
            let Reloader { status, writer, listeners, .. } = &self.reloader;
            let (cores, commands, manager) = (&self.cores, &self.commands, &self.manager);
            Supervisor { cores, commands, listeners, status, writer, manager }
        }

        fn run(&self) -> (RunEnd, Phase) {
            let ended = self.supervisor().run();
            (ended, self.cores.links[0].phase.get())
        }
    }

    #[test]
    fn one_command_to_stop_drains() {
        let fixture = Fixture::new(Phase::Draining, false);
        fixture.commands.reopen_logs();
        fixture.commands.stop();
        assert_eq!(fixture.run(), (RunEnd::Stopped, Phase::Draining));
    }

    #[test]
    fn a_second_command_stops_at_once() {
        let fixture = Fixture::new(Phase::Stopping, false);
        fixture.commands.stop();
        fixture.commands.stop();
        assert_eq!(fixture.run(), (RunEnd::Stopped, Phase::Stopping));
    }

    /// There is no loader here: nothing of this depends on it.
    #[test]
    fn a_waiting_client_is_answered_when_it_is_too_late() {
        let fixture = Fixture::new(Phase::Stopping, false);
        let status = &fixture.reloader.status;
        let ticket = status.open_ticket();
        assert!(fixture.commands.reload(Some(ticket)));
        fixture.commands.stop();
        let (status, commands) = (Arc::clone(status), &fixture.commands);
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || {
                let answer = status.wait_for_reload(ticket, Duration::from_secs(20), || true);
                commands.stop();
                assert_eq!(answer, Some(Err(vec![TOO_LATE.to_owned()])));
            });
            fixture.run()
        });
        assert_eq!(ended, (RunEnd::Stopped, Phase::Stopping));
    }

    #[test]
    fn a_drain_without_patience_stops() {
        let fixture = Fixture::new(Phase::Stopping, false);
        assert_eq!(fixture.supervisor().drain(Duration::ZERO), RunEnd::Stopped);
        assert_eq!(fixture.cores.links[0].phase.get(), Phase::Stopping);
    }

    /// A delay does not hold it up: there is nobody to be told.
    #[test]
    fn a_process_that_may_not_take_over_ends_at_once() {
        let fixture = Fixture::new(Phase::Stopping, false);
        fixture.commands.abandon();
        assert_eq!(fixture.run(), (RunEnd::Stopped, Phase::Stopping));
    }

    #[test]
    fn a_drain_ends_with_the_process_that_has_taken_over() {
        let fixture = Fixture::new(Phase::Stopping, false);
        fixture.commands.lose_successor();
        fixture.commands.stop();
        assert_eq!(fixture.run(), (RunEnd::Lost, Phase::Stopping));
    }

    #[test]
    fn a_lost_core_does_not_close_what_another_process_is_about_to_have() {
        let fixture = Fixture::new(Phase::Stopping, true);
        let address = fixture.reloader.listeners.bound()[0].listen.address;
        fixture.reloader.listeners.share();
        assert_eq!(fixture.run(), (RunEnd::Lost, Phase::Stopping));
        assert!(fixture.commands.is_stopping() && !fixture.commands.hold_stops());
        assert!(fixture.reloader.links[0].generation.posted() > 0);
        assert!(std::net::TcpStream::connect(address).is_ok());
    }

    #[test]
    fn a_lost_core_or_loader_ends_the_process() {
        let fixture = Fixture::new(Phase::Stopping, true);
        fixture.commands.reopen_logs();
        assert_eq!(fixture.run(), (RunEnd::Lost, Phase::Stopping));
        let fixture = Fixture::new(Phase::Stopping, false);
        fixture.commands.set_progress(LoaderProgress::Ended);
        fixture.commands.reload(None);
        fixture.commands.reopen_logs();
        assert_eq!(fixture.run(), (RunEnd::Lost, Phase::Stopping));
    }
}
