//! The command line: parses it, and executes every command but `run`.
//!
//! Exit codes: 0 success; 1 the configuration, certificate or reload is refused, with every reason on
//! standard error; 2 the command line is wrong (and what `import` says, see there); 3 the process cannot start, or a core was lost or did not
//! stop.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::check;
use super::ctl::{self, CtlArguments};
use super::explain::{self, ExplainArguments};
use super::import::{self, ImportCommand};
use super::manual;
use super::tips;
use crate::control::process::terminal::{OutputFormat, USAGE, print, print_error, print_problems};
use crate::control::process::{environment, machine};

/// What `ferrule run --help` ends with.
const SIGNALS: &str = "\
Signals:
  HUP              load the configuration again: all of it, or nothing
  TERM, QUIT, INT  refuse new connections, finish those that are open for at most
                   runtime.shutdown_timeout, then end; a second one ends at once
  USR1             open the log files again
  USR2             start the program anew, as it is on disk now, and let it take over; no connection is
                   lost, and if it cannot serve, this process goes on
No other signal that can be caught ends the process. Those that are caught are logged.";

/// A reverse proxy for mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "ferrule", disable_version_flag = true)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    /// Check the configuration of `-c` and exit (the same as `ferrule check`).
    #[arg(short = 't', requires = "config")]
    test: bool,
    /// Print versions, and what the kernel of this machine offers.
    #[arg(short = 'V', long, conflicts_with = "config")]
    version: bool,
    /// Run the gateway with this configuration (the same as `ferrule run`).
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The form of the result of `-t`.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, requires = "test")]
    format: OutputFormat,
    /// Let `-t` exit with 1 if there are warnings, too.
    #[arg(long, requires = "test")]
    strict: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    #[command(after_help = SIGNALS)]
    Run(File),
    /// Check the configuration and every file that it names, and show what it holds.
    Check {
        #[command(flatten)]
        file: File,
        /// The form of the result.
        #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
        format: OutputFormat,
        /// Exit with 1 if there are warnings, too.
        #[arg(long)]
        strict: bool,
    },
    /// Judge a client's certificate as a handshake would, and say why.
    Explain(ExplainArguments),
    /// Query a running process, or make it load its configuration again.
    Ctl(CtlArguments),
    /// Make a configuration of that of another gateway.
    #[command(subcommand)]
    Import(ImportCommand),
    /// Print the effective configuration, with defaults filled in and secrets left out.
    Dump(File),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page of `ferrule`, or write those of all commands into a directory.
    Man {
        /// The directory; it is made if it is missing.
        directory: Option<PathBuf>,
    },
    /// Print the reference of the configuration file as Markdown.
    #[command(hide = true)]
    Reference,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct File {
    /// The configuration file.
    file: Option<PathBuf>,
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl File {
    /// The one that was given: the parser refuses none and both.
    fn path(self) -> PathBuf {
        self.file.or(self.config).unwrap_or_default()
    }
}

/// What the command line asked for.
#[derive(Debug)]
pub enum Invocation {
    /// To serve with this configuration file.
    Run(PathBuf),
    /// Another command, which has been executed.
    Done(ExitCode),
}

/// Is this the command to serve? Can be asked before anything is parsed: its first word is `run`, or it
/// begins with `-c` and does not only test.
pub fn is_run_command(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut words = arguments.into_iter().skip(1);
    let Some(first) = words.next() else { return false };
    let first = first.to_string_lossy();
    first == "run"
        || ((first.starts_with("-c") || first.starts_with("--config"))
            && !words.any(|word| word == "-t"))
}

/// Parses the command line, and executes it unless it is the command to serve.
#[must_use]
pub fn execute(arguments: impl IntoIterator<Item = OsString>) -> Invocation {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are "errors" with an exit code of 0.
            drop(error.print());
            if let Some(tip) = tips::of(&error) {
                print_error(&format!("\n  tip: {tip}"));
            }
            let code = u8::try_from(error.exit_code()).unwrap_or(USAGE);
            return Invocation::Done(ExitCode::from(code));
        }
    };
    Invocation::Done(match arguments.command {
        Some(Command::Run(file)) => return Invocation::Run(file.path()),
        Some(Command::Check { file, format, strict }) => check::check(&file.path(), format, strict),
        Some(Command::Explain(arguments)) => explain::run(&arguments),
        Some(Command::Ctl(arguments)) => ctl::run(&arguments),
        Some(Command::Import(command)) => import::run(command),
        Some(Command::Dump(file)) => dump(&file.path()),
        Some(Command::Schema) => print(&ferrule_config::schema()),
        Some(Command::Completions { shell }) => manual::completions(shell, Arguments::command()),
        Some(Command::Man { directory }) => manual::man(directory.as_deref(), Arguments::command()),
        Some(Command::Reference) => print(&ferrule_config::reference()),
        None if arguments.version => print(&version()),
        None => match arguments.config {
            Some(file) if arguments.test => check::check(&file, arguments.format, arguments.strict),
            Some(file) => return Invocation::Run(file),
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
