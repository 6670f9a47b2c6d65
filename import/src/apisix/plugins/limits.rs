//! `limit-count`, `limit-req` and `limit-conn` become entries of `limits`.

use toml::Value as Toml;

use crate::document::Value;
use crate::fields::{Fields, Item, plain, put};

use super::super::template::{Captures, literal, template};
use super::Target;

const COUNT: std::ops::RangeInclusive<i64> = 1..=1_000_000_000;

pub(super) fn requests(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    fields.refuse(
        "rules",
        "write each rule as a `limit-count` of its own, or as an entry of `limits.requests`",
    );
    put(&mut table, "count", fields.need("count", |item| fixed(&item, COUNT)));
    put(&mut table, "window", fields.need("time_window", |item| fixed(&item, COUNT)));
    let kind = fields.with("window_type", |item| item.word(&["fixed", "sliding"]));
    put(&mut table, "window_type", kind);
    common(fields, &["var", "var_combination", "constant"], &mut table);
    let show = fields.with("show_limit_quota_header", |item| item.flag());
    put(&mut table, "show_headers", show);
    put(&mut table, "group", fields.with("group", |item| item.filled().map(plain)));
    add(target, "requests", table);
}

pub(super) fn rate(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    put(&mut table, "rate", fields.need("rate", |item| item.number(0.0, true)));
    put(&mut table, "burst", fields.need("burst", |item| item.number(0.0, false)));
    put(&mut table, "nodelay", fields.with("nodelay", |item| item.flag()));
    need_key(fields);
    common(fields, &["var", "var_combination"], &mut table);
    add(target, "rate", table);
}

pub(super) fn connections(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    fields.refuse("rules", "write each rule as an entry of `limits.connections`");
    put(&mut table, "connections", fields.need("conn", |item| fixed(&item, 1..=1_000_000)));
    let burst = fields.need("burst", |item| fixed(&item, 0..=1_000_000));
    let delay = fields.need("default_conn_delay", |item| item.number(0.0, true));
    let only = fields.with("only_use_default_delay", |item| item.flag());
    // Without a burst nothing is ever delayed.
    if burst != Some(0) {
        put(&mut table, "burst", burst);
        put(&mut table, "delay", delay);
        put(&mut table, "only_use_default_delay", only);
    }
    need_key(fields);
    common(fields, &["var", "var_combination"], &mut table);
    add(target, "connections", table);
}

fn need_key(fields: &Fields<'_>) {
    if !fields.has("key") {
        fields.item().refuse("`key` is missing");
    }
}

fn add(target: &mut Target<'_>, kind: &str, entry: toml::Table) {
    let limits = target.table.entry("limits").or_insert_with(|| Toml::Table(toml::Table::new()));
    if let Toml::Table(limits) = limits {
        limits.insert(kind.to_owned(), Toml::Array(vec![Toml::Table(entry)]));
    }
}

/// A number. One that a request says itself is no limit, so of `${http_conn ?? 5}` the 5 is taken.
fn fixed(item: &Item<'_>, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    if let Value::Text(text) = &item.node.value {
        let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let default = inner.and_then(|inner| inner.split_once("??")?.1.trim().parse().ok());
        if let Some(number) = default.filter(|number| range.contains(number)) {
            item.changed(format!(
                "a variable, and so perhaps the client, said this number: it is {number} now"
            ));
            return Some(number);
        }
        item.refuse("a number that a variable holds, and so perhaps the client, is not taken: write the number");
        return None;
    }
    item.integer(range)
}

/// What they have in common: what requests are told apart by, and what the others are answered with.
fn common(fields: &Fields<'_>, kinds: &'static [&'static str], table: &mut toml::Table) {
    let kind = fields.with("key_type", |item| item.word(kinds)).unwrap_or("var");
    let key = fields.with("key", |item| {
        let key = item.filled()?;
        Some(match kind {
            "constant" => literal(key),
            "var_combination" => template(key, Captures::None),
            _ => format!("${{{key}}}"),
        })
    });
    put(table, "key", Some(key.unwrap_or_else(|| String::from("${remote_addr}"))));
    let status = fields.with("rejected_code", |item| item.integer(200..=599));
    put(table, "status", status);
    put(table, "message", fields.with("rejected_msg", |item| item.filled().map(plain)));
    let words = ["local", "redis", "redis-cluster", "redis-sentinel"];
    if let Some(policy) = fields.with("policy", |item| item.word(&words))
        && policy != "local"
    {
        fields
            .item()
            .refuse(format!("`policy` is {policy:?}: each gateway counts for itself, \"local\""));
    }
    // What it does without its store, and there is none.
    let _ = fields.with("allow_degradation", |item| item.flag());
}
