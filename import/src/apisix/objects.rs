//! The objects of a document, wherever they stand: lists of an `apisix.yaml`, `"routes/1"` of the admin API, a dump
//! with `list`.

use std::collections::BTreeMap;

use crate::document::{Entry, Node, Spot, Value};
use crate::fields::Fields;
use crate::report::Kind;
use crate::work::Work;

/// One object, and where it stands.
pub(super) struct Object<'a> {
    /// `routes[3]`, or `routes/1`.
    pub(super) path: String,
    pub(super) id: Option<String>,
    pub(super) node: &'a Node,
}

/// All of them.
#[derive(Default)]
pub(super) struct Objects<'a> {
    pub(super) ssls: Vec<Object<'a>>,
    pub(super) upstreams: Vec<Object<'a>>,
    pub(super) services: Vec<Object<'a>>,
    pub(super) routes: Vec<Object<'a>>,
    pub(super) plugin_configs: Vec<Object<'a>>,
    pub(super) global_rules: Vec<Object<'a>>,
}

/// Kinds of objects that have no counterpart, and why.
const FOREIGN: [(&str, &str); 8] = [
    (
        "consumers",
        "there are no consumers: who a client is, its certificate says (client.allow of a route)",
    ),
    ("consumer_groups", "there are no consumers"),
    ("credentials", "there are no consumers"),
    ("protos", "only HTTP/1.1 is spoken"),
    ("stream_routes", "only HTTP is proxied"),
    (
        "plugin_metadata",
        "settings of a plugin for all its uses are not converted: write them where it is used",
    ),
    ("graphql_cost_decorations", "GraphQL is not read"),
    ("kms", "there is no key manager here"),
];

/// Was it switched off?
pub(super) fn is_off(fields: &Fields<'_>) -> bool {
    fields.with("status", |item| item.integer(0..=1)) == Some(0)
}

/// The settings for people, and those that only APISIX writes.
pub(super) fn describe(fields: &Fields<'_>, table: &mut toml::Table) {
    fields.ignore(&["id", "create_time", "update_time", "validity_start", "validity_end"]);
    for key in ["name", "desc"] {
        let text = fields.with(key, |item| item.text().map(crate::fields::plain));
        crate::fields::put(table, key, text);
    }
    let labels = fields.with("labels", |item| {
        let mut labels = toml::Table::new();
        for Entry { key, node, .. } in item.lines()? {
            match &node.value {
                Value::Text(text) if !text.is_empty() => {
                    labels.insert(key.clone(), crate::fields::plain(text));
                }
                other => item
                    .refuse(format!("the label {key:?} is {}, and text is needed", other.kind())),
            }
            if !key.is_ascii() {
                item.refuse("the name of a label holds characters beyond ASCII");
            }
        }
        (!labels.is_empty()).then_some(labels)
    });
    crate::fields::put(table, "labels", labels);
}

impl<'a> Objects<'a> {
    /// Finds them; what is none, has no counterpart or has the id of another is refused.
    pub(super) fn of(document: &'a Node, work: &Work) -> Self {
        let mut all = Self::default();
        let refuse =
            |spot, path: &str, message: &str| work.log.add(Kind::Refused, spot, path, message);
        let Value::Table(entries) = &document.value else {
            refuse(
                document.spot,
                "file",
                "the file must hold a table of objects, as `routes: [...]`",
            );
            return all;
        };
        if entries.is_empty() {
            refuse(document.spot, "file", "there is nothing in this file");
        }
        let mut secrets = Vec::new();
        for Entry { key, spot, node } in entries {
            if key == "list" {
                all.add_dump(node, work);
                continue;
            }
            let (kind, id) = match key.split_once('/') {
                Some((kind, id)) => (kind, Some(id)),
                None => (key.as_str(), None),
            };
            match (kind, id, &node.value) {
                ("plugins" | "total" | "more" | "next_marker" | "prev_marker", None, _) => {}
                ("secrets", ..) => secrets.push(*spot),
                (_, Some(id), _) => all.add(kind, Some(id), key.clone(), node, work),
                (_, None, Value::Null) => {}
                (_, None, Value::List(nodes)) => {
                    for (index, node) in nodes.iter().enumerate() {
                        all.add(kind, None, format!("{key}[{index}]"), node, work);
                    }
                }
                (_, None, _) => refuse(node.spot, key, "a list of objects is needed"),
            }
        }
        for spot in secrets {
            // What refers to one is refused where it does.
            work.log.add(Kind::Dropped, spot, "secrets", "there is no secret manager here");
        }
        all
    }

    /// What `GET /apisix/admin/routes` answers: a list of `{"key": "/apisix/routes/1", "value": {...}}`.
    fn add_dump(&mut self, node: &'a Node, work: &Work) {
        let Value::List(items) = &node.value else {
            work.log.add(Kind::Refused, node.spot, "list", "a list of objects is needed");
            return;
        };
        for (index, item) in items.iter().enumerate() {
            let key = item.get("key").and_then(Node::text).unwrap_or_default();
            let mut words = key.trim_start_matches('/').split('/').skip(1);
            match (words.next(), words.next(), item.get("value")) {
                (Some(kind), Some(id), Some(value)) => {
                    let kind = if kind == "ssl" { "ssls" } else { kind };
                    self.add(kind, Some(id), format!("{kind}/{id}"), value, work);
                }
                _ => {
                    let message = "an item needs `key`, as \"/apisix/routes/1\", and `value`";
                    work.log.add(Kind::Refused, item.spot, &format!("list[{index}]"), message);
                }
            }
        }
    }

    fn add(&mut self, kind: &str, id: Option<&str>, path: String, node: &'a Node, work: &Work) {
        let refuse =
            |spot: Spot, message: String| work.log.add(Kind::Refused, spot, &path, message);
        let list = match kind {
            "ssls" => &mut self.ssls,
            "upstreams" => &mut self.upstreams,
            "services" => &mut self.services,
            "routes" => &mut self.routes,
            "plugin_configs" => &mut self.plugin_configs,
            "global_rules" => &mut self.global_rules,
            other => {
                let foreign = FOREIGN.iter().find(|(name, _)| *name == other);
                let message = foreign.map_or("there is no such kind of object", |(_, why)| *why);
                return refuse(node.spot, message.to_owned());
            }
        };
        let own = node.get("id").map(id_of);
        if own == Some(None) {
            let message =
                "an id is a number above 0, or up to 64 letters, digits, `-`, `_` and `.`";
            return refuse(node.spot, message.to_owned());
        }
        let own = own.flatten();
        // `?` stands for an id that the admin API made up.
        let given = id.filter(|id| *id != "?").map(str::to_owned);
        if let (Some(own), Some(given)) = (&own, &given)
            && own != given
        {
            return refuse(node.spot, format!("its `id` is {own:?}, and its place says {given:?}"));
        }
        let id = own.or(given);
        if let Some(id) = &id {
            if !is_id(id) {
                return refuse(node.spot, format!("{id:?} is no id"));
            }
            if list.iter().any(|object| object.id.as_ref() == Some(id)) {
                return refuse(node.spot, format!("there are two of the id {id:?}"));
            }
        }
        list.push(Object { path, id, node });
    }

    pub(super) fn service(&self, id: &str) -> Option<&Object<'a>> {
        find(&self.services, id)
    }

    pub(super) fn plugin_config(&self, id: &str) -> Option<&Object<'a>> {
        find(&self.plugin_configs, id)
    }

    pub(super) fn has_upstream(&self, id: &str) -> bool {
        find(&self.upstreams, id).is_some()
    }

    /// Which objects there are of each id, for what refers to them.
    pub(super) fn routes_of_services(&self) -> BTreeMap<String, Vec<&Object<'a>>> {
        let mut found: BTreeMap<String, Vec<&Object<'a>>> = BTreeMap::new();
        for route in &self.routes {
            if let Some(id) = route.node.get("service_id").and_then(id_of) {
                found.entry(id).or_default().push(route);
            }
        }
        found
    }
}

fn find<'o, 'a>(list: &'o [Object<'a>], id: &str) -> Option<&'o Object<'a>> {
    list.iter().find(|object| object.id.as_deref() == Some(id))
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&id.len()) && id.bytes().all(allowed)
}

/// The id that a value names, if it is one.
pub(super) fn id_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Integer(number) if *number > 0 => Some(number.to_string()),
        Value::Text(text) if is_id(text) => Some(text.clone()),
        _ => None,
    }
}

/// The value of a key that refers to another object.
pub(super) fn reference(fields: &Fields<'_>, key: &'static str) -> Option<String> {
    fields.with(key, |item| {
        let id = id_of(item.node);
        if id.is_none() {
            item.refuse("an id is a number above 0, or up to 64 letters, digits, `-`, `_` and `.`");
        }
        id
    })
}
