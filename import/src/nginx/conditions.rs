//! `if`, and `map` behind it, as conditions of Ferrule's.

use toml::Value as Toml;

use crate::fields::plain;

use super::job::{Job, Refused};
use super::tree::Directive;
use super::variables::{AttributeUse, name_of};

/// What an `if` asks.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Without its dollar sign.
    pub(super) variable: String,
    pub(super) test: Test,
}

/// How a value is judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Test {
    /// Neither empty nor `0`.
    IsTrue,
    /// It is this text, or is not.
    Equals { text: String, negated: bool },
    /// It has a match, or has none.
    Matches { expression: String, ignores_case: bool, negated: bool },
}

impl Test {
    /// Is this value one that passes? None where that takes an expression.
    fn holds(&self, value: &str) -> Option<bool> {
        match self {
            Self::IsTrue => Some(!value.is_empty() && value != "0"),
            Self::Equals { text, negated } => Some((text == value) != *negated),
            Self::Matches { .. } => None,
        }
    }
}

/// A condition of Ferrule's: all of these hold.
pub(super) type Conditions = Vec<Toml>;

/// `name operator value`, negated or not.
pub(super) fn leaf(name: &str, negated: bool, operator: &str, value: Toml) -> Toml {
    let mut all = vec![Toml::from(name)];
    if negated {
        all.push(Toml::from("!"));
    }
    all.push(Toml::from(operator));
    all.push(value);
    Toml::Array(all)
}

/// Several conditions joined by a word.
fn joined(word: &str, mut conditions: Conditions) -> Toml {
    if conditions.len() == 1 && word == "OR" {
        return conditions.remove(0);
    }
    let mut all = vec![Toml::from(word)];
    all.append(&mut conditions);
    Toml::Array(all)
}

impl Job<'_> {
    /// What an `if` asks; refused if it is nothing that is understood.
    pub(super) fn question(&self, directive: &Directive) -> Option<Question> {
        let joined: Vec<&str> = directive.texts().collect();
        let words = unwrapped(&joined);
        let question = words.and_then(|words| match words.as_slice() {
            [one] => Some((*one, Test::IsTrue)),
            [variable, operator, value] => {
                let text = (*value).to_owned();
                let negated = operator.starts_with('!');
                let test = match operator.strip_prefix('!').unwrap_or(operator) {
                    "=" => Test::Equals { text, negated },
                    "~" => Test::Matches { expression: text, ignores_case: false, negated },
                    "~*" => Test::Matches { expression: text, ignores_case: true, negated },
                    _ => return None,
                };
                Some((*variable, test))
            }
            _ => None,
        });
        let question = question.and_then(|(variable, test)| {
            let variable = variable.strip_prefix('$')?;
            let inner = variable.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
            Some(Question { variable: inner.unwrap_or(variable).to_ascii_lowercase(), test })
        });
        if let Some(Question { test: Test::Equals { text, .. }, .. }) = &question
            && text.contains('$')
        {
            self.refuse(
                directive,
                "a variable to compare with is not converted: compare one variable with a text",
            );
            return None;
        }
        if question.is_none() {
            self.refuse(directive, "this condition is not converted: one variable, and perhaps a text or expression, is");
        }
        question
    }

    /// A question as conditions that all hold.
    pub(super) fn conditions(
        &self,
        directive: &Directive,
        question: &Question,
    ) -> Option<Conditions> {
        if let Some(map) = self.map_of(&question.variable)
            && self.attribute(&question.variable).is_none()
        {
            return self.mapped(directive, map, &question.test);
        }
        let name = match self.variable(directive, &question.variable, AttributeUse::Compared) {
            Ok(name) => name,
            Err(message) => {
                self.refuse(directive, message);
                return None;
            }
        };
        let lets_in =
            matches!(&question.test, Test::Equals { text, negated: true } if !text.is_empty());
        if !lets_in {
            self.no_cookie(directive, &name)?;
        }
        self.look_at(directive, &name);
        if name.starts_with("http_") && name.contains("ssl_client") {
            self.refuse(
                directive,
                "this field is the client's word here as there: ask for `$ssl_client_verify`",
            );
            return None;
        }
        if let Test::Matches { .. } = question.test {
            self.searches(directive, &name);
        }
        Some(match &question.test {
            Test::IsTrue => vec![
                leaf(&name, false, "~~", Toml::from(".")),
                leaf(&name, false, "~=", Toml::from("0")),
            ],
            Test::Equals { text, negated } => {
                vec![leaf(&name, false, if *negated { "~=" } else { "==" }, plain(text))]
            }
            Test::Matches { expression, ignores_case, negated } => {
                let operator = if *ignores_case { "~*" } else { "~~" };
                let expression = self.expression(directive, expression)?;
                vec![leaf(&name, *negated, operator, plain(expression))]
            }
        })
    }

    /// Says that a name is searched and not compared.
    fn searches(&self, directive: &Directive, name: &str) {
        if name.starts_with("ssl_client_s_dn") || name.starts_with("ssl_client_i_dn") {
            self.let_through(
                directive,
                format!(
                    "an expression searches `${name}`: a certificate with the same text in another attribute, as \
                     CN=x\\,OU=ops, matches as well: `client.allow` compares attributes as a whole"
                ),
            );
        }
    }

    /// nginx finds cookies in every spelling of their names: a guard would miss some of them here.
    fn no_cookie(&self, directive: &Directive, name: &str) -> Option<()> {
        if name.starts_with("cookie_") {
            self.refuse(
                directive,
                "a cookie that keeps requests out is not converted: nginx finds it in every spelling of its name, and \
                 Ferrule in this one; only `!=` and a text is",
            );
            return None;
        }
        Some(())
    }

    /// Refuses variables that two maps make, and those that have a meaning of their own.
    pub(super) fn maps_are_clear(&self) -> Result<(), Refused> {
        let mut seen: Vec<String> = Vec::new();
        for map in self.http.own().iter().filter(|one| one.name == "map") {
            let name = map.arg(1).trim_start_matches('$').to_ascii_lowercase();
            if seen.contains(&name) {
                self.refuse(map, format!("there are two maps for `${name}`: take one of them out"));
                return Err(Refused);
            }
            if name_of(&name).is_ok() {
                self.refuse(
                    map,
                    format!(
                        "`${name}` is a variable of nginx's own: give that of the map another name"
                    ),
                );
                return Err(Refused);
            }
            seen.push(name);
        }
        Ok(())
    }

    /// The key of a line of a map; its expression as Ferrule reads it.
    fn key(&self, line: &Directive) -> Option<String> {
        let (front, expression) = match line.name.strip_prefix('~') {
            Some(rest) => match rest.strip_prefix('*') {
                Some(rest) => ("~*", rest),
                None => ("~", rest),
            },
            None => return Some(line.name.clone()),
        };
        Some(format!("{front}{}", self.expression(line, expression)?))
    }

    /// The `map` that makes a variable.
    pub(super) fn map_of(&self, variable: &str) -> Option<&Directive> {
        self.named("map", 1, &variable.to_ascii_lowercase())
    }

    /// The lines of a map, sorted by what the test says of their values.
    pub(super) fn sort(&self, map: &Directive, test: &Test) -> Option<Sorted> {
        let mut sorted = Sorted::default();
        let mut seen_default = false;
        for line in map.inner() {
            if matches!(line.name.as_str(), "hostnames" | "volatile" | "include") {
                if line.name == "volatile" {
                    continue;
                }
                self.refuse(line, format!("`{}` of a map is not converted", line.name));
                return None;
            }
            let [value] = line.args.as_slice() else {
                self.refuse(line, "a line of a map has a value and a result");
                return None;
            };
            let holds = if value.text.contains('$') { None } else { test.holds(&value.text) };
            let Some(holds) = holds else {
                self.refuse(
                    line,
                    "this result is not converted: plain texts are, asked for with `=` or `!=`",
                );
                return None;
            };
            if line.name == "default" {
                (sorted.default, seen_default) = (holds, true);
                continue;
            }
            sorted.take(&self.key(line)?, holds);
        }
        if !seen_default {
            sorted.default = test.holds("")?;
        }
        if !sorted.expressions_that_hold.is_empty() && !sorted.expressions_that_do_not.is_empty() {
            self.refuse(
                map,
                "expressions with different results are not converted: write `refuse` by hand",
            );
            return None;
        }
        Some(sorted)
    }

    /// A question about a variable that a map makes.
    fn mapped(&self, directive: &Directive, map: &Directive, test: &Test) -> Option<Conditions> {
        let source = map.arg(0).strip_prefix('$').filter(|name| !name.contains('$'));
        let name = source.map(|source| self.variable(map, source, AttributeUse::Compared));
        let name = match name {
            Some(Ok(name)) => name,
            Some(Err(message)) => {
                self.refuse(map, message);
                return None;
            }
            None => {
                self.refuse(map, "a map over more than one variable is not converted");
                return None;
            }
        };
        self.no_cookie(map, &name)?;
        let sorted = self.sort(map, test)?;
        let constant = if sorted.default {
            sorted.texts_that_do_not.is_empty() && sorted.expressions_that_do_not.is_empty()
        } else {
            sorted.texts_that_hold.is_empty() && sorted.expressions_that_hold.is_empty()
        };
        if constant {
            self.refuse(directive, "no line of the map changes the answer to this: take it out");
            return None;
        }
        self.look_at(directive, &name);
        if sorted.has_expressions() {
            self.searches(map, &name);
        }
        if !sorted.texts_that_do_not.is_empty() {
            self.let_through(
                map,
                "a map compares texts without case: another spelling of these values counted as them; here it does \
                 not",
            );
        }
        Some(sorted.conditions(&name))
    }
}

/// The words of an `if` without its parentheses.
fn unwrapped<'w>(words: &[&'w str]) -> Option<Vec<&'w str>> {
    let (first, rest) = words.split_first()?;
    let first = first.strip_prefix('(')?;
    let mut all: Vec<&str> = std::iter::once(first).chain(rest.iter().copied()).collect();
    let last = all.pop()?.strip_suffix(')')?;
    all.push(last);
    // A parenthesis may stand by itself; an empty text in quotes may not be told from that at the ends.
    if all.first().is_some_and(|word| word.is_empty()) {
        all.remove(0);
    }
    if all.last().is_some_and(|word| word.is_empty()) && all.len() != 3 {
        all.pop();
    }
    Some(all)
}

/// The lines of a map, by whether a question about it holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    pub(super) default: bool,
    pub(super) texts_that_hold: Vec<String>,
    pub(super) texts_that_do_not: Vec<String>,
    expressions_that_hold: Vec<String>,
    expressions_that_do_not: Vec<String>,
}

impl Sorted {
    fn take(&mut self, key: &str, holds: bool) {
        let (expression, ignores_case) = match key.strip_prefix('~') {
            Some(rest) => match rest.strip_prefix('*') {
                Some(rest) => (Some(rest), true),
                None => (Some(rest), false),
            },
            None => (None, false),
        };
        match (expression, holds) {
            (Some(expression), holds) => {
                let flags = if ignores_case { "(?i)" } else { "" };
                let list = if holds {
                    &mut self.expressions_that_hold
                } else {
                    &mut self.expressions_that_do_not
                };
                list.push(format!("{flags}{expression}"));
            }
            (None, true) => self.texts_that_hold.push(unescaped(key)),
            (None, false) => self.texts_that_do_not.push(unescaped(key)),
        }
    }

    pub(super) const fn has_expressions(&self) -> bool {
        !self.expressions_that_hold.is_empty() || !self.expressions_that_do_not.is_empty()
    }

    /// What has to hold of the variable that is looked up. Texts come before expressions, and both before the
    /// default. The question is one that refuses, so texts that hold are compared without case, as nginx does, and
    /// those that do not with it.
    fn conditions(&self, name: &str) -> Conditions {
        let text = |text: &String| leaf(name, false, "~*", plain(&whole(text)));
        let holding: Conditions = self.texts_that_hold.iter().map(text).collect();
        let list = self.texts_that_do_not.iter().map(|text| plain(text)).collect();
        let passing = leaf(name, true, "in", Toml::Array(list));
        let searched = |expressions: &[String], negated: bool| {
            let each = |text: &String| leaf(name, negated, "~~", plain(text));
            expressions.iter().map(each).collect::<Conditions>()
        };
        let mut others: Conditions = Vec::new();
        if !self.texts_that_do_not.is_empty() {
            others.push(passing);
        }
        if self.default {
            others.extend(searched(&self.expressions_that_do_not, true));
            if holding.is_empty() {
                return others;
            }
            let mut either = holding;
            either.push(if others.len() == 1 { others.remove(0) } else { joined("AND", others) });
            return vec![joined("OR", either)];
        }
        let mut either = holding;
        let found = searched(&self.expressions_that_hold, false);
        if !found.is_empty() {
            others.push(joined("OR", found));
            either.push(if others.len() == 1 { others.remove(0) } else { joined("AND", others) });
        }
        vec![joined("OR", either)]
    }
}

/// A text of a map: a backslash in front takes the meaning of what could be a word of the map's own.
fn unescaped(key: &str) -> String {
    key.strip_prefix('\\').unwrap_or(key).to_owned()
}

/// An expression for this text alone.
fn whole(text: &str) -> String {
    format!("^{}$", escaped(text))
}

/// A text as an expression that matches it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for mark in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(mark) {
            out.push('\\');
        }
        out.push(mark);
    }
    out
}
