//! `checks` of an upstream.

use std::ops::RangeInclusive;

use toml::Value as Toml;

use crate::fields::{Fields, Item, plain, put};

const COUNT: RangeInclusive<i64> = 1..=254;
const COUNT_OR_NONE: RangeInclusive<i64> = 0..=254;
const STATUS: RangeInclusive<i64> = 200..=599;

/// Active and passive checks. `unverified` says that the nodes' certificates count for nothing anyway.
pub(super) fn convert(item: Item<'_>, unverified: bool) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    if !fields.has("active") {
        item.invalid("`checks` needs `active`");
    }
    put(&mut table, "active", fields.with("active", |item| active(item, unverified)));
    put(&mut table, "passive", fields.with("passive", passive));
    fields.finish();
    Some(table)
}

fn active(item: Item<'_>, unverified: bool) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    put(&mut table, "type", fields.with("type", |item| item.word(&["http", "https", "tcp"])));
    put(&mut table, "timeout", fields.with("timeout", |item| item.number(0.0, true)));
    put(&mut table, "concurrency", fields.with("concurrency", |item| item.integer(1..=1000)));
    put(&mut table, "http_path", fields.with("http_path", |item| item.filled().map(plain)));
    put(&mut table, "host", fields.with("host", |item| item.filled().map(plain)));
    put(&mut table, "port", fields.with("port", |item| item.integer(1..=65535)));
    let headers = fields.with("req_headers", |item| item.texts(1));
    put(&mut table, "req_headers", headers.map(Toml::Array));
    fields.with("https_verify_certificate", |item| {
        if item.flag() == Some(false) {
            if unverified {
                table.insert("https_verify_certificate".to_owned(), Toml::Boolean(false));
            } else {
                item.changed("checks verify nodes as requests do");
            }
        }
        Some(())
    });
    let healthy = fields.with("healthy", |item| healthy(item, true));
    put(&mut table, "healthy", healthy.filter(|table| !table.is_empty()));
    let unhealthy = fields.with("unhealthy", |item| unhealthy(item, true)).unwrap_or_default();
    put(
        &mut table,
        "unhealthy",
        Some(with_statuses(unhealthy, &[429, 404, 500, 501, 502, 503, 504, 505])),
    );
    fields.finish();
    Some(table)
}

fn passive(item: Item<'_>) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    let _ = fields.with("type", |item| item.word(&["http", "https", "tcp"]));
    let healthy = fields.with("healthy", |item| healthy(item, false));
    put(&mut table, "healthy", healthy.filter(|table| !table.is_empty()));
    let unhealthy = fields.with("unhealthy", |item| unhealthy(item, false)).unwrap_or_default();
    let mut unhealthy = with_statuses(unhealthy, &[429, 500, 503]);
    for (key, count) in [("http_failures", 5), ("tcp_failures", 2), ("timeouts", 7)] {
        unhealthy.entry(key).or_insert(Toml::Integer(count));
    }
    put(&mut table, "unhealthy", Some(unhealthy));
    fields.finish();
    Some(table)
}

/// Gives the statuses that hold in APISIX where none are said.
fn with_statuses(mut table: toml::Table, statuses: &[i64]) -> toml::Table {
    table
        .entry("http_statuses")
        .or_insert_with(|| Toml::Array(statuses.iter().copied().map(Toml::Integer).collect()));
    table
}

fn statuses(fields: &Fields<'_>, table: &mut toml::Table) {
    let statuses = fields.with("http_statuses", |item| {
        item.each_once();
        item.each(1, |item| item.integer(STATUS).map(Toml::Integer))
    });
    put(table, "http_statuses", statuses.map(Toml::Array));
}

fn healthy(item: Item<'_>, active: bool) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    if active {
        put(&mut table, "interval", fields.with("interval", |item| item.integer(1..=86400)));
    }
    statuses(&fields, &mut table);
    put(&mut table, "successes", fields.with("successes", |item| item.integer(COUNT)));
    fields.finish();
    Some(table)
}

fn unhealthy(item: Item<'_>, active: bool) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    if active {
        put(&mut table, "interval", fields.with("interval", |item| item.integer(1..=86400)));
    }
    statuses(&fields, &mut table);
    let count = if active { COUNT } else { COUNT_OR_NONE };
    for key in ["http_failures", "tcp_failures", "timeouts"] {
        put(&mut table, key, fields.with(key, |item| item.integer(count.clone())));
    }
    fields.finish();
    Some(table)
}
