//! What is going to be written, and the proof that Ferrule takes it.
//!
//! Each table of the file knows which object it came from. What `ferrule_config` finds wrong with the file is said of
//! that object, so that nobody has to search in a file that was never written.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ferrule_config::Problem;
use toml::Value as Toml;

use crate::document::Spot;
use crate::report::Kind;
use crate::work::Work;

use super::objects::Object;

/// How the reader begins to say that a route is of no use.
const UNREACHABLE: &str = "no request can reach this route";

/// One table of the file.
pub(super) struct Section {
    pub(super) table: &'static str,
    pub(super) value: toml::Table,
    /// Is it one of several, as `[[routes]]`?
    list: bool,
    source: Option<Source>,
}

/// Where a table came from.
struct Source {
    path: String,
    spot: Spot,
}

/// The tables, in the order of the file.
#[derive(Default)]
pub(super) struct Draft {
    sections: Vec<Section>,
}

/// A text and the line at which each table begins.
struct Written {
    text: String,
    starts: Vec<usize>,
}

impl Draft {
    pub(super) fn push(&mut self, table: &'static str, value: toml::Table, object: &Object<'_>) {
        let source = Source { path: object.path.clone(), spot: object.node.spot };
        self.sections.push(Section { table, value, list: true, source: Some(source) });
    }

    /// A table that came from no single object.
    pub(super) fn push_own(&mut self, table: &'static str, value: toml::Table, list: bool) {
        self.sections.push(Section { table, value, list, source: None });
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.sections.append(&mut other.sections);
    }

    pub(super) fn of(&self, table: &str) -> impl Iterator<Item = &toml::Table> {
        self.sections
            .iter()
            .filter(move |section| section.table == table)
            .map(|section| &section.value)
    }

    pub(super) fn each_mut(&mut self, table: &str, mut each: impl FnMut(&mut toml::Table)) {
        let sections = self.sections.iter_mut().filter(|section| section.table == table);
        for section in sections {
            each(&mut section.value);
        }
    }

    fn write(&self) -> Written {
        let mut text = String::from(
            "# Made by `ferrule import apisix`. Run `ferrule check` on it, and read the report.\n",
        );
        let mut starts = Vec::with_capacity(self.sections.len());
        let mut lines = 1;
        for section in &self.sections {
            let before = text.len();
            text.push('\n');
            if let Some(Source { path, spot }) = &section.source {
                let path = path.replace(|mark: char| mark.is_control(), "?");
                let _ = writeln!(text, "# {path}, line {}", spot.line);
            }
            starts.push(lines + 1);
            let value = Toml::Table(section.value.clone());
            let value = if section.list { Toml::Array(vec![value]) } else { value };
            let whole: toml::Table = [(section.table.to_owned(), value)].into_iter().collect();
            // Of these values all can be written.
            text.push_str(&toml::to_string(&whole).unwrap_or_default());
            lines += text.get(before..).unwrap_or_default().matches('\n').count();
        }
        Written { text, starts }
    }

    /// Has Ferrule's own reader judge it. Routes that no request can reach are left out: APISIX takes them, and none of
    /// their requests was ever answered by them.
    pub(super) fn prove(&mut self, work: &Work, env: &dyn Fn(&str) -> Option<String>) {
        // A secret need not be set where the file is made.
        let env = |name: &str| env(name).or_else(|| Some(String::from("-----BEGIN ")));
        loop {
            let Written { text, starts } = self.write();
            let problems = match ferrule_config::read_text(Path::new("/ferrule.toml"), text, &env) {
                Ok(draft) => draft.problems,
                Err(problems) => problems,
            };
            let section_of = |problem: &Problem| {
                let line = problems.position(problem.place).line;
                starts.partition_point(|start| *start <= line).checked_sub(1)
            };
            let unreachable: BTreeSet<usize> = problems
                .iter()
                .filter(|problem| problem.message.starts_with(UNREACHABLE))
                .filter_map(section_of)
                .collect();
            if !unreachable.is_empty() {
                self.leave_out(&unreachable, work);
                continue;
            }
            for problem in problems.iter() {
                let found = section_of(problem).and_then(|at| self.sections.get(at));
                let source = found.and_then(|found| found.source.as_ref());
                refuse(problem, source, work);
            }
            if problems.is_empty() {
                self.say_converted(work);
            }
            return;
        }
    }

    fn leave_out(&mut self, which: &BTreeSet<usize>, work: &Work) {
        let mut at = 0;
        self.sections.retain(|section| {
            let out = which.contains(&at);
            at += 1;
            if out && let Some(Source { path, spot }) = &section.source {
                let message =
                    "no request can reach it, as another route takes them all: it is left out";
                work.log.add(Kind::Changed, *spot, path, message);
            }
            !out
        });
    }

    fn say_converted(&self, work: &Work) {
        for section in &self.sections {
            if let Some(Source { path, spot }) = &section.source {
                let message = format!("[[{}]]{}", section.table, named(&section.value));
                work.log.add(Kind::Converted, *spot, path, message);
            }
        }
    }

    pub(super) fn into_text(self) -> String {
        self.write().text
    }
}

/// Says what Ferrule's reader says, of the object that it is about.
fn refuse(problem: &Problem, source: Option<&Source>, work: &Work) {
    let (path, spot) = source
        .map_or_else(|| ("file", Spot::default()), |source| (source.path.as_str(), source.spot));
    let help = problem.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
    let message = format!("`{}`: {}{help}", problem.field, problem.message);
    work.log.add(Kind::Refused, spot, path, message);
}

/// The id of a table, for the report.
fn named(table: &toml::Table) -> String {
    match table.get("id") {
        Some(Toml::String(id)) => format!(" id = {id:?}"),
        _ => String::new(),
    }
}
