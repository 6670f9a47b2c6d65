//! Signals become `Orders`.
//!
//! Taken hold of before anything else is done, so that no signal finds the process with its default
//! answer, which is to die; a thread of its own that touches nothing else hands them on. `SIGPIPE` is
//! ignored by Rust's start-up code already: a peer that left is an error of the write, never the end of
//! the process.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::control::state::orders::Orders;

/// Signals that are caught, and kept for [`Caught::hand_on`].
#[derive(Debug)]
pub struct Caught(Signals);

impl Caught {
    /// Catches signals from now on.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn catch() -> io::Result<Self> {
        Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ]).map(Self)
    }

    /// Makes a wish of every signal, of those that came before, too.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn hand_on(mut self, orders: Arc<Orders>) -> io::Result<()> {
        std::thread::Builder::new().name("ferrule-signals".into()).spawn(move || {
            for signal in &mut self.0 {
                match signal {
                    // Too late for one, it is told of in the log.
                    SIGHUP => drop(orders.reload(None)),
                    SIGUSR1 => orders.reopen_logs(),
                    // nginx takes it for the wish for a new binary.
                    SIGUSR2 => tracing::warn!("SIGUSR2 is ignored: a new binary takes a restart"),
                    // A log may not grow any more. The write fails, and is told of like any other.
                    SIGXFSZ => {}
                    _ => orders.stop(),
                }
            }
        })?;
        Ok(())
    }
}
