//! Plugins: each becomes a key of the route, service or rule that has it.

mod answer;
mod body_filters;
pub(super) mod consumers;
pub(super) mod cors;
mod limits;
mod redirect;
mod response;
mod restrict;
mod rewrite;
mod small;
mod split;
mod stores;

use std::collections::BTreeSet;

use toml::Value as Toml;

use crate::document::{Node, Value};
use crate::fields::{Fields, Item, Path};
use crate::report::Kind;
use crate::work::Work;

use super::expression;
use super::objects::{Object, Objects};

/// The plugins of one object, and of those it takes some from.
#[derive(Default)]
pub(super) struct Plugins<'a> {
    uses: Vec<Use<'a>>,
}

/// One plugin where it is used.
struct Use<'a> {
    name: &'a str,
    node: &'a Node,
    path: String,
}

/// Which of the plugins are converted.
pub(super) enum Sought {
    All,
    /// All but those of these groups.
    Without(BTreeSet<&'static str>),
}

/// What a plugin's table becomes, and what the plugin may refer to.
pub(super) struct Target<'t> {
    pub(super) table: &'t mut toml::Table,
    pub(super) objects: &'t Objects<'t>,
    /// `_meta.filter`, as conditions.
    pub(super) filter: Option<Toml>,
    /// The plugins that stand beside it.
    pub(super) others: &'t [&'t str],
}

/// Converts one plugin.
type Convert = fn(&Fields<'_>, &mut Target<'_>);

/// A plugin, the key it becomes, and how.
struct Known {
    name: &'static str,
    /// Plugins of one group become one key, which a route replaces as a whole.
    group: &'static str,
    convert: Convert,
    /// Can it be told when it holds?
    filtered: bool,
}

const fn known(name: &'static str, group: &'static str, convert: Convert) -> Known {
    Known { name, group, convert, filtered: false }
}

const KNOWN: [Known; 20] = [
    known("api-breaker", "api_breaker", small::api_breaker),
    known("cert-auth", "client", consumers::cert_auth),
    known("client-control", "client_max_body_size", small::client_control),
    known("consumer-restriction", "client", consumers::restriction),
    known("cors", "cors", cors::cors),
    known("fault-injection", "return", answer::fault_injection),
    known("ip-restriction", "client", small::ip_restriction),
    known("limit-conn", "limits", limits::connections),
    known("limit-count", "limits", limits::requests),
    known("limit-req", "limits", limits::rate),
    known("mocking", "return", answer::mocking),
    known("prometheus", "metrics", small::prometheus),
    known("proxy-rewrite", "rewrite", rewrite::proxy_rewrite),
    known("real-ip", "real_ip", small::real_ip),
    known("redirect", "redirect", redirect::redirect),
    known("referer-restriction", "refuse", restrict::referer),
    known("request-id", "request_id", small::request_id),
    Known {
        name: "response-rewrite",
        group: "response",
        convert: response::response_rewrite,
        filtered: true,
    },
    known("ua-restriction", "refuse", restrict::user_agent),
    known("uri-blocker", "refuse", restrict::uri_blocker),
];

/// Adds a table to a key that takes one or several.
fn push(table: &mut toml::Table, key: &str, entry: toml::Table) {
    let entry = Toml::Table(entry);
    let all = match table.remove(key) {
        None => entry,
        Some(Toml::Array(mut list)) => {
            list.push(entry);
            Toml::Array(list)
        }
        Some(other) => Toml::Array(vec![other, entry]),
    };
    table.insert(key.to_owned(), all);
}

/// Converted apart, as it refers to upstreams.
const SPLIT: Known = Known {
    name: "traffic-split",
    group: "traffic_split",
    convert: split::traffic_split,
    filtered: false,
};

/// Plugins that keep people out: to leave one out takes more than its name.
const GUARDS: [&str; 26] = [
    "acl",
    "ai-prompt-guard",
    "authz-casbin",
    "authz-casdoor",
    "authz-keycloak",
    "basic-auth",
    "cas-auth",
    "cert-auth",
    "chaitin-waf",
    "consumer-restriction",
    "csrf",
    "forward-auth",
    "hmac-auth",
    "ip-restriction",
    "jwe-decrypt",
    "jwt-auth",
    "key-auth",
    "ldap-auth",
    "multi-auth",
    "opa",
    "openid-connect",
    "referer-restriction",
    "saml-auth",
    "ua-restriction",
    "uri-blocker",
    "wolf-rbac",
];

fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().chain([&SPLIT]).find(|known| known.name == name)
}

/// The group of a plugin; none if it is not known.
pub(super) fn group(name: &str) -> Option<&'static str> {
    find(name).map(|known| known.group)
}

/// Plugins that answer a request themselves.
const ANSWER: [&str; 3] = ["fault-injection", "mocking", "redirect"];

/// Does an object have a plugin that answers its requests?
pub(super) fn answers(object: &Node) -> bool {
    let plugins = object.get("plugins").map(Node::entries).unwrap_or_default();
    plugins.iter().any(|entry| ANSWER.contains(&entry.key.as_str()) && !is_disabled(&entry.node))
}

/// The plugins of an object that keep people out.
pub(super) fn guards_of(object: &Node) -> Vec<&str> {
    let plugins = object.get("plugins").map(Node::entries).unwrap_or_default();
    let on = plugins.iter().filter(|entry| !is_disabled(&entry.node));
    on.map(|entry| entry.key.as_str()).filter(|name| GUARDS.contains(name)).collect()
}

/// Judges a plugin config, which is written nowhere itself.
pub(super) fn convert_config(
    fields: &Fields<'_>,
    object: &Object<'_>,
    objects: &Objects<'_>,
) -> toml::Table {
    super::objects::describe(fields, &mut toml::Table::new());
    if !fields.has("plugins") {
        fields.item().invalid("`plugins` is missing");
    }
    fields.ignore(&["plugins"]);
    let work = fields.item().work;
    Plugins::of_object(object, work).convert(&Sought::All, objects, work)
}

/// The same, and says what becomes of it.
pub(super) fn check(object: &Object<'_>, objects: &Objects<'_>, work: &Work) {
    let path = Path::Root(&object.path);
    let Some(fields) = (Item { node: object.node, path: &path, work }).fields() else { return };
    let _ = convert_config(&fields, object, objects);
    fields.finish();
    work.log.add(Kind::Converted, object.node.spot, &object.path, "into each route that names it");
}

impl<'a> Plugins<'a> {
    pub(super) fn of_object(object: &Object<'a>, work: &Work) -> Self {
        let Some(node) = object.node.get("plugins") else { return Self::default() };
        let path = format!("{}.plugins", object.path);
        match &node.value {
            Value::Table(entries) => {
                let of = |entry: &'a crate::document::Entry| Use {
                    name: &entry.key,
                    node: &entry.node,
                    path: format!("{path}.{}", entry.key),
                };
                Self { uses: entries.iter().map(of).collect() }
            }
            Value::List(nodes) if nodes.is_empty() => Self::default(),
            Value::Null => Self::default(),
            other => {
                let message = format!("this is {}, and a table is needed", other.kind());
                work.log.add(Kind::Refused, node.spot, &path, message);
                Self::default()
            }
        }
    }

    /// Takes the plugins that are not here yet: what stands nearer to the request counts.
    pub(super) fn add_missing(&mut self, others: Self) {
        for other in others.uses {
            if self.uses.iter().all(|own| own.name != other.name) {
                self.uses.push(other);
            }
        }
    }

    /// Those of these groups alone.
    pub(super) fn only(mut self, groups: &BTreeSet<&'static str>) -> Self {
        self.uses.retain(|used| group(used.name).is_some_and(|group| groups.contains(group)));
        self
    }

    /// The keys that they become.
    pub(super) fn convert(
        &self,
        sought: &Sought,
        objects: &Objects<'_>,
        work: &Work,
    ) -> toml::Table {
        let mut table = toml::Table::new();
        // One that is left out says nothing about those beside it.
        let left_out = |name: &str| work.skipped_plugins.contains(name);
        let on = self.uses.iter().filter(|used| !is_disabled(used.node) && !left_out(used.name));
        let others: Vec<&str> = on.map(|used| used.name).collect();
        for used in &self.uses {
            let path = Path::Root(&used.path);
            let item = Item { node: used.node, path: &path, work };
            if left_out(used.name) {
                skip(&item, used.name);
                continue;
            }
            let Some(known) = find(used.name) else {
                if !is_disabled(used.node) {
                    refuse_unknown(&item, used.name);
                }
                continue;
            };
            if matches!(sought, Sought::Without(groups) if groups.contains(known.group)) {
                continue;
            }
            say_unloaded(&item, used.name);
            convert_one(
                &item,
                known,
                Target { table: &mut table, objects, filter: None, others: &others },
            );
        }
        table
    }
}

fn convert_one(item: &Item<'_>, known: &Known, mut target: Target<'_>) {
    let Some(fields) = item.fields() else { return };
    let meta = fields.with("_meta", meta).unwrap_or_default();
    if meta.disabled {
        item.say(Kind::Dropped, SWITCHED_OFF);
        return;
    }
    if meta.filter.is_some() && !known.filtered {
        item.refuse("`_meta.filter`: when it holds can't be told here; write a route of its own, with `vars`");
    }
    target.filter = meta.filter;
    (known.convert)(&fields, &mut target);
    fields.finish();
}

/// Says that a plugin was not loaded, and so did nothing.
fn say_unloaded(item: &Item<'_>, name: &str) {
    let loaded = item.work.settings.loaded_plugins.as_ref();
    if loaded.is_some_and(|loaded| !loaded.contains(name)) && !is_disabled(item.node) {
        let message =
            format!("`{name}` is not in the list `plugins`, and so had no effect; here it has");
        item.changed(message);
        if GUARDS.contains(&name) {
            item.say(Kind::Security, format!("`{name}` kept nobody out, as it was not loaded"));
        }
    }
}

fn skip(item: &Item<'_>, name: &str) {
    if GUARDS.contains(&name) && !item.work.knows {
        let message = format!("`{name}` keeps people out: to leave it out, say --i-know besides");
        item.refuse(message);
        return;
    }
    item.say(Kind::Skipped, format!("`{name}` is left out, as --skip-plugin says"));
    if GUARDS.contains(&name) {
        item.say(Kind::Security, format!("`{name}` kept people out, and nothing does so now"));
    }
}

fn refuse_unknown(item: &Item<'_>, name: &str) {
    let help = if GUARDS.contains(&name) {
        "it keeps people out: say whom to let in with client.allow of a route"
    } else {
        "there is nothing like it here; --skip-plugin leaves it out"
    };
    item.refuse(format!("the plugin `{name}` is not converted: {help}"));
}

/// Has the object this plugin, switched on?
fn has(object: &Node, name: &str) -> bool {
    let found = object.get("plugins").and_then(|plugins| plugins.get(name));
    found.is_some_and(|node| !is_disabled(node))
}

fn is_disabled(node: &Node) -> bool {
    let disable = node.get("_meta").and_then(|meta| meta.get("disable"));
    disable.is_some_and(|node| node.value == Value::Flag(true))
}

/// What is said of a plugin that is not run.
const SWITCHED_OFF: &str = "`_meta.disable` switches it off";

/// What `_meta` says.
#[derive(Default)]
struct Meta {
    disabled: bool,
    filter: Option<Toml>,
}

fn meta(item: Item<'_>) -> Option<Meta> {
    let fields = item.fields()?;
    let disabled = fields.with("disable", |item| item.flag()).unwrap_or(false);
    let filter = fields.with("filter", |item| expression::vars(&item));
    let _ = fields.with("priority", |item| {
        item.changed("the order of things is fixed here (docs/migrate-apisix.md)");
        item.integer(i64::MIN..=i64::MAX)
    });
    fields
        .refuse("error_response", "answers are worded by `message`, `body` and `http.error_pages`");
    fields.refuse("pre_function", "the gateway runs no scripts");
    fields.finish();
    Some(Meta { disabled, filter })
}
