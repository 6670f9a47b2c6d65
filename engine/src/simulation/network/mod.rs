//! A network in memory, for seeded runs of the shell: no socket, no thread, no system clock.
//!
//! [`world`] holds the state (both ends of every connection, the bytes in transit, the time); [`tasks`] runs
//! futures in an order drawn from the seed. Everything is local to a thread, so tests run side by side. As
//! with `io_uring`, an operation takes effect when it is submitted, and its completion may be reported later.

mod descriptor;
mod ends;
mod half;
mod listener;
pub(crate) mod random;
mod streams;
pub(crate) mod tasks;
pub(crate) mod world;

pub(crate) use descriptor::Descriptor;
pub(crate) use descriptor::{is_heard_out, is_spoken_to};
pub(crate) use listener::{CancelHandle, Canceller, TcpListener};
pub(crate) use streams::{ReadHalf, TcpStream, UnixStream, WriteHalf, tcp, unix};
pub(crate) use tasks::{next_round, sleep, spawn, timeout};
pub(crate) use world::{instant, system};

/// Rounds need no opening here.
///
/// # Errors
/// None.
pub(crate) const fn open_rounds(_: bool) -> std::io::Result<()> {
    Ok(())
}
