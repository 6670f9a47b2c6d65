//! The objects of a document, wherever they stand: lists of an `apisix.yaml`, `"routes/1"` of the admin API, a dump
//! with `list`.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

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

/// One object in APISIX's form.
pub(super) struct Found {
    pub(super) kind: &'static str,
    /// Where it stands in the file: `services[0].routes[1]`.
    pub(super) path: String,
    pub(super) node: Node,
}

/// Why requests cannot be passed on, and what APISIX answers them with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct DeadEnd {
    pub(super) status: i64,
    pub(super) why: String,
}

impl DeadEnd {
    pub(super) fn new(status: i64, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
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
    pub(super) consumers: Vec<Object<'a>>,
    /// The `plugin_metadata` of `cors`: names for origins.
    pub(super) cors_metadata: Option<Object<'a>>,
    /// Upstreams that were left out as they pass nothing on.
    pub(super) dead_upstreams: BTreeMap<String, DeadEnd>,
    /// Of each service, the groups of plugins that some route of it has itself.
    apart: OnceCell<BTreeMap<String, BTreeSet<&'static str>>>,
}

/// Kinds of objects that have no counterpart, and why.
const FOREIGN: [(&str, &str); 7] = [
    ("consumer_groups", "there are no consumers"),
    ("credentials", "there are no consumers"),
    ("protos", "only HTTP/1.1 is spoken"),
    ("stream_routes", "only HTTP is proxied"),
    (
        "plugin_metadata",
        "settings of a plugin for all its uses are not converted, but for the origins of `cors`: write them where it is used",
    ),
    ("graphql_cost_decorations", "GraphQL is not read"),
    ("kms", "there is no key manager here"),
];

/// The plugins that a list loads: names, or tables with a `name`.
pub(super) fn loaded_plugins(document: &Node) -> Option<BTreeSet<String>> {
    let Value::List(nodes) = &document.get("plugins")?.value else { return None };
    let name = |node: &Node| Some(node.text().or_else(|| node.get("name")?.text())?.to_owned());
    Some(nodes.iter().filter_map(name).collect())
}

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
                    .invalid(format!("the label {key:?} is {}, and text is needed", other.kind())),
            }
            if !key.is_ascii() {
                item.refuse("the name of a label holds characters beyond ASCII");
            }
        }
        (!labels.is_empty()).then_some(labels)
    });
    crate::fields::put(table, "labels", labels);
}

/// Tells the group of a plugin.
type Group = fn(&str) -> Option<&'static str>;

impl<'a> Objects<'a> {
    /// Finds them; what is none, has no counterpart or has the id of another is refused.
    pub(super) fn of(document: &'a Node, work: &Work) -> Self {
        let mut all = Self::default();
        match &document.value {
            Value::List(items) => all.add_items(items, "list", work),
            Value::Table(lines)
                if is_item(document) || lines.iter().any(|line| line.key == "node") =>
            {
                all.add_dump(document, work);
            }
            Value::Table(lines) => all.add_lines(lines, document.spot, work),
            _ => {
                let message = "the file must hold a table of objects, as `routes: [...]`";
                work.log.add(Kind::Refused, document.spot, "file", message);
            }
        }
        all
    }

    fn add_lines(&mut self, entries: &'a [Entry], spot: Spot, work: &Work) {
        let refuse =
            |spot, path: &str, message: &str| work.log.add(Kind::Refused, spot, path, message);
        if entries.is_empty() {
            refuse(spot, "file", "there is nothing in this file");
        }
        for Entry { key, spot, node } in entries {
            let (kind, id) = match key.split_once('/') {
                Some((kind, id)) => (kind, Some(id)),
                None => (key.as_str(), None),
            };
            match (kind, id, &node.value) {
                ("list", None, Value::List(items)) => self.add_items(items, "list", work),
                ("plugins" | "total" | "more" | "next_marker" | "prev_marker", None, _) => {}
                ("secrets", ..) => {
                    // What refers to one is refused where it does.
                    work.log.add(
                        Kind::Dropped,
                        *spot,
                        "secrets",
                        "there is no secret manager here",
                    );
                }
                (_, Some(id), _) => self.add(kind, Some(id), key.clone(), node, work),
                (_, None, Value::Null) => {}
                (_, None, Value::List(nodes)) => {
                    for (index, node) in nodes.iter().enumerate() {
                        self.add(kind, None, format!("{key}[{index}]"), node, work);
                    }
                }
                (_, None, _) => refuse(node.spot, key, "a list of objects is needed"),
            }
        }
    }

    /// What one call of the admin API answers: an object, or in its version 2 a `node` with one or with `nodes`.
    fn add_dump(&mut self, document: &'a Node, work: &Work) {
        let node = document.get("node").unwrap_or(document);
        match node.get("nodes").map(|nodes| &nodes.value) {
            Some(Value::List(items)) => self.add_items(items, "node.nodes", work),
            // An empty list of Lua's.
            Some(Value::Table(lines)) if lines.is_empty() => {}
            _ => self.add_item(node, "node", work),
        }
    }

    fn add_items(&mut self, items: &'a [Node], place: &str, work: &Work) {
        for (index, item) in items.iter().enumerate() {
            self.add_item(item, &format!("{place}[{index}]"), work);
        }
    }

    /// `{"key": "/apisix/routes/1", "value": {...}}`.
    fn add_item(&mut self, item: &'a Node, place: &str, work: &Work) {
        let key = item.get("key").and_then(Node::text).unwrap_or_default();
        let words: Vec<&str> = key.trim_start_matches('/').split('/').skip(1).collect();
        match (words.as_slice(), item.get("value")) {
            ([kind, id], Some(value)) => {
                let kind = if *kind == "ssl" { "ssls" } else { kind };
                self.add(kind, Some(id), format!("{kind}/{id}"), value, work);
            }
            (["consumers", _, kind, id], Some(value)) => {
                self.add(kind, Some(id), format!("{kind}/{id}"), value, work);
            }
            _ => {
                let message = "an item needs `key`, as \"/apisix/routes/1\", and `value`";
                work.log.add(Kind::Refused, item.spot, place, message);
            }
        }
    }

    /// Those of a file of ADC's.
    pub(super) fn found(found: &'a [Found], work: &Work) -> Self {
        let mut all = Self::default();
        for Found { kind, path, node } in found {
            all.add(kind, None, path.clone(), node, work);
        }
        all
    }

    fn add(&mut self, kind: &str, id: Option<&str>, path: String, node: &'a Node, work: &Work) {
        let refuse =
            |spot: Spot, message: String| work.log.add(Kind::Refused, spot, &path, message);
        let own = node.get("id").map(id_of);
        let is_cors =
            id == Some("cors") || own.as_ref().and_then(|id| id.as_deref()) == Some("cors");
        if kind == "plugin_metadata" && is_cors && self.cors_metadata.is_none() {
            self.cors_metadata = Some(Object { path, id: None, node });
            return;
        }
        let list = match kind {
            "ssls" => &mut self.ssls,
            "upstreams" => &mut self.upstreams,
            "services" => &mut self.services,
            "routes" => &mut self.routes,
            "plugin_configs" => &mut self.plugin_configs,
            "global_rules" => &mut self.global_rules,
            "consumers" => &mut self.consumers,
            other => {
                let foreign = FOREIGN.iter().find(|(name, _)| *name == other);
                let message = foreign.map_or("there is no such kind of object", |(_, why)| *why);
                return refuse(node.spot, message.to_owned());
            }
        };
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

    /// Is there a certificate of the type "client" with this id?
    pub(super) fn has_client_certificate(&self, id: &str) -> bool {
        let found = find(&self.ssls, id);
        found.and_then(|object| object.node.get("type")?.text()) == Some("client")
    }

    /// The groups of plugins that some route of this service has itself.
    pub(super) fn apart(&self, service: &str, group: Group) -> BTreeSet<&'static str> {
        let apart = self.apart.get_or_init(|| {
            let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
            for route in &self.routes {
                if let Some(id) = route.node.get("service_id").and_then(id_of) {
                    found.entry(id).or_default().extend(self.groups_of(route, group));
                }
            }
            found
        });
        apart.get(service).cloned().unwrap_or_default()
    }

    /// Forgets what was found out about objects, as some of them are gone.
    pub(super) fn forget(&mut self) {
        self.apart = OnceCell::new();
    }

    fn groups_of(&self, route: &Object<'a>, group: Group) -> BTreeSet<&'static str> {
        let config = route.node.get("plugin_config_id").and_then(id_of);
        let config = config.and_then(|id| self.plugin_config(&id)).map(|config| config.node);
        let nodes = [Some(route.node), config];
        let plugins = nodes.into_iter().flatten().filter_map(|node| node.get("plugins"));
        plugins.flat_map(Node::entries).filter_map(|entry| group(&entry.key)).collect()
    }
}

/// Is it one object that the admin API answers?
fn is_item(node: &Node) -> bool {
    node.get("key").and_then(Node::text).is_some() && node.get("value").is_some()
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
            item.invalid(
                "an id is a number above 0, or up to 64 letters, digits, `-`, `_` and `.`",
            );
        }
        id
    })
}
