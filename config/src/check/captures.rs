//! Which parts of values do the conditions of a route name?
//!
//! In: its conditions. Out: each expression that holds a `(?<name>...)`. Where that could never be found, or never
//! be asked for, it is an error.

use regex_automata::util::syntax;
use regex_syntax::hir::{Hir, HirKind};

use crate::capture_pattern::CapturePattern;
use crate::check::context::Check;
use crate::model::{CapturedName, Condition, NamedCapture, Test};
use crate::pattern::Pattern;
use crate::raw::Raw;
use crate::template::Variable;
use crate::values::Wrong;

impl Check<'_> {
    /// What the conditions of this route name.
    pub(super) fn captures(&mut self, raw: &Raw, when: Option<&Condition>) -> Vec<NamedCapture> {
        let mut found = Vec::new();
        if let Some(when) = when
            && let Err(wrong) = gather(when, false, &mut found)
        {
            self.wrong(raw.at("vars"), raw.path("vars"), wrong);
        }
        found
    }
}

/// Does a condition read what is found only when there is a route?
pub(super) fn reads_captures(condition: &Condition) -> bool {
    match condition {
        Condition::All(list) | Condition::Any(list) => list.iter().any(reads_captures),
        Condition::Not(inner) => reads_captures(inner),
        Condition::Test(variable, _) => matches!(variable, Variable::Capture(_)),
    }
}

fn gather(
    condition: &Condition,
    negated: bool,
    found: &mut Vec<NamedCapture>,
) -> Result<(), Wrong> {
    match condition {
        Condition::All(list) | Condition::Any(list) => {
            list.iter().try_for_each(|inner| gather(inner, negated, found))
        }
        Condition::Not(inner) => gather(inner, !negated, found),
        Condition::Test(variable, Test::Matches(pattern)) => {
            let names = names(pattern);
            if names.is_empty() {
                return Ok(());
            }
            if negated {
                return Err(Wrong::new(format!(
                    "`{}` names a part of what it must not match",
                    pattern.as_str()
                ))
                .help("nothing is found there: write `(?:...)`"));
            }
            found.push(capture(variable, pattern, &names)?);
            Ok(())
        }
        Condition::Test(..) => Ok(()),
    }
}

fn capture(
    variable: &Variable,
    pattern: &Pattern,
    names: &[String],
) -> Result<NamedCapture, Wrong> {
    let case = if pattern.ignores_case() { "(?i)" } else { "" };
    let compiled = CapturePattern::new(&format!("{case}{}", pattern.as_str()))?;
    let mut all = Vec::new();
    for name in names {
        if Variable::parse(&format!("capture_{name}")).is_none() {
            return Err(Wrong::new(format!("`{name}` is no name of a variable"))
                .help("letters, digits and `_`, as in `$capture_tenant`"));
        }
        let group = compiled.group_of(name).unwrap_or_default();
        all.push(CapturedName { name: name.clone(), group });
    }
    debug_assert!(all.len() < compiled.groups(), "the whole match is a group, too");
    Ok(NamedCapture { variable: variable.clone(), pattern: compiled, names: all })
}

/// The names of an expression's groups.
fn names(pattern: &Pattern) -> Vec<String> {
    let rules = syntax::Config::new().unicode(false).utf8(false);
    let mut names = Vec::new();
    if let Ok(hir) = syntax::parse_with(pattern.as_str(), &rules) {
        walk(&hir, &mut names);
    }
    names
}

fn walk(hir: &Hir, names: &mut Vec<String>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            names.extend(capture.name.as_deref().map(str::to_owned));
            walk(&capture.sub, names);
        }
        HirKind::Concat(all) | HirKind::Alternation(all) => {
            all.iter().for_each(|one| walk(one, names));
        }
        HirKind::Repetition(repeated) => walk(&repeated.sub, names),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}
