//! `--drop-invalid`: objects that APISIX itself overlooks are left out, as it leaves them out, each with its reason.
//!
//! APISIX checks each object of its file alone. One that does not pass is as if it were not there: a route is not
//! found (404), what names a service answers 404, what names a plugin config 503, and what names an upstream 502
//! (its `init.lua`, `http_access_phase` and `handle_upstream`). Only what APISIX takes for wrong is left out; what it
//! takes and Ferrule cannot say is refused as ever.

use std::collections::{BTreeMap, BTreeSet};

use crate::fields::{Item, Path};
use crate::report::{Finding, Kind};
use crate::work::Work;

use super::leads::dead_end;
use super::objects::{Object, Objects, is_off};
use super::{Convert, plugins, route, service, ssl, upstream};

/// Which list of objects.
#[derive(Clone, Copy)]
enum List {
    Ssls,
    Upstreams,
    PluginConfigs,
    Services,
    Routes,
    GlobalRules,
}

/// Those that others refer to first.
const LISTS: [List; 6] = [
    List::Ssls,
    List::Upstreams,
    List::PluginConfigs,
    List::Services,
    List::Routes,
    List::GlobalRules,
];

impl List {
    const fn convert(self) -> Convert {
        match self {
            Self::Ssls => ssl::convert,
            Self::Upstreams => upstream::convert,
            Self::PluginConfigs => plugins::convert_config,
            Self::Services => service::convert,
            Self::Routes => route::convert,
            Self::GlobalRules => service::convert_rule,
        }
    }

    const fn of<'o, 'a>(self, objects: &'o Objects<'a>) -> &'o Vec<Object<'a>> {
        match self {
            Self::Ssls => &objects.ssls,
            Self::Upstreams => &objects.upstreams,
            Self::PluginConfigs => &objects.plugin_configs,
            Self::Services => &objects.services,
            Self::Routes => &objects.routes,
            Self::GlobalRules => &objects.global_rules,
        }
    }

    const fn of_mut<'o, 'a>(self, objects: &'o mut Objects<'a>) -> &'o mut Vec<Object<'a>> {
        match self {
            Self::Ssls => &mut objects.ssls,
            Self::Upstreams => &mut objects.upstreams,
            Self::PluginConfigs => &mut objects.plugin_configs,
            Self::Services => &mut objects.services,
            Self::Routes => &mut objects.routes,
            Self::GlobalRules => &mut objects.global_rules,
        }
    }
}

impl Objects<'_> {
    /// Leaves out what APISIX overlooks.
    pub(super) fn drop_invalid(&mut self, work: &Work) {
        for list in LISTS {
            let mut out = BTreeSet::new();
            for object in list.of(self) {
                if let Some(finding) = first_invalid(object, self, list.convert(), work) {
                    say(object, &finding, work);
                    out.insert(object.path.clone());
                }
            }
            list.of_mut(self).retain(|object| !out.contains(&object.path));
        }
        self.drop_dead_ends(work);
        self.forget();
    }

    /// Upstreams that can never be passed a request.
    fn drop_dead_ends(&mut self, work: &Work) {
        let mut dead_upstreams = BTreeMap::new();
        for object in &self.upstreams {
            if let (Some(id), Some(dead)) = (&object.id, dead_end(object.node, self)) {
                let message =
                    format!("{}: what leads here gets {}, as it did", dead.why, dead.status);
                work.log.add(Kind::Changed, object.node.spot, &object.path, message);
                dead_upstreams.insert(id.clone(), dead);
            }
        }
        let is_dead = |id: &String| dead_upstreams.contains_key(id);
        self.upstreams.retain(|object| !object.id.as_ref().is_some_and(is_dead));
        self.dead_upstreams = dead_upstreams;
    }
}

/// What is wrong with an object in APISIX's eyes, if anything is.
fn first_invalid(
    object: &Object<'_>,
    objects: &Objects<'_>,
    convert: Convert,
    work: &Work,
) -> Option<Finding> {
    let scratch = work.scratch();
    let path = Path::Root(&object.path);
    let item = Item { node: object.node, path: &path, work: &scratch };
    if let Some(fields) = item.fields() {
        if is_off(&fields) && !scratch.log.is_invalid() {
            return None;
        }
        let _ = convert(&fields, object, objects);
    }
    scratch.log.is_invalid().then(|| scratch.log.first_refused()).flatten()
}

fn say(object: &Object<'_>, finding: &Finding, work: &Work) {
    let Finding { spot, path, message, .. } = finding;
    let message = format!("{} is left out, as APISIX leaves it out: {message}", object.path);
    work.log.add(Kind::Changed, *spot, path, message);
    let guards = plugins::guards_of(object.node);
    if !guards.is_empty() && object.path.starts_with("global_rules") {
        let message = format!("{} had no effect, and has none", guards.join(", "));
        work.log.add(Kind::Security, *spot, &object.path, message);
    }
    if object.node.get("client").is_some() && object.path.starts_with("ssls") {
        let message = "its names asked nobody for a certificate, as APISIX overlooked it";
        work.log.add(Kind::Security, *spot, &object.path, message);
    }
}
