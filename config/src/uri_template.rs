//! Text that becomes a path, or where a client is sent: with variables, and with groups of an expression.
//!
//! In: text as it is written. Out: a [`UriTemplate`], or why it is none. `$1` and `$name` are groups, `$$` a dollar
//! sign, and every other name is a variable.

use std::fmt;

use crate::capture_pattern::CapturePattern;
use crate::template::{Piece, Template, Variable};
use crate::values::Wrong;

/// Text that becomes a URI.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UriTemplate {
    /// In order.
    pub pieces: Vec<UriPiece>,
}

/// A part of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UriPiece {
    /// Itself.
    Text(String),
    /// A variable's value.
    Variable(Variable),
    /// A group of the expression.
    Group(usize),
}

impl UriTemplate {
    /// Of a template without groups.
    pub(crate) fn of(template: &Template) -> Self {
        let pieces = template.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => UriPiece::Text(text.clone()),
            Piece::Variable(variable) => UriPiece::Variable(variable.clone()),
        });
        Self { pieces: pieces.collect() }
    }

    /// Of what stands in the place of a match.
    pub(crate) fn parse(text: &str, pattern: &CapturePattern) -> Result<Self, Wrong> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut literal = String::new();
        while let Some((front, behind)) = rest.split_once('$') {
            literal.push_str(front);
            if let Some(behind) = behind.strip_prefix('$') {
                literal.push('$');
                rest = behind;
                continue;
            }
            let (name, after) = name(behind).ok_or_else(|| {
                Wrong::new("a `$` that starts no group and no variable")
                    .help("`$1` is the first group; write `$$` for a dollar sign")
            })?;
            if !literal.is_empty() {
                pieces.push(UriPiece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(piece(name, pattern)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(UriPiece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// The text that it begins with.
    pub(crate) fn first_text(&self) -> &str {
        match self.pieces.first() {
            Some(UriPiece::Text(text)) => text,
            _ => "",
        }
    }
}

/// The name behind a `$`, with or without braces, and what comes after it.
fn name(behind: &str) -> Option<(&str, &str)> {
    if let Some(inner) = behind.strip_prefix('{') {
        return inner.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let first_is_digit = behind.starts_with(|letter: char| letter.is_ascii_digit());
    let is_name = |byte: &u8| {
        if first_is_digit {
            byte.is_ascii_digit()
        } else {
            byte.is_ascii_alphanumeric() || *byte == b'_'
        }
    };
    let len = behind.bytes().take_while(|byte| is_name(byte)).count();
    behind.split_at_checked(len).filter(|(name, _)| !name.is_empty())
}

fn piece(name: &str, pattern: &CapturePattern) -> Result<UriPiece, Wrong> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = name.parse().ok().filter(|number| *number < pattern.groups());
        return number.map(UriPiece::Group).ok_or_else(|| {
            let last = pattern.groups() - 1;
            Wrong::new(format!("`{}` has no group {name}", pattern.as_str()))
                .help(format!("it has {last}; `(...)` makes one"))
        });
    }
    if let Some(group) = pattern.group_of(name) {
        return Ok(UriPiece::Group(group));
    }
    Variable::parse(name).map(UriPiece::Variable).ok_or_else(|| {
        Wrong::new(format!("there is no group and no variable `${name}`"))
            .help("`(?P<name>...)` makes a group; the reference lists every variable")
    })
}

impl fmt::Display for UriTemplate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                UriPiece::Text(text) => out.write_str(&text.replace('$', "$$"))?,
                UriPiece::Variable(variable) => write!(out, "${{{}}}", variable.name())?,
                UriPiece::Group(number) => write!(out, "${{{number}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_variables_and_dollars() {
        let pattern = CapturePattern::new("(a)(?P<id>b)").unwrap();
        let parsed = UriTemplate::parse("/$1x/$id${2}$$$uri", &pattern).unwrap();
        let text = |text: &str| UriPiece::Text(text.to_owned());
        let wanted = [
            text("/"),
            UriPiece::Group(1),
            text("x/"),
            UriPiece::Group(2),
            UriPiece::Group(2),
            text("$"),
            UriPiece::Variable(Variable::Uri),
        ];
        assert_eq!(parsed.pieces, wanted);
        assert_eq!(UriTemplate::parse(&parsed.to_string(), &pattern), Ok(parsed));
        for wrong in ["/$3", "/$", "/$`1", "/$nothing", "/${1", "/${}"] {
            assert!(UriTemplate::parse(wrong, &pattern).is_err(), "{wrong}");
        }
    }
}
