//! `services` and `global_rules`.

use std::collections::BTreeSet;

use toml::Value as Toml;

use crate::fields::{Fields, plain, put};

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
    fields.refuse("script", "the gateway runs no scripts");
    fields.ignore(&["plugins"]);
    let work = fields.item().work;
    let plugins = Plugins::of_object(object, work);
    // Judged as a whole, whoever uses it; written without what routes write themselves.
    let _ = plugins.convert(&Sought::All, objects, work);
    let apart = overridden(object, objects);
    table.extend(plugins.convert(&Sought::Without(apart), objects, work));
    table
}

/// The groups of plugins that some route of this service has itself.
pub(super) fn overridden(service: &Object<'_>, objects: &Objects<'_>) -> BTreeSet<&'static str> {
    let routes = objects.routes_of_services();
    let of_it = service.id.as_ref().and_then(|id| routes.get(id));
    let mut groups = BTreeSet::new();
    for route in of_it.into_iter().flatten() {
        let config = route.node.get("plugin_config_id").and_then(super::objects::id_of);
        let config = config.and_then(|id| objects.plugin_config(&id));
        for node in [Some(route.node), config.map(|config| config.node)].into_iter().flatten() {
            let names = node.get("plugins").map(crate::document::Node::entries).unwrap_or_default();
            groups.extend(names.iter().filter_map(|entry| super::plugins::group(&entry.key)));
        }
    }
    groups
}

/// The upstream of a route or service: its id counts where both are given.
pub(super) fn put_upstream(fields: &Fields<'_>, objects: &Objects<'_>, table: &mut toml::Table) {
    let inline = fields.with("upstream", |item| upstream::inline(item, objects));
    match reference(fields, "upstream_id") {
        Some(id) => {
            if !objects.has_upstream(&id) {
                fields.item().refuse(format!("there is no upstream of the id {id:?}"));
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
        fields.item().refuse("`plugins` is missing");
    }
    fields.ignore(&["plugins"]);
    let work = fields.item().work;
    table.extend(Plugins::of_object(object, work).convert(&Sought::All, objects, work));
    table
}
