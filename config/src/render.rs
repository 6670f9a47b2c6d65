//! Problems as text for people, and as JSON for programs.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::place::Place;
use crate::problem::{Problem, Problems, Severity};

/// Lines of one problem's place that are shown: a PEM block is not worth more.
const LINES_MAX: usize = 3;

/// One problem for machines.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `error` or `warning`.
    pub severity: String,
    /// The configuration file.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The path of the field; empty if the file as a whole is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The line, secrets masked.
    pub text: String,
}

impl Problems {
    /// As `rustc` shows its errors: file, line and column, the line itself, and help.
    #[must_use]
    pub fn render_human(&self) -> String {
        let renderer = Renderer::plain();
        let mut text = String::new();
        for (severity, problem) in self.all() {
            text.push_str(&renderer.render(&[self.group(severity, problem)]));
            text.push_str("\n\n");
        }
        text
    }

    /// An array of objects, in the order of the file.
    #[must_use]
    pub fn render_json(&self) -> String {
        serde_json::to_string_pretty(&self.reports()).unwrap_or_default()
    }

    /// Everything for machines, in the order of the file.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let report = |(severity, problem): (Severity, &Problem)| {
            let position = self.position(problem.place);
            Report {
                severity: severity.to_string(),
                file: self.source().file_of(problem.place).display().to_string(),
                line: position.line,
                column: position.column,
                field: problem.field.clone(),
                message: problem.message.clone(),
                help: problem.help.clone(),
                text: self.source().line(problem.place).to_owned(),
            }
        };
        self.all().into_iter().map(report).collect()
    }

    /// One line for each problem, for a log: `file:line:column: field: message (help)`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.all().into_iter().map(|(severity, problem)| self.line(severity, problem))
    }

    /// The same lines, of the errors alone: why a file is refused.
    pub fn error_lines(&self) -> impl Iterator<Item = String> {
        self.iter().map(|problem| self.error_line(problem))
    }

    /// The same line for an error that was found in this file later.
    #[must_use]
    pub fn error_line(&self, problem: &Problem) -> String {
        self.line(Severity::Error, problem)
    }

    fn line(&self, severity: Severity, problem: &Problem) -> String {
        let position = self.position(problem.place);
        let file = self.source().file_of(problem.place).display();
        let field = match problem.field.as_str() {
            "" => self.field_at(problem.place),
            field => field,
        };
        let field = if field.is_empty() { "the file" } else { field };
        let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!(
            "{file}:{}:{}: {severity}: {field}: {}{help}",
            position.line, position.column, problem.message
        )
    }

    fn group<'a>(&'a self, severity: Severity, problem: &'a Problem) -> Group<'a> {
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = if problem.field.is_empty() {
            problem.message.clone()
        } else {
            format!("{}: {}", problem.field, problem.message)
        };
        let file = self.source().file_of(problem.place).display().to_string();
        let group = level.primary_title(title);
        let text = self.source().masked();
        let group = if text.is_empty() || problem.place == Place::default() {
            group.element(Origin::path(file))
        } else {
            // Its own lines alone: there may be thousands of problems in a file of megabytes.
            let shown = self.shown(problem.place);
            let lines = self.source().lines_of(&shown);
            let span = shown.start - lines.start..shown.end - lines.start;
            let snippet = Snippet::source(lines.text).line_start(lines.first).path(file);
            group.element(snippet.annotation(AnnotationKind::Primary.span(span)))
        };
        match &problem.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }

    /// The part of a place that is shown: at most a few lines, and never nothing.
    fn shown(&self, place: Place) -> std::ops::Range<usize> {
        let text = self.source().masked();
        let start = text.floor_char_boundary((place.start as usize).min(text.len()));
        let end = text.floor_char_boundary((place.end as usize).min(text.len())).max(start);
        let shown = text.get(start..end).unwrap_or_default();
        let lines = shown.split_inclusive('\n').take(LINES_MAX);
        let len: usize = lines.map(str::len).sum();
        let cut = shown.get(..len).unwrap_or_default().trim_end().len();
        start..start + cut
    }
}
