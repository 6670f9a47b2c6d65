//! The network as the rest of the shell sees it: connections, tasks, waits, and what is asked of a
//! descriptor.
//!
//! In every binary all of it is monoio's and the kernel's, with nothing in between. Within this
//! crate's own tests it is `simulation::network`: bytes in memory, a clock that jumps, and a seed that
//! decides everything, so that whole exchanges run through the very code that serves.

#[cfg_attr(test, expect(dead_code, unused_imports, reason = "tests take the simulated network"))]
pub(crate) mod kernel;
pub(crate) mod round;

#[cfg(test)]
use crate::simulation::network as chosen;
#[cfg(not(test))]
use kernel as chosen;

pub(crate) use super::fd::Peek;
#[cfg(test)]
pub(crate) use crate::simulation::network::{next_round, open_rounds};
pub(crate) use chosen::{
    CancelHandle, Canceller, Descriptor, ReadHalf, TcpListener, TcpStream, UnixStream, WriteHalf,
    sleep, spawn, tcp, timeout, unix,
};
#[cfg(not(test))]
pub(crate) use round::{next_round, open_rounds};
