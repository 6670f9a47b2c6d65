//! Plugins of a few keys.

use toml::Value as Toml;

use crate::document::{Node, Value};
use crate::fields::{Fields, Item, plain, put};

use super::super::objects::{Object, Objects, id_of};
use super::super::template::literal;
use super::rewrite::name;
use super::{Target, has, push};

pub(super) fn client_control(fields: &Fields<'_>, target: &mut Target<'_>) {
    let size = fields.with("max_body_size", |item| item.integer(0..=i64::MAX));
    let item = fields.item();
    if !item.is_below("global_rules") {
        put(target.table, "client_max_body_size", size);
        return;
    }
    // What holds for every request that no route says more about is a key of `[http]`.
    let known = item.work.max_body_size.replace(size);
    if known.is_some() && known != size {
        item.refuse("another global rule has another size");
    }
}

pub(super) fn prometheus(fields: &Fields<'_>, _target: &mut Target<'_>) {
    let _ = fields.with("prefer_name", |item| item.flag());
    *fields.item().work.metrics.borrow_mut() = true;
    fields
        .item()
        .changed("metrics are those of docs/metrics.md, of all routes, on [metrics] listen");
}

pub(super) fn ip_restriction(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    if fields.has("whitelist") == fields.has("blacklist") {
        fields.item().invalid("exactly one of `whitelist` and `blacklist` is needed");
    }
    for (key, ours) in [("whitelist", "allow_addrs"), ("blacklist", "deny_addrs")] {
        put(&mut table, ours, fields.with(key, |item| item.networks(1)).map(Toml::Array));
    }
    let status = fields.with("response_code", |item| item.integer(403..=404));
    put(&mut table, "addrs_status", status);
    let message = fields.with("message", |item| item.filled().map(plain));
    put(&mut table, "addrs_message", message);
    push(target.table, "client", table);
}

/// Who a client is holds for everything that asks for its address, so it becomes a key of `[http]` wherever it stands.
pub(super) fn real_ip(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    put(&mut table, "source", fields.need("source", |item| item.filled().map(plain)));
    let trusted = fields.with("trusted_addresses", |item| item.networks(1));
    if trusted.is_none() {
        fields
            .item()
            .refuse("`trusted_addresses` is missing: without it anybody could say who he is");
    }
    put(&mut table, "trusted_addresses", trusted.map(Toml::Array));
    put(&mut table, "recursive", fields.with("recursive", |item| item.flag()));
    let item = fields.item();
    if target.objects.routes.iter().any(|route| chosen_by_address(route.node)) {
        item.refuse(
            "a route is chosen by the address of a client, for which APISIX takes that of the connection, before \
             `real-ip`, and Ferrule that of `real-ip`: restrict addresses with `ip-restriction`",
        );
    }
    if !item.is_below("global_rules") {
        if holds_elsewhere(target.objects) {
            item.refuse(
                "the address of a client is found in one way for every request, and other routes or a global rule have \
                 no `real-ip`: whom they let in would say himself who he is; put it into a global rule, or run a \
                 process of its own for this route",
            );
        }
        item.changed(
            "the address of a client is found in this way for every request, also where no route is found",
        );
    }
    let mut known = item.work.real_ip.borrow_mut();
    match &*known {
        Some(other) if *other != table => {
            item.refuse(
                "a client has one address, and another use of this plugin has other settings",
            );
        }
        _ => *known = Some(table),
    }
}

/// Is a route chosen by who its client is?
fn chosen_by_address(route: &Node) -> bool {
    let is_set = |key: &str| route.get(key).is_some_and(|node| node.value != Value::Null);
    is_set("remote_addr") || is_set("remote_addrs") || route.get("vars").is_some_and(names_address)
}

/// Does a list name the variable, however deep?
fn names_address(node: &Node) -> bool {
    match &node.value {
        Value::List(nodes) => nodes.iter().any(names_address),
        Value::Text(text) => text == "remote_addr",
        _ => false,
    }
}

/// Is there something that `real-ip` of routes and services does not hold for?
fn holds_elsewhere(objects: &Objects<'_>) -> bool {
    const ASKS: [&str; 4] = ["ip-restriction", "limit-conn", "limit-count", "limit-req"];
    let everywhere = objects.global_rules.iter();
    let mut everywhere = everywhere.filter(|rule| ASKS.iter().any(|name| has(rule.node, name)));
    let other = |route: &Object<'_>| {
        let id = |key: &str| route.node.get(key).and_then(id_of);
        let config = id("plugin_config_id").and_then(|id| Some(objects.plugin_config(&id)?.node));
        let service = id("service_id").and_then(|id| Some(objects.service(&id)?.node));
        let nodes = [Some(route.node), config, service];
        !nodes.into_iter().flatten().any(|node| has(node, "real-ip"))
    };
    everywhere.next().is_some() || objects.routes.iter().any(other)
}

/// There is one id for all requests, so it becomes a global rule wherever it stands.
pub(super) fn request_id(fields: &Fields<'_>, _target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let header = fields.with("header_name", |item| name(&item, item.filled()?).map(plain));
    put(&mut table, "header_name", Some(header.unwrap_or_else(|| plain("X-Request-Id"))));
    let shown = fields.with("include_in_response", |item| item.flag());
    put(&mut table, "include_in_response", shown);
    let words = ["uuid", "nanoid", "range_id", "ksuid"];
    put(&mut table, "algorithm", fields.with("algorithm", |item| item.word(&words)));
    let range = fields.with("range_id", |item| {
        let fields = item.fields()?;
        let mut table = toml::Table::new();
        put(&mut table, "char_set", fields.with("char_set", |item| item.filled().map(plain)));
        put(&mut table, "length", fields.with("length", |item| item.integer(6..=256)));
        fields.finish();
        Some(table)
    });
    put(&mut table, "range_id", range);
    let item = fields.item();
    if !item.is_below("global_rules") {
        item.changed("the id is one of every request, also of those of other routes and of none");
    }
    let mut known = item.work.request_id.borrow_mut();
    match &*known {
        Some(other) if *other != table => {
            item.refuse("requests have one id, and another use of this plugin has other settings");
        }
        _ => *known = Some(table),
    }
}

pub(super) fn api_breaker(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let code = fields.need("break_response_code", |item| item.integer(200..=599));
    put(&mut table, "break_response_code", code);
    let body = fields.with("break_response_body", |item| item.text().map(plain));
    put(&mut table, "break_response_body", body);
    let headers = fields.with("break_response_headers", break_headers);
    put(&mut table, "break_response_headers", headers);
    put(
        &mut table,
        "max_breaker_sec",
        fields.with("max_breaker_sec", |item| item.integer(3..=86400)),
    );
    for (key, count, range) in
        [("unhealthy", "failures", 500..=599), ("healthy", "successes", 200..=499)]
    {
        let side = fields.with(key, |item| {
            let fields = item.fields()?;
            let mut table = toml::Table::new();
            let statuses = fields.with("http_statuses", |item| {
                item.each_once();
                item.each(1, |item| item.integer(range.clone()).map(Toml::Integer))
            });
            put(&mut table, "http_statuses", statuses.map(Toml::Array));
            put(&mut table, count, fields.with(count, |item| item.integer(1..=1000)));
            fields.finish();
            Some(table)
        });
        put(&mut table, key, side);
    }
    put(target.table, "api_breaker", Some(table));
}

/// A list of `{key, value}`.
fn break_headers(item: Item<'_>) -> Option<toml::Table> {
    let mut table = toml::Table::new();
    item.each(1, |item| {
        let fields = item.fields()?;
        let key = fields.need("key", |item| Some(name(&item, item.filled()?)?.to_owned()));
        let value = fields.need("value", |item| {
            let value = item.filled()?;
            if value.contains('$') {
                item.changed("variables in the headers of this answer are not filled in");
            }
            if let Value::Text(text) = &item.node.value
                && text.contains(['\r', '\n', '\0'])
            {
                item.invalid("a header holds no line break");
                return None;
            }
            Some(literal(value))
        });
        fields.finish();
        table.insert(key?, Toml::String(value?));
        Some(())
    })?;
    (!table.is_empty()).then_some(table)
}
