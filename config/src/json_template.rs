//! Log formats that are JSON: proven when the file is read, so that every line is JSON whatever its
//! values are.
//!
//! In: a template whose text is JSON, with variables inside strings or in place of whole values. Out: a
//! [`JsonTemplate`] that knows for each variable what it has to become. A variable outside of quotes
//! becomes a value of its own: a number, a string in quotes, or `null`.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::template::{Piece, Template, Variable};

/// How much of the format an error repeats, in characters.
const EXCERPT_CHARS_MAX: usize = 40;

/// A template of one JSON object.
#[derive(Clone, Debug)]
pub struct JsonTemplate {
    source: Template,
    pieces: Vec<JsonPiece>,
}

/// A part of such a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JsonPiece {
    /// Itself: JSON syntax, names, and text inside strings.
    Text(String),
    /// A value inside a string of the template.
    InString(Variable),
    /// A number of its own; `null` if there is none.
    Number(Variable),
    /// A string of its own, in quotes; `null` if it is empty.
    String(Variable),
}

/// Why a template is not one JSON object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonTemplateError {
    /// What is wrong, as the reader of JSON says it.
    pub message: String,
    /// The template up to the place that is wrong, its beginning cut off if it is long.
    pub behind: String,
}

impl JsonTemplate {
    /// Proves a template.
    ///
    /// # Errors
    /// With values in it, it would not always be one JSON object on one line in which each name stands
    /// once.
    pub fn new(source: &Template) -> Result<Self, JsonTemplateError> {
        let pieces = place_variables(source);
        let mark = unused_character(source);
        // A variable inside a string is a character that no escape can take in; one outside is a value.
        let mut probe = String::new();
        let mut ends = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            match piece {
                JsonPiece::Text(text) => probe.push_str(text),
                JsonPiece::InString(_) => probe.push(mark),
                JsonPiece::Number(_) | JsonPiece::String(_) => probe.push_str("null"),
            }
            ends.push(probe.len());
        }
        let mut reader = serde_json::Deserializer::from_str(&probe);
        let read = Shape { mark, depth: 0 }.deserialize(&mut reader);
        match read.and_then(|()| reader.end()) {
            Ok(()) => Ok(Self { source: source.clone(), pieces: on_one_line(pieces) }),
            Err(error) => {
                let offset = offset_of(&probe, error.line(), error.column());
                let behind = excerpt(&pieces, &ends, &probe, offset);
                Err(JsonTemplateError { message: without_position(&error), behind })
            }
        }
    }

    /// Its parts, in order.
    #[must_use]
    pub fn pieces(&self) -> &[JsonPiece] {
        &self.pieces
    }

    /// The template as it was written.
    #[must_use]
    pub const fn source(&self) -> &Template {
        &self.source
    }
}

/// Tells for each variable whether it stands inside a string of the template.
fn place_variables(source: &Template) -> Vec<JsonPiece> {
    let mut scan = StringScan::default();
    let placed = source.pieces.iter().map(|piece| match piece {
        Piece::Text(text) => {
            text.chars().for_each(|one| scan.advance(one));
            JsonPiece::Text(text.clone())
        }
        Piece::Variable(variable) => {
            // A backslash before it would take its first byte; the reader refuses that.
            scan.escaped = false;
            if scan.in_string {
                JsonPiece::InString(variable.clone())
            } else if variable.is_number() {
                JsonPiece::Number(variable.clone())
            } else {
                JsonPiece::String(variable.clone())
            }
        }
    });
    placed.collect()
}

/// Is the next character inside a JSON string?
#[derive(Default)]
struct StringScan {
    in_string: bool,
    escaped: bool,
}

impl StringScan {
    fn advance(&mut self, one: char) {
        match one {
            _ if self.escaped => self.escaped = false,
            '\\' if self.in_string => self.escaped = true,
            '"' => self.in_string = !self.in_string,
            _ => {}
        }
    }
}

/// Leaves out line feeds between tokens, with the indentation behind them: a line of the log is one line,
/// however the format is written. Inside strings JSON allows none.
fn on_one_line(pieces: Vec<JsonPiece>) -> Vec<JsonPiece> {
    let mut scan = StringScan::default();
    let mut indentation = false;
    let joined = pieces.into_iter().map(|piece| {
        let JsonPiece::Text(text) = piece else {
            indentation = false;
            return piece;
        };
        let mut kept = String::with_capacity(text.len());
        for one in text.chars() {
            if !scan.in_string && matches!(one, '\n' | '\r') {
                indentation = true;
                continue;
            }
            if indentation && matches!(one, ' ' | '\t') {
                continue;
            }
            indentation = false;
            scan.advance(one);
            kept.push(one);
        }
        JsonPiece::Text(kept)
    });
    joined.collect()
}

/// A character that the template does not hold, to stand for a value inside a string.
fn unused_character(source: &Template) -> char {
    let in_use = |mark: &char| {
        source.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(*mark)))
    };
    ('\u{e000}'..='\u{f8ff}').find(|mark| !in_use(mark)).unwrap_or('\u{e000}')
}

/// Reads one object and keeps nothing of it. A name that holds a variable is refused, and so is one that
/// stands twice: whoever chooses the value could replace what another member says.
#[derive(Clone, Copy)]
struct Shape {
    mark: char,
    /// How many arrays and objects it is inside of.
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

/// Only what stands inside the object may be anything else than an object.
fn inside<E: serde::de::Error>(shape: Shape) -> Result<(), E> {
    if shape.depth == 0 { Err(E::custom("the whole format has to be one object")) } else { Ok(()) }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        inside(self)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        inside(self)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        inside(self)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        inside(self)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        inside(self)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        inside(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        inside(self)?;
        let member = Self { depth: self.depth + 1, ..self };
        while members.next_element_seed(member)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let member = Self { depth: self.depth + 1, ..self };
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.contains(self.mark) {
                return Err(A::Error::custom("the name of a member may hold no variable"));
            }
            members.next_value_seed(member)?;
            if let Some(twice) = names.replace(name) {
                return Err(A::Error::custom(format!("the member {twice:?} stands here twice")));
            }
        }
        Ok(())
    }
}

/// The byte that the reader means by a line and a column, both counted from 1.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before =
        text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    before.saturating_add(column).min(text.len())
}

/// The template up to a byte of the probe, with its variables by name.
fn excerpt(pieces: &[JsonPiece], ends: &[usize], probe: &str, offset: usize) -> String {
    let mut shown = String::new();
    let mut start = 0;
    for (piece, end) in pieces.iter().zip(ends) {
        if start >= offset {
            break;
        }
        match piece {
            JsonPiece::Text(_) => {
                let end = (start..=(*end).min(offset)).rev().find(|at| probe.is_char_boundary(*at));
                shown.push_str(probe.get(start..end.unwrap_or(start)).unwrap_or_default());
            }
            JsonPiece::InString(variable)
            | JsonPiece::Number(variable)
            | JsonPiece::String(variable) => {
                shown.push('$');
                shown.push_str(&variable.name());
            }
        }
        start = *end;
    }
    let count = shown.chars().count();
    if count <= EXCERPT_CHARS_MAX {
        return shown;
    }
    let end: String = shown.chars().skip(count - EXCERPT_CHARS_MAX).collect();
    format!("...{end}")
}

/// The reader's sentence without its place, which counts in a text that nobody wrote.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(sentence, _)| sentence).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::parse;

    fn json(text: &str) -> Result<JsonTemplate, JsonTemplateError> {
        JsonTemplate::new(&parse(text).unwrap())
    }

    fn refusal(text: &str) -> String {
        let JsonTemplateError { message, behind } = json(text).unwrap_err();
        format!("{message} | {behind}")
    }

    #[test]
    fn a_variable_becomes_what_its_place_takes() {
        let template = json(r#"{"a":"x \" $uri \\","s":$status, "u": $uri,"l":[$msec]}"#).unwrap();
        let text = |text: &str| JsonPiece::Text(text.to_owned());
        assert_eq!(
            template.pieces(),
            [
                text(r#"{"a":"x \" "#),
                JsonPiece::InString(Variable::Uri),
                text(r#" \\","s":"#),
                JsonPiece::Number(Variable::Status),
                text(r#", "u": "#),
                JsonPiece::String(Variable::Uri),
                text(r#","l":["#),
                JsonPiece::Number(Variable::Msec),
                text("]}"),
            ]
        );
    }

    #[test]
    fn a_format_over_several_lines_makes_one() {
        let template = json("{\n  \"a\": \"b  $uri\",\r\n\t\"c\": $status\n}\n").unwrap();
        let shown = template.pieces().iter().filter_map(|piece| match piece {
            JsonPiece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(shown.collect::<Vec<_>>(), ["{\"a\": \"b  ", "\",\"c\": ", "}"]);
    }

    #[test]
    fn what_is_not_one_object_is_refused_with_its_place() {
        for (text, wanted) in [
            (r#"$remote_addr "$request""#, "the whole format has to be one object"),
            (r#"["$uri"]"#, "the whole format has to be one object"),
            (r#""$uri""#, "the whole format has to be one object"),
            ("$status", "the whole format has to be one object"),
            (r#"{"a":$status$msec}"#, r#"{"a":$status$msec"#),
            (r#"{"a":-$status}"#, r#"{"a":-"#),
            (r#"{"a":${status}5}"#, r#"{"a":$status5"#),
            (r#"{"a":"x$uri}"#, r#""a":"x$uri}"#),
            (r#"{"a":"\$uri"}"#, r#"{"a":"\$uri"#),
            (r#"{"a":"\u12${uri}34"}"#, "invalid escape"),
            (r#"{"a":1,}"#, "trailing comma"),
            (r#"{"a":"$uri"}{"b":1}"#, "trailing characters"),
            (r#"{"a":"$uri"} x"#, "trailing characters"),
            ("{\"a\":\"x\ny$uri\"}", "control character"),
            (r#"{"$uri":1}"#, "the name of a member may hold no variable"),
            (r#"{"x":{"$uri":1}}"#, "the name of a member may hold no variable"),
            (r#"{$status:1}"#, "{$status"),
            (r#"{"a":"$uri","b":1,"a":2}"#, r#"the member "a" stands here twice"#),
            (r#"{"a":"$uri","\u0061":2}"#, r#"the member "a" stands here twice"#),
            (r#"{"a":1e999,"b":"$uri"}"#, "number out of range"),
            ("", "EOF"),
        ] {
            let found = refusal(text);
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn a_long_format_is_shown_from_its_end() {
        let long = format!("{{\"a\":\"{}\",\"$uri\":1}}", "x".repeat(100));
        let error = json(&long).unwrap_err();
        assert!(error.behind.starts_with("...xxx"), "{error:?}");
        assert!(error.behind.contains("\"$uri\""), "{error:?}");
    }
}
