//! What differs between two configurations, by object: what a reload would change.
//!
//! In: the configuration in force, and the one on disk. Out: differences of their dumps, in which everything has the
//! value that it comes to. A secret is never part of it; that it differs is told by marks, see
//! [`Config::dump_marked`].

use std::collections::{BTreeMap, HashSet};
use std::hash::RandomState;

use ferrule_config::Config;
use toml::{Table, Value};

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 300;
/// Of these, how many stand before the first that differs, where a value is cut.
const CONTEXT_CHARS: usize = 40;
/// What stands where something was cut.
const CUT: &str = "...";
/// What stands in the place of a secret.
const REDACTED: &str = "<redacted>";
const MARK_BEGIN: &str = "<redacted:";

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ConfigDifference {
    /// The table of the file: `http`, `routes`.
    pub(crate) table: String,
    /// The id of the object there, or the address of a listener; `None` in a table that is one object.
    pub(crate) id: Option<String>,
    /// The key that differs; `None` if the whole object is there only once.
    pub(crate) key: Option<String>,
    /// Its value in force; `None` if it is not there.
    pub(crate) in_force: Option<String>,
    /// Its value on disk, likewise.
    pub(crate) on_disk: Option<String>,
}

/// An object of one configuration: its keys and their values.
type Keys = BTreeMap<String, String>;

/// Which object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct ObjectName {
    table: String,
    id: Option<String>,
}

/// A configuration as objects.
#[derive(Debug, Default)]
struct Objects {
    keys: BTreeMap<ObjectName, Keys>,
    /// The ids of the objects of each table, in their order.
    order: BTreeMap<String, Vec<String>>,
}

/// Everything that differs.
///
/// # Errors
/// One of them does not read back, which is a mistake of this program.
pub(crate) fn differences(
    in_force: &Config,
    on_disk: &Config,
) -> Result<Vec<ConfigDifference>, String> {
    let marks = RandomState::new();
    let before = Objects::of(&in_force.dump_marked(&marks))?;
    let after = Objects::of(&on_disk.dump_marked(&marks))?;
    let mut names: Vec<&ObjectName> = before.keys.keys().chain(after.keys.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        match (before.keys.get(name), after.keys.get(name)) {
            (Some(before), Some(after)) => compare_keys(name, before, after, &mut found),
            (before, after) => found.push(ConfigDifference {
                table: name.table.clone(),
                id: name.id.clone(),
                key: None,
                in_force: before.map(|_| String::from("present")),
                on_disk: after.map(|_| String::from("present")),
            }),
        }
    }
    for (table, ids) in &before.order {
        compare_order(table, ids, after.order.get(table).map_or(&[], Vec::as_slice), &mut found);
    }
    Ok(found)
}

/// The keys of an object that is in both.
fn compare_keys(name: &ObjectName, before: &Keys, after: &Keys, found: &mut Vec<ConfigDifference>) {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (before, after) = (before.get(key), after.get(key));
        if before == after {
            continue;
        }
        let alike = common_prefix(before, after);
        found.push(ConfigDifference {
            table: name.table.clone(),
            id: name.id.clone(),
            key: Some(key.clone()),
            in_force: before.map(|value| shown(value, alike)),
            on_disk: after.map(|value| shown(value, alike)),
        });
    }
}

/// The order of those that are in both.
fn compare_order(
    table: &str,
    before: &[String],
    after: &[String],
    found: &mut Vec<ConfigDifference>,
) {
    let kept = |ids: &[String], others: &[String]| -> Vec<String> {
        let others: HashSet<&String> = others.iter().collect();
        ids.iter().filter(|id| others.contains(id)).cloned().collect()
    };
    let (before, after) = (kept(before, after), kept(after, before));
    if before != after {
        let (before, after) = (before.join(", "), after.join(", "));
        let alike = common_prefix(Some(&before), Some(&after));
        found.push(ConfigDifference {
            table: table.to_owned(),
            id: None,
            key: Some(String::from("order")),
            in_force: Some(shown(&before, alike)),
            on_disk: Some(shown(&after, alike)),
        });
    }
}

impl Objects {
    fn of(dump: &str) -> Result<Self, String> {
        let table: Table = dump.parse().map_err(|_| {
            String::from("the configuration cannot be compared: its dump does not read back")
        })?;
        let mut objects = Self::default();
        for (table, value) in table {
            match value {
                Value::Array(list) => {
                    for one in list {
                        objects.add_of_list(&table, one);
                    }
                }
                Value::Table(keys) => objects.add(ObjectName { table, id: None }, keys),
                _ => {}
            }
        }
        Ok(objects)
    }

    fn add_of_list(&mut self, table: &str, value: Value) {
        let Value::Table(mut keys) = value else { return };
        let id = keys.remove("id").or_else(|| keys.get("address").cloned());
        let id = id.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        self.order.entry(table.to_owned()).or_default().push(id.clone());
        self.add(ObjectName { table: table.to_owned(), id: Some(id) }, keys);
    }

    fn add(&mut self, name: ObjectName, keys: Table) {
        flatten("", keys, self.keys.entry(name).or_default());
    }
}

/// The keys of a table, those of tables in it behind a dot.
fn flatten(prefix: &str, table: Table, out: &mut Keys) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, out),
            value => drop(out.insert(path, value.to_string())),
        }
    }
}

/// How many characters two values have in common at their beginning.
fn common_prefix(one: Option<&String>, other: Option<&String>) -> usize {
    let (Some(one), Some(other)) = (one, other) else { return 0 };
    let (one, other) = (unmarked(one), unmarked(other));
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

/// A value for people: without marks, and where it is long, only from where it differs.
fn shown(value: &str, alike: usize) -> String {
    let value = unmarked(value);
    if value.chars().count() <= VALUE_CHARS_MAX {
        return value;
    }
    let from = alike.saturating_sub(CONTEXT_CHARS);
    let mut out = String::from(if from > 0 { CUT } else { "" });
    let mut rest = value.chars().skip(from);
    out.extend(rest.by_ref().take(VALUE_CHARS_MAX));
    if rest.next().is_some() {
        out.push_str(CUT);
    }
    out
}

/// Marks tell nothing to anybody but this process, and go no further.
fn unmarked(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, marked)) = rest.split_once(MARK_BEGIN) {
        out.push_str(before);
        out.push_str(REDACTED);
        rest = marked.split_once('>').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = r#"
[[listen]]
address = "127.0.0.1:1"
tls = true

[[ssls]]
id = "a"
sni = "a.test"
cert = "a.crt"
key = """-----BEGIN PRIVATE KEY-----
c2VjcmV0LW9uZQ==
-----END PRIVATE KEY-----"""

[[routes]]
id = "one"
uri = "/one"
headers.set = { Authorization = "Bearer TOPSECRET" }
upstream.nodes = { "127.0.0.1:2" = 1 }

[[routes]]
id = "two"
uri = "/two"
upstream.nodes = { "127.0.0.1:3" = 1 }
"#;

    fn config(text: &str) -> Config {
        ferrule_config::read_text(Path::new("/f.toml"), text.to_owned(), &|_| None).unwrap().config
    }

    fn found(from: &str, to: &str) -> Vec<ConfigDifference> {
        assert!(TEXT.contains(from), "{from}");
        differences(&config(TEXT), &config(&TEXT.replace(from, to))).unwrap()
    }

    fn one(table: &str, id: &str, key: &str, in_force: &str, on_disk: &str) -> ConfigDifference {
        ConfigDifference {
            table: table.to_owned(),
            id: Some(id.to_owned()),
            key: Some(key.to_owned()),
            in_force: Some(in_force.to_owned()),
            on_disk: Some(on_disk.to_owned()),
        }
    }

    #[test]
    fn each_difference_has_its_object_and_key() {
        assert_eq!(found("/one", "/one"), []);
        let wanted = one("routes", "one", "uris", "[\"/one\"]", "[\"/1\"]");
        assert_eq!(found("uri = \"/one\"", "uri = \"/1\""), [wanted]);
        let added = found("[[listen]]", "[http]\nkeepalive_timeout = \"9s\"\n[[listen]]");
        assert_eq!((added.len(), added[0].id.as_ref(), &*added[0].table), (1, None, "http"));
        let gone = found("id = \"two\"", "id = \"three\"");
        let ids: Vec<_> = gone.iter().filter(|one| one.table == "routes").collect();
        assert!(ids.iter().all(|one| one.key.is_none()) && ids.len() == 2, "{gone:?}");
    }

    #[test]
    fn the_order_of_routes_is_told() {
        let (head, rest) = TEXT.split_once("[[routes]]").unwrap();
        let (first, second) = rest.split_once("[[routes]]").unwrap();
        let turned = format!("{head}[[routes]]{second}\n[[routes]]{first}");
        let found = differences(&config(TEXT), &config(&turned)).unwrap();
        let order = found.iter().find(|one| one.key.as_deref() == Some("order"));
        let order = order.unwrap();
        assert_eq!(order.in_force.as_deref(), Some("one, two"));
        assert_eq!(order.on_disk.as_deref(), Some("two, one"));
    }

    #[test]
    fn that_a_secret_differs_is_told_and_the_secret_is_not() {
        for (from, to) in [("TOPSECRET", "TOPSECRET2"), ("c2VjcmV0LW9uZQ==", "c2VjcmV0LXR3bw==")] {
            let found = found(from, to);
            assert_eq!(found.len(), 1, "{found:?}");
            let text = format!("{found:?}");
            assert!(!text.contains("SECRET") && !text.contains("c2Vj"), "{text}");
            assert!(text.contains("<redacted>") && !text.contains("<redacted:"), "{text}");
        }
    }

    #[test]
    fn long_values_are_cut_around_what_differs() {
        let long = |end: &str| format!("{}{end}", "x".repeat(1_000));
        let (one, other) = (long("1"), long("2"));
        let alike = common_prefix(Some(&one), Some(&other));
        let shown = shown(&one, alike);
        assert!(shown.starts_with(CUT) && shown.ends_with('1') && shown.len() < 100, "{shown}");
    }
}
