//! Active checks: what is asked, when, and what the answers say of a node.
//!
//! In: the settings of `checks.active`, the bytes that a node answered with, and the time. Out: the bytes to
//! send, the node to ask next, and a verdict ([`Checked`](super::Checked)) whenever it changes. Nothing here
//! has a socket: `control/checks` does the asking, on a thread of its own.

mod answer;
mod asked;
#[cfg(test)]
mod fixture;
mod result;
mod row;
mod schedule;

pub use answer::{ANSWER_BYTES_MAX, AnswerReader};
pub use asked::{check_host, check_request, server_name_of};
pub use result::{CheckResult, CheckStage, CheckWord};
pub use row::{CheckRow, node_verdict};
pub use schedule::{CheckJitter, CheckSchedule, LaneId};
