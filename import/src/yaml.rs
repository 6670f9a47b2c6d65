//! YAML into a [`Node`]: one document, or several with `---` between them, bounded, without duplicate keys.
//!
//! Plain scalars are read by YAML 1.2's core schema. What YAML 1.1 took for a flag (`yes`, `off`) or for an octal
//! number (`0777`) is read by nobody in the same way: the first stays text, and is refused where a flag is needed; the
//! second is refused at once.

use std::borrow::Cow;
use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::document::{DocumentError, Entry, LIMITS, Limits, Node, Spot, Value};

/// Reads one document.
///
/// # Errors
/// The text is no YAML, holds more than one document or more than [`LIMITS`], repeats a key, or has a tag or a key that
/// is not understood.
pub fn read(text: &str) -> Result<Node, DocumentError> {
    read_within(text, LIMITS)
}

/// Reads several documents, such as the objects of Kubernetes in one file; empty ones are left out. All of them
/// together have the limits of one.
///
/// # Errors
/// As [`read`], but for the second document.
pub fn read_all(text: &str) -> Result<Vec<Node>, DocumentError> {
    let mut builder = Builder::new(LIMITS, true);
    builder.read(text)?;
    Ok(builder.roots)
}

/// A list or table that is not complete yet.
struct Open {
    spot: Spot,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Table { entries: Vec<Entry>, keys: HashSet<String>, key: Option<Key> },
}

struct Key {
    name: String,
    spot: Spot,
}

/// What an anchor names, and how many values that is.
struct Anchored {
    id: usize,
    node: Node,
    nodes: usize,
}

struct Builder {
    limits: Limits,
    open: Vec<Open>,
    anchors: Vec<Anchored>,
    nodes: usize,
    /// May there be more than one document?
    several: bool,
    roots: Vec<Node>,
}

fn read_within(text: &str, limits: Limits) -> Result<Node, DocumentError> {
    let mut builder = Builder::new(limits, false);
    builder.read(text)?;
    let root = builder.roots.pop();
    root.ok_or_else(|| DocumentError::new(Spot::default(), "the document is empty"))
}

fn spot_of(span: Span) -> Spot {
    Spot { line: span.start.line(), column: span.start.col() + 1 }
}

impl Builder {
    const fn new(limits: Limits, several: bool) -> Self {
        Self { limits, open: Vec::new(), anchors: Vec::new(), nodes: 0, several, roots: Vec::new() }
    }

    fn read(&mut self, text: &str) -> Result<(), DocumentError> {
        if text.len() > self.limits.bytes {
            let message = format!("the document has more than {} bytes", self.limits.bytes);
            return Err(DocumentError::new(Spot::default(), message));
        }
        let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| {
                let marker = error.marker();
                let spot = Spot { line: marker.line(), column: marker.col() + 1 };
                DocumentError::new(spot, format!("this is no YAML: {}", error.info()))
            })?;
            self.take(event, spot_of(span))?;
        }
        if self.several {
            self.roots.retain(|root| root.value != Value::Null);
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, spot: Spot) -> Result<(), DocumentError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {
                // Anchors are those of one document.
                self.anchors.retain(|_| !matches!(event, Event::DocumentEnd));
                Ok(())
            }
            Event::DocumentStart(_) if !self.several && !self.roots.is_empty() => {
                Err(DocumentError::new(spot, "a second document begins here, and only one is read"))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(id) => self.alias(id, spot),
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_ref(), spot)?;
                self.put(Node { spot, value }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_ref(), "seq", spot)?;
                self.begin(Open { spot, anchor, content: Content::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_ref(), "map", spot)?;
                let (entries, keys) = (Vec::new(), HashSet::new());
                let content = Content::Table { entries, keys, key: None };
                self.begin(Open { spot, anchor, content })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), DocumentError> {
        if let Some(Open { content: Content::Table { key: None, .. }, .. }) = self.open.last() {
            return Err(DocumentError::new(open.spot, "a key must be text, not a list or a table"));
        }
        if self.open.len() >= self.limits.depth {
            let message = format!("more than {} levels within each other", self.limits.depth);
            return Err(DocumentError::new(open.spot, message));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), DocumentError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(nodes) => Value::List(nodes),
            Content::Table { entries, .. } => Value::Table(entries),
        };
        self.put(Node { spot: open.spot, value }, open.anchor, 1)
    }

    fn alias(&mut self, id: usize, spot: Spot) -> Result<(), DocumentError> {
        let Some(anchored) = self.anchors.iter().find(|anchored| anchored.id == id) else {
            return Err(DocumentError::new(spot, "this alias stands within what it names"));
        };
        // Counted before it is copied: a few lines of aliases of aliases are billions of values.
        let nodes = anchored.nodes;
        if self.nodes.saturating_add(nodes) > self.limits.nodes {
            return Err(self.too_many(spot));
        }
        if self.open.len() + depth(&anchored.node) > self.limits.depth {
            let message = format!("more than {} levels within each other", self.limits.depth);
            return Err(DocumentError::new(spot, message));
        }
        let value = anchored.node.value.clone();
        self.put(Node { spot, value }, 0, nodes)
    }

    fn too_many(&self, spot: Spot) -> DocumentError {
        let message =
            format!("more than {} values, those that aliases repeat included", self.limits.nodes);
        DocumentError::new(spot, message)
    }

    /// Puts a whole value where it belongs.
    fn put(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), DocumentError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            return Err(self.too_many(node.spot));
        }
        if anchor != 0 {
            let nodes = count(&node);
            // A copy for the anchor counts as well.
            self.nodes = self.nodes.saturating_add(nodes);
            if self.nodes > self.limits.nodes {
                return Err(self.too_many(node.spot));
            }
            self.anchors.push(Anchored { id: anchor, node: node.clone(), nodes });
        }
        match self.open.last_mut() {
            None => self.roots.push(node),
            Some(Open { content: Content::List(items), .. }) => items.push(node),
            Some(Open { content: Content::Table { entries, keys, key }, .. }) => match key.take() {
                Some(Key { name, spot }) => entries.push(Entry { key: name, spot, node }),
                None => *key = Some(new_key(node, keys)?),
            },
        }
        Ok(())
    }
}

/// A key that was not there yet.
fn new_key(node: Node, keys: &mut HashSet<String>) -> Result<Key, DocumentError> {
    let spot = node.spot;
    let name = match node.value {
        Value::Text(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        other => {
            let message = format!("a key must be text, not {}", other.kind());
            return Err(DocumentError::new(spot, message));
        }
    };
    if name == "<<" {
        let message = "merge keys (`<<`) are not read: write the lines out, or use an alias";
        return Err(DocumentError::new(spot, message));
    }
    if !keys.insert(name.clone()) {
        return Err(DocumentError::new(spot, format!("the key {name:?} is there twice")));
    }
    Ok(Key { name, spot })
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(nodes) => nodes.iter().map(count).sum(),
        Value::Table(entries) => entries.iter().map(|entry| 1 + count(&entry.node)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(nodes) => 1 + nodes.iter().map(depth).max().unwrap_or(0),
        Value::Table(entries) => {
            1 + entries.iter().map(|entry| depth(&entry.node)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn refuse_tag(tag: Option<&Cow<'_, Tag>>, plain: &str, spot: Spot) -> Result<(), DocumentError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == plain) => {
            Err(DocumentError::new(spot, format!("the tag {:?} is not understood", tag.suffix)))
        }
        _ => Ok(()),
    }
}

/// What a scalar means.
fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Cow<'_, Tag>>,
    spot: Spot,
) -> Result<Value, DocumentError> {
    if let Some(tag) = tag {
        if tag.is_yaml_core_schema() && tag.suffix == "str" {
            return Ok(Value::Text(text.to_owned()));
        }
        let plain = plain(text, spot)?;
        let fits = match tag.suffix.as_str() {
            "int" => matches!(plain, Value::Integer(_)),
            "float" => matches!(plain, Value::Integer(_) | Value::Float(_)),
            "bool" => matches!(plain, Value::Flag(_)),
            "null" => matches!(plain, Value::Null),
            _ => false,
        };
        return if tag.is_yaml_core_schema() && fits {
            Ok(plain)
        } else {
            Err(DocumentError::new(spot, format!("the tag {:?} is not understood", tag.suffix)))
        };
    }
    if style == ScalarStyle::Plain { plain(text, spot) } else { Ok(Value::Text(text.to_owned())) }
}

fn plain(text: &str, spot: Spot) -> Result<Value, DocumentError> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        _ => number(text, spot)?.unwrap_or_else(|| Value::Text(text.to_owned())),
    })
}

/// The number that a plain scalar is, if it is one.
fn number(text: &str, spot: Spot) -> Result<Option<Value>, DocumentError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits(digits) {
        if digits.len() > 1 && digits.starts_with('0') {
            let message = "a number that begins with 0: write it without, or as text in quotes";
            return Err(DocumentError::new(spot, message));
        }
        let integer = text.strip_prefix('+').unwrap_or(text).parse().map(Value::Integer);
        return Ok(Some(integer.unwrap_or_else(|_| float(text))));
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let part = |part: &str| part.is_empty() || is_digits(part);
    let is_float = part(whole)
        && part(fraction)
        && !(whole.is_empty() && (fraction.is_empty() || !mantissa.contains('.')))
        && (exponent.is_some() || mantissa.contains('.'))
        && exponent.is_none_or(|part| is_digits(part.strip_prefix(['+', '-']).unwrap_or(part)));
    Ok(is_float.then(|| float(text)))
}

fn float(text: &str) -> Value {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .map_or_else(|| Value::Text(text.to_owned()), Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        read(text).unwrap().value
    }

    #[test]
    fn scalars_are_read_by_the_core_schema() {
        for (text, wanted) in [
            ("1", Value::Integer(1)),
            ("-7", Value::Integer(-7)),
            ("1.5", Value::Float(1.5)),
            ("1e3", Value::Float(1000.0)),
            ("true", Value::Flag(true)),
            ("~", Value::Null),
            ("yes", Value::Text("yes".to_owned())),
            ("off", Value::Text("off".to_owned())),
            ("'1'", Value::Text("1".to_owned())),
            ("!!str 1", Value::Text("1".to_owned())),
            ("1.2.3.4", Value::Text("1.2.3.4".to_owned())),
            ("12:30", Value::Text("12:30".to_owned())),
            ("e1", Value::Text("e1".to_owned())),
            (".", Value::Text(".".to_owned())),
        ] {
            assert_eq!(value(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (text, wanted) in [
            ("a: 1\nb: 2\na: 3\n", "3:1: the key \"a\" is there twice"),
            ("a: 0777\n", "1:4: a number that begins with 0"),
            ("a: &x {b: *x}\n", "1:11: this alias stands within"),
            ("a: !secret b\n", "the tag \"secret\""),
            ("a: 1\n---\nb: 2\n", "a second document"),
            ("? [1]\n: 2\n", "a key must be text"),
            ("<<: {a: 1}\n", "merge keys"),
            ("", "the document is empty"),
            ("a: [1, 2\n", "this is no YAML"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn several_documents_are_read_where_they_may_stand() {
        let all = read_all("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n").unwrap();
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all.last().and_then(|node| node.get("b")).map(|node| node.spot.line), Some(6));
        let error = read_all("a: &x 1\n---\nb: *x\n").unwrap_err();
        assert_eq!(error.spot.line, 3, "{error}");
        let error = read_all("a: 1\n---\nb: 1\nb: 2\n").unwrap_err().to_string();
        assert!(error.starts_with("4:1: the key"), "{error}");
        assert_eq!(read_all("").unwrap(), []);
    }

    #[test]
    fn aliases_are_copies_within_bounds() {
        let node = read("a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(node.get("a").unwrap().value, node.get("b").unwrap().value);
        let mut bomb = String::from("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 10].join(",");
            bomb +=
                &["a", &level.to_string(), ": &a", &level.to_string(), " [", &list, "]\n"].concat();
        }
        assert!(read(&bomb).unwrap_err().message.contains("aliases repeat"));
        // The parser has a limit of its own for these.
        assert!(read(&"[".repeat(100_000)).is_err());
        let deep =
            "a:\n".to_owned() + &(1..100).map(|n| " ".repeat(n) + "a:\n").collect::<String>();
        assert!(read(&deep).unwrap_err().message.contains("levels within each other"));
    }
}
