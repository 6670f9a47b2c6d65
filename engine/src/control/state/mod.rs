//! What the threads of control share: the status of the process, and the commands that are pending.

pub(crate) mod certificates;
pub mod commands;
pub(crate) mod status;
pub(crate) mod totals;
