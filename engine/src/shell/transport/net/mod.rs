//! The network as the rest of the shell sees it: connections, tasks, waits, and what is asked of a
//! descriptor.
//!
//! In every binary all of it is monoio's and the kernel's, with nothing in between. Within this
//! crate's own tests it is `simulation::network`: bytes in memory, a clock that jumps, and a seed that
//! decides everything, so that whole exchanges run through the very code that serves.

pub mod kernel;
pub mod round;

#[cfg(test)]
use crate::simulation::network as chosen;
#[cfg(not(test))]
use kernel as chosen;

pub use super::fd::Peek;
#[cfg(test)]
pub use crate::simulation::network::{next_round, open_rounds};
pub use chosen::{
    CancelHandle, Canceller, Descriptor, ReadHalf, TcpListener, TcpStream, UnixStream, WriteHalf,
    sleep, spawn, tcp, timeout, unix,
};
#[cfg(not(test))]
pub use round::{next_round, open_rounds};
