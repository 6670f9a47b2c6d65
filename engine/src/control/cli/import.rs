//! `ferrule import`: makes a configuration of that of another gateway, says what became of each object, and compares
//! the two gateways if asked to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use ferrule_import::haproxy::{self, HaproxyOptions};
use ferrule_import::ingress::{self, ManifestFile};
use ferrule_import::nginx::{self, Disk, Files as _, NginxOptions};
use ferrule_import::{Import, LIMITS, Outcome, apisix};

use super::compare::CompareArguments;
use crate::control::process::environment;
use crate::control::process::terminal::{REFUSED, print, print_error};

/// What `ferrule import --help` ends with.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  all is converted, and means what it meant
  2  all is converted, and some of it means something else: read the report
  1  something is refused, and nothing is written
  4  with --compare: the folder is written, and the two gateways answer differently, or could not be compared";

/// The two gateways answer differently.
const DIFFERENT: u8 = 4;

/// Where the configuration comes from.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Apache APISIX: apisix.yaml, its JSON twin, or objects of the admin API.
    #[command(after_help = EXIT_CODES)]
    Apisix(ApisixArguments),
    /// nginx: nginx.conf and what it includes.
    #[command(after_help = EXIT_CODES)]
    Nginx(NginxArguments),
    /// HAProxy: haproxy.cfg, with frontends that speak TLS and ask for certificates.
    #[command(after_help = EXIT_CODES)]
    Haproxy(HaproxyArguments),
    /// ingress-nginx: Ingress objects with their Secrets and Services, as YAML.
    #[command(after_help = EXIT_CODES)]
    IngressNginx(IngressArguments),
}

/// Words that every importer has.
#[derive(clap::Args, Debug)]
pub(super) struct SharedArguments {
    /// A folder to make, with ferrule.toml and the certificates and keys that it names. Without it, nothing is written.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    #[command(flatten)]
    compare: CompareArguments,
}

#[derive(clap::Args, Debug)]
pub(super) struct ApisixArguments {
    /// The objects: YAML, or JSON if it begins with a brace.
    file: PathBuf,
    /// APISIX's own settings, for ports, TLS and trusted addresses.
    #[arg(long, value_name = "CONFIG.YAML")]
    config: Option<PathBuf>,
    /// Leave this plugin out, whatever it did. May be said several times.
    #[arg(long, value_name = "NAME")]
    skip_plugin: Vec<String>,
    /// Let --skip-plugin leave out plugins that keep people out, too.
    #[arg(long)]
    i_know: bool,
    /// Leave out what APISIX overlooks: objects with a wrong value, and what leads to none of them.
    #[arg(long)]
    drop_invalid: bool,
    #[command(flatten)]
    shared: SharedArguments,
}

#[derive(clap::Args, Debug)]
pub(super) struct NginxArguments {
    /// nginx.conf, or a file of servers that it includes.
    file: PathBuf,
    /// What paths of logs and error pages count from, as nginx's -p. All others count from the folder of the file.
    #[arg(short, long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Leave out what serves files: it is answered with 404.
    #[arg(long)]
    skip_files: bool,
    #[command(flatten)]
    shared: SharedArguments,
}

#[derive(clap::Args, Debug)]
pub(super) struct HaproxyArguments {
    /// HAProxy's configuration.
    file: PathBuf,
    /// Where relative paths in it count from (HAProxy's -C). Without it, from the folder of the file.
    #[arg(short = 'C', long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    shared: SharedArguments,
}

#[derive(clap::Args, Debug)]
pub(super) struct IngressArguments {
    /// Objects of Kubernetes: Ingress, Secret, Service, Endpoints, EndpointSlice.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    shared: SharedArguments,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
    Markdown,
}

/// Imports, writes what is asked for, prints the report, and compares.
pub(super) fn run(command: ImportCommand) -> ExitCode {
    let (imported, shared) = match command {
        ImportCommand::Apisix(arguments) => (apisix(&arguments), arguments.shared),
        ImportCommand::Nginx(arguments) => (nginx(&arguments), arguments.shared),
        ImportCommand::Haproxy(arguments) => (haproxy(&arguments), arguments.shared),
        ImportCommand::IngressNginx(arguments) => (ingress(&arguments), arguments.shared),
    };
    match imported {
        Ok(imported) => finish(&imported, &shared),
        Err(message) => {
            print_error(&message);
            ExitCode::from(REFUSED)
        }
    }
}

fn apisix(arguments: &ApisixArguments) -> Result<Import, String> {
    let text = read(&arguments.file)?;
    let process = arguments.config.as_deref().map(read).transpose()?;
    let options = apisix::Options {
        source: arguments.file.display().to_string(),
        skip_plugins: arguments.skip_plugin.iter().cloned().collect::<BTreeSet<_>>(),
        knows: arguments.i_know,
        drop_invalid: arguments.drop_invalid,
        process,
    };
    Ok(apisix::convert(&text, &options, &environment::variable))
}

fn nginx(arguments: &NginxArguments) -> Result<Import, String> {
    let absolute = |path: &Path| {
        let found = std::path::absolute(path);
        found.map_err(|error| format!("{}: {error}", path.display()))
    };
    let path = absolute(&arguments.file)?;
    let bytes = Disk.read(&path);
    let bytes = bytes.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let options = NginxOptions {
        source: arguments.file.display().to_string(),
        path,
        prefix: arguments.prefix.as_deref().map(absolute).transpose()?,
        skips_files: arguments.skip_files,
    };
    Ok(nginx::convert(&bytes, &options, &Disk))
}

fn haproxy(arguments: &HaproxyArguments) -> Result<Import, String> {
    let text = read(&arguments.file)?;
    let beside = arguments.file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let base = arguments.directory.as_deref().or(beside).unwrap_or_else(|| Path::new("."));
    let base = std::path::absolute(base)
        .map_err(|error| format!("{} cannot be found: {error}", base.display()))?;
    let options = HaproxyOptions { source: arguments.file.display().to_string(), base };
    Ok(haproxy::convert(&text, &options, &environment::variable))
}

fn ingress(arguments: &IngressArguments) -> Result<Import, String> {
    let files: Result<Vec<ManifestFile>, String> = arguments
        .files
        .iter()
        .map(|path| Ok(ManifestFile { name: path.display().to_string(), text: read(path)? }))
        .collect();
    Ok(ingress::convert(&files?, &environment::variable))
}

fn read(path: &Path) -> Result<String, String> {
    let limit = u64::try_from(LIMITS.bytes).unwrap_or(u64::MAX);
    let file = ferrule_config::read_file(path, limit);
    let file = file.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    String::from_utf8(file.bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = error.as_bytes().get(..good).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = good.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(column).chars().count() + 1;
        format!("{}:{line}:{column}: this line is not UTF-8", path.display())
    })
}

fn finish(imported: &Import, shared: &SharedArguments) -> ExitCode {
    let report = &imported.report;
    let code = report.outcome().code();
    let text = match shared.format {
        ReportFormat::Text => report.text(),
        ReportFormat::Json => report.json(),
        ReportFormat::Markdown => report.markdown(),
    };
    print(text.trim_end());
    let wanted = shared.output.as_deref().filter(|_| report.outcome() != Outcome::Refused);
    let Some(folder) = wanted else { return ExitCode::from(code) };
    if let Err(error) = imported.write(folder) {
        print_error(&error.to_string());
        return ExitCode::from(REFUSED);
    }
    if !shared.compare.is_asked() {
        return ExitCode::from(code);
    }
    match shared.compare.run(folder) {
        Ok(comparison) => {
            // The report may be for a program: this is not a part of it.
            print_error(&format!("\n{}", comparison.text));
            ExitCode::from(if comparison.same { code } else { DIFFERENT })
        }
        Err(message) => {
            print_error(&message);
            ExitCode::from(DIFFERENT)
        }
    }
}
