//! Routes and upstreams of the gathered hosts.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value as Toml;

use crate::fields::{plain, put};
use crate::pcre;
use crate::proof::{Draft, Source};
use crate::work::Work;

use super::annotations::CanaryRules;
use super::objects::{Manifests, text};
use super::sites::{IngressSite, PathKind, SitePath};

/// What routes are made with.
pub(super) struct RouteWriter<'a> {
    pub(super) manifests: &'a Manifests<'a>,
    pub(super) work: &'a Work,
    /// All plain listeners send every request to TLS.
    pub(super) redirected: bool,
    pub(super) known: BTreeSet<String>,
    pub(super) upstreams: Draft,
    pub(super) routes: Draft,
}

impl RouteWriter<'_> {
    pub(super) fn write(&mut self, sites: &BTreeMap<String, IngressSite<'_>>) {
        for (host, site) in sites {
            for path in &site.paths {
                self.route(host, site, path);
            }
            self.leftovers(host, site);
        }
    }

    /// nginx asks the default backend for paths that a host does not have; routes without a host must not get them.
    fn leftovers(&mut self, host: &str, site: &IngressSite<'_>) {
        let whole = |path: &SitePath<'_>| path.path == "/" && path.kind != PathKind::Exact;
        if host.is_empty() || site.paths.iter().any(whole) {
            return;
        }
        let mut table = toml::Table::new();
        put(&mut table, "host", Some(plain(host)));
        put(&mut table, "uri", Some("/*"));
        put(&mut table, "priority", Some(-1));
        let answer: toml::Table = [("status".to_owned(), Toml::Integer(404))].into_iter().collect();
        put(&mut table, "return", Some(answer));
        self.routes.push_own("routes", table, true);
    }

    fn route(&mut self, host: &str, site: &IngressSite<'_>, path: &SitePath<'_>) {
        let settings = &path.ingress.settings;
        let mut table = settings.route.clone();
        if !host.is_empty() {
            put(&mut table, "host", Some(plain(host)));
        }
        if site.regex {
            if let Some(why) = pcre::differs(&path.path) {
                path.ingress.manifest.refuse(self.work, path.spot, why);
            }
            let expression = format!("^{}", path.path);
            let condition = [Toml::from("uri"), Toml::from("~*"), plain(&expression)];
            put(&mut table, "uri", Some("/*"));
            put(&mut table, "vars", Some(Toml::Array(vec![Toml::Array(condition.to_vec())])));
            put(&mut table, "priority", i64::try_from(path.path.len()).ok());
        } else {
            let stem = path.path.trim_end_matches('/');
            let uris = match path.kind {
                PathKind::Exact => vec![path.path.clone()],
                PathKind::Beginning => vec![format!("{}*", path.path)],
                PathKind::Prefix if stem.is_empty() => vec![String::from("/*")],
                PathKind::Prefix => vec![stem.to_owned(), format!("{stem}/*")],
            };
            let uris = uris.iter().map(|uri| plain(uri)).collect();
            put(&mut table, "uris", Some(Toml::Array(uris)));
        }
        if let Some(target) = &settings.rewrite_target {
            // nginx puts the target in the place of the whole path.
            let expression = format!("(?is)^{}.*$", path.path.trim_start_matches('^'));
            let pair = vec![plain(&expression), Toml::String(target.clone())];
            let rewrite: toml::Table =
                [("regex_uri".to_owned(), Toml::Array(pair))].into_iter().collect();
            put(&mut table, "rewrite", Some(rewrite));
        }
        identity(site, &mut table);
        if site.redirects && !self.redirected {
            let redirect: toml::Table =
                [("http_to_https".to_owned(), Toml::Boolean(true))].into_iter().collect();
            put(&mut table, "redirect", Some(redirect));
        }
        put(&mut table, "enable_websocket", Some(true));
        let Some(upstream) = self.upstream(path) else { return };
        put(&mut table, "upstream_id", Some(upstream));
        let split = self.canaries(site, path);
        put(&mut table, "traffic_split", (!split.is_empty()).then_some(Toml::Array(split)));
        let source =
            Source { path: path.ingress.manifest.path.clone(), file: None, spot: path.spot };
        self.routes.push("routes", table, source);
    }

    /// The id of the upstream of a path, which is written once.
    fn upstream(&mut self, path: &SitePath<'_>) -> Option<String> {
        let manifest = path.ingress.manifest;
        let nodes = self.manifests.nodes(manifest, path.backend, self.work)?;
        let settings = &path.ingress.settings;
        let service = text(path.backend, &["service", "name"]).unwrap_or_default();
        let port = path.backend.get("service").and_then(|service| service.get("port"));
        let port = port.map_or_else(String::new, |port| {
            text(port, &["name"]).map_or_else(
                || nodes.first().map(|node| node.port.to_string()).unwrap_or_default(),
                str::to_owned,
            )
        });
        let long = format!("{}.{}.{service}.{port}", manifest.namespace, manifest.name);
        let id: String = long.chars().take(64).collect();
        if id.len() < long.len() {
            manifest.refuse(
                self.work,
                path.spot,
                "the names of namespace, Ingress and service are together longer than 64 bytes",
            );
        }
        if !self.known.insert(id.clone()) {
            return Some(id);
        }
        let mut table = toml::Table::new();
        put(&mut table, "id", Some(id.clone()));
        table.extend(settings.upstream.clone());
        let nodes = nodes.into_iter().map(|node| {
            let mut line = toml::Table::new();
            put(&mut line, "host", Some(plain(&node.host)));
            put(&mut line, "port", Some(node.port));
            Toml::Table(line)
        });
        put(&mut table, "nodes", Some(Toml::Array(nodes.collect())));
        self.proxy_secret(path, &mut table);
        let source = Source { path: manifest.path.clone(), file: None, spot: path.spot };
        self.upstreams.push("upstreams", table, source);
        Some(id)
    }

    /// The certificate that servers are shown, and their authorities.
    fn proxy_secret(&self, path: &SitePath<'_>, table: &mut toml::Table) {
        let Some(reference) = &path.ingress.settings.proxy_ssl_secret else { return };
        let Some(Toml::Table(tls)) = table.get_mut("tls") else { return };
        let stem = format!("proxy-{}", reference.text);
        let manifest = path.ingress.manifest;
        let get = |key: &str| {
            self.manifests.secret(manifest, reference.spot, &reference.text, key, false, self.work)
        };
        if let (Some(cert), Some(key)) = (get("tls.crt"), get("tls.key")) {
            put(tls, "client_cert", Some(self.work.keep(&stem, "pem", &cert)));
            put(tls, "client_key", Some(self.work.keep(&stem, "key", &key)));
        }
        if !tls.contains_key("verify") {
            put(
                tls,
                "ca",
                get("ca.crt").map(|ca| self.work.keep(&format!("{stem}-ca"), "pem", &ca)),
            );
        }
    }

    fn canaries(&mut self, site: &IngressSite<'_>, path: &SitePath<'_>) -> Vec<Toml> {
        let mut rules = Vec::new();
        let matching = site
            .canaries
            .iter()
            .filter(|canary| canary.path == path.path && canary.kind == path.kind);
        for (at, canary) in matching.enumerate() {
            let manifest = canary.ingress.manifest;
            if at > 0 {
                manifest.refuse(self.work, canary.spot, "one canary for a path is enough");
            }
            let Some(split) = &canary.ingress.settings.canary else { continue };
            if let Some(id) = self.upstream(canary) {
                rules.extend(split_rules(split, &id));
            }
        }
        rules
    }
}

/// Header before cookie before weight, as ingress-nginx asks them.
fn split_rules(canary: &CanaryRules, id: &str) -> Vec<Toml> {
    let rule = |variable: Option<String>, value: &str, targets: Option<Vec<Toml>>| {
        let mut table = toml::Table::new();
        if let Some(variable) = variable {
            let condition = vec![Toml::String(variable), Toml::from("=="), plain(value)];
            put(&mut table, "vars", Some(Toml::Array(vec![Toml::Array(condition)])));
        }
        put(&mut table, "weighted_upstreams", targets.map(Toml::Array));
        Toml::Table(table)
    };
    let target = |id: Option<&str>, weight: i64| {
        let mut table = toml::Table::new();
        put(&mut table, "upstream_id", id);
        put(&mut table, "weight", Some(weight));
        Toml::Table(table)
    };
    let to_canary = || Some(vec![target(Some(id), 1)]);
    let mut rules = Vec::new();
    let header = canary
        .header
        .as_ref()
        .map(|name| format!("http_{}", name.to_ascii_lowercase().replace('-', "_")));
    match (header, &canary.header_value) {
        (Some(name), Some(value)) => rules.push(rule(Some(name), value, to_canary())),
        (Some(name), None) => {
            rules.push(rule(Some(name.clone()), "always", to_canary()));
            rules.push(rule(Some(name), "never", None));
        }
        (None, _) => {}
    }
    if let Some(name) = &canary.cookie {
        rules.push(rule(Some(format!("cookie_{name}")), "always", to_canary()));
        rules.push(rule(Some(format!("cookie_{name}")), "never", None));
    }
    let weight = canary.weight.min(canary.total);
    if weight > 0 {
        let rest = canary.total.saturating_sub(weight);
        let mut targets = vec![target(Some(id), weight)];
        if rest > 0 {
            targets.push(target(None, rest));
        }
        rules.push(rule(None, "", Some(targets)));
    }
    rules
}

/// The headers by which services learn of the client, and nginx's test of the common name.
fn identity(site: &IngressSite<'_>, table: &mut toml::Table) {
    let mut set = toml::Table::new();
    put(&mut set, "X-Scheme", Some("$scheme"));
    put(&mut set, "X-Forwarded-Scheme", Some("$scheme"));
    if let Some(auth) = &site.auth {
        if auth.pass_certificate {
            put(&mut set, "ssl-client-cert", Some("$ssl_client_escaped_cert"));
        }
        put(&mut set, "ssl-client-verify", Some("$ssl_client_verify"));
        put(&mut set, "ssl-client-subject-dn", Some("$ssl_client_s_dn"));
        put(&mut set, "ssl-client-issuer-dn", Some("$ssl_client_i_dn"));
        if let Some(expression) = &auth.match_cn {
            let condition = ["ssl_client_s_dn", "!", "~~"]
                .map(Toml::from)
                .into_iter()
                .chain([plain(expression)]);
            let mut refusal = toml::Table::new();
            put(&mut refusal, "vars", Some(Toml::Array(vec![Toml::Array(condition.collect())])));
            put(&mut refusal, "body", Some("client certificate unauthorized"));
            put(table, "refuse", Some(refusal));
        }
    }
    let headers: toml::Table = [("set".to_owned(), Toml::Table(set))].into_iter().collect();
    put(table, "headers", Some(headers));
}
