//! `routes`.

use toml::Value as Toml;

use crate::fields::{Fields, Item, network, plain, put};

use super::expression;
use super::objects::{Object, Objects, describe, reference};
use super::plugins::{Plugins, Sought};
use super::service::{overridden, put_upstream};
use super::upstream;

const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE"];

/// One route.
pub(super) fn convert(
    fields: &Fields<'_>,
    object: &Object<'_>,
    objects: &Objects<'_>,
) -> toml::Table {
    let mut table = toml::Table::new();
    put(&mut table, "id", object.id.clone());
    describe(fields, &mut table);
    matching(fields, &mut table);
    put(&mut table, "timeout", fields.with("timeout", upstream::timeout));
    let websocket = fields.with("enable_websocket", |item| item.flag());
    put(&mut table, "enable_websocket", websocket);
    for key in ["script", "script_id", "filter_func"] {
        fields.refuse(key, "the gateway runs no scripts: conditions are `vars`");
    }
    put_upstream(fields, objects, &mut table);
    let service = reference(fields, "service_id").and_then(|id| {
        let found = objects.service(&id);
        if found.is_none() {
            fields.item().refuse(format!("there is no service of the id {id:?}"));
        }
        put(&mut table, "service_id", Some(id));
        found
    });
    let config = reference(fields, "plugin_config_id").and_then(|id| {
        let found = objects.plugin_config(&id);
        if found.is_none() {
            fields.item().refuse(format!("there is no plugin config of the id {id:?}"));
        }
        found
    });
    let work = fields.item().work;
    fields.ignore(&["plugins"]);
    let mut plugins = Plugins::of_object(object, work);
    if let Some(config) = config {
        plugins.add_missing(Plugins::of_object(config, work));
    }
    if let Some(service) = service {
        let apart = overridden(service, objects);
        plugins.add_missing(Plugins::of_object(service, work).only(&apart));
    }
    table.extend(plugins.convert(&Sought::All, objects, work));
    let service_leads = service.is_some_and(|service| {
        ["upstream", "upstream_id"].iter().any(|key| service.node.get(key).is_some())
    });
    let leads = ["upstream", "upstream_id", "redirect", "return"];
    let leads = leads.iter().any(|key| table.contains_key(*key));
    if !leads && !service_leads && !fields.has("upstream") && !fields.has("upstream_id") {
        let message =
            "it leads nowhere, as there is no upstream: such requests get 503, as they did";
        fields.item().changed(message);
        let answer = [("status".to_owned(), Toml::Integer(503))];
        put(&mut table, "return", Some(answer.into_iter().collect::<toml::Table>()));
    }
    table
}

/// Which requests it is for.
fn matching(fields: &Fields<'_>, table: &mut toml::Table) {
    for (one, many, read) in [
        ("uri", "uris", plain as fn(&str) -> Toml),
        ("host", "hosts", plain),
        ("remote_addr", "remote_addrs", network),
    ] {
        fields.exclusive(one, many);
        put(table, one, fields.with(one, |item| item.filled().map(read)));
        let list = fields.with(many, |item| {
            item.each_once();
            item.each(1, |item| item.filled().map(read))
        });
        put(table, many, list.map(Toml::Array));
    }
    if fields.item().work.tail_slash {
        with_tail_slashes(table);
    }
    if !fields.has("uri") && !fields.has("uris") {
        fields.item().refuse("`uri` or `uris` is missing");
    }
    put(table, "methods", fields.with("methods", |item| methods(&item)));
    let priority =
        fields.with("priority", |item| item.integer(i64::from(i32::MIN)..=i64::from(i32::MAX)));
    put(table, "priority", priority);
    let vars = fields.with("vars", |item| expression::vars(&item));
    put(table, "vars", vars.filter(|vars| vars.as_array().is_some_and(|list| !list.is_empty())));
}

/// Each whole path with a slash behind it as well: what `delete_uri_tail_slash` overlooks.
fn with_tail_slashes(table: &mut toml::Table) {
    let one = table.remove("uri").map(|uri| vec![uri]);
    let many = table.remove("uris").and_then(|uris| uris.as_array().cloned());
    let mut all = one.or(many).unwrap_or_default();
    let whole = |uri: &Toml| {
        let uri = uri.as_str().filter(|uri| !uri.ends_with(['*', '/']))?;
        Some(Toml::String(format!("{uri}/")))
    };
    let further: Vec<Toml> =
        all.iter().filter_map(whole).filter(|uri| !all.contains(uri)).collect();
    all.extend(further);
    put(table, "uris", (!all.is_empty()).then_some(Toml::Array(all)));
}

/// Methods without those that are answered with 405 whatever a route says.
fn methods(item: &Item<'_>) -> Option<Toml> {
    item.each_once();
    let all = item.each(1, |item| {
        let method = item.word(&METHODS)?;
        if matches!(method, "CONNECT" | "TRACE") {
            item.changed(format!("{method} is always answered with 405"));
            return Some(None);
        }
        Some(Some(plain(method)))
    })?;
    let kept: Vec<Toml> = all.into_iter().flatten().collect();
    if kept.is_empty() {
        item.refuse("no method is left");
        return None;
    }
    Some(Toml::Array(kept))
}
