//! The JSON Schema (draft 2020-12) of the file, from its description.
//!
//! Editors complete and check with it. What it cannot say (references, names, addresses) only
//! `ferrule check` tells.

use serde_json::{Map, Value, json};

use crate::describe::{Fallback, Key, Kind, Need, ROOT, Table, Words};
use crate::values::{duration_text, size_text};

/// The JSON Schema of the file.
#[must_use]
pub fn schema() -> String {
    let mut tables = Map::new();
    define(&ROOT, &mut tables);
    let mut root = match tables.remove("file") {
        Some(Value::Object(root)) => root,
        _ => Map::new(),
    };
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("Ferrule configuration"));
    root.insert("$defs".to_owned(), Value::Object(tables));
    format!("{:#}\n", Value::Object(root))
}

fn name(table: &Table) -> &'static str {
    if table.name.is_empty() { "file" } else { table.name }
}

fn define(table: &'static Table, tables: &mut Map<String, Value>) {
    if tables.contains_key(name(table)) {
        return;
    }
    // Before its keys, so that a table that holds itself ends.
    tables.insert(name(table).to_owned(), Value::Null);
    let mut properties = Map::new();
    for key in table.keys {
        properties.insert(key.name.to_owned(), property(key, tables));
    }
    let is_required = |key: &&Key| matches!(key.need, Need::Required);
    let required: Vec<_> = table.keys.iter().filter(is_required).map(|key| key.name).collect();
    let schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    tables.insert(name(table).to_owned(), schema);
}

fn property(key: &Key, tables: &mut Map<String, Value>) -> Value {
    let mut schema = match of_kind(key.kind, tables) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    schema.insert("description".to_owned(), json!(key.doc));
    if let Need::Default(fallback) = key.need {
        let default = match fallback {
            Fallback::Flag(flag) => json!(flag),
            Fallback::Int(number) => json!(number),
            Fallback::Duration(duration) => json!(duration_text(duration)),
            Fallback::Size(size) => json!(size_text(size)),
            Fallback::Text(text) => json!(text),
        };
        schema.insert("default".to_owned(), default);
    }
    Value::Object(schema)
}

fn of_kind(kind: Kind, tables: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Text | Kind::Secret | Kind::Template => text(),
        Kind::Duration | Kind::Skew => duration(),
        Kind::TextsOrNone => json!({ "anyOf": [text(), { "type": "array", "items": text() }] }),
        Kind::Texts | Kind::Secrets => one_or_more(&text()),
        Kind::Flag => json!({ "anyOf": [{ "type": "boolean" }, from_env()] }),
        Kind::Int(min, max) => json!({ "anyOf": [integer(min, max), from_env()] }),
        Kind::Ints(min, max) => {
            json!({ "type": "array", "items": integer(min, max), "minItems": 1, "uniqueItems": true })
        }
        Kind::AutoInt(min, max) => {
            json!({ "anyOf": [integer(min, max), { "const": "auto" }, from_env()] })
        }
        Kind::Decimal(min, max) => {
            let bounds = [min, max].map(|bound| bound as f64 / 1_000.0);
            json!({ "type": "number", "minimum": bounds[0], "maximum": bounds[1] })
        }
        Kind::Seconds => {
            json!({ "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, duration()] })
        }
        Kind::Size(min, max) => json!({
            "anyOf": [{ "type": "integer", "minimum": min, "maximum": max }, text()]
        }),
        Kind::Word(words) => word(words),
        Kind::Words(words) => {
            json!({ "type": "array", "items": word(words), "minItems": 1, "uniqueItems": true })
        }
        Kind::Id => json!({ "anyOf": [
            { "type": "integer" },
            { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" },
        ] }),
        Kind::Table(table) => reference(table, tables),
        Kind::Short(table, _) => json!({ "anyOf": [text(), reference(table, tables)] }),
        Kind::Tables(table) => {
            json!({ "type": "array", "items": reference(table, tables), "minItems": 1 })
        }
        Kind::TableOrTables(table) => one_or_more(&reference(table, tables)),
        Kind::Matches => json!({ "type": "array", "minItems": 1, "items": one_or_more(&text()) }),
        Kind::Conditions => json!({ "type": "array", "minItems": 1 }),
        Kind::Identity(table) => with_other_keys(table, tables),
        Kind::Labels | Kind::Fields(false) => {
            json!({ "type": "object", "additionalProperties": text() })
        }
        Kind::Lists | Kind::Fields(true) => {
            json!({ "type": "object", "additionalProperties": one_or_more(&text()) })
        }
        Kind::Nodes(table) => json!({ "anyOf": [
            { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } },
            { "type": "array", "items": reference(table, tables), "minItems": 1 },
        ] }),
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// A value that comes from the environment: it is text, whatever it stands for.
fn from_env() -> Value {
    json!({ "type": "string", "pattern": "^\\$\\{env:.*\\}$" })
}

fn integer(min: i64, max: i64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

fn one_or_more(one: &Value) -> Value {
    json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
}

/// A table with keys of its own, beside which any other key is a text.
fn with_other_keys(table: &'static Table, tables: &mut Map<String, Value>) -> Value {
    let reference = reference(table, tables);
    if let Some(known) = tables.get_mut(name(table)).and_then(Value::as_object_mut) {
        known.insert("additionalProperties".to_owned(), text());
    }
    reference
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d) *)+$|\\$\\{env:" })
}

fn word(words: &Words) -> Value {
    json!({ "enum": words.words })
}

fn reference(table: &'static Table, tables: &mut Map<String, Value>) -> Value {
    define(table, tables);
    json!({ "$ref": format!("#/$defs/{}", name(table)) })
}
