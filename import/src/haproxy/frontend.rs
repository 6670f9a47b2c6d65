//! Frontends: listeners, server names and routes.
//!
//! HAProxy asks a frontend for its rules, in their order; here all listeners share the routes, and the most exact one is
//! taken. So every route is for all paths, says in `vars` which ports and which requests it is for, and has a `priority`
//! that keeps the order.

use std::cell::Cell;
use std::collections::BTreeMap;

use toml::Value as Toml;

use crate::document::LIMITS;
use crate::fields::put;
use crate::proof::{Draft, Source};
use crate::report::Kind;
use crate::work::Work;

use super::attributes;
use super::bind::BindLine;
use super::condition::{AclCondition, Acls};
use super::proxy::ProxyLines;
use super::rules::{PlannedRoute, RuleChain, RuleReader};
use super::sample::{Asks, FrontScene};
use super::upstream;
use super::words::ConfigLine;

/// Where a redirect to TLS leads.
const TO_HTTPS: &str = "https://${http_host}${request_uri}";

/// The binds of a frontend that speak the same, and ask the same of clients.
pub(super) struct FrontGroup<'a> {
    pub(super) proxy: &'a ProxyLines<'a>,
    pub(super) scene: FrontScene,
    pub(super) binds: Vec<&'a BindLine>,
}

/// What the routes are made with.
pub(super) struct RouteMaker<'a> {
    pub(super) proxies: &'a [ProxyLines<'a>],
    /// The sections that became upstreams.
    pub(super) upstreams: &'a BTreeMap<&'a str, String>,
    pub(super) work: &'a Work,
    /// Is there more than one group, so that routes must say for which ports they are?
    pub(super) several: bool,
    /// Does any server name require certificates?
    pub(super) requires: bool,
    /// How much was read so far: each route holds all rules in front of it.
    pub(super) made: Cell<usize>,
}

impl FrontGroup<'_> {
    fn ports(&self) -> Vec<String> {
        let mut ports: Vec<String> = self
            .binds
            .iter()
            .flat_map(|bind| &bind.addresses)
            .filter_map(|address| address.rsplit_once(':').map(|(_, port)| port.to_owned()))
            .collect();
        ports.sort();
        ports.dedup();
        ports
    }

    fn port_condition(&self) -> AclCondition {
        let ports = self.ports();
        match ports.as_slice() {
            [one] => AclCondition::test("server_port", "==", one.clone()),
            _ => {
                let list = ports.into_iter().map(Toml::String).collect();
                AclCondition::test("server_port", "in", Toml::Array(list))
            }
        }
    }
}

/// Puts the binds of a frontend into groups.
pub(super) fn groups<'a>(proxy: &'a ProxyLines<'a>, binds: &'a [BindLine]) -> Vec<FrontGroup<'a>> {
    let mut all: Vec<FrontGroup<'a>> = Vec::new();
    for bind in binds {
        let asks = bind.tls.as_ref().map_or(Asks::Never, |tls| tls.asks);
        let scene = FrontScene { tls: Some(bind.tls.is_some()), asks };
        match all.iter_mut().find(|group| group.scene == scene) {
            Some(group) => group.binds.push(bind),
            None => all.push(FrontGroup { proxy, scene, binds: vec![bind] }),
        }
    }
    all
}

/// Refuses two groups that share a port: routes know ports only.
pub(super) fn refuse_shared_ports(groups: &[FrontGroup<'_>], work: &Work) {
    let mut known: Vec<String> = Vec::new();
    for group in groups {
        let ports = group.ports();
        if let Some(port) = ports.iter().find(|port| known.contains(port))
            && let Some(bind) = group.binds.first()
        {
            let message = format!(
                "port {port} is bound twice, with other rules or settings: routes tell ports apart only"
            );
            bind.line.refuse(work, 1, message);
        }
        known.extend(ports);
    }
}

impl RouteMaker<'_> {
    /// Writes the routes and listeners of a group.
    pub(super) fn write(&self, group: &FrontGroup<'_>, routes: &mut Draft, listeners: &mut Draft) {
        let planned = self.plan(group);
        let redirects = self.only_redirects(group, &planned);
        for bind in &group.binds {
            self.listen(group, bind, redirects, listeners);
        }
        if redirects {
            return;
        }
        let count = planned.len();
        let doubts = attributes::doubts(planned.iter().map(|route| &route.chain));
        for (at, mut route) in planned.into_iter().enumerate() {
            route.chain.refusals.extend(doubts.iter().cloned());
            let priority = (count > 1).then(|| count.saturating_sub(at));
            self.push(group, route, priority, routes);
        }
    }

    fn plan(&self, group: &FrontGroup<'_>) -> Vec<PlannedRoute> {
        let proxy = group.proxy;
        let acls = Acls::of(&proxy.section.lines, self.work);
        let reader =
            RuleReader { acls: &acls, scene: group.scene, work: self.work, quiet: self.several };
        let mut routes = Vec::new();
        let mut chain = RuleChain::default();
        for line in &proxy.requests {
            if !self.has_room(line, &chain) {
                return routes;
            }
            reader.request(line, &mut chain, &mut routes);
        }
        self.forwarded_for(proxy.forwarded_for, &mut chain);
        for line in &proxy.switches {
            if chain.closed || !self.has_room(line, &chain) {
                break;
            }
            let Some(condition) = reader.condition(line, 2, &chain) else { continue };
            if condition == AclCondition::Constant(false) {
                continue;
            }
            let narrowed = chain.narrowed(&condition);
            self.to_backend(reader, group, line, narrowed, &mut routes);
            chain.closed = condition == AclCondition::Constant(true);
        }
        if chain.closed {
            return routes;
        }
        match proxy.default_backend {
            Some(line) => self.to_backend(reader, group, line, chain, &mut routes),
            None if proxy.section.backend && !proxy.servers.is_empty() => {
                self.leads_to(
                    &proxy.section.name,
                    &[proxy],
                    &proxy.section.head,
                    chain,
                    reader,
                    &mut routes,
                );
            }
            None => routes.push(unavailable(&proxy.section.head, chain)),
        }
        routes
    }

    /// Counts what a rule is read with; refused if it becomes too much, though the file is small.
    fn has_room(&self, line: &ConfigLine, chain: &RuleChain) -> bool {
        let before = self.made.get();
        let made = before.saturating_add(chain.size());
        self.made.set(made);
        if before <= LIMITS.nodes && made > LIMITS.nodes {
            let most = LIMITS.nodes;
            line.refuse(
                self.work,
                0,
                format!(
                    "the routes become more than {most} values: each has all rules in front of it"
                ),
            );
        }
        made <= LIMITS.nodes
    }

    fn to_backend(
        &self,
        reader: RuleReader<'_>,
        group: &FrontGroup<'_>,
        line: &ConfigLine,
        chain: RuleChain,
        routes: &mut Vec<PlannedRoute>,
    ) {
        let name = line.word(1);
        let found =
            self.proxies.iter().find(|proxy| proxy.section.backend && proxy.section.name == name);
        let Some(backend) = found else {
            let message = if name.contains('%') {
                String::from("the name of a backend must be fixed: write a `use_backend` for each")
            } else {
                format!("there is no backend {name:?}")
            };
            line.refuse(self.work, 1, message);
            return;
        };
        let acls = Acls::of(&backend.section.lines, self.work);
        let reader = RuleReader { acls: &acls, ..reader };
        let mut chain = chain;
        for line in &backend.requests {
            if !self.has_room(line, &chain) {
                return;
            }
            reader.request(line, &mut chain, routes);
        }
        self.forwarded_for(backend.forwarded_for, &mut chain);
        if !chain.closed {
            self.leads_to(name, &[backend, group.proxy], line, chain, reader, routes);
        }
    }

    /// `sections`: whose rules about responses hold, in their order.
    fn leads_to(
        &self,
        name: &str,
        sections: &[&ProxyLines<'_>],
        line: &ConfigLine,
        chain: RuleChain,
        reader: RuleReader<'_>,
        routes: &mut Vec<PlannedRoute>,
    ) {
        let Some(id) = self.upstreams.get(name) else {
            routes.push(unavailable(line, chain));
            return;
        };
        let mut responses = Vec::new();
        for section in sections {
            let acls = Acls::of(&section.section.lines, self.work);
            let reader = RuleReader { acls: &acls, ..reader };
            responses.extend(section.responses.iter().filter_map(|line| reader.response(line)));
        }
        routes.push(PlannedRoute {
            chain,
            key: "upstream_id",
            value: Toml::from(id.as_str()),
            responses,
            line: line.clone(),
        });
    }

    /// `option forwardfor header NAME`; without a name `http.forwarded_headers` does it.
    fn forwarded_for(&self, line: Option<&ConfigLine>, chain: &mut RuleChain) {
        let Some(line) = line.filter(|line| line.word(2) == "header") else { return };
        if line.word(3).is_empty() {
            line.refuse(self.work, 2, "the name of the header is missing");
            return;
        }
        let lines = [(line.word(3).to_owned(), Toml::from("${remote_addr}"))].into_iter().collect();
        chain.headers.push([("add".to_owned(), Toml::Table(lines))].into_iter().collect());
    }

    /// Does a plain listener do nothing but lead to TLS?
    fn only_redirects(&self, group: &FrontGroup<'_>, planned: &[PlannedRoute]) -> bool {
        let [route] = planned else { return false };
        let leads = route.value.get("uri").and_then(Toml::as_str) == Some(TO_HTTPS);
        let status = route.value.get("status").and_then(Toml::as_integer);
        let always = route.chain.condition == AclCondition::Constant(true)
            && route.chain.refusals.is_empty();
        let redirects = group.scene.tls == Some(false) && leads && always;
        if redirects && status != Some(301) {
            route.line.changed(
                self.work,
                0,
                "the status is 301 for GET and HEAD, and 308 for other methods, so that they are sent again as they were",
            );
        }
        redirects
    }

    fn listen(
        &self,
        group: &FrontGroup<'_>,
        bind: &BindLine,
        redirects: bool,
        listeners: &mut Draft,
    ) {
        for address in &bind.addresses {
            let mut table = toml::Table::new();
            put(&mut table, "address", Some(address.clone()));
            match &bind.tls {
                Some(tls) => {
                    put(&mut table, "tls", Some(true));
                    let fallback = tls.settings.get("fallback").and_then(Toml::as_str);
                    put(&mut table, "fallback_sni", fallback);
                }
                None if redirects => put(&mut table, "redirect_to_https", Some(true)),
                None if self.requires => {
                    put(&mut table, "mtls_routes", Some("allow"));
                    bind.line.say(
                        self.work,
                        Kind::Security,
                        1,
                        "this port is plain HTTP: what its rules lead to is served without a certificate",
                    );
                }
                None => {}
            }
            let source = Source { path: group_path(group), file: None, spot: bind.line.spot() };
            listeners.push("listen", table, source);
        }
    }

    fn push(
        &self,
        group: &FrontGroup<'_>,
        route: PlannedRoute,
        priority: Option<usize>,
        routes: &mut Draft,
    ) {
        let PlannedRoute { chain, key, value, responses, line } = route;
        let mut all = vec![chain.condition];
        if self.several {
            all.insert(0, group.port_condition());
        }
        let vars = AclCondition::All(all).simplified().vars();
        let mut table = toml::Table::new();
        put(&mut table, "uri", Some("/*"));
        put(&mut table, "priority", priority.and_then(|priority| i64::try_from(priority).ok()));
        put(&mut table, "vars", (!vars.is_empty()).then_some(Toml::Array(vars)));
        if group.scene.asks == Asks::Required {
            // Server names hold for every port: one of another frontend must not lead here without a certificate.
            let client = [("verify".to_owned(), Toml::from("on"))].into_iter().collect();
            put(&mut table, "client", Some(Toml::Table(client)));
        }
        let tables =
            |list: Vec<toml::Table>| Toml::Array(list.into_iter().map(Toml::Table).collect());
        put(&mut table, "refuse", (!chain.refusals.is_empty()).then(|| tables(chain.refusals)));
        put(&mut table, key, Some(value));
        if key == "upstream_id" {
            put(&mut table, "enable_websocket", Some(true));
            put(&mut table, "headers", (!chain.headers.is_empty()).then(|| tables(chain.headers)));
            put(&mut table, "rewrite", (!chain.rewrite.is_empty()).then_some(chain.rewrite));
            put(&mut table, "response", (!responses.is_empty()).then_some(Toml::Array(responses)));
        }
        let source = Source {
            path: format!("{}: {}", line.owner, line.word(0)),
            file: None,
            spot: line.spot(),
        };
        routes.push("routes", table, source);
    }
}

fn group_path(group: &FrontGroup<'_>) -> String {
    let section = group.proxy.section;
    format!("{} {}: bind", section.head.word(0), section.name)
}

/// HAProxy answers 503 where there is no server to ask.
fn unavailable(line: &ConfigLine, chain: RuleChain) -> PlannedRoute {
    let value: toml::Table = [("status".to_owned(), Toml::Integer(503))].into_iter().collect();
    PlannedRoute {
        chain,
        key: "return",
        value: Toml::Table(value),
        responses: Vec::new(),
        line: line.clone(),
    }
}

/// Which sections became upstreams, by name.
pub(super) fn upstream_id(name: &str) -> String {
    upstream::id(name)
}
