//! Signals become commands in the [`CommandQueue`]. No signal that can be caught ends the process by itself.
//!
//! They are caught before anything else is done: the default action of most signals is to end the process. A
//! thread that does nothing else passes them on, and logs those that mean nothing here. Rust's start-up code
//! already ignores `SIGPIPE`: a peer that has left is an error of the write, never the end of the process.
//! Signals that tell of a fault in the process itself (`SIGSEGV`, `SIGABRT` and the like) keep their action.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use super::reserved_signals;
use crate::control::process::clock;
use crate::control::state::commands::CommandQueue;

/// Those that say something to Ferrule.
const COMMANDS: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
/// Ignored without a line: a log has reached its size limit, and the write that fails is reported like any
/// other; whoever sends `SIGTERM` sends `SIGCONT` as well, so that a stopped process ends (systemd.kill(5),
/// timeout(1)); the size of a terminal has changed.
const SILENT: [i32; 3] = [SIGXFSZ, SIGCONT, SIGWINCH];
/// Those that would end or stop the process, or that other servers listen to. signal-hook knows the last
/// three but `SIGXCPU` by no name: `SIGSTKFLT`, `SIGPWR`, and a limit of processor time.
const IGNORED: [i32; 10] = [
    SIGALRM,
    SIGVTALRM,
    SIGPROF,
    SIGIO,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    libc::SIGSTKFLT,
    libc::SIGPWR,
    libc::SIGXCPU,
];
/// The first and the last real-time signal that programs may use (`signal(7)`).
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// A signal that means nothing is logged once in this time.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Signals that are caught, and kept until [`CaughtSignals::forward`].
#[derive(Debug)]
pub struct CaughtSignals(Signals);

impl CaughtSignals {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn catch() -> io::Result<Self> {
        reserved_signals::ignore()?;
        Signals::new(COMMANDS.into_iter().chain(SILENT).chain(IGNORED).chain(REAL_TIME)).map(Self)
    }

    /// Turns every signal into a command, including those caught before this call.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn forward(mut self, commands: Arc<CommandQueue>) -> io::Result<()> {
        std::thread::Builder::new().name("ferrule-signals".into()).spawn(move || {
            let mut ignored = IgnoredSignals::default();
            for signal in &mut self.0 {
                match signal {
                    // If it is too late for a reload, the supervisor logs that.
                    SIGHUP => drop(commands.reload(None)),
                    SIGUSR1 => commands.reopen_logs(),
                    SIGUSR2 => {
                        if let Err(reason) = commands.upgrade() {
                            ignored.refuse(signal, reason, clock::monotonic());
                        }
                    }
                    SIGINT | SIGQUIT | SIGTERM => commands.stop(),
                    silent if SILENT.contains(&silent) => {}
                    other => ignored.log(other, clock::monotonic()),
                }
            }
        })?;
        Ok(())
    }
}

/// When each signal that means nothing was logged.
#[derive(Debug, Default)]
struct IgnoredSignals(BTreeMap<i32, Instant>);

impl IgnoredSignals {
    fn log(&mut self, signal: i32, now: Instant) {
        if self.is_due(signal, now) {
            tracing::warn!("{} is ignored", name(signal));
        }
    }

    fn refuse(&mut self, signal: i32, reason: &str, now: Instant) {
        if self.is_due(signal, now) {
            tracing::warn!("{} is ignored: {reason}", name(signal));
        }
    }

    fn is_due(&mut self, signal: i32, now: Instant) -> bool {
        let last = self.0.get(&signal);
        if last.is_some_and(|last| now.saturating_duration_since(*last) < LOG_EVERY) {
            return false;
        }
        self.0.insert(signal, now);
        true
    }
}

fn name(signal: i32) -> String {
    let known = match signal {
        libc::SIGSTKFLT => Some("SIGSTKFLT"),
        libc::SIGPWR => Some("SIGPWR"),
        _ => signal_name(signal),
    };
    known.map_or_else(|| format!("real-time signal {signal}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_that_is_caught_has_its_name() {
        assert_eq!(name(34), "real-time signal 34");
        for signal in COMMANDS.into_iter().chain(SILENT).chain(IGNORED) {
            assert!(name(signal).starts_with("SIG"), "{signal}");
        }
        assert_eq!((name(SIGIO), name(libc::SIGPWR)), ("SIGIO".into(), "SIGPWR".into()));
    }
}
