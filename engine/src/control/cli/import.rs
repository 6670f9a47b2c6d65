//! `ferrule import`: makes a configuration of that of another gateway, and says what became of each object.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use ferrule_import::apisix::{self, Options};
use ferrule_import::{Import, LIMITS, Outcome};

use crate::control::process::environment;
use crate::control::process::terminal::{REFUSED, print, print_error};

/// What `ferrule import --help` ends with.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  all is converted, and means what it meant
  2  all is converted, and some of it means something else: read the report
  1  something is refused, and nothing is written";

/// Where the configuration comes from.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Apache APISIX: apisix.yaml, its JSON twin, or objects of the admin API.
    #[command(after_help = EXIT_CODES)]
    Apisix(ImportArguments),
}

#[derive(clap::Args, Debug)]
pub(super) struct ImportArguments {
    /// The objects: YAML, or JSON if it begins with a brace.
    file: PathBuf,
    /// APISIX's own settings, for ports, TLS and trusted addresses.
    #[arg(long, value_name = "CONFIG.YAML")]
    config: Option<PathBuf>,
    /// A folder to make, with ferrule.toml and the certificates and keys that it names. Without it, nothing is written.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Leave this plugin out, whatever it did. May be said several times.
    #[arg(long, value_name = "NAME")]
    skip_plugin: Vec<String>,
    /// Let --skip-plugin leave out plugins that keep people out, too.
    #[arg(long)]
    i_know: bool,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    format: ReportFormat,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
    Markdown,
}

/// Imports, writes what is asked for, and prints the report.
pub(super) fn run(command: ImportCommand) -> ExitCode {
    let ImportCommand::Apisix(arguments) = command;
    match import(&arguments) {
        Ok(imported) => finish(&imported, &arguments),
        Err(message) => {
            print_error(&message);
            ExitCode::from(REFUSED)
        }
    }
}

fn import(arguments: &ImportArguments) -> Result<Import, String> {
    let text = read(&arguments.file)?;
    let process = arguments.config.as_deref().map(read).transpose()?;
    let options = Options {
        source: arguments.file.display().to_string(),
        skip_plugins: arguments.skip_plugin.iter().cloned().collect::<BTreeSet<_>>(),
        knows: arguments.i_know,
        process,
    };
    Ok(apisix::convert(&text, &options, &environment::variable))
}

fn read(path: &Path) -> Result<String, String> {
    let limit = u64::try_from(LIMITS.bytes).unwrap_or(u64::MAX);
    let file = ferrule_config::read_file(path, limit);
    let file = file.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    String::from_utf8(file.bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = error.as_bytes().get(..good).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}: this line is not UTF-8", path.display())
    })
}

fn finish(imported: &Import, arguments: &ImportArguments) -> ExitCode {
    let report = &imported.report;
    let mut code = report.outcome().code();
    let text = match arguments.format {
        ReportFormat::Text => report.text(),
        ReportFormat::Json => report.json(),
        ReportFormat::Markdown => report.markdown(),
    };
    print(text.trim_end());
    if let Some(folder) =
        arguments.output.as_deref().filter(|_| report.outcome() != Outcome::Refused)
        && let Err(error) = imported.write(folder)
    {
        print_error(&error.to_string());
        code = REFUSED;
    }
    ExitCode::from(code)
}
