//! Named parts of values, found by the conditions of a route: `(?<tenant>[a-z]+)` gives `$capture_tenant`.

use crate::capture_pattern::CapturePattern;
use crate::template::Variable;

/// An expression of a condition that names parts of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedCapture {
    /// Whose value.
    pub variable: Variable,
    /// The expression of the condition.
    pub pattern: CapturePattern,
    /// What it names.
    pub names: Vec<CapturedName>,
}

/// A named part of an expression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CapturedName {
    /// Its name, as in `$capture_NAME`.
    pub name: String,
    /// The number of its group.
    pub group: usize,
}
