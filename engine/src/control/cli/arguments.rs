//! The command line: what is asked for, and the commands that need no core.
//!
//! Exit codes: 0 as asked; 1 the configuration (or what else was asked about) is refused, every reason
//! on standard error; 2 the
//! command line is wrong; 3 the process cannot start, or a core was lost or did not stop.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::check;
use super::ctl::{self, Ctl};
use super::explain::{self, Explain};
use crate::control::process::terminal::{Format, USAGE, print, refuse};
use crate::control::process::{environment, machine};

/// A reverse proxy for mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "ferrule", disable_version_flag = true)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// Check the configuration and exit (the same as `ferrule check`).
    #[arg(short = 't', requires = "config")]
    test: bool,
    /// Print versions, and what this machine's kernel offers.
    #[arg(short = 'V', long)]
    version: bool,
    #[command(flatten)]
    check: OptionalCheck,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What `-t` takes.
#[derive(clap::Args, Debug)]
struct OptionalCheck {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", requires = "test")]
    config: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Human, requires = "test")]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve.
    Run(File),
    /// Check the configuration, every file it names included, and show what it holds.
    Check {
        #[command(flatten)]
        file: File,
        /// How the result is written.
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Judge a client's certificate as a handshake would, and tell why.
    Explain(Explain),
    /// Ask a running process, or tell it to load its configuration again.
    Ctl(Ctl),
    /// Print the configuration as it works out, every default filled in and secrets left out.
    Dump(File),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print the reference of the configuration file as Markdown.
    #[command(hide = true)]
    Reference,
}

#[derive(clap::Args, Debug)]
struct File {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// What is left to do.
#[derive(Debug)]
pub enum Asked {
    /// Serve this file.
    Run(PathBuf),
    /// Nothing: it is done.
    Done(ExitCode),
}

/// Is this the command to serve? Asked before anything is parsed: it has no options in front.
pub fn wants_to_run(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments.into_iter().nth(1).is_some_and(|word| word == "run")
}

/// Understands the command line and does what needs no core.
#[must_use]
pub fn obey(arguments: impl IntoIterator<Item = OsString>) -> Asked {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are "errors" with an exit code of 0.
            drop(error.print());
            let code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
            return Asked::Done(ExitCode::from(code));
        }
    };
    Asked::Done(match arguments.command {
        Some(Command::Run(file)) => return Asked::Run(file.config),
        Some(Command::Check { file, format }) => check::check(&file.config, format),
        Some(Command::Explain(asked)) => explain::run(&asked),
        Some(Command::Ctl(asked)) => ctl::run(&asked),
        Some(Command::Dump(file)) => dump(&file.config),
        Some(Command::Schema) => print(&ferrule_config::schema()),
        Some(Command::Reference) => print(&ferrule_config::reference()),
        None if arguments.version => print(&version()),
        None => match arguments.check.config {
            Some(config) => check::check(&config, arguments.check.format),
            None => ExitCode::from(USAGE),
        },
    })
}

/// The file alone is read: what certificates hold is not shown.
fn dump(file: &Path) -> ExitCode {
    match ferrule_config::read(file, &environment::variable) {
        Ok(draft) if draft.problems.is_empty() => print(&draft.config.dump()),
        Ok(draft) => refuse(&draft.problems),
        Err(problems) => refuse(&problems),
    }
}

fn version() -> String {
    format!(
        "ferrule {}\nio_uring: {}\nepoll: available\nTLS: rustls {}, ring {}",
        env!("CARGO_PKG_VERSION"),
        machine::io_uring_support(),
        env!("FERRULE_RUSTLS"),
        env!("FERRULE_RING"),
    )
}
