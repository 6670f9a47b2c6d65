//! Active checks: one thread asks all nodes whether they work, off the data cores.
//!
//! In: the generation in force and the addresses of its nodes, read from a core's link as the core reads them.
//! Out: verdicts in the states of the nodes, and counts for the metrics. The thread is there only while an
//! upstream has `checks.active`. It runs monoio on the driver that the cores run on; what to ask, when, and
//! what an answer means is decided in [`health::checks`](crate::health::checks).

mod board;
mod probe;
mod prober;
mod rounds;
mod targets;

pub use board::CheckBoard;
pub use prober::Prober;
