//! A document as it was written: values with the line and column where they stand.
//!
//! Both readers, of YAML and of JSON, make the same tree. It is bounded: see [`LIMITS`].

use std::fmt;

/// What a document may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of its text.
    pub bytes: usize,
    /// Tables and lists within each other.
    pub depth: usize,
    /// Values, those that aliases repeat included.
    pub nodes: usize,
}

/// The limits of every document: far above what people write by hand or dump from an admin API, far below what
/// hurts this process.
pub const LIMITS: Limits = Limits { bytes: 64 << 20, depth: 64, nodes: 1_000_000 };

/// Where something stands.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub struct Spot {
    /// Counted from 1; 0 where there is no text.
    pub line: usize,
    /// In characters, counted from 1; 0 where there is no text.
    pub column: usize,
}

impl fmt::Display for Spot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub spot: Spot,
    /// What it is.
    pub value: Value,
}

/// What a document can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the file; no key is there twice.
    Table(Vec<Entry>),
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub spot: Spot,
    /// What it is set to.
    pub node: Node,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{spot}: {message}")]
pub struct DocumentError {
    /// Where.
    pub spot: Spot,
    /// What is wrong, without a value of the document.
    pub message: String,
}

impl DocumentError {
    pub(crate) fn new(spot: Spot, message: impl Into<String>) -> Self {
        Self { spot, message: message.into() }
    }
}

impl Value {
    /// What it is, in words.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "a flag",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The lines of a table; none if it is something else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The value of this key, if this is a table that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}
