//! The network as the rest of the shell sees it: connections, tasks, waits, and operations on a descriptor.
//!
//! In every binary, these are monoio's types and the kernel, with nothing in between. In the tests of this
//! crate, `simulation::network` replaces them: bytes in memory, a clock that jumps, and a seed that decides
//! everything. So tests run whole exchanges through the same code that serves clients.

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
