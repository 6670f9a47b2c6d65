//! Reads a table by its description: which keys there are, which there may not be.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::describe::foreign_keys::{self, Here};
use crate::describe::{Key, Kind, Need, Refused, Table, Why, every_table, example};
use crate::place::Place;
use crate::problem::Problems;
use crate::raw::meant;
use crate::raw::table::{Given, Raw, Value, join};
use crate::source::{names_path, sounds_secret};
use crate::values::nearest;

/// What reading needs on its way.
pub(crate) struct Reader<'a> {
    /// The whole file.
    pub(crate) text: &'a str,
    /// The environment.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// What is wrong.
    pub(crate) problems: &'a mut Problems,
    /// The key whose value is being read.
    pub(crate) at: Option<KeyAt>,
}

/// A key and its table.
#[derive(Clone, Copy)]
pub(crate) struct KeyAt {
    table: &'static Table,
    key: &'static Key,
}

impl KeyAt {
    /// The name of the key.
    pub(super) const fn name(self) -> &'static str {
        self.key.name
    }
}

/// What a string is for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Use {
    /// To be taken as it is.
    Plain,
    /// To be taken as it is, and never shown.
    Secret,
    /// To be read as a template.
    Template,
}

impl Reader<'_> {
    /// Reads a table.
    pub(crate) fn table(
        &mut self,
        table: &'static Table,
        found: &DeTable<'_>,
        place: Place,
        field: String,
    ) -> Raw {
        let mut given = BTreeMap::new();
        self.problems.name(place, &field);
        for (name, value) in in_order(found) {
            let path = join(&field, name.get_ref());
            if let Some(key) = table.key(name.get_ref()) {
                given.insert(key.name, self.given(KeyAt { table, key }, value, path));
            } else {
                self.mask_unknown(table, name.get_ref(), value);
                let at = Place::of(name.span());
                // What was meant there is not missing as well.
                if let Some(meant) = self.stranger(table, name.get_ref(), at, &path) {
                    let value = Value::Broken;
                    given.entry(meant).or_insert(Given { place: at, path, value });
                }
            }
        }
        let missing =
            |key: &&Key| matches!(key.need, Need::Required) && !given.contains_key(key.name);
        for key in table.keys.iter().filter(missing) {
            let message = format!("`{}` is missing", key.name);
            let help = format!("write {}: {}", example::quoted(table, key), key.doc);
            self.problems.push_at(place, join(&field, key.name), message, Some(help));
        }
        Raw { table, place, field, given }
    }

    /// The value of a key.
    fn given(&mut self, at: KeyAt, value: &Spanned<DeValue<'_>>, path: String) -> Given {
        let place = Place::of(value.span());
        let outer = self.at.replace(at);
        let value = self.value(at.key.kind, value, &path);
        self.at = outer;
        // Last: a list of tables begins where its first one does, and that place is the table's.
        self.problems.name(place, &path);
        Given { place, path, value }
    }

    /// A table of known keys and free names.
    fn identity(
        &mut self,
        table: &'static Table,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> Value {
        let Some(found) = value.get_ref().as_table() else {
            self.wrong_type(value, field, "a table");
            return Value::Broken;
        };
        let (mut given, mut fields) = (BTreeMap::new(), Vec::new());
        for (name, item) in in_order(found) {
            let path = join(field, name.get_ref());
            if let Some(key) = table.key(name.get_ref()) {
                given.insert(key.name, self.given(KeyAt { table, key }, item, path));
            } else {
                fields.push(self.field(name, item, &path, false));
            }
        }
        let place = Place::of(value.span());
        Value::Identity(Raw { table, place, field: field.to_owned(), given }, fields)
    }

    /// A key that is not taken. Returns the key that was meant, if one can be told.
    fn stranger(
        &mut self,
        table: &'static Table,
        name: &str,
        place: Place,
        path: &str,
    ) -> Option<&'static str> {
        if let Some(refused) = table.refused.iter().find(|refused| refused.name == name) {
            self.refuse(refused, place, path);
            return None;
        }
        let known = table.keys.iter().map(|key| key.name);
        let deeper = table.keys.iter().find(|key| match key.kind {
            Kind::Table(inner)
            | Kind::Identity(inner)
            | Kind::Short(inner, _)
            | Kind::TableOrTables(inner) => inner.key(name).is_some(),
            _ => false,
        });
        let near = nearest(name, known.clone());
        let foreign = foreign_keys::find(name).map(|entry| entry.here);
        let mut message = format!("unknown key `{name}`");
        let help = if let Some(deeper) = deeper {
            format!("did you mean `{}.{name}`?", deeper.name)
        } else {
            match (foreign, near) {
                (Some(Here::Key(here)), _) => format!("here it is {here}"),
                (Some(Here::Nothing(why)), _) => {
                    message = format!("`{name}` is not supported");
                    format!("{why}; docs/limits.md lists what is not supported")
                }
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => elsewhere(name).unwrap_or_else(|| {
                    format!("known keys: {}", known.collect::<Vec<_>>().join(", "))
                }),
            }
        };
        self.problems.push_at(place, path, message, Some(help));
        let foreign = foreign.and_then(Here::first_key).and_then(|name| table.key(name));
        foreign.map(|key| key.name).or(near)
    }

    pub(super) fn refuse(&mut self, refused: &Refused, place: Place, path: &str) {
        let name = refused.name;
        let (message, help) = match refused.why {
            Why::NotYet => (
                format!("`{name}` is not supported yet"),
                "take it out: it is refused so that nobody relies on it".to_owned(),
            ),
            Why::Never(instead) => {
                (format!("`{name}` is out of scope: {instead}"), "take it out".to_owned())
            }
            Why::Unsafe(reason, instead) => {
                (format!("`{name}` is refused: {reason}"), instead.to_owned())
            }
        };
        self.problems.push_at(place, path, message, Some(help));
    }

    /// What stands under a name that sounds like a private key, or is near one, is not shown.
    fn mask_unknown(&mut self, table: &'static Table, name: &str, value: &Spanned<DeValue<'_>>) {
        let near = nearest(name, table.keys.iter().map(|key| key.name));
        let near = near.and_then(|near| table.key(near)).map(|key| key.kind);
        if matches!(near, Some(Kind::Secret | Kind::Secrets))
            && !value.get_ref().is_table()
            && !value.get_ref().as_str().is_some_and(|text| names_path(name, text))
        {
            self.problems.mask(Place::of(value.span()));
        }
        self.mask_secrets(name, value);
    }

    /// Likewise, and in all tables below.
    fn mask_secrets(&mut self, name: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                table.iter().for_each(|(name, value)| self.mask_secrets(name.get_ref(), value));
            }
            DeValue::String(text) if names_path(name, text) => {}
            DeValue::Array(list) if sounds_secret(name) => {
                list.iter().for_each(|item| self.mask_secrets(name, item));
            }
            _ if sounds_secret(name) => self.problems.mask(Place::of(value.span())),
            DeValue::Array(list) => list.iter().for_each(|item| self.mask_secrets("", item)),
            _ => {}
        }
    }

    pub(super) fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, field: &str, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let message = format!("this is {found}, and {wanted} is wanted");
        // Whatever was meant there, some of it may be a secret's.
        self.mask_secrets("", value);
        let help = self.at.map(|KeyAt { table, key }| meant::help(table, key, value.get_ref()));
        self.problems.push_at(Place::of(value.span()), field, message, help);
    }

    fn value(&mut self, kind: Kind, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        match kind {
            Kind::Text => self.text_value(value, field, Use::Plain),
            Kind::Secret => self.text_value(value, field, Use::Secret),
            Kind::TextsOrNone if value.get_ref().as_array().is_some_and(|list| list.is_empty()) => {
                Value::Texts(Vec::new())
            }
            Kind::Texts | Kind::TextsOrNone => self.texts(value, field, Use::Plain),
            Kind::Secrets => self.texts(value, field, Use::Secret),
            Kind::Template => self.template_value(value, field),
            Kind::Flag => self.flag(value, field),
            Kind::Int(min, max) => self.int(value, field, min, max),
            Kind::Ints(min, max) => self.ints(value, field, min, max),
            Kind::AutoInt(min, max) => self.auto_int(value, field, min, max),
            Kind::Decimal(min, max) => self.decimal(value, field, min, max),
            Kind::Duration => self.duration(value, field, false),
            Kind::Skew => self.skew(value, field),
            Kind::Seconds => self.duration(value, field, true),
            Kind::Size(min, max) => self.size(value, field, min, max),
            Kind::Word(words) => self.word(value, field, words).map_or(Value::Broken, Value::Word),
            Kind::Words(words) => self.words(value, field, words),
            Kind::Id => self.id(value, field),
            Kind::Table(table) => self.inner_table(table, value, field),
            Kind::Short(table, key) => self.short(table, key, value, field),
            Kind::Tables(table) => self.tables(table, value, field, false),
            Kind::TableOrTables(table) => self.tables(table, value, field, true),
            Kind::Labels => self.labels(value, field),
            Kind::Lists => self.lists(value, field),
            Kind::Fields(lists) => self.fields(value, field, lists),
            Kind::Identity(table) => self.identity(table, value, field),
            Kind::Matches | Kind::Conditions => self.items(value, field),
            Kind::Nodes(table) => self.nodes(table, value, field),
        }
    }

    /// A list of numbers, each once.
    fn ints(&mut self, value: &Spanned<DeValue<'_>>, field: &str, min: i64, max: i64) -> Value {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, field, "an array of integers");
            return Value::Broken;
        };
        let mut found = Vec::with_capacity(array.len());
        for (index, item) in array.iter().enumerate() {
            let path = format!("{field}[{index}]");
            match self.int(item, &path, min, max) {
                Value::Int(number) if found.contains(&number) => {
                    let message = format!("{number} stands here twice");
                    self.problems.push_at(Place::of(item.span()), path, message, None);
                }
                Value::Int(number) => found.push(number),
                _ => {}
            }
        }
        if found.len() < array.len() || !self.filled(found.len(), value, field) {
            return Value::Broken;
        }
        Value::Ints(found)
    }

    pub(super) fn inner_table(
        &mut self,
        table: &'static Table,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> Value {
        if let Some(found) = value.get_ref().as_table() {
            return Value::Table(self.table(
                table,
                found,
                Place::of(value.span()),
                field.to_owned(),
            ));
        }
        self.wrong_type(value, field, "a table");
        Value::Broken
    }

    /// A table, or text that stands for one of its keys.
    fn short(
        &mut self,
        table: &'static Table,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> Value {
        if value.get_ref().as_str().is_none() {
            return self.inner_table(table, value, field);
        }
        let place = Place::of(value.span());
        let kind = table.key(key).map_or(Kind::Text, |key| key.kind);
        let short = self.value(kind, value, field);
        let path = join(field, key);
        let given = BTreeMap::from([(key, Given { place, path, value: short })]);
        Value::Table(Raw { table, place, field: field.to_owned(), given })
    }

    fn tables(
        &mut self,
        table: &'static Table,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        one: bool,
    ) -> Value {
        if let (true, Some(found)) = (one, value.get_ref().as_table()) {
            let place = Place::of(value.span());
            return Value::Tables(vec![self.table(table, found, place, field.to_owned())]);
        }
        let Some(array) = value.get_ref().as_array() else {
            let header = format!("`[[{field}]]`");
            let wanted = if one { "a table" } else { header.as_str() };
            self.wrong_type(value, field, wanted);
            return Value::Broken;
        };
        if !self.filled(array.len(), value, field) {
            return Value::Broken;
        }
        let mut tables = Vec::with_capacity(array.len());
        for (index, item) in array.iter().enumerate() {
            let path = format!("{field}[{index}]");
            if let Value::Table(table) = self.inner_table(table, item, &path) {
                tables.push(table);
            }
        }
        Value::Tables(tables)
    }
}

/// The tables that have a key of this name.
fn elsewhere(name: &str) -> Option<String> {
    const TABLES_MAX: usize = 4;
    let tables = every_table().into_iter().filter(|table| table.key(name).is_some());
    let tables: Vec<_> = tables
        .map(|table| match table.name {
            "" => "the top of the file".to_owned(),
            name => format!("`{name}`"),
        })
        .collect();
    let known = !tables.is_empty() && tables.len() <= TABLES_MAX;
    known.then(|| format!("`{name}` is a key of {}", tables.join(", ")))
}

/// The entries of a table in the order of the file: the parser sorts them by name.
pub(super) fn in_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::Source;

    #[test]
    fn no_key_takes_an_empty_list() {
        let mut lists = 0;
        let of = |table: &'static Table| table.keys.iter().map(move |key| (table.name, key));
        for (table, key) in every_table().into_iter().flat_map(of) {
            let text = match key.kind {
                Kind::Texts
                | Kind::Secrets
                | Kind::Words(_)
                | Kind::Ints(..)
                | Kind::Tables(_)
                | Kind::TableOrTables(_)
                | Kind::Matches
                | Kind::Conditions
                | Kind::Nodes(_) => "x = []",
                Kind::Lists => "x = { 404 = [] }",
                Kind::Fields(_) | Kind::Identity(_) => "x = { X-Role = [] }",
                _ => continue,
            };
            lists += 1;
            let mut problems = Problems::of(Source::new(Path::new("f"), text));
            let parsed = DeTable::parse(text).unwrap();
            let (_, value) = parsed.get_ref().iter().next().unwrap();
            let mut reader = Reader { text, env: &|_| None, problems: &mut problems, at: None };
            reader.value(key.kind, value, "x");
            assert!(!problems.is_empty(), "{table}.{}", key.name);
        }
        assert!(lists > 20, "{lists}");
    }
}
