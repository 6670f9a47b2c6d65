//! Signals become commands in the [`CommandQueue`].
//!
//! They are caught before anything else is done: the default action of a signal is to end the process. A
//! thread that does nothing else passes them on. Rust's start-up code already ignores `SIGPIPE`: a peer
//! that has left is an error of the write, never the end of the process.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::control::state::commands::CommandQueue;

/// Signals that are caught, and kept until [`CaughtSignals::forward`].
#[derive(Debug)]
pub struct CaughtSignals(Signals);

impl CaughtSignals {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn catch() -> io::Result<Self> {
        Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ]).map(Self)
    }

    /// Turns every signal into a command, including those caught before this call.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn forward(mut self, commands: Arc<CommandQueue>) -> io::Result<()> {
        std::thread::Builder::new().name("ferrule-signals".into()).spawn(move || {
            for signal in &mut self.0 {
                match signal {
                    // If it is too late for a reload, the supervisor logs that.
                    SIGHUP => drop(commands.reload(None)),
                    SIGUSR1 => commands.reopen_logs(),
                    // In nginx it starts a new binary.
                    SIGUSR2 => tracing::warn!("SIGUSR2 is ignored: a new binary takes a restart"),
                    // A log has reached its size limit. The write fails and is reported like any other.
                    SIGXFSZ => {}
                    _ => commands.stop(),
                }
            }
        })?;
        Ok(())
    }
}
