//! `services` and `global_rules`.

use toml::Value as Toml;

use crate::fields::{Fields, plain, put};

use super::leads::{DROP, Leads, leads};
use super::objects::{Object, Objects, describe, reference};
use super::plugins::{Plugins, Sought};
use super::upstream;

/// A service. Plugins that none of its routes has stand here; the others are written into each route, because a key of
/// a route replaces that of its service as a whole.
pub(super) fn convert(
    fields: &Fields<'_>,
    object: &Object<'_>,
    objects: &Objects<'_>,
) -> toml::Table {
    let mut table = toml::Table::new();
    put(&mut table, "id", object.id.clone());
    describe(fields, &mut table);
    if object.id.is_none() {
        fields.item().refuse("a service without an `id` is of no use");
    }
    let hosts = fields.with("hosts", |item| {
        item.each_once();
        item.each(1, |item| item.filled().map(plain))
    });
    put(&mut table, "hosts", hosts.map(Toml::Array));
    put_upstream(fields, objects, &mut table);
    let websocket = fields.with("enable_websocket", |item| item.flag());
    put(&mut table, "enable_websocket", websocket);
    put(&mut table, "path_prefix", fields.with("path_prefix", |item| item.filled().map(plain)));
    let strip = fields.with("strip_path_prefix", |item| item.flag());
    put(&mut table, "strip_path_prefix", strip);
    fields.refuse("script", "the gateway runs no scripts");
    fields.ignore(&["plugins"]);
    let work = fields.item().work;
    let plugins = Plugins::of_object(object, work);
    // Judged as a whole, whoever uses it; written without what routes write themselves.
    let _ = plugins.convert(&Sought::All, objects, work);
    let apart =
        object.id.as_deref().map(|id| objects.apart(id, super::plugins::group)).unwrap_or_default();
    table.extend(plugins.convert(&Sought::Without(apart), objects, work));
    table
}

/// The upstream of a route or service: its id counts where both are given. One that passes nothing on is no upstream,
/// if such are left out.
pub(super) fn put_upstream(fields: &Fields<'_>, objects: &Objects<'_>, table: &mut toml::Table) {
    let work = fields.item().work;
    if work.drop_invalid && matches!(leads(fields.item().node, objects), Leads::Dead(_)) {
        fields.ignore(&["upstream", "upstream_id"]);
        return;
    }
    let inline = fields.with("upstream", |item| upstream::inline(item, objects));
    match reference(fields, "upstream_id") {
        Some(id) => {
            if !objects.has_upstream(&id) {
                fields.item().refuse(format!("there is no upstream of the id {id:?}{DROP}"));
            }
            put(table, "upstream_id", Some(id));
        }
        None => put(table, "upstream", inline),
    }
}

/// A global rule.
pub(super) fn convert_rule(
    fields: &Fields<'_>,
    object: &Object<'_>,
    objects: &Objects<'_>,
) -> toml::Table {
    let mut table = toml::Table::new();
    put(&mut table, "id", object.id.clone());
    describe(fields, &mut table);
    if !fields.has("plugins") {
        fields.item().invalid("`plugins` is missing");
    }
    fields.ignore(&["plugins"]);
    let work = fields.item().work;
    table.extend(Plugins::of_object(object, work).convert(&Sought::All, objects, work));
    table
}
