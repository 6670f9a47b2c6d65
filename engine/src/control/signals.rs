//! Signals become orders for the control loop.
//!
//! A thread of its own waits for signals and sends each as an [`Order`], so the loop has one thing to
//! wait on. `SIGPIPE` is ignored by Rust's start-up code already: a peer that left is an error of the
//! write, never the end of the process.

use std::io;
use std::sync::mpsc::Sender;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

/// What an operator wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// `SIGHUP`: load the file again.
    Reload,
    /// The same, asked for at the admin socket; the answer goes under this number.
    ReloadFor(u64),
    /// `SIGTERM`, `SIGQUIT`, `SIGINT`: drain, then end. A second one: end at once.
    Stop,
    /// `SIGUSR1`: open the log files anew.
    ReopenLogs,
}

/// Sends an order for every signal from now on.
///
/// # Errors
/// The handlers cannot be installed, or the thread cannot be started.
pub fn start(orders: Sender<Order>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1])?;
    std::thread::Builder::new().name("ferrule-signals".into()).spawn(move || {
        for signal in &mut signals {
            let order = match signal {
                SIGHUP => Order::Reload,
                SIGUSR1 => Order::ReopenLogs,
                _ => Order::Stop,
            };
            if orders.send(order).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
