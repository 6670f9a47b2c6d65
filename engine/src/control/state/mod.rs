//! What the process knows of itself, and what it was asked to do: written and read by its threads.

pub(crate) mod board;
pub(crate) mod certificates;
pub mod commands;
pub(crate) mod totals;
