//! ACLs and conditions, as `vars` of a route.
//!
//! A condition is evaluated where the configuration alone decides it (`ssl_fc` in a frontend that speaks TLS only);
//! what is left becomes a test of variables.

use std::collections::BTreeMap;

use toml::Value as Toml;

use crate::report::Kind;
use crate::work::Work;

use super::matching;
use super::sample::FrontScene;
use super::words::ConfigLine;

/// Conditions within each other, and tests of one condition.
const TESTS_MAX: usize = 10_000;

/// What has to hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AclCondition {
    Constant(bool),
    Test(VariableTest),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

/// A test of one variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VariableTest {
    pub(super) variable: String,
    pub(super) operator: &'static str,
    pub(super) value: Toml,
}

impl AclCondition {
    pub(super) fn test(variable: &str, operator: &'static str, value: impl Into<Toml>) -> Self {
        let variable = variable.to_owned();
        Self::Test(VariableTest { variable, operator, value: value.into() })
    }

    /// Without constants within it.
    pub(super) fn simplified(self) -> Self {
        match self {
            Self::All(list) => Self::joined(list, true),
            Self::Any(list) => Self::joined(list, false),
            Self::Not(inner) => match inner.simplified() {
                Self::Constant(holds) => Self::Constant(!holds),
                Self::Not(inner) => *inner,
                other => Self::Not(Box::new(other)),
            },
            other => other,
        }
    }

    /// `all`: every one has to hold; otherwise one is enough.
    fn joined(list: Vec<Self>, all: bool) -> Self {
        let mut kept = Vec::new();
        for condition in list {
            match condition.simplified() {
                Self::Constant(holds) if holds == all => {}
                Self::Constant(_) => return Self::Constant(!all),
                other => kept.push(other),
            }
        }
        if kept.len() <= 1 {
            return kept.pop().unwrap_or(Self::Constant(all));
        }
        if all { Self::All(kept) } else { Self::Any(kept) }
    }

    /// The list of `vars`; a simplified condition that is no constant.
    pub(super) fn vars(&self) -> Vec<Toml> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::All(list) => list.iter().map(|one| one.value(false)).collect(),
            other => vec![other.value(false)],
        }
    }

    fn value(&self, negated: bool) -> Toml {
        let group = |word: &str, list: &[Self]| {
            let word = if negated { format!("!{word}") } else { word.to_owned() };
            let all = list.iter().map(|one| one.value(false));
            Toml::Array([Toml::String(word)].into_iter().chain(all).collect())
        };
        match self {
            Self::Constant(holds) => Toml::Boolean(*holds != negated),
            Self::Test(test) => {
                let mut list = vec![Toml::String(test.variable.clone())];
                if negated {
                    list.push(Toml::from("!"));
                }
                list.push(Toml::from(test.operator));
                list.push(test.value.clone());
                Toml::Array(list)
            }
            Self::All(list) => group("AND", list),
            Self::Any(list) => group("OR", list),
            Self::Not(inner) => inner.value(!negated),
        }
    }

    /// Every variable that it reads.
    pub(super) fn each_variable(&self, each: &mut dyn FnMut(&str)) {
        match self {
            Self::Constant(_) => {}
            Self::Test(test) => each(&test.variable),
            Self::All(list) | Self::Any(list) => {
                for one in list {
                    one.each_variable(each);
                }
            }
            Self::Not(inner) => inner.each_variable(each),
        }
    }
}

/// The ACLs of a section, by name.
#[derive(Debug, Default)]
pub(super) struct Acls<'a> {
    named: BTreeMap<&'a str, Vec<&'a ConfigLine>>,
}

impl<'a> Acls<'a> {
    pub(super) fn of(lines: &'a [ConfigLine], work: &Work) -> Self {
        let mut acls = Self::default();
        for line in lines.iter().filter(|line| line.word(0) == "acl") {
            let name = line.words.get(1).map_or("", |word| word.text.as_str());
            if name.is_empty() || line.words.len() < 3 {
                line.refuse(work, 0, "an `acl` needs a name and what it looks at");
            } else if matches!(name, "or" | "and" | "{" | "}") || name.starts_with('!') {
                line.refuse(work, 1, format!("{name:?} cannot be the name of an acl"));
            } else {
                let known = acls.named.entry(name).or_default();
                if known.first().is_some_and(|first| first.owner != line.owner) {
                    let message = "`defaults` has an acl of this name, which HAProxy keeps apart: give one of them \
                                   another name";
                    line.refuse(work, 1, message);
                }
                known.push(line);
            }
        }
        acls
    }

    /// The condition that begins at `at` with `if` or `unless`; without one it always holds. `None` if it is refused.
    pub(super) fn condition(
        &self,
        line: &ConfigLine,
        at: usize,
        scene: FrontScene,
        work: &Work,
    ) -> Option<AclCondition> {
        let unless = match line.word(at) {
            "" if at >= line.words.len() => return Some(AclCondition::Constant(true)),
            "if" => false,
            "unless" => true,
            other => {
                line.refuse(work, at, format!("{other:?} is not understood here"));
                return None;
            }
        };
        let found = self.any(line, at.saturating_add(1), scene, work)?;
        let found = if unless { AclCondition::Not(Box::new(found)) } else { found };
        Some(found.simplified())
    }

    fn any(
        &self,
        line: &ConfigLine,
        start: usize,
        scene: FrontScene,
        work: &Work,
    ) -> Option<AclCondition> {
        let mut any = Vec::new();
        let mut all = Vec::new();
        let mut at = start;
        while at < line.words.len() {
            match line.word(at) {
                "or" | "||" => {
                    if all.is_empty() {
                        line.refuse(work, at, "nothing stands in front of this `or`");
                        return None;
                    }
                    any.push(AclCondition::All(std::mem::take(&mut all)));
                    at = at.saturating_add(1);
                }
                _ => {
                    let term = self.term(line, at, scene, work)?;
                    all.push(term.condition);
                    at = term.next;
                }
            }
        }
        if all.is_empty() {
            line.refuse(work, start.saturating_sub(1), "a condition is missing here");
            return None;
        }
        any.push(AclCondition::All(all));
        Some(AclCondition::Any(any))
    }

    /// One term: `NAME`, `!NAME`, `{ ... }` or `!{ ... }`.
    fn term(
        &self,
        line: &ConfigLine,
        at: usize,
        scene: FrontScene,
        work: &Work,
    ) -> Option<AclTerm> {
        let mut at = at;
        let mut negated = false;
        let mut word = line.word(at);
        while let Some(rest) = word.strip_prefix('!') {
            negated = !negated;
            word = rest;
            if word.is_empty() {
                at = at.saturating_add(1);
                word = line.word(at);
            }
        }
        let (condition, next) = if word == "{" {
            let first = at.saturating_add(1);
            let end = (first..line.words.len()).find(|at| line.word(*at) == "}");
            let Some(end) = end else {
                line.refuse(
                    work,
                    at,
                    "this `{` is not closed, or no space stands in front of its `}`",
                );
                return None;
            };
            (matching::test(line, first..end, scene, work)?, end.saturating_add(1))
        } else {
            (self.named(line, at, word, scene, work)?, at.saturating_add(1))
        };
        let condition = if negated { AclCondition::Not(Box::new(condition)) } else { condition };
        Some(AclTerm { condition, next })
    }

    fn named(
        &self,
        line: &ConfigLine,
        at: usize,
        name: &str,
        scene: FrontScene,
        work: &Work,
    ) -> Option<AclCondition> {
        if let Some(lines) = self.named.get(name) {
            if lines.len() > TESTS_MAX {
                line.refuse(work, at, "this acl has too many lines");
                return None;
            }
            let tests: Option<Vec<AclCondition>> = lines
                .iter()
                .map(|acl| matching::test(acl, 2..acl.words.len(), scene, work))
                .collect();
            return tests.map(AclCondition::Any);
        }
        let method = |name: &str| AclCondition::test("request_method", "==", name);
        Some(match name {
            "TRUE" => AclCondition::Constant(true),
            "FALSE" => AclCondition::Constant(false),
            "METH_GET" => AclCondition::Any(vec![method("GET"), method("HEAD")]),
            "METH_HEAD" | "METH_POST" | "METH_PUT" | "METH_DELETE" | "METH_OPTIONS" => {
                method(name.trim_start_matches("METH_"))
            }
            _ => {
                line.say(work, Kind::Refused, at, format!("there is no acl {name:?}"));
                return None;
            }
        })
    }
}

/// A term, and where the next one begins.
struct AclTerm {
    condition: AclCondition,
    next: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: &str) -> AclCondition {
        AclCondition::test(name, "==", "x")
    }

    #[test]
    fn constants_vanish() {
        let yes = AclCondition::Constant(true);
        let no = AclCondition::Constant(false);
        let all = AclCondition::All(vec![yes.clone(), leaf("a")]);
        assert_eq!(all.simplified(), leaf("a"));
        assert_eq!(AclCondition::Any(vec![yes.clone(), leaf("a")]).simplified(), yes);
        assert_eq!(AclCondition::All(vec![no.clone(), leaf("a")]).simplified(), no);
        let not = AclCondition::Not(Box::new(AclCondition::Any(vec![no, leaf("a")])));
        assert_eq!(not.simplified(), AclCondition::Not(Box::new(leaf("a"))));
    }

    #[test]
    fn they_are_written_as_vars() {
        let any = AclCondition::Any(vec![leaf("a"), AclCondition::Not(Box::new(leaf("b")))]);
        let text = Toml::Array(any.vars()).to_string();
        assert_eq!(text, r#"[["OR", ["a", "==", "x"], ["b", "!", "==", "x"]]]"#);
        let not = AclCondition::Not(Box::new(any));
        let text = Toml::Array(not.vars()).to_string();
        assert_eq!(text, r#"[["!OR", ["a", "==", "x"], ["b", "!", "==", "x"]]]"#);
    }
}
