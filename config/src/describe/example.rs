//! How a key is written: an example of each, for messages.
//!
//! In: a key and its table. Out: a line as it may stand in a file. The values are those of
//! `examples/full.toml`, which has every key and is tested, the shortest one of each; nothing is said twice.

use toml::Value;

use crate::describe::{Key, Kind, Need, ROOT, Table};

static FULL: &str = include_str!("../../examples/full.toml");

/// Keys that say least about their table.
const SIDE_KEYS: [&str; 7] = ["id", "name", "desc", "labels", "status", "type", "defaults"];
/// Keys of a table that are shown.
const KEYS_MAX: usize = 3;

/// How to write this key, with backticks: "`address = \"0.0.0.0:443\"`".
pub(crate) fn quoted(table: &'static Table, key: &'static Key) -> String {
    match key.kind {
        Kind::Tables(inner) => below(inner, &lines(inner).join("`, `")),
        _ => format!("`{}`", line(table, key)),
    }
}

/// A table of a list, and lines of it.
pub(crate) fn below(table: &Table, lines: &str) -> String {
    format!("`[[{}]]`, and below it `{lines}`", table.name)
}

/// A line with this key.
fn line(table: &'static Table, key: &'static Key) -> String {
    let name = key.name;
    match key.kind {
        Kind::Table(inner) | Kind::Tables(inner) | Kind::TableOrTables(inner) => {
            format!("{name} = {{ {} }}", lines(inner).join(", "))
        }
        _ => match value(table, key) {
            Some(value) => format!("{name} = {value}"),
            None => format!("{name} = ..."),
        },
    }
}

/// The lines that say most about a table: its required keys, or the first one that matters.
fn lines(table: &'static Table) -> Vec<String> {
    let required = table.keys.iter().filter(|key| matches!(key.need, Need::Required));
    let mut keys: Vec<_> = required.take(KEYS_MAX).collect();
    if keys.is_empty() {
        keys.extend(table.keys.iter().find(|key| !SIDE_KEYS.contains(&key.name)));
    }
    keys.into_iter().map(|key| line(table, key)).collect()
}

/// The shortest value of a key in the full example, lists cut to one entry.
pub(crate) fn value(table: &'static Table, key: &'static Key) -> Option<Value> {
    // The full example is one file.
    if key.name == "include" {
        return Some(Value::from("conf.d/*.toml"));
    }
    let full: toml::Table = toml::from_str(FULL).ok()?;
    let mut found = Vec::new();
    gather(&ROOT, &full, table.name, &mut |name, value| {
        if name == key.name {
            found.push(one_entry(value));
        }
    });
    found.into_iter().min_by_key(|value| value.to_string().len())
}

/// Shows every entry of a table of this name.
fn gather(
    table: &'static Table,
    found: &toml::Table,
    wanted: &str,
    show: &mut dyn FnMut(&str, &Value),
) {
    for (name, value) in found {
        if table.name == wanted {
            show(name, value);
        }
        let inner = match table.key(name).map(|key| key.kind) {
            Some(
                Kind::Table(inner)
                | Kind::Identity(inner)
                | Kind::Short(inner, _)
                | Kind::Tables(inner)
                | Kind::TableOrTables(inner),
            ) => inner,
            Some(Kind::Nodes(inner)) if value.is_array() => inner,
            _ => continue,
        };
        match value {
            Value::Table(one) => gather(inner, one, wanted, show),
            Value::Array(several) => {
                several
                    .iter()
                    .filter_map(Value::as_table)
                    .for_each(|one| gather(inner, one, wanted, show));
            }
            _ => {}
        }
    }
}

fn one_entry(value: &Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.iter().take(1).cloned().collect()),
        Value::Table(table) => Value::Table(
            table.iter().take(1).map(|(name, value)| (name.clone(), value.clone())).collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> String {
        let mut table = &ROOT;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let key = table.key(name).unwrap();
            if names.peek().is_none() {
                return quoted(table, key);
            }
            table = match key.kind {
                Kind::Table(inner)
                | Kind::Identity(inner)
                | Kind::Short(inner, _)
                | Kind::Tables(inner)
                | Kind::TableOrTables(inner)
                | Kind::Nodes(inner) => inner,
                _ => unreachable!("{name} is no table"),
            };
        }
        unreachable!("a path has a name")
    }

    #[test]
    fn examples_are_lines_of_a_file() {
        for (path, example) in [
            ("listen", "`[[listen]]`, and below it `address = \"0.0.0.0:80\"`"),
            ("listen.address", "`address = \"0.0.0.0:80\"`"),
            ("listen.tls", "`tls = true`"),
            ("http.client_max_body_size", "`client_max_body_size = 0`"),
            ("upstreams.nodes", "`nodes = { \"10.2.0.1:80\" = 1 }`"),
            ("ssls.client.ca", "`ca = [\"/etc/ferrule/ca-2024.pem\"]`"),
            ("routes.methods", "`methods = [\"GET\"]`"),
            ("ssls.client", "`client = { ca = [\"/etc/ferrule/ca-2024.pem\"] }`"),
        ] {
            assert_eq!(of(path), example);
        }
    }
}
