//! The command line: `ferrule` with its commands, of which all but `run` are done here.

pub mod arguments;
mod check;
mod ctl;
mod explain;
pub(crate) mod inventory;
