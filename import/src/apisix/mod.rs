//! APISIX: `apisix.yaml` and its JSON twin, objects of the admin API, `config.yaml`.

mod adc;
mod checks;
mod doubts;
mod environment;
mod expression;
mod invalid;
mod leads;
mod listen;
mod objects;
mod plugins;
mod route;
mod service;
mod ssl;
mod template;
mod upstream;

use std::collections::BTreeSet;

use crate::document::{DocumentError, Node};
use crate::fields::{Fields, Item, Path};
use crate::output::Import;
use crate::proof::{Draft, Source, finish};
use crate::report::Kind;
use crate::work::Work;
use crate::{json, yaml};

use self::listen::Process;
use self::objects::{Object, Objects};

/// What is said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of the file, for the report.
    pub source: String,
    /// Plugins that are left out, as their user says that he knows what they did.
    pub skip_plugins: BTreeSet<String>,
    /// Plugins that keep people out may be among them.
    pub knows: bool,
    /// Objects that APISIX overlooks are left out, as it leaves them out.
    pub drop_invalid: bool,
    /// The text of `config.yaml`; without it APISIX's defaults hold.
    pub process: Option<String>,
}

/// What stands in the first line of what is made.
const MAKER: &str = "ferrule import apisix";

/// What is different for every configuration that moves here.
const DIFFERENCES: [&str; 8] = [
    "A request whose Host belongs to another policy than its server name gets 421, not 400.",
    "Headers with an underscore in their name are dropped (http.underscores_in_headers): X_SSL_... can't pass for \
     X-SSL-...; identity headers are removed from every request before they are set.",
    "Dot segments and broken escapes in a path are refused with 400 and not resolved; the upstream gets the path \
     that routes were judged by, as the client spelt it.",
    "Framing is strict: what RFC 9112 calls invalid is refused and never mended.",
    "Sessions are resumed by tickets, which count only for the policy under which they were made; APISIX gives none.",
    "TLS 1.1 and cipher suites without forward secrecy and AEAD do not exist.",
    "Connecting to a node takes 5 s at most (upstream.timeout.connect), not 60 s; at most 2 further nodes are tried, \
     within 15 s.",
    "A node that fails several requests in a row is set aside for a while, with or without `checks`.",
];

/// Converts a configuration. `text` is YAML, or JSON if it begins with a brace; `env` is asked for variables of the
/// environment.
#[must_use]
pub fn convert(text: &str, options: &Options, env: &dyn Fn(&str) -> Option<String>) -> Import {
    let mut work = Work::default();
    work.skipped_plugins.clone_from(&options.skip_plugins);
    work.knows = options.knows;
    work.drop_invalid = options.drop_invalid;
    let process = Process::read(options.process.as_deref(), env, &mut work);
    let document = match read(text, env) {
        Ok(document) => Some(document),
        Err(error) => {
            work.log.add(Kind::Refused, error.spot, "file", error.message);
            None
        }
    };
    let mut draft = Draft::new(MAKER);
    if let Some(document) = &document {
        let before = work.settings.loaded_plugins.take();
        work.settings.loaded_plugins = objects::loaded_plugins(document).or(before);
        let found = if adc::is_adc(document) { adc::objects(document) } else { Vec::new() };
        let mut objects = if found.is_empty() {
            Objects::of(document, &work)
        } else {
            Objects::found(&found, &work)
        };
        if work.drop_invalid {
            objects.drop_invalid(&work);
        }
        write_all(&objects, &process, &work, &mut draft);
        if !work.log.refused() {
            draft.prove(&work, env);
        }
    }
    finish(work, draft, &options.source, &DIFFERENCES)
}

/// Reads a document after the variables of the environment are put in, as APISIX does.
fn read(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Node, DocumentError> {
    let text = environment::substitute(text, env)?;
    if text.trim_start().starts_with('{') { json::read(&text) } else { yaml::read(&text) }
}

/// Converts every object, in the order of Ferrule's reference.
fn write_all(objects: &Objects<'_>, process: &Process, work: &Work, draft: &mut Draft) {
    let each = |object: &Object<'_>, draft: &mut Draft, table: &'static str, convert: Convert| {
        let path = Path::Root(&object.path);
        let item = Item { node: object.node, path: &path, work };
        let Some(fields) = item.fields() else { return };
        if objects::is_off(&fields) {
            item.say(Kind::Dropped, "`status: 0` switches it off");
            return;
        }
        let converted = convert(&fields, object, objects);
        fields.finish();
        // A rule that says nothing here (`prometheus`) is no table; a service that says nothing is still named.
        let says = |key: &String| !matches!(key.as_str(), "id" | "name" | "desc" | "labels");
        if table != "global_rules" || converted.keys().any(says) {
            let source = Source { path: object.path.clone(), file: None, spot: object.node.spot };
            draft.push(table, converted, source);
        }
    };
    let mut body = Draft::new(MAKER);
    doubt(objects, work);
    for object in &objects.ssls {
        each(object, &mut body, "ssls", ssl::convert);
    }
    for object in &objects.upstreams {
        each(object, &mut body, "upstreams", upstream::convert);
    }
    for object in &objects.services {
        each(object, &mut body, "services", service::convert);
    }
    for object in &objects.routes {
        each(object, &mut body, "routes", route::convert);
    }
    for object in &objects.consumers {
        plugins::consumers::check(object, objects, work);
    }
    if let Some(metadata) = &objects.cors_metadata {
        plugins::cors::check(metadata, work);
    }
    for object in &objects.plugin_configs {
        plugins::check(object, objects, work);
    }
    for object in &objects.global_rules {
        each(object, &mut body, "global_rules", service::convert_rule);
    }
    if let Some(request_id) = work.request_id.take() {
        let rule = [("request_id".to_owned(), toml::Value::Table(request_id))];
        body.push_own("global_rules", rule.into_iter().collect(), true);
    }
    for (index, mut store) in work.stores.take().into_iter().enumerate() {
        store.insert("id".to_owned(), format!("redis-{}", index + 1).into());
        body.push_own("stores", store, true);
    }
    process.spread(&mut body);
    process.write(draft, &body, work);
    draft.append(body);
}

/// Says what objects let through together.
fn doubt(objects: &Objects<'_>, work: &Work) {
    for object in &objects.ssls {
        let item = Item { node: object.node, path: &Path::Root(&object.path), work };
        doubts::server_names(objects, &item);
    }
    for object in &objects.routes {
        let item = Item { node: object.node, path: &Path::Root(&object.path), work };
        doubts::probes(objects, &item);
    }
}

/// Converts the fields of an object into a table of Ferrule's.
type Convert = fn(&Fields<'_>, &Object<'_>, &Objects<'_>) -> toml::Table;
