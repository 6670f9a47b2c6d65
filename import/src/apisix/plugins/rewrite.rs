//! `proxy-rewrite` becomes `rewrite` and `headers`.

use toml::Value as Toml;

use crate::document::{Entry, Value};
use crate::fields::{Fields, Item, Path, plain, put};

use super::super::template::{Captures, template};
use super::Target;

const METHODS: [&str; 15] = [
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "LOCK",
    "UNLOCK",
    "PATCH",
    "TRACE",
    "PROPPATCH",
];

pub(super) fn proxy_rewrite(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    if fields.item().node.entries().iter().all(|entry| entry.key == "_meta") {
        fields.item().invalid(
            "it says nothing: `uri`, `regex_uri`, `host`, `method` or `headers` is needed",
        );
    }
    let uri = fields.with("uri", |item| {
        let uri = item.filled()?;
        if !uri.starts_with('/') {
            item.invalid("a path begins with `/`");
            return None;
        }
        Some(template(uri, Captures::None))
    });
    let has_uri = uri.is_some();
    put(&mut table, "uri", uri);
    let pairs = fields.with("regex_uri", |item| pairs(&item));
    let captures = if pairs.is_some() && !has_uri { Captures::Rewrite } else { Captures::None };
    // `uri` counts where both are given.
    put(&mut table, "regex_uri", pairs.filter(|_| !has_uri).map(Toml::Array));
    let host = fields.with("host", |item| {
        let host = item.filled()?;
        if host.contains('$') {
            item.refuse("a host is text, without variables");
            return None;
        }
        Some(plain(host))
    });
    put(&mut table, "host", host);
    put(&mut table, "method", fields.with("method", |item| item.word(&METHODS)));
    let as_it_came = fields.with("use_real_request_uri_unsafe", |item| item.flag());
    let is_changed = ["uri", "regex_uri"].iter().any(|key| fields.has(key));
    if as_it_came != Some(true) && !is_changed && !fields.item().is_below("global_rules") {
        // There it is sent as it was read, be it changed or not. A global rule rewrites nothing here.
        put(&mut table, "uri", Some("$uri"));
    }
    if !table.is_empty() {
        put(target.table, "rewrite", Some(table));
    }
    let headers = fields.with("headers", |item| headers(item, captures));
    put(target.table, "headers", headers.filter(|table| !table.is_empty()));
}

/// Expressions, and what stands in the place of what they match.
fn pairs(item: &Item<'_>) -> Option<Vec<Toml>> {
    let mut is_expression = false;
    let list = item.each(2, |item| {
        let text = item.filled()?;
        is_expression = !is_expression;
        if is_expression {
            return Some(plain(text));
        }
        let target = template(text, Captures::Numbered);
        if target.contains("$$") {
            item.refuse("a `$` in what a path becomes begins a variable or the number of a group");
            return None;
        }
        Some(plain(&target))
    })?;
    if list.len() % 2 != 0 {
        item.invalid("`regex_uri` is pairs of an expression and what it becomes");
        return None;
    }
    Some(list)
}

/// `{add, set, remove}`, or name = value alone, which sets.
fn headers(item: Item<'_>, captures: Captures) -> Option<toml::Table> {
    let is_new = ["add", "set", "remove"].iter().any(|key| {
        item.node
            .get(key)
            .is_some_and(|node| matches!(node.value, Value::Table(_) | Value::List(_)))
    });
    let mut table = toml::Table::new();
    if !is_new {
        let set = with_client(values(&item, captures)?);
        put(&mut table, "set", Some(set).filter(|set| !set.is_empty()));
        return Some(table);
    }
    let fields = item.fields()?;
    for key in ["add", "set"] {
        let mut lines = fields.with(key, |item| values(&item, captures));
        if key == "set" {
            lines = lines.map(with_client);
        }
        put(&mut table, key, lines.filter(|lines| !lines.is_empty()));
    }
    let remove =
        fields.with("remove", |item| item.each(0, |item| name(&item, item.filled()?).map(plain)));
    put(&mut table, "remove", remove.filter(|names| !names.is_empty()).map(Toml::Array));
    fields.finish();
    Some(table)
}

/// APISIX puts the client's address behind an `X-Forwarded-For` that was set.
fn with_client(mut set: toml::Table) -> toml::Table {
    for (name, value) in &mut set {
        if let Toml::String(text) = value
            && name.eq_ignore_ascii_case("X-Forwarded-For")
        {
            text.push_str(", ${remote_addr}");
        }
    }
    set
}

fn values(item: &Item<'_>, captures: Captures) -> Option<toml::Table> {
    let mut table = toml::Table::new();
    for Entry { key, node, .. } in item.lines()? {
        let path = Path::Key(item.path, key);
        let line = Item { node, path: &path, work: item.work };
        let value = match &node.value {
            Value::List(_) => {
                line.each(1, |item| item.header_value(captures).map(Toml::String)).map(Toml::Array)
            }
            _ => line.header_value(captures).map(Toml::String),
        };
        if let (Some(name), Some(value)) = (name(&line, key), value) {
            super::super::doubts::header(&line, name, &value.to_string());
            table.insert(name.to_owned(), value);
        }
    }
    Some(table)
}

/// The name of a header field.
pub(super) fn name<'n>(item: &Item<'_>, name: &'n str) -> Option<&'n str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(allowed) {
        item.invalid(format!("{name:?} is no name of a header"));
        return None;
    }
    Some(name)
}
