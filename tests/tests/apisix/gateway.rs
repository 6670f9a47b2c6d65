//! A gateway that was made of a case, and what is seen of it.

use std::path::PathBuf;
use std::process::Output;

use ferrule_tools::process::Process;

use crate::ports::Ports;

/// A gateway that plays.
pub(crate) struct Gateway {
    pub(crate) ports: Ports,
    /// Where command lines are run.
    pub(crate) dir: PathBuf,
    pub(crate) configuration: String,
    pub(crate) _process: Process,
}

/// How a case went.
pub(crate) struct Outcome {
    /// What is wrong.
    pub(crate) fault: Option<String>,
    /// What was seen, for people.
    pub(crate) seen: String,
    pub(crate) configuration: String,
}

/// Everything that a command wrote.
pub(crate) fn said(done: &Output) -> String {
    let text = [done.stdout.as_slice(), done.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}
