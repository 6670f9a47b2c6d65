//! `traffic-split` becomes `traffic_split`.

use toml::Value as Toml;

use crate::document::Value;
use crate::fields::{Fields, Item, put};

use super::super::expression;
use super::super::leads::{Leads, leads};
use super::super::objects::{DeadEnd, Objects, reference};
use super::super::upstream;
use super::Target;

pub(super) fn traffic_split(fields: &Fields<'_>, target: &mut Target<'_>) {
    let objects = target.objects;
    if let Some(dead) = dead_end(fields, objects) {
        let message = format!("{}: such requests get {}, as they did", dead.why, dead.status);
        fields.item().changed(message);
        fields.ignore(&["rules"]);
        let answer = [("status".to_owned(), Toml::Integer(dead.status))];
        put(target.table, "return", Some(answer.into_iter().collect::<toml::Table>()));
        return;
    }
    // Without rules nothing is split.
    let rules = fields.with("rules", |item| item.each(0, |item| rule(item, objects)));
    let rules = rules.filter(|rules| !rules.is_empty());
    put(target.table, "traffic_split", rules.map(Toml::Array));
}

/// Why no request is passed on, if all of them go to one upstream that passes nothing on.
fn dead_end(fields: &Fields<'_>, objects: &Objects<'_>) -> Option<DeadEnd> {
    let item = fields.item();
    let Value::List(rules) = &item.node.get("rules")?.value else { return None };
    let [rule] = rules.as_slice() else { return None };
    let Value::List(weighted) = &rule.get("weighted_upstreams")?.value else { return None };
    match weighted.as_slice() {
        [only] if item.work.drop_invalid && rule.get("match").is_none() => {
            match leads(only, objects) {
                Leads::Dead(dead) => Some(dead),
                Leads::Upstream | Leads::Nowhere => None,
            }
        }
        _ => None,
    }
}

fn rule(item: Item<'_>, objects: &Objects<'_>) -> Option<Toml> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    let matches = fields.with("match", |item| {
        item.each(0, |item| {
            let fields = item.fields()?;
            let vars = fields.with("vars", |item| expression::vars(&item));
            fields.finish();
            Some(vars.unwrap_or_else(|| Toml::Array(Vec::new())))
        })
    });
    put(&mut table, "vars", matches.and_then(either));
    let weighted = fields.with("weighted_upstreams", |item| {
        item.each(1, |item| weighted(item, objects).map(Toml::Table))
    });
    put(&mut table, "weighted_upstreams", weighted.map(Toml::Array));
    fields.finish();
    Some(Toml::Table(table))
}

/// One of several lists of conditions must hold: as one list. None, if one of them always holds.
fn either(mut lists: Vec<Toml>) -> Option<Toml> {
    let is_empty = |list: &Toml| list.as_array().is_none_or(Vec::is_empty);
    if lists.is_empty() || lists.iter().any(is_empty) {
        return None;
    }
    if lists.len() == 1 {
        return lists.pop();
    }
    let all = |list: Toml| match list {
        Toml::Array(mut rules) if rules.len() == 1 => {
            rules.pop().unwrap_or(Toml::Array(Vec::new()))
        }
        Toml::Array(rules) => {
            Toml::Array(std::iter::once(Toml::from("AND")).chain(rules).collect())
        }
        other => other,
    };
    let any = std::iter::once(Toml::from("OR")).chain(lists.into_iter().map(all)).collect();
    Some(Toml::Array(vec![Toml::Array(any)]))
}

fn weighted(item: Item<'_>, objects: &Objects<'_>) -> Option<toml::Table> {
    let fields = item.fields()?;
    let mut table = toml::Table::new();
    let own = fields.with("upstream", |item| upstream::inline(item, objects)).map(with_host);
    match reference(&fields, "upstream_id") {
        Some(id) => {
            if !objects.has_upstream(&id) {
                item.refuse(format!("there is no upstream of the id {id:?}"));
            }
            put(&mut table, "upstream_id", Some(id));
        }
        None => put(&mut table, "upstream", own),
    }
    put(&mut table, "weight", fields.with("weight", |item| item.integer(0..=1_000_000)));
    fields.finish();
    Some(table)
}

/// The plugin takes over no `scheme` of an upstream of its own, and without one APISIX sends the name of a node (`node`)
/// without its port. One of several nodes is known only when it is picked.
fn with_host(mut own: toml::Table) -> toml::Table {
    let is_node = own.get("pass_host").and_then(Toml::as_str) == Some("node");
    let one = own.get("nodes").filter(|_| is_node && !own.contains_key("scheme")).and_then(only);
    if let Some(host) = one {
        put(&mut own, "pass_host", Some("rewrite"));
        put(&mut own, "upstream_host", Some(host));
    }
    own
}

/// The host of the only node.
fn only(nodes: &Toml) -> Option<String> {
    match nodes {
        Toml::Table(lines) if lines.len() == 1 => {
            let line = lines.keys().next()?;
            let host = match line.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => host,
                _ => line,
            };
            Some(host.to_owned())
        }
        Toml::Array(list) if list.len() == 1 => {
            let host = list.first()?.get("host")?.as_str()?;
            Some(if host.contains(':') { format!("[{host}]") } else { host.to_owned() })
        }
        _ => None,
    }
}
