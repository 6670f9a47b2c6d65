//! `routes`.

use toml::Value as Toml;

use crate::fields::{Fields, Item, network, plain, put};

use super::expression;
use super::leads::{DROP, Leads, leads};
use super::objects::{DeadEnd, Object, Objects, describe, reference};
use super::plugins::{self, Plugins, Sought};
use super::service::put_upstream;
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
    fields.ignore(&["plugins", "service_id", "plugin_config_id"]);
    let parents = match Parents::of(fields, objects) {
        Ok(parents) => parents,
        Err(dead) => {
            answer(fields, &mut table, &dead);
            return table;
        }
    };
    let work = fields.item().work;
    let mut plugins = Plugins::of_object(object, work);
    if let Some(config) = parents.config {
        plugins.add_missing(Plugins::of_object(config, work));
    }
    if let Some(service) = parents.service {
        put(&mut table, "service_id", service.id.clone());
        let apart =
            service.id.as_deref().map(|id| objects.apart(id, plugins::group)).unwrap_or_default();
        plugins.add_missing(Plugins::of_object(service, work).only(&apart));
    }
    table.extend(plugins.convert(&Sought::All, objects, work));
    if let Some(dead) = dead_end(fields, &table, parents.service, objects) {
        answer(fields, &mut table, &dead);
    }
    table
}

/// What a route takes settings from.
struct Parents<'o, 'a> {
    service: Option<&'o Object<'a>>,
    config: Option<&'o Object<'a>>,
}

impl<'o, 'a> Parents<'o, 'a> {
    /// Finds them. If one is not there, APISIX answers every request: the plugin config is looked for first.
    fn of(fields: &Fields<'_>, objects: &'o Objects<'a>) -> Result<Self, DeadEnd> {
        let missing = |status: i64, what: &str, id: &str| {
            let why = format!("there is no {what} of the id {id:?}");
            if fields.item().work.drop_invalid {
                return Err(DeadEnd { status, why });
            }
            fields.item().refuse(format!("{why}{DROP}"));
            Ok(None)
        };
        let config = match reference(fields, "plugin_config_id") {
            Some(id) => match objects.plugin_config(&id) {
                None => missing(503, "plugin config", &id)?,
                found => found,
            },
            None => None,
        };
        let service = match reference(fields, "service_id") {
            Some(id) => match objects.service(&id) {
                None => missing(404, "service", &id)?,
                found => found,
            },
            None => None,
        };
        Ok(Self { service, config })
    }
}

/// Why a route's requests go nowhere, if they do not.
fn dead_end(
    fields: &Fields<'_>,
    table: &toml::Table,
    service: Option<&Object<'_>>,
    objects: &Objects<'_>,
) -> Option<DeadEnd> {
    // An expression need not match, and a request may have come by https already.
    let redirected = table.get("redirect").is_some_and(|redirect| redirect.get("uri").is_some());
    let leads_on = ["upstream", "upstream_id", "return"].iter().any(|key| table.contains_key(*key));
    if redirected || leads_on {
        return None;
    }
    let nowhere =
        || DeadEnd { status: 503, why: String::from("it leads nowhere, as there is no upstream") };
    match leads(fields.item().node, objects) {
        Leads::Dead(dead) => return fields.item().work.drop_invalid.then_some(dead),
        Leads::Upstream => return None,
        Leads::Nowhere => {}
    }
    let Some(service) = service else { return Some(nowhere()) };
    if plugins::answers(service.node) {
        return None;
    }
    match leads(service.node, objects) {
        Leads::Dead(dead) => fields.item().work.drop_invalid.then_some(dead),
        Leads::Upstream => None,
        Leads::Nowhere => Some(nowhere()),
    }
}

/// Has the route answer by itself.
fn answer(fields: &Fields<'_>, table: &mut toml::Table, dead: &DeadEnd) {
    let message = format!("{}: such requests get {}, as they did", dead.why, dead.status);
    fields.item().changed(message);
    let answer = [("status".to_owned(), Toml::Integer(dead.status))];
    for key in ["upstream", "upstream_id"] {
        table.remove(key);
    }
    put(table, "return", Some(answer.into_iter().collect::<toml::Table>()));
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
    if fields.item().work.settings.tail_slash {
        with_tail_slashes(table);
    }
    if !fields.has("uri") && !fields.has("uris") {
        fields.item().invalid("`uri` or `uris` is missing");
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
