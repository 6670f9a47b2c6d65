//! Load from a few threads: many keep-alive connections, many new ones, uploads, or idle ones by the
//! ten thousand.
//!
//! Every thread has an epoll instance, its share of the connections, and one part of the schedule.
//! With a rate, the time of every request is fixed beforehand, and latency counts from it: a request
//! that is due while all connections are busy waits in a queue and goes out late, so that a stalled
//! server is charged for everything it kept from being sent (no coordinated omission).
//!
//! Connections are made and used once, and sessions gathered, before the clock starts.

mod connection;
mod histogram;
mod outcome;
mod plan;
mod report;
mod response;
mod run;
mod serial;
mod slot;
mod tickets;
mod worker;

pub use self::histogram::Histogram;
pub use self::outcome::Outcome;
pub use self::plan::{Kind, Plan, Request, TlsTarget};
pub use self::run::{allow_descriptors, run, run_held};
pub use self::serial::serial;
