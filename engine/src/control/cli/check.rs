//! `ferrule check`: loads everything as `run` would, and says what it found.
//!
//! For people the summary goes to standard output and problems to standard error; as JSON everything
//! is one object on standard output.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use ferrule_config::{Problems, Report};
use serde::Serialize;
use serde_json::Value;

use super::inventory::Inventory;
use crate::control::process::terminal::{self, OutputFormat};
use crate::control::process::{clock, environment};
use crate::setup;
use crate::tls::resumption::tickets::TicketKeys;

/// Checks a file. No socket is opened and no name is resolved.
pub(crate) fn check(file: &Path, format: OutputFormat) -> ExitCode {
    let now = clock::unix_seconds();
    let tickets = Arc::new(TicketKeys::new());
    let result = setup::load(file, &environment::variable, &tickets, 1, now);
    match (result, format) {
        (Ok(generation), OutputFormat::Human) => {
            let warnings = generation.warnings.render_human();
            if !warnings.trim().is_empty() {
                terminal::print_error(warnings.trim_end());
            }
            let inventory = Inventory::of(&generation, now).human();
            terminal::print(&format!("{}: ok\n{inventory}", file.display()))
        }
        (Ok(generation), OutputFormat::Json) => {
            let summary = Inventory::of(&generation, now).json();
            terminal::print(&report(file, &generation.warnings, Some(summary)))
        }
        (Err(problems), OutputFormat::Human) => terminal::print_problems(&problems),
        (Err(problems), OutputFormat::Json) => {
            terminal::print(&report(file, &problems, None));
            ExitCode::from(terminal::REFUSED)
        }
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

fn report(file: &Path, problems: &Problems, summary: Option<Value>) -> String {
    let report = CheckReport {
        ok: summary.is_some(),
        file: file.display().to_string(),
        problems: problems.reports(),
        summary,
    };
    serde_json::to_string_pretty(&report).unwrap_or_default()
}
