//! `upstreams`, and those within routes and services.

use std::collections::BTreeMap;

use toml::Value as Toml;

use crate::document::{Entry, Value};
use crate::fields::{Fields, Item, plain, put};
use crate::report::Kind;
use crate::work::Pem;

use super::checks;
use super::leads::DROP;
use super::objects::{Object, Objects, describe, reference};

const LARGE: i64 = 1_000_000_000;

/// An object of its own.
pub(super) fn convert(
    fields: &Fields<'_>,
    object: &Object<'_>,
    objects: &Objects<'_>,
) -> toml::Table {
    let mut table = inside(fields, objects);
    put(&mut table, "id", object.id.clone());
    table
}

/// One that stands within another object.
pub(super) fn inline(item: Item<'_>, objects: &Objects<'_>) -> Option<toml::Table> {
    let fields = item.fields()?;
    let table = inside(&fields, objects);
    fields.finish();
    Some(table)
}

fn inside(fields: &Fields<'_>, objects: &Objects<'_>) -> toml::Table {
    let mut table = toml::Table::new();
    describe(fields, &mut table);
    balance(fields, objects, &mut table);
    let scheme = fields.with("scheme", |item| match item.text()? {
        scheme @ ("http" | "https") => Some(scheme.to_owned()),
        "grpc" | "grpcs" | "tcp" | "tls" | "udp" | "kafka" => {
            item.refuse("only HTTP/1.1 is spoken to nodes");
            None
        }
        _ => item.word(&["http", "https"]).map(str::to_owned),
    });
    let is_https = scheme.as_deref() == Some("https");
    put(&mut table, "scheme", scheme);
    for key in ["service_name", "discovery_type", "discovery_args"] {
        fields.refuse(
            key,
            "there is no service discovery: name the nodes; a DNS name is resolved again and again",
        );
    }
    let nodes = fields.need("nodes", nodes);
    put(&mut table, "nodes", nodes);
    let pass = fields.with("pass_host", |item| item.word(&["pass", "node", "rewrite"]));
    put(&mut table, "pass_host", pass);
    let host = fields.with("upstream_host", |item| item.filled().map(plain));
    match (pass, &host) {
        (Some("rewrite"), None) => {
            fields.item().invalid("`pass_host` is \"rewrite\", and `upstream_host` is missing");
        }
        (Some("rewrite"), Some(_)) => put(&mut table, "upstream_host", host),
        _ => {}
    }
    retries(fields, &mut table);
    put(&mut table, "timeout", fields.with("timeout", timeout));
    put(&mut table, "keepalive_pool", fields.with("keepalive_pool", keepalive_pool));
    let tls = fields.with("tls", |item| tls(item, objects, is_https));
    if is_https {
        let unverified = || {
            let message = "its nodes were not verified (`tls.verify`), and are not: whoever stands between is \
                           believed. Set tls.ca, and tls.verify = \"full\"";
            fields.item().say(Kind::Security, message);
            [("verify".to_owned(), Toml::from("off"))].into_iter().collect::<toml::Table>()
        };
        let tls = match tls {
            Some(mut tls) if !tls.contains_key("verify") => {
                tls.extend(unverified());
                tls
            }
            Some(tls) => tls,
            None => unverified(),
        };
        put(&mut table, "tls", Some(tls));
    }
    let unverified =
        !is_https || table.get("tls").and_then(|tls| tls.get("verify")) == Some(&Toml::from("off"));
    put(&mut table, "checks", fields.with("checks", |item| checks::convert(item, unverified)));
    table
}

fn balance(fields: &Fields<'_>, objects: &Objects<'_>, table: &mut toml::Table) {
    let words = ["roundrobin", "chash", "ewma", "least_conn"];
    let kind = fields.with("type", |item| item.word(&words)).unwrap_or("roundrobin");
    if kind != "roundrobin" {
        put(table, "type", Some(kind));
    }
    let words = ["vars", "header", "cookie", "vars_combinations"];
    let mut by_consumer = false;
    let hash_on = fields.with("hash_on", |item| match item.text()? {
        "consumer" => {
            by_consumer = true;
            if objects.consumers.is_empty() {
                // Whoever has no name there is told by his address.
                return None;
            }
            item.refuse(
                "consumers have no names here: say `hash_on: vars`, `key: ssl_client_fingerprint`",
            );
            None
        }
        _ => item.word(&words),
    });
    let key = fields.with("key", |item| {
        let key = item.filled()?;
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if matches!(hash_on, Some("header" | "cookie")) && !key.bytes().all(bare) {
            item.invalid("the name of a header or cookie is letters, digits, `-` and `_`");
            return None;
        }
        Some(match hash_on {
            Some("vars_combinations") => {
                Toml::String(super::template::template(key, super::template::Captures::None))
            }
            None | Some("vars") => plain(super::template::renamed(key)),
            _ => plain(key),
        })
    });
    if kind == "chash" && by_consumer {
        put(table, "key", Some("remote_addr"));
    } else if kind == "chash" {
        if !fields.has("key") {
            fields.item().invalid("`key` is missing: \"chash\" needs to know what is hashed");
        }
        put(table, "hash_on", hash_on);
        put(table, "key", key);
    }
}

fn retries(fields: &Fields<'_>, table: &mut toml::Table) {
    let retries = fields.with("retries", |item| {
        let retries = item.integer(0..=LARGE)?;
        if retries > 16 {
            item.changed("at most 16 further nodes are tried");
        }
        Some(retries.min(16))
    });
    put(table, "retries", retries);
    let timeout = fields.with("retry_timeout", |item| {
        let timeout = item.number(0.0, false)?;
        // 0 is no limit there.
        (timeout != Toml::Integer(0) && timeout != Toml::Float(0.0)).then_some(timeout)
    });
    put(table, "retry_timeout", timeout);
}

/// `timeout` of an upstream or a route.
pub(super) fn timeout(item: Item<'_>) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    for key in ["connect", "send", "read"] {
        put(&mut table, key, fields.need(key, |item| item.number(0.0, true)));
    }
    fields.finish();
    Some(table)
}

fn keepalive_pool(item: Item<'_>) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    put(&mut table, "size", fields.with("size", |item| item.integer(1..=100_000)));
    put(&mut table, "idle_timeout", fields.with("idle_timeout", |item| item.number(0.0, false)));
    put(&mut table, "requests", fields.with("requests", |item| item.integer(1..=LARGE)));
    fields.finish();
    Some(table)
}

fn tls(item: Item<'_>, objects: &Objects<'_>, is_https: bool) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    fields.exclusive("client_cert_id", "client_cert");
    fields.exclusive("client_cert_id", "client_key");
    if fields.has("client_cert") != fields.has("client_key") {
        item.invalid("`client_cert` and `client_key` belong together");
    }
    let cert = fields.with("client_cert", |item| item.pem(Pem::Certificate, "upstream-client"));
    put(&mut table, "client_cert", cert);
    let key = fields.with("client_key", |item| item.pem(Pem::Key, "upstream-client"));
    put(&mut table, "client_key", key);
    let id = reference(&fields, "client_cert_id");
    if let Some(id) = id.as_ref().filter(|id| !objects.has_client_certificate(id)) {
        item.refuse(format!("there are no `ssls` of the type \"client\" and the id {id:?}{DROP}"));
    }
    put(&mut table, "client_cert_id", id);
    let ca = fields.with("ca_certs", |item| {
        item.each(1, |item| item.pem(Pem::Certificate, "upstream-ca").map(Toml::String))
    });
    match fields.with("verify", |item| item.flag()) {
        Some(true) => {
            let trusted = item.work.settings.trusted_certificate.clone();
            let ca = ca.map(Toml::Array).or_else(|| trusted.map(Toml::String));
            let ca = ca.unwrap_or_else(|| {
                item.changed(
                    "its nodes are verified against the system's authorities: APISIX takes those of \
                     apisix.ssl.ssl_trusted_certificate (--config)",
                );
                Toml::from("system")
            });
            put(&mut table, "verify", Some("full"));
            put(&mut table, "ca", Some(ca));
        }
        Some(false) | None => {
            if ca.is_some() {
                item.refuse("`ca_certs` is there, and `verify` is not `true`: what is meant?");
            }
        }
    }
    fields.finish();
    if !is_https {
        item.say(Kind::Dropped, "the scheme is \"http\": nothing is encrypted");
    }
    Some(table)
}

/// A node, before equal ones are joined.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct NodeAt {
    host: String,
    port: Option<i64>,
    priority: i64,
}

fn nodes(item: Item<'_>) -> Option<Toml> {
    let mut nodes: BTreeMap<NodeAt, i64> = BTreeMap::new();
    let mut add = |node, weight: i64| {
        // The same node twice is one with both weights.
        let total = nodes.entry(node).or_default();
        *total = total.saturating_add(weight).min(1_000_000);
    };
    match &item.node.value {
        Value::Table(entries) => {
            for Entry { key, spot, node } in entries {
                let path = crate::fields::Path::Key(item.path, key);
                let line = Item { node, path: &path, work: item.work };
                let at = crate::document::Node { spot: *spot, value: Value::Null };
                let at = Item { node: &at, path: &path, work: item.work };
                if let (Some((host, port)), Some(weight)) =
                    (authority(&at, key), line.integer(0..=LARGE))
                {
                    add(NodeAt { host, port, priority: 0 }, weight);
                }
            }
        }
        Value::List(_) => {
            let all = item.each(0, |item| {
                let fields = item.fields()?;
                let host = fields.need("host", |item| host(&item, item.filled()?));
                let port = fields.with("port", |item| item.integer(1..=65535));
                let weight = fields.need("weight", |item| item.integer(0..=LARGE));
                let priority =
                    fields.with("priority", |item| item.integer(-LARGE..=LARGE)).unwrap_or(0);
                fields.ignore(&["metadata"]);
                fields.finish();
                add(NodeAt { host: host?, port, priority }, weight?);
                Some(())
            });
            all?;
        }
        _ => {
            item.invalid("nodes are a table of \"host:port\": weight, or a list of tables");
            return None;
        }
    }
    if nodes.is_empty() {
        let is_empty = match &item.node.value {
            Value::Table(entries) => entries.is_empty(),
            Value::List(nodes) => nodes.is_empty(),
            _ => false,
        };
        if is_empty {
            item.refuse("there is no node: APISIX answers every request with 503 then");
        }
        return None;
    }
    Some(written(nodes))
}

/// As a table, where that says everything.
fn written(nodes: BTreeMap<NodeAt, i64>) -> Toml {
    let is_ipv6 = |host: &str| host.contains(':');
    if nodes.keys().all(|node| node.priority == 0) {
        let line = |(node, weight): (NodeAt, i64)| {
            let host = if is_ipv6(&node.host) { format!("[{}]", node.host) } else { node.host };
            let port = node.port.map(|port| format!(":{port}")).unwrap_or_default();
            (format!("{host}{port}"), Toml::Integer(weight))
        };
        return Toml::Table(nodes.into_iter().map(line).collect());
    }
    let table = |(node, weight): (NodeAt, i64)| {
        let mut table = toml::Table::new();
        put(&mut table, "host", Some(node.host));
        put(&mut table, "port", node.port);
        put(&mut table, "weight", Some(weight));
        put(&mut table, "priority", Some(node.priority));
        Toml::Table(table)
    };
    Toml::Array(nodes.into_iter().map(table).collect())
}

/// `host:port`, `host`, or an IPv6 address in brackets.
fn authority(item: &Item<'_>, text: &str) -> Option<(String, Option<i64>)> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (format!("[{address}]"), None),
        Some((address, rest)) => (format!("[{address}]"), Some(rest.strip_prefix(':')?)),
        None => match text.split_once(':') {
            Some((name, port)) => (name.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => {
            match port.parse::<u16>() {
                Ok(port) if port > 0 => Some(i64::from(port)),
                _ => {
                    item.invalid("a node is \"host:port\", with a port from 1 to 65535; IPv6 stands in brackets");
                    return None;
                }
            }
        }
    };
    host(item, &name).map(|host| (host, port))
}

fn host(item: &Item<'_>, text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some(address.to_owned());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(allowed) {
        item.invalid("a host is a name or an IPv4 address, or an IPv6 address in brackets");
        return None;
    }
    Some(text.to_owned())
}
