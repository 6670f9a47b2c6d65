//! A table of the file and its values, each of the type that its description asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use crate::describe::{Fallback, Kind, Need, Table};
use crate::place::Place;
use crate::template::Template;
use crate::values::Wrong;
use crate::words::Word;

/// Text with its place.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) place: Place,
    pub(crate) text: String,
    /// What came from the environment into text of the file. It stands for itself: no `*` in it is a
    /// wildcard, and no letter of it is an operator of an expression.
    pub(crate) literal: Vec<Range<usize>>,
}

impl Text {
    /// The text, which is to be read as a pattern.
    pub(crate) fn pattern(&self) -> Result<&str, Wrong> {
        let mut literal = self.literal.iter().filter_map(|range| self.text.get(range.clone()));
        match literal.find(|text| text.contains('*')) {
            Some(text) => Err(Wrong::new(format!("`{text}` comes from the environment"))
                .help("a wildcard is written in the file, or the whole text comes from there")),
            None => Ok(&self.text),
        }
    }

    /// The text as a regular expression.
    pub(crate) fn expression(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut end = 0;
        for range in &self.literal {
            out.push_str(self.text.get(end..range.start).unwrap_or_default());
            out.push_str(&regex_syntax::escape(self.text.get(range.clone()).unwrap_or_default()));
            end = range.end;
        }
        out.push_str(self.text.get(end..).unwrap_or_default());
        out
    }
}

/// A field name and the templates of its values.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) values: Vec<FieldValue>,
}

/// One value of a field.
#[derive(Clone, Debug)]
pub(crate) struct FieldValue {
    pub(crate) place: Place,
    pub(crate) template: Template,
}

/// A part of a list that may hold lists.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Text(Text),
    Number(Place, f64),
    List(Place, Vec<Self>),
}

impl Item {
    pub(crate) const fn place(&self) -> Place {
        match self {
            Self::Text(Text { place, .. }) | Self::Number(place, _) | Self::List(place, _) => {
                *place
            }
        }
    }
}

/// A name and its texts.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) texts: Vec<Text>,
}

/// A node, as written.
#[derive(Clone, Debug)]
pub(crate) struct RawNode {
    pub(crate) place: Place,
    pub(crate) field: String,
    pub(crate) host: String,
    /// Only where `nodes` is a list: there `host` holds none.
    pub(crate) port: Option<u16>,
    /// May `host` end in `:port`?
    pub(crate) joined: bool,
    pub(crate) weight: u32,
    pub(crate) priority: i32,
    pub(crate) backup: bool,
    pub(crate) max_connections: Option<u32>,
    pub(crate) max_requests: Option<u32>,
}

/// A value of the right type.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Text),
    Texts(Vec<Text>),
    Template(Template),
    Flag(bool),
    Int(i64),
    Ints(Vec<i64>),
    Auto,
    Duration(Duration),
    Size(u64),
    Thousandths(u64),
    Word(&'static str),
    Words(Vec<&'static str>),
    Id(String),
    Table(Raw),
    Tables(Vec<Raw>),
    Fields(Vec<Field>),
    Identity(Raw, Vec<Field>),
    Items(Vec<Item>),
    Lists(Vec<List>),
    Nodes(Vec<RawNode>),
    Labels,
    Broken,
}

/// A value that was in the file.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) place: Place,
    /// The path of its key.
    pub(crate) path: String,
    pub(crate) value: Value,
}

/// A table of the file.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(super) table: &'static Table,
    /// Its header, or the whole of it where it is inline.
    pub(crate) place: Place,
    /// Its path, as `ssls[0].client`.
    pub(crate) field: String,
    pub(super) given: BTreeMap<&'static str, Given>,
}

impl Raw {
    /// What an inner table that is not in the file stands for: nothing but defaults.
    pub(crate) fn absent_table(&self, key: &str) -> Self {
        let table = match self.table.key(key).map(|key| key.kind) {
            Some(Kind::Table(table) | Kind::Short(table, _)) => table,
            _ => self.table,
        };
        Self { table, place: self.place, field: self.path(key), given: BTreeMap::new() }
    }

    /// The same table, with what it does not give taken from another one of its kind.
    pub(crate) fn over(&self, defaults: &Self) -> Self {
        let mut given = defaults.given.clone();
        given.extend(self.given.iter().map(|(key, value)| (*key, value.clone())));
        Self { table: self.table, place: self.place, field: self.field.clone(), given }
    }

    /// Was the key taken from another table?
    pub(crate) fn is_taken_over(&self, key: &str) -> bool {
        self.given.get(key).is_some_and(|given| !given.path.starts_with(&self.field))
    }

    /// Was the key given, rightly or wrongly?
    pub(crate) fn has(&self, key: &str) -> bool {
        debug_assert!(
            self.table.key(key).is_some(),
            "{key} is not described in {}",
            self.table.name
        );
        self.given.contains_key(key)
    }

    /// The place of a key's value; of the table if it was not given.
    pub(crate) fn at(&self, key: &str) -> Place {
        self.given.get(key).map_or(self.place, |given| given.place)
    }

    /// The path of a key.
    pub(crate) fn path(&self, key: &str) -> String {
        self.given.get(key).map_or_else(|| join(&self.field, key), |given| given.path.clone())
    }

    fn value(&self, key: &str) -> Option<&Value> {
        debug_assert!(
            self.table.key(key).is_some(),
            "{key} is not described in {}",
            self.table.name
        );
        self.given.get(key).map(|given| &given.value)
    }

    fn fallback(&self, key: &str) -> Option<Fallback> {
        match self.table.key(key)?.need {
            Need::Default(fallback) => Some(fallback),
            Need::Required | Need::Optional(_) => None,
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<Text> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            Some(Value::Id(text)) => {
                Some(Text { place: self.at(key), text: text.clone(), literal: Vec::new() })
            }
            Some(_) => None,
            None => match self.fallback(key) {
                Some(Fallback::Text(text)) => {
                    Some(Text { place: self.place, text: text.to_owned(), literal: Vec::new() })
                }
                _ => None,
            },
        }
    }

    pub(crate) fn texts(&self, key: &str) -> &[Text] {
        match self.value(key) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    pub(crate) fn template(&self, key: &str) -> Option<&Template> {
        match self.value(key) {
            Some(Value::Template(template)) => Some(template),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        match (self.value(key), self.fallback(key)) {
            (Some(Value::Flag(flag)), _) => *flag,
            (_, Some(Fallback::Flag(flag))) => flag,
            _ => false,
        }
    }

    /// A number; one that is not there, or broken, is its default, or 0.
    pub(crate) fn int<T: TryFrom<i64> + Default>(&self, key: &str) -> T {
        let number = match (self.value(key), self.fallback(key)) {
            (Some(Value::Int(number)), _) => *number,
            (_, Some(Fallback::Int(number))) => number,
            _ => 0,
        };
        T::try_from(number).unwrap_or_default()
    }

    /// A number; `None` if it is not there, broken or `"auto"`.
    pub(crate) fn int_given<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        match self.value(key) {
            Some(Value::Int(number)) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Numbers; `None` if there are none.
    pub(crate) fn ints(&self, key: &str) -> Option<&[i64]> {
        match self.value(key) {
            Some(Value::Ints(numbers)) => Some(numbers),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, key: &str) -> Duration {
        match (self.value(key), self.fallback(key)) {
            (Some(Value::Duration(duration)), _) => *duration,
            (_, Some(Fallback::Duration(duration))) => duration,
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn size(&self, key: &str) -> u64 {
        match (self.value(key), self.fallback(key)) {
            (Some(Value::Size(size)), _) => *size,
            (_, Some(Fallback::Size(size))) => size,
            _ => 0,
        }
    }

    /// Thousandths of a number.
    pub(crate) fn thousandths(&self, key: &str) -> u64 {
        match (self.value(key), self.fallback(key)) {
            (Some(Value::Thousandths(number)), _) => *number,
            (_, Some(Fallback::Int(number))) => {
                u64::try_from(number).unwrap_or_default().saturating_mul(1_000)
            }
            _ => 0,
        }
    }

    pub(crate) fn size_given(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some(Value::Size(size)) => Some(*size),
            _ => None,
        }
    }

    /// What a word stands for; a broken one stands for the default.
    pub(crate) fn word<T: Word>(&self, key: &str) -> Option<T> {
        let word = match (self.value(key), self.fallback(key)) {
            (Some(Value::Word(word)), _) => *word,
            (_, Some(Fallback::Text(word))) => word,
            _ => return None,
        };
        T::of_word(word)
    }

    pub(crate) fn words(&self, key: &str) -> Option<&[&'static str]> {
        match self.value(key) {
            Some(Value::Words(words)) => Some(words),
            _ => None,
        }
    }

    pub(crate) fn table(&self, key: &str) -> Option<&Self> {
        match self.value(key) {
            Some(Value::Table(table) | Value::Identity(table, _)) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn tables(&self, key: &str) -> &[Self] {
        match self.value(key) {
            Some(Value::Tables(tables)) => tables,
            _ => &[],
        }
    }

    pub(crate) fn fields(&self, key: &str) -> &[Field] {
        match self.value(key) {
            Some(Value::Fields(fields) | Value::Identity(_, fields)) => fields,
            _ => &[],
        }
    }

    pub(crate) fn items(&self, key: &str) -> Option<&[Item]> {
        match self.value(key) {
            Some(Value::Items(items)) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn lists(&self, key: &str) -> &[List] {
        match self.value(key) {
            Some(Value::Lists(lists)) => lists,
            _ => &[],
        }
    }

    pub(crate) fn nodes(&self, key: &str) -> &[RawNode] {
        match self.value(key) {
            Some(Value::Nodes(nodes)) => nodes,
            _ => &[],
        }
    }

    /// Was the key given, with a problem?
    pub(crate) fn is_broken(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Broken))
    }
}

/// The path of a key in a table.
pub(crate) fn join(field: &str, key: &str) -> String {
    let legal_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let legal_quoted = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let mut path = String::with_capacity(field.len() + key.len() + 3);
    path.push_str(field);
    if !field.is_empty() {
        path.push('.');
    }
    if !key.is_empty() && key.bytes().all(legal_bare) {
        path.push_str(key);
    } else if key.bytes().all(legal_quoted) {
        path.push('"');
        path.push_str(key);
        path.push('"');
    } else {
        let _ = write!(path, "{key:?}");
    }
    path
}
