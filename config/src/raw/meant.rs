//! What a value of the wrong type was meant to be: the line to write, with what was given where that can be
//! told, else an example.

use std::net::SocketAddr;

use toml::Value;
use toml::de::DeValue;

use crate::describe::{Key, Kind, Table, example};

/// What to write in place of `found`.
pub(super) fn help(table: &'static Table, key: &'static Key, found: &DeValue<'_>) -> String {
    if let (Kind::Tables(inner), Some(address)) = (key.kind, inner_address(key, found)) {
        return format!("write {}", example::below(inner, &format!("address = {address}")));
    }
    match meant(table, key, found) {
        Some(value) => format!("write `{} = {value}`", key.name),
        None => format!("for example {}", example::quoted(table, key)),
    }
}

/// The address that is given for a list of tables that have one.
fn inner_address(key: &'static Key, found: &DeValue<'_>) -> Option<String> {
    let Kind::Tables(inner) = key.kind else { return None };
    let address = inner.key("address")?;
    match found {
        DeValue::String(text) if text.parse::<SocketAddr>().is_ok() => Some(format!("\"{text}\"")),
        DeValue::Integer(_) => meant(inner, address, found),
        _ => None,
    }
}

/// The value that was given, as this key takes it.
fn meant(table: &'static Table, key: &'static Key, found: &DeValue<'_>) -> Option<String> {
    match (key.kind, found) {
        (Kind::Flag, DeValue::String(text)) => flag(text).map(|flag| flag.to_string()),
        (Kind::Flag, DeValue::Integer(number)) => {
            flag(number.as_str()).map(|flag| flag.to_string())
        }
        (Kind::Int(..) | Kind::AutoInt(..), DeValue::String(text)) => {
            text.trim().parse::<i64>().ok().map(|number| number.to_string())
        }
        (Kind::Text, DeValue::Integer(number)) => {
            let port = number.as_str().parse().ok()?;
            let mut address: SocketAddr = example::value(table, key)?.as_str()?.parse().ok()?;
            address.set_port(port);
            Some(format!("\"{address}\""))
        }
        (Kind::Nodes(_), DeValue::String(node)) => nodes(&[node]),
        (Kind::Nodes(_), DeValue::Array(list)) => {
            nodes(&list.iter().map(|node| node.get_ref().as_str()).collect::<Option<Vec<_>>>()?)
        }
        (Kind::Table(inner), DeValue::String(url)) if inner.key("nodes").is_some() => upstream(url),
        (Kind::Words(words), DeValue::String(text)) if words.words.contains(&&**text) => {
            Some(format!("[\"{text}\"]"))
        }
        _ => None,
    }
}

/// The words of nginx, YAML and C.
fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Some(true),
        "false" | "off" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// An upstream with one node, of a URL or of a host and its port.
fn upstream(url: &str) -> Option<String> {
    let (tls, rest) = match url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) => return None,
        None => (false, url),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(legal) {
        return None;
    }
    let tls = if tls { ", scheme = \"https\", tls = { ca = \"system\" }" } else { "" };
    Some(format!("{{ nodes = {}{tls} }}", nodes(&[host])?))
}

/// A table of these nodes, each with the same weight.
fn nodes(nodes: &[&str]) -> Option<String> {
    const NODES_MAX: usize = 4;
    let known = !nodes.is_empty() && nodes.len() <= NODES_MAX;
    let entry = |node: &&str| format!("{} = 1", Value::String((*node).to_owned()));
    known.then(|| format!("{{ {} }}", nodes.iter().map(entry).collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::de::DeTable;

    use super::*;
    use crate::describe::every_table;
    use crate::place::Place;
    use crate::problem::{Problem, Problems};
    use crate::raw::Reader;
    use crate::source::Source;

    /// One of every type that TOML has, and lists and tables of the wrong things.
    const VALUES: [&str; 12] = [
        "'x'",
        "7",
        "-7",
        "0.5",
        "true",
        "1979-05-27",
        "[7]",
        "['x', ['y']]",
        "[[['x']]]",
        "{ x = 7 }",
        "{ x = { y = [{}] } }",
        "[{ x = 1979-05-27 }]",
    ];

    fn problems(table: &'static Table, key: &Key, value: &str) -> Vec<Problem> {
        let text = format!("{} = {value}", key.name);
        let mut problems = Problems::of(Source::new(Path::new("f"), &text));
        let parsed = DeTable::parse(&text).unwrap();
        let mut reader = Reader { text: &text, env: &|_| None, problems: &mut problems, at: None };
        reader.table(table, parsed.get_ref(), Place::default(), "t".to_owned());
        let own = |problem: &&Problem| problem.field.starts_with(&format!("t.{}", key.name));
        problems.iter().filter(own).cloned().collect()
    }

    /// Whatever stands behind a key, the message has its place, its path, and a line that would do.
    #[test]
    fn every_wrong_type_of_every_key_is_answered_with_an_example() {
        let mut wrong = 0;
        for table in every_table() {
            for key in table.keys {
                let values = VALUES.iter().flat_map(|value| problems(table, key, value));
                for problem in values.filter(|problem| problem.message.contains(" is wanted")) {
                    wrong += 1;
                    let said = format!("{}.{}: {problem:?}", table.name, key.name);
                    assert!(problem.place.start > 0, "{said}");
                    let help = problem.help.as_deref().expect(&said);
                    assert!(help.contains('`') && !help.contains("= ...`"), "{said}");
                }
            }
        }
        assert!(wrong > 800, "{wrong}");
    }

    /// The examples are right: none of them is told to be of the wrong type.
    #[test]
    fn every_example_is_of_the_right_type() {
        for table in every_table() {
            for key in table.keys {
                let line = example::quoted(table, key);
                let value = match line.split_once("below it ") {
                    Some((_, keys)) => format!("[{{ {} }}]", keys.replace('`', "")),
                    None => line.trim_matches('`').split_once(" = ").unwrap().1.to_owned(),
                };
                let found = problems(table, key, &value);
                let wrong = found.iter().any(|problem| problem.message.contains(" is wanted"));
                assert!(!wrong, "{}: {line}: {found:?}", table.name);
            }
        }
    }

    #[test]
    fn what_was_meant_is_written_out() {
        for (path, value, help) in [
            ("listen.address", "443", "write `address = \"0.0.0.0:443\"`"),
            ("metrics.listen", "9100", "write `listen = \"127.0.0.1:9100\"`"),
            ("listen.tls", "'true'", "write `tls = true`"),
            ("listen.tls", "'off'", "write `tls = false`"),
            ("http.max_headers", "'100'", "write `max_headers = 100`"),
            ("upstreams.nodes", "['a:80']", "write `nodes = { \"a:80\" = 1 }`"),
            ("upstreams.nodes", "['a', 'b']", "write `nodes = { \"a\" = 1, \"b\" = 1 }`"),
            ("upstreams.nodes", "'a:80'", "write `nodes = { \"a:80\" = 1 }`"),
            ("routes.methods", "'GET'", "write `methods = [\"GET\"]`"),
            ("ssls.client.ca", "[['a']]", "for example `ca = [\"/etc/ferrule/ca-2024.pem\"]`"),
            (".listen", "443", "write `[[listen]]`, and below it `address = \"0.0.0.0:443\"`"),
            (".listen", "'[::]:443'", "write `[[listen]]`, and below it `address = \"[::]:443\"`"),
            (".listen", "'a'", "for example `[[listen]]`, and below it `address = \"0.0.0.0:80\"`"),
            ("routes.upstream", "'a:80'", "write `upstream = { nodes = { \"a:80\" = 1 } }`"),
            (
                "routes.upstream",
                "'https://a.test/x'",
                "write `upstream = { nodes = { \"a.test\" = 1 }, scheme = \"https\", tls = { ca = \"system\" } }`",
            ),
            ("http.send_timeout", "30", "write `send_timeout = \"30s\"`"),
        ] {
            let (name, key) = path.rsplit_once('.').unwrap();
            let table = every_table().into_iter().find(|table| table.name == name).unwrap();
            let found = problems(table, table.key(key).unwrap(), value);
            assert_eq!(found[0].help.as_deref(), Some(help), "{path} = {value}: {found:?}");
        }
    }
}
