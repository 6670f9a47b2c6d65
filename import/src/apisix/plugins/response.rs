//! `response-rewrite` becomes `response`.

use toml::Value as Toml;

use crate::document::{Entry, Value};
use crate::fields::{Fields, Item, Path, plain, put};

use super::super::expression;
use super::super::template::{Captures, literal, template};
use super::Target;
use super::body_filters::filters;
use super::rewrite::name;

/// The largest body that is searched here.
const FILTER_BODY_MAX: i64 = 16 << 20;

pub(super) fn response_rewrite(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let vars = fields.with("vars", |item| expression::vars(&item));
    let vars = match (vars, target.filter.take()) {
        (Some(Toml::Array(mut vars)), Some(Toml::Array(filter))) => {
            vars.extend(filter);
            Some(Toml::Array(vars))
        }
        (vars, filter) => vars.or(filter),
    };
    put(&mut table, "vars", vars);
    put(&mut table, "status", fields.with("status_code", |item| item.integer(200..=598)));
    let is_base64 = fields.with("body_base64", |item| item.flag()).unwrap_or(false);
    let body = fields.with("body", |item| {
        let body = item.text()?;
        let decoded = is_base64.then(|| data_encoding::BASE64.decode(body.as_bytes()));
        if body.is_empty() && is_base64 || matches!(decoded, Some(Err(_))) {
            item.invalid("this is no base64");
            return None;
        }
        Some(body.to_owned())
    });
    if is_base64 {
        put(&mut table, "body_base64", body);
    } else {
        put(&mut table, "body", body.map(|body| literal(&body)));
    }
    fields.exclusive("body", "filters");
    let found = fields.with("filters", |item| filters(&item));
    if found.is_some() {
        let most = fields.with("max_resp_body_size", |item| item.integer(1..=i64::MAX));
        fields.item().changed(
            "what `filters` cannot search is answered with 502: a body that is encoded although it was not asked for, a \
             part, an event stream, and one of more than 16 MiB",
        );
        // There what is beyond it is left out, and without it nothing is.
        let cut = most.filter(|most| *most <= FILTER_BODY_MAX).map(|_| "cut");
        put(&mut table, "filter_oversize", cut);
        let most = most.map(|most| most.min(FILTER_BODY_MAX));
        put(&mut table, "filter_max_body_size", Some(most.unwrap_or(FILTER_BODY_MAX)));
    }
    put(&mut table, "filters", found);
    fields.ignore(&["max_resp_body_size"]);
    put(&mut table, "headers", fields.with("headers", headers).filter(|table| !table.is_empty()));
    put(target.table, "response", Some(table));
}

/// `{add: ["Name: value"], set: {}, remove: []}`, or name = value alone, which sets.
fn headers(item: Item<'_>) -> Option<toml::Table> {
    let is_new = ["add", "set", "remove"].iter().any(|key| {
        item.node
            .get(key)
            .is_some_and(|node| matches!(node.value, Value::Table(_) | Value::List(_)))
    });
    let mut table = toml::Table::new();
    let mut removed = Vec::new();
    if is_new {
        let fields = item.fields()?;
        let add = fields.with("add", |item| added(&item));
        put(&mut table, "add", add.filter(|lines| !lines.is_empty()));
        let set = fields.with("set", |item| set(&item, &mut removed));
        put(&mut table, "set", set.filter(|lines| !lines.is_empty()));
        let names = fields
            .with("remove", |item| item.each(0, |item| name(&item, item.filled()?).map(plain)));
        removed.extend(names.unwrap_or_default());
        fields.finish();
    } else {
        let set = set(&item, &mut removed)?;
        put(&mut table, "set", Some(set).filter(|set| !set.is_empty()));
    }
    put(&mut table, "remove", (!removed.is_empty()).then_some(Toml::Array(removed)));
    Some(table)
}

/// An empty value takes the field away.
fn set(item: &Item<'_>, removed: &mut Vec<Toml>) -> Option<toml::Table> {
    let mut table = toml::Table::new();
    for Entry { key, node, .. } in item.lines()? {
        let path = Path::Key(item.path, key);
        let line = Item { node, path: &path, work: item.work };
        if let (Some(name), Some(value)) = (name(&line, key), line.header_value(Captures::None)) {
            if value.is_empty() {
                removed.push(plain(name));
            } else {
                table.insert(name.to_owned(), Toml::String(value));
            }
        }
    }
    Some(table)
}

fn added(item: &Item<'_>) -> Option<toml::Table> {
    let mut table = toml::Table::new();
    item.each(0, |item| {
        let text = item.filled()?;
        let Some((key, value)) = text.split_once(':') else {
            item.invalid("a field to add is \"Name: value\"");
            return None;
        };
        if value.contains(['\r', '\n', '\0']) {
            item.invalid("a header holds no line break");
            return None;
        }
        let value = Toml::String(template(value.trim(), Captures::None));
        let values =
            table.entry(name(&item, key.trim())?).or_insert_with(|| Toml::Array(Vec::new()));
        if let Toml::Array(values) = values {
            values.push(value);
        }
        Some(())
    })?;
    Some(table)
}
