//! What is wrong with a file, where, and what would be right.
//!
//! [`Problems`] collects everything in any order and shows it in the order of the file, for people
//! or as JSON. Errors refuse the file; warnings do not.

use std::collections::{BTreeMap, BTreeSet};

use strum::Display;

use crate::credential::FixedCredential;
pub use crate::place::Place;
pub use crate::source::Position;
use crate::source::Source;

/// Does it refuse the file?
#[derive(Clone, Copy, Debug, Display, Eq, Ord, PartialEq, PartialOrd)]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// Yes.
    Error,
    /// No, but somebody should look at it.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The field, as `ssls[0].client.ca`; empty if the file as a whole is meant.
    pub field: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// Everything that is wrong with one file.
#[derive(Clone, Debug, Default, thiserror::Error)]
#[error("{}", self.render_human())]
pub struct Problems {
    /// Boxed, as this is the error of many results.
    found: Box<Found>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    source: Source,
    /// Which field each place belongs to.
    fields: BTreeMap<Place, String>,
    /// Of secrets that came from the environment: from which variables.
    secret_variables: BTreeMap<Place, String>,
    /// The first header with a credential in each of the files themselves, by the number of the file.
    fixed_credentials: BTreeMap<usize, FixedCredential>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    /// All of them: what several objects take from one place is told once.
    told: BTreeSet<Problem>,
}

impl Problems {
    pub(crate) fn of(source: Source) -> Self {
        Self { found: Box::new(Found { source, ..Found::default() }) }
    }

    /// Of the same file, with nothing wrong in it yet.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let Found { source, fields, .. } = &*self.found;
        let (source, fields) = (source.clone(), fields.clone());
        Self { found: Box::new(Found { source, fields, ..Found::default() }) }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.found.source
    }

    /// Makes known which field a place belongs to.
    pub(crate) fn name(&mut self, place: Place, field: &str) {
        self.found.fields.entry(place).or_insert_with(|| field.to_owned());
    }

    /// Does the file give this field, as `runtime.max_connections`?
    #[must_use]
    pub fn is_given(&self, field: &str) -> bool {
        self.found.fields.values().any(|given| given == field)
    }

    /// The field at exactly this place, empty if there is none.
    #[must_use]
    pub fn field_at(&self, place: Place) -> &str {
        self.found.fields.get(&place).map_or("", String::as_str)
    }

    /// Makes known from which variables a secret came.
    pub(crate) fn name_secret_variables(&mut self, place: Place, names: String) {
        self.found.secret_variables.insert(place, names);
    }

    /// From which variables the secret at this place came, if it came from any.
    pub(crate) fn secret_variables(&self, place: Place) -> Option<&str> {
        self.found.secret_variables.get(&place).map(String::as_str)
    }

    /// Makes a header known whose credential stands in the file itself.
    pub(crate) fn name_fixed_credential(&mut self, credential: FixedCredential) {
        let file = self.found.source.file_number(credential.place);
        self.found.fixed_credentials.entry(file).or_insert(credential);
    }

    /// The first of them in a file.
    pub(crate) fn fixed_credential(&self, file_number: usize) -> Option<&FixedCredential> {
        self.found.fixed_credentials.get(&file_number)
    }

    /// Adds an error. One without a field gets that of its place.
    pub fn push(&mut self, problem: Problem) {
        let problem = self.named(problem);
        if self.found.told.insert(problem.clone()) {
            self.found.errors.push(problem);
        }
    }

    /// Adds a warning. One without a field gets that of its place.
    pub fn warn(&mut self, problem: Problem) {
        let problem = self.named(problem);
        if self.found.told.insert(problem.clone()) {
            self.found.warnings.push(problem);
        }
    }

    fn named(&self, mut problem: Problem) -> Problem {
        if problem.field.is_empty() {
            self.field_at(problem.place).clone_into(&mut problem.field);
        }
        problem
    }

    /// Adds an error from its parts.
    pub fn push_at(
        &mut self,
        place: Place,
        field: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.push(Problem { place, field: field.into(), message: message.into(), help });
    }

    /// Takes what is at this place for a secret: it is never shown.
    pub fn mask(&mut self, place: Place) {
        self.found.source.mask(place);
    }

    /// Was this masked? `written` is what stands there.
    pub(crate) fn is_masked(&self, place: Place, written: &str) -> bool {
        self.found.source.is_masked(place, written)
    }

    /// The file is not TOML: whatever may be a secret is never shown.
    pub(crate) fn mask_unread(&mut self) {
        self.found.source.mask_unread();
    }

    /// Is there no error? (There may be warnings.)
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.errors.is_empty()
    }

    /// How many errors there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.found.errors.len()
    }

    /// The errors, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        sorted(&self.found.errors).into_iter()
    }

    /// The warnings, in the order of the file.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        sorted(&self.found.warnings).into_iter()
    }

    /// Errors and warnings, in the order of the file.
    #[must_use]
    pub fn all(&self) -> Vec<(Severity, &Problem)> {
        let errors = self.found.errors.iter().map(|problem| (Severity::Error, problem));
        let warnings = self.found.warnings.iter().map(|problem| (Severity::Warning, problem));
        let mut all: Vec<_> = errors.chain(warnings).collect();
        all.sort_by_key(|(severity, problem)| (problem.place.start, *severity));
        all
    }

    /// The line and column where a problem starts.
    #[must_use]
    pub fn position(&self, place: Place) -> Position {
        self.found.source.position(place)
    }
}

/// In the order of the file; what was found first comes first at the same place.
fn sorted(list: &[Problem]) -> Vec<&Problem> {
    let mut list: Vec<_> = list.iter().collect();
    list.sort_by_key(|problem| problem.place.start);
    list
}
