//! The command line: parses it, and executes every command but `run`.
//!
//! Exit codes: 0 success; 1 the configuration, certificate or reload is refused, with every reason on
//! standard error; 2 the command line is wrong; 3 the process cannot start, or a core was lost or did not
//! stop.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::check;
use super::ctl::{self, CtlArguments};
use super::explain::{self, ExplainArguments};
use crate::control::process::terminal::{OutputFormat, USAGE, print, print_problems};
use crate::control::process::{environment, machine};

/// A reverse proxy for mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "ferrule", disable_version_flag = true)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// Check the configuration and exit (the same as `ferrule check`).
    #[arg(short = 't', requires = "config")]
    test: bool,
    /// Print versions, and what the kernel of this machine offers.
    #[arg(short = 'V', long)]
    version: bool,
    #[command(flatten)]
    check: OptionalCheck,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The arguments of `-t`.
#[derive(clap::Args, Debug)]
struct OptionalCheck {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", requires = "test")]
    config: Option<PathBuf>,
    /// The form of the result.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, requires = "test")]
    format: OutputFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Run(File),
    /// Check the configuration and every file that it names, and show what it holds.
    Check {
        #[command(flatten)]
        file: File,
        /// The form of the result.
        #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
        format: OutputFormat,
    },
    /// Judge a client's certificate as a handshake would, and say why.
    Explain(ExplainArguments),
    /// Query a running process, or make it load its configuration again.
    Ctl(CtlArguments),
    /// Print the effective configuration, with defaults filled in and secrets left out.
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

/// What the command line asked for.
#[derive(Debug)]
pub enum Invocation {
    /// To serve with this configuration file.
    Run(PathBuf),
    /// Another command, which has been executed.
    Done(ExitCode),
}

/// Is this the command to serve? Can be asked before anything is parsed: `run` is always the first word.
pub fn is_run_command(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments.into_iter().nth(1).is_some_and(|word| word == "run")
}

/// Parses the command line, and executes it unless it is the command to serve.
#[must_use]
pub fn execute(arguments: impl IntoIterator<Item = OsString>) -> Invocation {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are "errors" with an exit code of 0.
            drop(error.print());
            let code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
            return Invocation::Done(ExitCode::from(code));
        }
    };
    Invocation::Done(match arguments.command {
        Some(Command::Run(file)) => return Invocation::Run(file.config),
        Some(Command::Check { file, format }) => check::check(&file.config, format),
        Some(Command::Explain(arguments)) => explain::run(&arguments),
        Some(Command::Ctl(arguments)) => ctl::run(&arguments),
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

/// Prints the configuration. Only the file is read, none of the certificates that it names.
fn dump(file: &Path) -> ExitCode {
    match ferrule_config::read(file, &environment::variable) {
        Ok(draft) if draft.problems.is_empty() => print(&draft.config.dump()),
        Ok(draft) => print_problems(&draft.problems),
        Err(problems) => print_problems(&problems),
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
