//! What is going to be written, and the proof that Ferrule takes it.
//!
//! Each table of the file knows which object it came from. What `ferrule_config` finds wrong with the file is said of
//! that object, so that nobody has to search in a file that was never written.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use ferrule_config::Problem;
use toml::Value as Toml;

use crate::document::Spot;
use crate::output::Import;
use crate::report::{Kind, Report};
use crate::work::Work;

/// How the reader begins to say that a route is of no use.
const UNREACHABLE: &str = "no request can reach this route";

/// One table of the file.
pub(crate) struct Section {
    pub(crate) table: &'static str,
    pub(crate) value: toml::Table,
    /// Is it one of several, as `[[routes]]`?
    list: bool,
    source: Option<Source>,
}

/// Where a table came from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Which object: `routes[3]`, `server[1].location[0]`.
    pub(crate) path: String,
    /// The file, if it is not the one that was named but one that it includes.
    pub(crate) file: Option<String>,
    pub(crate) spot: Spot,
}

/// The tables, in the order of the file.
pub(crate) struct Draft {
    sections: Vec<Section>,
    /// What makes the file: `ferrule import apisix`.
    maker: &'static str,
}

/// A text and the line at which each table begins.
struct Written {
    text: String,
    starts: Vec<usize>,
}

/// A text, and where in it each object is.
struct Places {
    text: String,
    /// By the path of the object.
    lines: HashMap<String, usize>,
}

impl Places {
    /// The line of what a path within an object became: that of the object.
    fn line(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(*line);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}

impl Draft {
    pub(crate) const fn new(maker: &'static str) -> Self {
        Self { sections: Vec::new(), maker }
    }

    /// One of several tables, and where it came from.
    pub(crate) fn push(&mut self, table: &'static str, value: toml::Table, source: Source) {
        self.sections.push(Section { table, value, list: true, source: Some(source) });
    }

    /// A table that came from no single object.
    pub(crate) fn push_own(&mut self, table: &'static str, value: toml::Table, list: bool) {
        self.sections.push(Section { table, value, list, source: None });
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.sections.append(&mut other.sections);
    }

    pub(crate) fn of(&self, table: &str) -> impl Iterator<Item = &toml::Table> {
        self.sections
            .iter()
            .filter(move |section| section.table == table)
            .map(|section| &section.value)
    }

    pub(crate) fn each_mut(&mut self, table: &str, mut each: impl FnMut(&mut toml::Table)) {
        let sections = self.sections.iter_mut().filter(|section| section.table == table);
        for section in sections {
            each(&mut section.value);
        }
    }

    fn write(&self) -> Written {
        let mut text = format!(
            "# Made by `{}`. Run `ferrule check` on it, and read the report.\n",
            self.maker
        );
        let mut starts = Vec::with_capacity(self.sections.len());
        let mut lines = 1;
        for section in &self.sections {
            let before = text.len();
            text.push('\n');
            if let Some(Source { path, file, spot }) = &section.source {
                let file = file.as_ref().map(|file| format!("{file}, ")).unwrap_or_default();
                let place = format!("{path}, {file}line {}", spot.line);
                let place = place.replace(|mark: char| mark.is_control(), "?");
                let _ = writeln!(text, "# {place}");
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

    /// Has Ferrule's own reader judge it. Routes that no request can reach are left out: they were taken where they
    /// come from, and none of their requests was ever answered by them.
    pub(crate) fn prove(&mut self, work: &Work, env: &dyn Fn(&str) -> Option<String>) {
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
            if out && let Some(Source { path, file, spot }) = &section.source {
                let message =
                    "no request can reach it, as another route takes them all: it is left out";
                work.log.add_in(Kind::Changed, file.as_deref(), *spot, path, message);
            }
            !out
        });
    }

    fn say_converted(&self, work: &Work) {
        for section in &self.sections {
            if let Some(Source { path, file, spot }) = &section.source {
                let message = format!("[[{}]]{}", section.table, named(&section.value));
                work.log.add_in(Kind::Converted, file.as_deref(), *spot, path, message);
            }
        }
    }

    /// The text, and the line at which the table of each object begins.
    fn into_places(self) -> Places {
        let Written { text, starts } = self.write();
        // In front of a table stand an empty line and a comment with its source.
        let lines = self.sections.iter().zip(starts).filter_map(|(section, start)| {
            section.source.as_ref().map(|source| (source.path.clone(), start + 2))
        });
        Places { lines: lines.collect(), text }
    }
}

/// Says what Ferrule's reader says, of the object that it is about.
fn refuse(problem: &Problem, source: Option<&Source>, work: &Work) {
    let path = source.map_or("file", |source| source.path.as_str());
    let file = source.and_then(|source| source.file.as_deref());
    let spot = source.map_or_else(Spot::default, |source| source.spot);
    let help = problem.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
    let message = format!("`{}`: {}{help}", problem.field, problem.message);
    work.log.add_in(Kind::Refused, file, spot, path, message);
}

/// The id of a table, for the report.
fn named(table: &toml::Table) -> String {
    match table.get("id") {
        Some(Toml::String(id)) => format!(" id = {id:?}"),
        _ => String::new(),
    }
}

/// What an import hands over: without a configuration, if anything is refused.
pub(crate) fn finish(
    work: Work,
    draft: Draft,
    source: &str,
    differences: &[&'static str],
) -> Import {
    let refused = work.log.refused();
    let (log, files) = work.into_files();
    let mut report = Report {
        source: source.to_owned(),
        findings: log.into_findings(),
        differences: differences.to_vec(),
    };
    if refused {
        return Import { report, ..Import::default() };
    }
    let places = draft.into_places();
    for finding in &mut report.findings {
        finding.target = places.line(&finding.path);
    }
    Import { report, configuration: places.text, files }
}
