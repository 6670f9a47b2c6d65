//! What a command prints on the standard streams, and the exit code that it ends with.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;

/// The configuration is refused.
pub(crate) const REFUSED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// The process cannot start, or a core was lost or did not stop.
pub(crate) const CANNOT_RUN: u8 = 3;

/// How a result is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// Prints why the process cannot start, and returns the exit code for that.
pub fn cannot_start(error: &dyn Display) -> ExitCode {
    print_error(&format!("ferrule cannot start: {error}"));
    ExitCode::from(CANNOT_RUN)
}

/// Prints every problem to standard error, and returns the exit code for that.
pub(crate) fn print_problems(problems: &ferrule_config::Problems) -> ExitCode {
    print_error(problems.render_human().trim_end());
    ExitCode::from(REFUSED)
}

/// Writes text to standard output, with a line feed at its end.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // The reader may have closed the pipe early, as `head` does.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(CANNOT_RUN),
        _ => ExitCode::SUCCESS,
    }
}

/// Writes text to standard error, with a line feed at its end.
pub(crate) fn print_error(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
