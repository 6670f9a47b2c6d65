//! `limit-count`, `limit-req` and `limit-conn` become entries of `limits`.

use toml::Value as Toml;

use crate::document::Value;
use crate::fields::{Fields, Item, plain, put};

use super::super::template::{Captures, literal, renamed, template};
use super::{Target, stores};

const POLICIES: [&str; 4] = ["local", "redis", "redis-cluster", "redis-sentinel"];

const COUNT: std::ops::RangeInclusive<i64> = 1..=1_000_000_000;

pub(super) fn requests(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    if fields.has("rules") {
        return refuse_rules(fields, "requests");
    }
    let count = whole(fields, "count", "count", &mut table, COUNT);
    put(&mut table, "count", count);
    let window = whole(fields, "time_window", "window", &mut table, COUNT);
    put(&mut table, "window", window);
    let kind = fields.with("window_type", |item| item.word(&["fixed", "sliding"]));
    put(&mut table, "window_type", kind);
    common(fields, &["var", "var_combination", "constant"], &mut table);
    let show = fields.with("show_limit_quota_header", |item| item.flag());
    put(&mut table, "show_headers", show);
    put(&mut table, "group", fields.with("group", |item| item.filled().map(plain)));
    match fields.with("policy", |item| item.word(&POLICIES)) {
        Some(policy @ ("redis" | "redis-cluster")) => stores::store(fields, policy, &mut table),
        Some("redis-sentinel") => fields.item().refuse(
            "`policy` is \"redis-sentinel\": name the server that writes, with `policy: redis`",
        ),
        _ => without_store(fields),
    }
    add(target, "requests", table);
}

pub(super) fn rate(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let rate = decimal(fields, "rate", &mut table, true);
    put(&mut table, "rate", rate);
    let burst = decimal(fields, "burst", &mut table, false);
    put(&mut table, "burst", burst);
    put(&mut table, "nodelay", fields.with("nodelay", |item| item.flag()));
    need_key(fields);
    common(fields, &["var", "var_combination"], &mut table);
    local(fields);
    add(target, "rate", table);
}

pub(super) fn connections(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    if fields.has("rules") {
        return refuse_rules(fields, "connections");
    }
    let most = whole(fields, "conn", "connections", &mut table, 1..=1_000_000);
    put(&mut table, "connections", most);
    let burst = whole(fields, "burst", "burst", &mut table, 0..=1_000_000);
    let delay = fields.need("default_conn_delay", |item| item.number(0.0, true));
    let only = fields.with("only_use_default_delay", |item| item.flag());
    // Without a burst nothing is ever delayed.
    if burst != Some(0) || table.contains_key("burst_from") {
        put(&mut table, "burst", burst);
        put(&mut table, "delay", delay);
        put(&mut table, "only_use_default_delay", only);
    }
    need_key(fields);
    common(fields, &["var", "var_combination"], &mut table);
    local(fields);
    add(target, "connections", table);
}

/// Rules of a plugin. APISIX overlooks one whose key has no value, and so what stands beside them is not needed.
fn refuse_rules(fields: &Fields<'_>, kind: &str) {
    let message = format!(
        "write each rule as an entry of `limits.{kind}`, with a key that always has a value"
    );
    fields.refuse("rules", &message);
    fields.ignore(&RULED);
}

/// What may stand beside `rules`.
const RULED: [&str; 12] = [
    "allow_degradation",
    "burst",
    "conn",
    "count",
    "default_conn_delay",
    "key",
    "key_type",
    "only_use_default_delay",
    "policy",
    "rejected_code",
    "rejected_msg",
    "show_limit_quota_header",
];

fn need_key(fields: &Fields<'_>) {
    if !fields.has("key") {
        fields.item().invalid("`key` is missing");
    }
}

fn add(target: &mut Target<'_>, kind: &str, entry: toml::Table) {
    let limits = target.table.entry("limits").or_insert_with(|| Toml::Table(toml::Table::new()));
    if let Toml::Table(limits) = limits {
        limits.insert(kind.to_owned(), Toml::Array(vec![Toml::Table(entry)]));
    }
}

/// A number, or what says it: `${http_conn ?? 5}` is what the field says, and 5 without one.
fn number<T>(
    fields: &Fields<'_>,
    names: LimitKeys,
    table: &mut toml::Table,
    read: impl Fn(&Item<'_>) -> Option<T>,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    fields.need(names.there, |item| {
        let Value::Text(text) = &item.node.value else { return read(&item) };
        if let Some(number) = parse(text) {
            return Some(number);
        }
        let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let said = inner.and_then(|inner| inner.split_once("??"));
        let number = said.and_then(|(name, default)| {
            let number = parse(default.trim())?;
            let name = name.trim();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            (!name.is_empty() && name.bytes().all(is_name)).then(|| {
                let key = format!("{}_from", names.here);
                put(table, &key, Some(format!("${{{name}}}")));
                number
            })
        });
        if number.is_none() {
            item.refuse(
                "a number, or a variable with the number that holds where it has no value: \
                 `${http_NAME ?? 5}`",
            );
        }
        number
    })
}

/// What a number is called there, and here.
#[derive(Clone, Copy)]
struct LimitKeys {
    there: &'static str,
    here: &'static str,
}

/// A whole number within these bounds.
fn whole(
    fields: &Fields<'_>,
    there: &'static str,
    here: &'static str,
    table: &mut toml::Table,
    range: std::ops::RangeInclusive<i64>,
) -> Option<i64> {
    let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
    let read = |item: &Item<'_>| item.integer(range.clone());
    number(fields, LimitKeys { there, here }, table, read, parse)
}

/// A number that may have decimals: more than 0, or 0 as well.
fn decimal(
    fields: &Fields<'_>,
    key: &'static str,
    table: &mut toml::Table,
    exclusive: bool,
) -> Option<Toml> {
    let parse = |text: &str| {
        let number: f64 = text.parse().ok()?;
        let fits = if exclusive { number > 0.0 } else { number >= 0.0 };
        (fits && number.is_finite()).then_some(Toml::Float(number))
    };
    let read = |item: &Item<'_>| item.number(0.0, exclusive);
    number(fields, LimitKeys { there: key, here: key }, table, read, parse)
}

/// What they have in common: what requests are told apart by, and what the others are answered with.
fn common(fields: &Fields<'_>, kinds: &'static [&'static str], table: &mut toml::Table) {
    let kind = fields.with("key_type", |item| item.word(kinds)).unwrap_or("var");
    let key = fields.with("key", |item| {
        let key = item.filled()?;
        Some(match kind {
            "constant" => literal(key),
            "var_combination" => template(key, Captures::None),
            _ => format!("${{{}}}", renamed(key)),
        })
    });
    put(table, "key", Some(key.unwrap_or_else(|| String::from("${remote_addr}"))));
    let status = fields.with("rejected_code", |item| item.integer(200..=599));
    put(table, "status", status);
    put(table, "message", fields.with("rejected_msg", |item| item.filled().map(plain)));
}

/// Only `limit-count` is counted in a store.
fn local(fields: &Fields<'_>) {
    if let Some(policy) = fields.with("policy", |item| item.word(&POLICIES))
        && policy != "local"
    {
        fields.item().refuse(format!(
            "`policy` is {policy:?}: gateways exchange counts in intervals, and what this plugin counts \
             changes within milliseconds; each gateway counts it for itself, \"local\""
        ));
    }
    without_store(fields);
}

/// What it does without its store, and there is none.
fn without_store(fields: &Fields<'_>) {
    let _ = fields.with("allow_degradation", |item| item.flag());
}
