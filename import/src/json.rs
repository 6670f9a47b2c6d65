//! JSON into a [`Node`]: bounded, without duplicate keys, with the place of every value.
//!
//! Each level is read by `serde_json` as pieces of the text; where a piece begins says where its value stands.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::document::{DocumentError, Entry, LIMITS, Node, Spot, Value};

/// Reads one document.
///
/// # Errors
/// The text is no JSON, holds more than [`LIMITS`], or repeats a key.
pub fn read(text: &str) -> Result<Node, DocumentError> {
    if text.len() > LIMITS.bytes {
        let message = format!("the document has more than {} bytes", LIMITS.bytes);
        return Err(DocumentError::new(Spot::default(), message));
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let spot = Spot { line: error.line(), column: error.column() };
        let what = error.to_string();
        // The place stands in front already.
        let what = what.split_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        DocumentError::new(spot, format!("this is no JSON: {what}"))
    })?;
    let mut reader = Reader { text, lines: line_starts(text), nodes: 0 };
    reader.node(raw, 0)
}

struct Reader<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    nodes: usize,
}

/// A table as it was written.
struct Lines<'a>(Vec<Line<'a>>);

struct Line<'a> {
    key: Cow<'a, str>,
    value: &'a RawValue,
}

impl<'de> Deserialize<'de> for Lines<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Lines<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut lines = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    lines.push(Line { key: Cow::Owned(key), value: map.next_value()? });
                }
                Ok(Lines(lines))
            }
        }
        from.deserialize_map(Each)
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

impl Reader<'_> {
    fn spot(&self, raw: &RawValue) -> Spot {
        let at = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |front| front.chars().count()) + 1;
        Spot { line, column }
    }

    fn node(&mut self, raw: &RawValue, depth: usize) -> Result<Node, DocumentError> {
        let spot = self.spot(raw);
        self.nodes += 1;
        if self.nodes > LIMITS.nodes {
            return Err(DocumentError::new(spot, format!("more than {} values", LIMITS.nodes)));
        }
        let inside = |error: serde_json::Error| {
            DocumentError::new(spot, format!("this is no JSON: {error}"))
        };
        let value = match raw.get().as_bytes().first() {
            Some(b'{' | b'[') if depth >= LIMITS.depth => {
                let message = format!("more than {} levels within each other", LIMITS.depth);
                return Err(DocumentError::new(spot, message));
            }
            Some(b'{') => {
                let Lines(lines) = serde_json::from_str(raw.get()).map_err(inside)?;
                self.table(lines, depth)?
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(inside)?;
                let nodes = items.into_iter().map(|item| self.node(item, depth + 1));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            _ => scalar(serde_json::from_str(raw.get()).map_err(inside)?),
        };
        Ok(Node { spot, value })
    }

    fn table(&mut self, lines: Vec<Line<'_>>, depth: usize) -> Result<Value, DocumentError> {
        let mut keys = HashSet::new();
        let mut entries = Vec::with_capacity(lines.len());
        for Line { key, value } in lines {
            let node = self.node(value, depth + 1)?;
            let key = key.into_owned();
            if !keys.insert(key.clone()) {
                let message = format!("the key {key:?} is there twice");
                return Err(DocumentError::new(node.spot, message));
            }
            entries.push(Entry { key, spot: node.spot, node });
        }
        Ok(Value::Table(entries))
    }
}

fn scalar(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Bool(flag) => Value::Flag(flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) => Value::Float(float),
            (None, None) => Value::Text(number.to_string()),
        },
        serde_json::Value::String(text) => Value::Text(text),
        // Lists and tables are read by their pieces.
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Value::Null
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_places() {
        let node = read("{\n  \"a\": [1, {\"b\": \"x\\u00e4\\ud83d\\ude00\"}],\n  \"c\": null\n}")
            .unwrap();
        let list = node.get("a").unwrap();
        assert_eq!(list.spot, Spot { line: 2, column: 8 });
        let Value::List(items) = &list.value else { panic!("a list") };
        assert_eq!(items[1].get("b").unwrap().text(), Some("x\u{e4}\u{1f600}"));
        assert_eq!(items[1].spot, Spot { line: 2, column: 12 });
        assert_eq!(node.get("c").unwrap().value, Value::Null);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (text, wanted) in [
            ("{\"a\": 1,\n \"a\": 2}", "2:7: the key \"a\" is there twice"),
            ("{\"a\": }", "1:7: this is no JSON"),
            ("", "this is no JSON"),
            ("{} {}", "this is no JSON"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let deep = "[".repeat(70) + &"]".repeat(70);
        assert!(read(&deep).unwrap_err().message.contains("levels within each other"));
        // Deeper than any stack: refused, not fallen over.
        assert!(read(&("[".repeat(100_000) + &"]".repeat(100_000))).is_err());
    }
}
