//! Reads values by what their key takes.

use std::borrow::Cow;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::credential::{self, FixedCredential};
use crate::describe::{Table, Words};
use crate::place::Place;
use crate::raw::reader::{Reader, Use, in_order};
use crate::raw::table::{Field, FieldValue, Item, List, RawNode, Value, join};
use crate::source::sounds_secret;
use crate::values::{self, Wrong, nearest};

/// No wait is longer: sums of times never overflow.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Lists within lists.
const ITEM_DEPTH_MAX: usize = 32;
/// Clocks that differ by more are broken.
const SKEW_MAX: Duration = Duration::from_secs(86_400);
/// APISIX's bound.
const ID_BYTES_MAX: usize = 64;

impl Reader<'_> {
    pub(super) fn wrong(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        wrong: Wrong,
    ) -> Value {
        self.problems.push_at(Place::of(value.span()), field, wrong.message, wrong.help);
        Value::Broken
    }

    pub(super) fn text_value(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        purpose: Use,
    ) -> Value {
        self.text_of(value, field, purpose).map_or(Value::Broken, Value::Text)
    }

    /// A list that is empty says something else than one that is left out, and nobody can tell what.
    pub(super) fn filled(
        &mut self,
        count: usize,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> bool {
        if count == 0 {
            let wrong = Wrong::new("this list is empty");
            self.wrong(value, field, wrong.help("leave the key out, or name something"));
        }
        count > 0
    }

    pub(super) fn texts(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        purpose: Use,
    ) -> Value {
        let Some(array) = value.get_ref().as_array() else {
            return self
                .text_of(value, field, purpose)
                .map_or(Value::Broken, |text| Value::Texts(vec![text]));
        };
        if !self.filled(array.len(), value, field) {
            return Value::Broken;
        }
        let mut texts = Vec::with_capacity(array.len());
        for (index, item) in array.iter().enumerate() {
            let path = format!("{field}[{index}]");
            self.problems.name(Place::of(item.span()), &path);
            texts.extend(self.text_of(item, &path, purpose));
        }
        if texts.len() < array.len() { Value::Broken } else { Value::Texts(texts) }
    }

    /// A number or flag may come from the environment, and is text then.
    pub(super) fn env_text(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> Option<Option<String>> {
        let text = value.get_ref().as_str()?;
        text.contains("${env:").then(|| self.string(value, field, Use::Plain))
    }

    pub(super) fn flag(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        if let Some(flag) = value.get_ref().as_bool() {
            return Value::Flag(flag);
        }
        match self.env_text(value, field).map(|text| text.map(|text| text.parse())) {
            Some(Some(Ok(flag))) => return Value::Flag(flag),
            Some(None) => return Value::Broken,
            Some(Some(Err(_))) | None => {}
        }
        self.wrong_type(value, field, "true or false");
        Value::Broken
    }

    pub(super) fn int(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        min: i64,
        max: i64,
    ) -> Value {
        let number = match value.get_ref().as_integer() {
            Some(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            None => match self.env_text(value, field) {
                Some(None) => return Value::Broken,
                Some(Some(text)) => text.parse().ok(),
                None => {
                    self.wrong_type(value, field, "an integer");
                    return Value::Broken;
                }
            },
        };
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Value::Int(number),
            None => {
                let wrong = Wrong::new("this number is out of range");
                self.wrong(value, field, wrong.help(format!("from {min} to {max}")))
            }
        }
    }

    pub(super) fn auto_int(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        min: i64,
        max: i64,
    ) -> Value {
        match value.get_ref().as_str() {
            Some("auto") => Value::Auto,
            Some(text) if !text.contains("${env:") => {
                let wrong = Wrong::new(format!("`{text}` is neither a number nor \"auto\""));
                self.wrong(value, field, wrong.help(format!("\"auto\", or from {min} to {max}")))
            }
            _ => self.int(value, field, min, max),
        }
    }

    pub(super) fn duration(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        seconds: bool,
    ) -> Value {
        let number = match value.get_ref() {
            DeValue::Integer(number) if seconds => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) if seconds => number.as_str().parse::<f64>().ok(),
            DeValue::Integer(number) => {
                let wrong = Wrong::new("a duration needs a unit");
                let name = self.at.map_or("", |at| at.name());
                return self.wrong(
                    value,
                    field,
                    wrong.help(format!("write `{name} = \"{number}s\"`")),
                );
            }
            _ => None,
        };
        let duration = if let Some(number) = number {
            Duration::try_from_secs_f64(number).map_err(|_| Wrong::new("this is not a duration"))
        } else {
            let Some(text) = self.string(value, field, Use::Plain) else { return Value::Broken };
            values::duration(&text)
        };
        // Timers count in milliseconds: less than one is none.
        match duration {
            Ok(duration) if duration.as_millis() == 0 => {
                let wrong = Wrong::new("this duration is nothing");
                self.wrong(value, field, wrong.help("every wait has an end, and at least 1ms"))
            }
            Ok(duration) if duration > DURATION_MAX => {
                let wrong = Wrong::new("this duration is too long");
                self.wrong(value, field, wrong.help("at most 366d"))
            }
            Ok(duration) => Value::Duration(duration),
            Err(wrong) => self.wrong(value, field, wrong),
        }
    }

    /// A tolerance may be nothing.
    pub(super) fn skew(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        let Some(text) = self.string(value, field, Use::Plain) else { return Value::Broken };
        match values::duration(&text) {
            Ok(skew) if skew > SKEW_MAX => {
                let wrong = Wrong::new("this is no difference of clocks any more");
                self.wrong(value, field, wrong.help("at most 24h"))
            }
            Ok(skew) => Value::Duration(skew),
            Err(wrong) => self.wrong(value, field, wrong),
        }
    }

    pub(super) fn size(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        min: u64,
        max: u64,
    ) -> Value {
        let size = if let Some(integer) = value.get_ref().as_integer() {
            u64::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| Wrong::new("a size is not negative"))
        } else {
            let Some(text) = self.string(value, field, Use::Plain) else { return Value::Broken };
            values::size(&text)
        };
        match size {
            Ok(size) if (min..=max).contains(&size) => Value::Size(size),
            Ok(_) => {
                let (min, max) = (values::size_text(min), values::size_text(max));
                let wrong = Wrong::new("this size is out of range");
                self.wrong(value, field, wrong.help(format!("from {min} to {max}")))
            }
            Err(wrong) => self.wrong(value, field, wrong),
        }
    }

    pub(super) fn word(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        words: &'static Words,
    ) -> Option<&'static str> {
        let text = self.string(value, field, Use::Plain)?;
        if let Some(word) = words.words.iter().find(|word| **word == text) {
            return Some(word);
        }
        if let Some(refused) = words.refused.iter().find(|refused| refused.name == text) {
            self.refuse(refused, Place::of(value.span()), field);
            return None;
        }
        let help = match nearest(&text, words.words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of \"{}\"", words.words.join("\", \"")),
        };
        self.wrong(value, field, Wrong::new(format!("`{text}` is not known here")).help(help));
        None
    }

    pub(super) fn words(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        words: &'static Words,
    ) -> Value {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, field, "an array of strings");
            return Value::Broken;
        };
        let mut found = Vec::with_capacity(array.len());
        for (index, item) in array.iter().enumerate() {
            let path = format!("{field}[{index}]");
            match self.word(item, &path, words) {
                Some(word) if found.contains(&word) => {
                    self.wrong(item, &path, Wrong::new(format!("`{word}` stands here twice")));
                }
                Some(word) => found.push(word),
                None => {}
            }
        }
        if found.len() < array.len() {
            return Value::Broken;
        }
        if !self.filled(found.len(), value, field) {
            return Value::Broken;
        }
        Value::Words(found)
    }

    pub(super) fn id(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            _ => match self.string(value, field, Use::Plain) {
                Some(text) => text,
                None => return Value::Broken,
            },
        };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > ID_BYTES_MAX || !text.bytes().all(legal) {
            let help = format!("up to {ID_BYTES_MAX} letters, digits, `-`, `_` and `.`");
            return self.wrong(
                value,
                field,
                Wrong::new(format!("`{text}` is not an id")).help(help),
            );
        }
        Value::Id(text)
    }

    pub(super) fn labels(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(value, field, "a table");
            return Value::Broken;
        };
        for (name, item) in in_order(table) {
            self.string(item, &join(field, name.get_ref()), Use::Plain);
        }
        Value::Labels
    }

    pub(super) fn lists(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(value, field, "a table");
            return Value::Broken;
        };
        let mut lists = Vec::with_capacity(table.len());
        for (name, item) in in_order(table) {
            let path = join(field, name.get_ref());
            self.problems.name(Place::of(item.span()), &path);
            if let Value::Texts(texts) = self.texts(item, &path, Use::Plain) {
                let place = Place::of(name.span());
                lists.push(List { place, name: name.get_ref().to_string(), texts });
            }
        }
        Value::Lists(lists)
    }

    pub(super) fn fields(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        lists: bool,
    ) -> Value {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(value, field, "a table");
            return Value::Broken;
        };
        let mut fields = Vec::with_capacity(table.len());
        for (name, item) in in_order(table) {
            let path = join(field, name.get_ref());
            fields.push(self.field(name, item, &path, lists));
        }
        Value::Fields(fields)
    }

    /// A field name and its templates.
    pub(super) fn field(
        &mut self,
        name: &Spanned<Cow<'_, str>>,
        item: &Spanned<DeValue<'_>>,
        path: &str,
        lists: bool,
    ) -> Field {
        if sounds_secret(name.get_ref()) {
            self.problems.mask(Place::of(item.span()));
            self.look_for_credential(name.get_ref(), item, path);
        }
        let mut values = Vec::new();
        match item.get_ref().as_array() {
            Some(array) if lists => {
                self.filled(array.len(), item, path);
                for (index, item) in array.iter().enumerate() {
                    let template = self.template(item, &format!("{path}[{index}]"));
                    values.extend(
                        template
                            .map(|template| FieldValue { place: Place::of(item.span()), template }),
                    );
                }
            }
            _ => {
                let template = self.template(item, path);
                values.extend(
                    template.map(|template| FieldValue { place: Place::of(item.span()), template }),
                );
            }
        }
        Field { place: Place::of(name.span()), name: name.get_ref().to_string(), values }
    }

    /// Makes known that the file itself holds what this header opens doors with.
    fn look_for_credential(&mut self, name: &str, value: &Spanned<DeValue<'_>>, path: &str) {
        match value.get_ref() {
            DeValue::Array(list) => {
                list.iter().for_each(|item| self.look_for_credential(name, item, path));
            }
            DeValue::String(text) if credential::is_fixed(text) => {
                let (name, field) = (name.to_owned(), path.to_owned());
                let place = Place::of(value.span());
                self.problems.name_fixed_credential(FixedCredential { place, field, name });
            }
            _ => {}
        }
    }

    /// A list that may hold lists.
    pub(super) fn items(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        match self.item(value, field, 0) {
            Some(Item::List(_, items)) if self.filled(items.len(), value, field) => {
                Value::Items(items)
            }
            Some(Item::List(..)) => Value::Broken,
            Some(_) => {
                self.wrong_type(value, field, "an array");
                Value::Broken
            }
            None => Value::Broken,
        }
    }

    fn item(&mut self, value: &Spanned<DeValue<'_>>, field: &str, depth: usize) -> Option<Item> {
        let place = Place::of(value.span());
        match value.get_ref() {
            DeValue::String(_) => self.text_of(value, field, Use::Plain).map(Item::Text),
            DeValue::Integer(_) | DeValue::Float(_) => {
                let written = self.text.get(value.span()).unwrap_or_default().replace('_', "");
                let number = written.parse::<f64>().ok().filter(|number| number.is_finite());
                if number.is_none() {
                    let wrong = Wrong::new("this is no plain number");
                    self.wrong(value, field, wrong.help("digits, with a point if need be"));
                }
                number.map(|number| Item::Number(place, number))
            }
            DeValue::Array(array) if depth < ITEM_DEPTH_MAX => {
                let items: Vec<_> =
                    array.iter().map(|item| self.item(item, field, depth + 1)).collect();
                Some(Item::List(place, items.into_iter().collect::<Option<_>>()?))
            }
            _ => {
                self.wrong_type(value, field, "a text, a number or an array of them");
                None
            }
        }
    }

    pub(super) fn nodes(
        &mut self,
        table: &'static Table,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> Value {
        let mut nodes = Vec::new();
        if let Some(map) = value.get_ref().as_table() {
            if !self.filled(map.len(), value, field) {
                return Value::Broken;
            }
            for (name, item) in in_order(map) {
                let path = join(field, name.get_ref());
                let Value::Int(weight) = self.int(item, &path, 0, 1_000_000) else { continue };
                nodes.push(RawNode {
                    place: Place::of(name.span()),
                    field: path,
                    host: name.get_ref().to_string(),
                    port: None,
                    joined: true,
                    weight: u32::try_from(weight).unwrap_or_default(),
                    priority: 0,
                    backup: false,
                    max_connections: None,
                    max_requests: None,
                });
            }
            return if nodes.len() < map.len() { Value::Broken } else { Value::Nodes(nodes) };
        }
        let names = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().is_some();
        let array = value.get_ref().as_array().filter(|array| !array.iter().any(names));
        let Some(array) = array else {
            let wanted = "a table `\"host:port\" = weight`, or an array of tables";
            self.wrong_type(value, field, wanted);
            return Value::Broken;
        };
        if !self.filled(array.len(), value, field) {
            return Value::Broken;
        }
        for (index, item) in array.iter().enumerate() {
            let path = format!("{field}[{index}]");
            let Value::Table(node) = self.inner_table(table, item, &path) else { continue };
            let Some(host) = node.text("host") else { continue };
            nodes.push(RawNode {
                place: host.place,
                field: node.path("host"),
                host: host.text,
                port: node.int_given("port"),
                joined: false,
                weight: node.int("weight"),
                priority: node.int("priority"),
                backup: node.flag("backup"),
                max_connections: node.int_given("max_connections"),
                max_requests: node.int_given("max_requests"),
            });
        }
        if nodes.len() < array.len() { Value::Broken } else { Value::Nodes(nodes) }
    }
}
