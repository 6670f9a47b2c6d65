//! `cors`, key by key, and the origins that its `plugin_metadata` has names for.

use toml::Value as Toml;

use crate::document::{Entry, Node};
use crate::fields::{Fields, Item, Path, plain, put};
use crate::report::Kind;
use crate::work::Work;

use super::super::objects::{Object, Objects};
use super::Target;

/// Every origin, told its own name.
const EVERY: &str = "**";

pub(super) fn cors(fields: &Fields<'_>, target: &mut Target<'_>) {
    let mut table = toml::Table::new();
    let credential = fields.with("allow_credential", |item| item.flag());
    put(&mut table, "allow_credential", credential);
    for key in [
        "allow_origins",
        "allow_methods",
        "allow_headers",
        "expose_headers",
        "timing_allow_origins",
    ] {
        let mut text = fields.with(key, |item| item.text().map(str::to_owned));
        let any = match &text {
            Some(text) => text == "*",
            None => matches!(key, "allow_origins" | "allow_methods" | "allow_headers"),
        };
        if credential == Some(true) && any && key != "timing_allow_origins" {
            let message = format!(
                "`{key}` can't be \"*\" with `allow_credential`: browsers refuse it; \"**\" allows all"
            );
            fields.item().invalid(message);
        }
        if key == "allow_origins"
            && let Some(named) =
                fields.with("allow_origins_by_metadata", |item| named(&item, target.objects))
        {
            text = Some(joined(text, named));
        }
        put(&mut table, key, text.map(|text| plain(&text)));
    }
    put(&mut table, "max_age", fields.with("max_age", |item| item.integer(-1..=1_000_000_000)));
    for key in ["allow_origins_by_regex", "timing_allow_origins_by_regex"] {
        let list = fields.with(key, |item| {
            item.each_once();
            item.each(1, |item| item.filled().map(plain))
        });
        put(&mut table, key, list.map(Toml::Array));
    }
    if fields.has("allow_origins_by_metadata") && fields.has("allow_origins_by_regex") {
        fields.item().refuse(
            "`allow_origins_by_metadata` beside `allow_origins_by_regex`: write the origins as expressions",
        );
    }
    // As it does there; elsewhere an OPTIONS that asks for something else is the upstream's to answer.
    table.insert("answer_options".to_owned(), Toml::Boolean(true));
    put(target.table, "cors", Some(table));
}

/// The origins that these names stand for, a list with commas each.
fn named(item: &Item<'_>, objects: &Objects<'_>) -> Option<Vec<String>> {
    let lines = objects.cors_metadata.as_ref().and_then(|object| object.node.get("allow_origins"));
    let lists = item.each(1, |item| {
        let name = item.filled()?;
        let found = lines.and_then(|lines| lines.get(name)).and_then(Node::text);
        if found.is_none() {
            item.changed(
                "`plugin_metadata` of `cors` has no such name, so it stands for no origin",
            );
        }
        Some(found.map(str::to_owned))
    })?;
    Some(lists.into_iter().flatten().collect())
}

/// Origins of both kinds. APISIX tells whoever comes in by a name its own origin, with `*` as well.
fn joined(own: Option<String>, named: Vec<String>) -> String {
    let is_all = |text: &String| matches!(text.as_str(), "*" | EVERY);
    let own = own.unwrap_or_else(|| String::from("*"));
    if is_all(&own) {
        return own;
    }
    if named.iter().any(is_all) {
        return EVERY.to_owned();
    }
    std::iter::once(own).chain(named).collect::<Vec<_>>().join(",")
}

/// Judges the `plugin_metadata` of `cors`, which is written where a name of it is used.
pub(in super::super) fn check(object: &Object<'_>, work: &Work) {
    let path = Path::Root(&object.path);
    let Some(fields) = (Item { node: object.node, path: &path, work }).fields() else { return };
    let _ = fields.with("allow_origins", |item| {
        for Entry { key, node, .. } in item.lines()? {
            let path = Path::Key(item.path, key);
            Item { node, path: &path, work }.filled()?;
        }
        Some(())
    });
    fields.ignore(&["id", "create_time", "update_time", "inactive_timeout"]);
    fields.finish();
    work.log.add(Kind::Converted, object.node.spot, &object.path, "into each `cors` that names it");
}
