//! `ferrule check`: loads everything as `run` would, and says what it found.
//!
//! For people the summary goes to standard output and problems to standard error; as JSON everything
//! is one object on standard output.

use std::path::Path;
use std::process::ExitCode;

use ferrule_config::model::IoDriver;
use ferrule_config::{Place, Problem, Problems, Report};
use serde::Serialize;
use serde_json::Value;

use super::inventory::Inventory;
use crate::control::process::clock;
use crate::control::process::machine;
use crate::control::process::terminal::{self, OutputFormat};
use crate::control::reload::source::GenerationSource;
use crate::setup::Generation;
use crate::tls::load::own_certificates;

/// Checks a file. Nothing is listened on and no name is resolved: sockets are made only to ask whether this
/// machine has an address (`reload/preconditions.rs`). `strict` takes a warning for an error.
pub(crate) fn check(file: &Path, format: OutputFormat, strict: bool) -> ExitCode {
    let now = clock::unix_seconds();
    let source = GenerationSource::new(file);
    let mut result = source.read().and_then(|draft| source.assemble(draft, 1, None));
    if let Ok(generation) = &mut result {
        warn_of_machine(generation);
    }
    match (result, format) {
        (Ok(generation), OutputFormat::Human) => {
            let warnings = generation.warnings.render_human();
            if !warnings.trim().is_empty() {
                terminal::print_error(warnings.trim_end());
            }
            let refused = strict && generation.warnings.warnings().next().is_some();
            let verdict = if refused { "refused for its warnings (--strict)" } else { "ok" };
            let mut inventory = Inventory::of(&generation, now).human();
            for line in unknown_issuers(&generation) {
                inventory.push_str("\nto be looked at: ");
                inventory.push_str(&line);
            }
            let printed = terminal::print(&format!("{}: {verdict}\n{inventory}", file.display()));
            if refused { ExitCode::from(terminal::REFUSED) } else { printed }
        }
        (Ok(generation), OutputFormat::Json) => {
            let refused = strict && generation.warnings.warnings().next().is_some();
            let mut summary = Inventory::of(&generation, now).json();
            let unknown = unknown_issuers(&generation);
            if let Some(notes) = summary.get_mut("notes").and_then(Value::as_array_mut) {
                notes.extend(unknown.into_iter().map(Value::String));
            }
            let report = report(file, &generation.warnings, !refused, Some(summary));
            let printed = terminal::print(&report);
            if refused { ExitCode::from(terminal::REFUSED) } else { printed }
        }
        (Err(problems), OutputFormat::Human) => terminal::print_problems(&problems),
        (Err(problems), OutputFormat::Json) => {
            terminal::print(&report(file, &problems, false, None));
            ExitCode::from(terminal::REFUSED)
        }
    }
}

/// What is to be looked at.
fn unknown_issuers(generation: &Generation) -> Vec<String> {
    let Generation { config, tls, warnings, .. } = generation;
    own_certificates::unknown_issuers(config, warnings, &tls.objects)
}

/// Warns of what this machine lacks; the one that runs the file may have it.
fn warn_of_machine(generation: &mut Generation) {
    let support = machine::io_uring_support();
    if generation.config.runtime.io_driver == IoDriver::IoUring && !support.starts_with("available")
    {
        generation.warnings.warn(Problem {
            place: Place::default(),
            field: "runtime.io_driver".to_owned(),
            message: format!(
                "\"io_uring\" is asked for, and here it is {support}: `run` refuses to start"
            ),
            help: Some("\"auto\" takes epoll where there is no io_uring".to_owned()),
        });
    }
}

/// The result as JSON.
#[derive(Serialize)]
struct CheckReport {
    ok: bool,
    file: String,
    problems: Vec<Report>,
    /// What the file sets up; `null` if it is refused.
    summary: Option<Value>,
}

fn report(file: &Path, problems: &Problems, ok: bool, summary: Option<Value>) -> String {
    let report =
        CheckReport { ok, file: file.display().to_string(), problems: problems.reports(), summary };
    serde_json::to_string_pretty(&report).unwrap_or_default()
}
