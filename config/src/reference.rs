//! The reference of the file as Markdown, from its description.

use crate::describe::foreign_keys::{FOREIGN_KEYS, Here};
use crate::describe::{Fallback, Key, Kind, Need, ROOT, Refused, Table, Why};
use crate::template::{Scope, Variable};
use crate::values::{duration_text, size_text, thousandths_text};

/// What stands in front of the tables.
const INTRODUCTION: &str = "\
# The configuration file

<!-- Made by `ferrule_config::reference()`; a check holds it to the code. Do not edit. -->

The file is TOML. An unknown key is an error, and so is one that is not supported yet.
`ferrule check -c FILE` names everything that is wrong, in one run.

* Relative paths start at the directory of the file.
* PEM is a path, or the text itself if it starts with `-----BEGIN`.
* `${env:NAME}` in a string is the value of an environment variable, put in after parsing; one that
  is not set is an error. A value from the environment is plain text: it can hold no `$variable`, and
  within other text no wildcard and no operator of an expression. Numbers and flags may come from
  the environment, too. Any other `${` in plain text is an error; `$${` is a dollar sign and a brace.
* An empty list is allowed only where it means the same as no list (`ssl_session_ticket_key`,
  `ssl_stapling_file`, `trusted_addresses`). Elsewhere leave the key out.
* Where a value may hold variables, `$name` or `${name}` is one, and `$$` is a dollar sign.
* Durations are text, such as `\"30s\"`, `\"1m 30s\"` or `\"250ms\"`; sizes are numbers of bytes or text,
  as `\"32k\"` or `\"1m\"`.
";

/// The reference of the file as Markdown: every table, key and variable.
#[must_use]
pub fn reference() -> String {
    let mut tables = Vec::new();
    gather(&ROOT, &mut tables);
    let mut out = INTRODUCTION.to_owned();
    for (table, header) in &tables {
        section(table, header, &mut out);
    }
    variables(&mut out);
    refused(&tables, &mut out);
    foreign(&mut out);
    out
}

fn foreign(out: &mut String) {
    out.push_str(
        "\n## Keys of other proxies\n\nWhat nginx, APISIX, HAProxy, Traefik, Caddy and Envoy call it, in \
         any spelling of case, `-` and `_`.\n`ferrule check` says the same of such a key.\n\n\
         | there | here |\n| --- | --- |\n",
    );
    for entry in FOREIGN_KEYS {
        let here = match entry.here {
            Here::Key(here) => here.to_owned(),
            Here::Nothing(why) => format!("not supported: {why}"),
        };
        out.extend([format!("| `{}` | {here} |\n", entry.names.replace(' ', "`, `"))]);
    }
}

/// Every table once, with how its header is written.
fn gather(table: &'static Table, tables: &mut Vec<(&'static Table, String)>) {
    if table.name.is_empty() {
        tables.push((table, "The whole file".to_owned()));
    }
    for key in table.keys {
        let (inner, many) = match key.kind {
            Kind::Table(inner) | Kind::Identity(inner) | Kind::Short(inner, _) => (inner, false),
            Kind::Tables(inner) => (inner, true),
            Kind::TableOrTables(inner) | Kind::Nodes(inner) => (inner, false),
            _ => continue,
        };
        if tables.iter().any(|(known, _)| known.name == inner.name) {
            continue;
        }
        let header =
            if many { format!("`[[{}]]`", inner.name) } else { format!("`{}`", inner.name) };
        tables.push((inner, header));
        gather(inner, tables);
    }
}

fn section(table: &Table, header: &str, out: &mut String) {
    out.extend([format!("\n## {header}\n\n{}\n\n", table.doc)]);
    out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in table.keys {
        let cells = [format!("`{}`", key.name), kind(key.kind), default(key), key.doc.to_owned()];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        out.extend([format!("| {} |\n", cells.join(" | "))]);
    }
}

fn default(key: &Key) -> String {
    match key.need {
        Need::Required => "**required**".to_owned(),
        Need::Optional(without) => without.to_owned(),
        Need::Default(Fallback::Flag(flag)) => format!("`{flag}`"),
        Need::Default(Fallback::Int(number)) => format!("`{number}`"),
        Need::Default(Fallback::Duration(duration)) => format!("`\"{}\"`", duration_text(duration)),
        Need::Default(Fallback::Size(0)) => "`0`".to_owned(),
        Need::Default(Fallback::Size(size)) => format!("`\"{}\"`", size_text(size)),
        Need::Default(Fallback::Text(text)) => format!("`{text:?}`"),
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Secret => "text".to_owned(),
        Kind::Texts | Kind::TextsOrNone | Kind::Secrets => "text or list of texts".to_owned(),
        Kind::Template => "text with variables".to_owned(),
        Kind::Flag => "flag".to_owned(),
        Kind::Int(min, max) => format!("number, {min} to {max}"),
        Kind::Ints(min, max) => format!("list of numbers, {min} to {max}"),
        Kind::AutoInt(min, max) => format!("`\"auto\"` or number, {min} to {max}"),
        Kind::Decimal(min, max) => {
            format!("number, {} to {}", thousandths_text(min), thousandths_text(max))
        }
        Kind::Duration | Kind::Skew => "duration".to_owned(),
        Kind::Seconds => "duration or seconds".to_owned(),
        Kind::Size(min, max) => format!("size, {} to {}", size_text(min), size_text(max)),
        Kind::Word(words) => format!("`\"{}\"`", words.words.join("\"`, `\"")),
        Kind::Words(words) => format!("list of `\"{}\"`", words.words.join("\"`, `\"")),
        Kind::Id => "id".to_owned(),
        Kind::Table(table) => format!("table `{}`", table.name),
        Kind::Short(table, _) => format!("text or table `{}`", table.name),
        Kind::Tables(table) => format!("list of tables `{}`", table.name),
        Kind::TableOrTables(table) => format!("table or list of tables `{}`", table.name),
        Kind::Labels => "table of texts".to_owned(),
        Kind::Identity(table) => format!("table `{}`, and name = text with variables", table.name),
        Kind::Matches => "list of texts, or of lists of texts".to_owned(),
        Kind::Conditions => "list of conditions".to_owned(),
        Kind::Lists => "table of texts, or of lists of texts".to_owned(),
        Kind::Fields(false) => "table name = text with variables".to_owned(),
        Kind::Fields(true) => "table name = text with variables, or list of them".to_owned(),
        Kind::Nodes(table) => format!("table or list of tables `{}`", table.name),
    }
}

fn variables(out: &mut String) {
    out.push_str(
        "\n## Variables\n\nNames and bytes are nginx's where nginx has them. One of scope \
         *connection* is the same for\nevery request of a connection, one of scope *log* is for \
         the access log only. `$ssl_session_id` is\nrefused: the TLS library has no accessor for \
         it.\n\n| variable | scope | value |\n| --- | --- | --- |\n",
    );
    for listed in Variable::ALL {
        let scope = match listed.scope {
            Scope::Connection => "connection",
            Scope::Request => "request",
            Scope::Log => "log",
        };
        let member = if listed.name.ends_with('_') { "NAME" } else { "" };
        out.extend([format!("| `${}{member}` | {scope} | {} |\n", listed.name, listed.doc)]);
    }
}

fn refused(tables: &[(&'static Table, String)], out: &mut String) {
    let mut sections: Vec<(&str, &[Refused])> = Vec::new();
    for (table, header) in tables {
        sections.push((header, table.refused));
        for key in table.keys {
            if let Kind::Word(words) | Kind::Words(words) = key.kind {
                sections.push((key.name, words.refused));
            }
        }
    }
    out.push_str(
        "\n## Refused\n\nKnown, and refused by name rather than taken and ignored.\n\n\
         | where | key or word | why |\n| --- | --- | --- |\n",
    );
    let mut seen = Vec::new();
    for (place, list) in sections {
        for refused in list {
            if seen.contains(&(place, refused.name)) {
                continue;
            }
            seen.push((place, refused.name));
            let why = match refused.why {
                Why::NotYet => "not supported yet",
                Why::Never(why) | Why::Unsafe(why, _) => why,
            };
            let place = if place.contains('`') || place.contains(' ') {
                place.to_owned()
            } else {
                format!("`{place}`")
            };
            out.extend([format!("| {place} | `{}` | {why} |\n", refused.name)]);
        }
    }
}
