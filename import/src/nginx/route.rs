//! Servers and their locations as `[[routes]]`.

use std::collections::BTreeSet;

use toml::Value as Toml;

use crate::fields::plain;
use crate::proof::Draft;

use super::conditions::leaf;
use super::guards::nobody;
use super::job::{Job, Refused, source, values};
use super::jumps::{Jump, is_jump, takes_all};
use super::listen::{Ports, ServerBlock};
use super::location::{Compared, Comparison, Leads, LocationBlock, slots};
use super::proxy::FieldLine;
use super::response;
use super::scope::Scope;
use super::script::{Answer, RETURN, Script, on_ports, to_https};
use super::serving::{is_file, is_page};
use super::tree::Directive;
use super::variables::Fixed;

/// What is known of a location that proxies, for the report.
pub(super) struct Proxies<'a> {
    pub(super) directive: &'a Directive,
    pub(super) fields: Vec<FieldLine>,
    /// How its server asks for certificates.
    pub(super) verify: &'a str,
    /// A client without a verified certificate is refused.
    pub(super) is_guarded: bool,
}

/// Everything of a route but its host and path.
#[derive(Clone, Debug)]
struct Body<'a> {
    table: toml::Table,
    directive: &'a Directive,
    /// What its expression, and that of a `rewrite ... last`, ask of the path.
    conditions: Vec<Toml>,
    /// Requests without TLS are redirected before its guards are asked.
    redirects_first: bool,
}

/// Writes the routes of a server.
pub(super) fn write<'a>(
    job: &Job<'a>,
    servers: &[ServerBlock<'a>],
    which: usize,
    ports: &Ports,
    draft: &mut Draft,
) -> Result<Vec<Proxies<'a>>, Refused> {
    let Some(server) = servers.get(which) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut all: Vec<Slotted<'a>> = Vec::new();
    let own = [server.directive.inner()];
    let constants = job.constants(&own)?;
    let fixed =
        Fixed { server_name: &server.first_name, constants: &constants, ..Fixed::default() };
    let whole = job.script(&server.scope, &own, fixed, &[])?;
    if whole.answer.as_ref().is_some_and(|answer| !answer.lets_tls_pass()) {
        let place = Place { server, scope: &server.scope, directive: server.directive, fixed };
        let body = finish(job, place, whole, None)?;
        all.push(Slotted { uri: String::from("/*"), body });
    } else {
        let locations = LocationBlock::all(job, server.directive, &server.scope)?;
        all = slotted(job, server, &locations, &mut found)?;
    }
    for (hosts, on) in groups(ports, which, server) {
        for slotted in &all {
            for (on, table) in by_port(server, &slotted.body, &on) {
                let route = slotted.route(&hosts, &on, ports, &table);
                job.spend(slotted.body.directive, values(&route))?;
                draft.push("routes", route, source(slotted.body.directive));
            }
        }
    }
    Ok(found)
}

/// The ports of a route and its table. Who is redirected to https first is asked by no guard, and all others are not
/// redirected.
fn by_port(server: &ServerBlock<'_>, body: &Body<'_>, on: &[u16]) -> Vec<(Vec<u16>, toml::Table)> {
    if !body.redirects_first {
        return vec![(on.to_vec(), body.table.clone())];
    }
    let is_tls =
        |port: &u16| server.listens.iter().any(|listen| listen.port == *port && listen.tls);
    let (tls, plain): (Vec<u16>, Vec<u16>) = on.iter().partition(|port| is_tls(port));
    let mut redirected = body.table.clone();
    redirected.retain(|key, _| key == "response");
    let https = to_https();
    let mut guarded = body.table.clone();
    if guarded.get(https.key).and_then(Toml::as_table) == Some(&https.table) {
        guarded.remove(https.key);
    }
    redirected.insert(https.key.to_owned(), Toml::Table(https.table));
    // Nothing comes this far, but a route leads somewhere.
    redirected.extend(not_found());
    let both = vec![(plain, redirected), (tls, guarded)];
    both.into_iter().filter(|(on, _)| !on.is_empty()).collect()
}

/// A path and what takes it.
struct Slotted<'a> {
    uri: String,
    body: Body<'a>,
}

impl Slotted<'_> {
    /// The route for these hosts and ports.
    fn route(
        &self,
        hosts: &[String],
        on: &[u16],
        ports: &Ports,
        table: &toml::Table,
    ) -> toml::Table {
        let mut route = toml::Table::new();
        if !hosts.is_empty() {
            let hosts = hosts.iter().map(|host| plain(host)).collect();
            route.insert("hosts".to_owned(), Toml::Array(hosts));
        }
        route.insert("uri".to_owned(), plain(&self.uri));
        let mut vars: Vec<Toml> = Vec::new();
        if on.len() < ports.all.len() {
            vars.push(on_ports(on));
        }
        vars.extend(self.body.conditions.iter().cloned());
        if !vars.is_empty() {
            route.insert("vars".to_owned(), Toml::Array(vars));
        }
        route.extend(table.clone());
        route
    }
}

/// The hosts and ports that a server has: on some ports it may take what no other one does.
fn groups(ports: &Ports, which: usize, server: &ServerBlock<'_>) -> Vec<(Vec<String>, Vec<u16>)> {
    let on: BTreeSet<u16> = server.listens.iter().map(|listen| listen.port).collect();
    let (default, other): (Vec<u16>, Vec<u16>) =
        on.into_iter().partition(|port| ports.is_default(which, *port));
    let mut groups = Vec::new();
    if !default.is_empty() {
        let mut hosts = server.names.clone();
        if !hosts.is_empty() {
            hosts.push(String::from("*"));
        }
        groups.push((hosts, default));
    }
    // Without a name and without being the default, nothing reaches it.
    if !other.is_empty() && !server.names.is_empty() {
        groups.push((server.names.clone(), other));
    }
    groups
}

fn slotted<'a>(
    job: &Job<'a>,
    server: &ServerBlock<'a>,
    locations: &[LocationBlock<'a>],
    found: &mut Vec<Proxies<'a>>,
) -> Result<Vec<Slotted<'a>>, Refused> {
    let compared: Vec<Compared<'_>> = locations.iter().map(LocationBlock::compared).collect();
    let expressions = compared.iter().filter(|one| one.comparison.is_expression()).count();
    job.spend(server.directive, expressions.saturating_mul(compared.len()))?;
    let mut bodies = Vec::new();
    let mut is_refused = false;
    job.tell_unnamed(server, locations);
    for location in locations {
        // The page of an error, and nothing else, is reached by no client. It keeps its number: others name theirs.
        if location.comparison == Comparison::Named || is_page(server, location) {
            bodies.push(Vec::new());
            continue;
        }
        match bodies_of(job, server, location, locations, found) {
            Ok(of_location) => {
                for body in &of_location {
                    job.spend(location.directive, values(&body.table))?;
                }
                bodies.push(of_location);
            }
            Err(Refused) => is_refused = true,
        }
    }
    if is_refused {
        return Err(Refused);
    }
    let mut all = Vec::new();
    for slot in slots(&compared) {
        for leads in slot.leads {
            let taking = match leads {
                Leads::To(at) | Leads::If(at) => bodies.get(at).cloned().unwrap_or_default(),
                Leads::Slash => vec![Body {
                    table: slash(&slot.uri),
                    directive: server.directive,
                    conditions: Vec::new(),
                    redirects_first: false,
                }],
                Leads::Nowhere => vec![nowhere(job, server)?],
            };
            for body in taking {
                job.spend(body.directive, values(&body.table))?;
                all.push(Slotted { uri: slot.uri.clone(), body });
            }
        }
    }
    Ok(all)
}

/// The redirect to the same path with a slash at its end.
fn slash(bare: &str) -> toml::Table {
    let mut redirect = toml::Table::new();
    redirect.insert("uri".to_owned(), plain(&format!("{bare}/")));
    redirect.insert("status".to_owned(), Toml::from(301));
    redirect.insert("append_query_string".to_owned(), Toml::from(true));
    [("redirect".to_owned(), Toml::Table(redirect))].into_iter().collect()
}

/// What takes a path that no location takes: nginx looks for a file there.
fn nowhere<'a>(job: &Job<'a>, server: &ServerBlock<'a>) -> Result<Body<'a>, Refused> {
    if is_file(&server.scope) {
        job.serves_files(&server.scope, server.scope.one("root").unwrap_or(server.directive))?;
    }
    Ok(Body {
        table: not_found(),
        directive: server.directive,
        conditions: Vec::new(),
        redirects_first: false,
    })
}

fn not_found() -> toml::Table {
    let answer = [("status".to_owned(), Toml::from(404))].into_iter().collect();
    [(RETURN.to_owned(), Toml::Table(answer))].into_iter().collect()
}

/// What takes the requests of a location, in order: those that a `rewrite ... last` leads elsewhere, and the others.
fn bodies_of<'a>(
    job: &Job<'a>,
    server: &ServerBlock<'a>,
    location: &LocationBlock<'a>,
    all: &[LocationBlock<'a>],
    found: &mut Vec<Proxies<'a>>,
) -> Result<Vec<Body<'a>>, Refused> {
    let text = || job.expression(location.directive, location.text).ok_or(Refused);
    let condition = match location.comparison {
        Comparison::Expression => Some(leaf("uri", false, "~~", plain(text()?))),
        Comparison::ExpressionWithoutCase => Some(leaf("uri", false, "~*", plain(text()?))),
        _ => None,
    };
    let jumps = job.jumps(location, server.directive, all)?;
    let mut bodies = Vec::new();
    for Jump { directive, to } in &jumps {
        let Some(target) = all.get(*to) else { continue };
        if is_page(server, target) {
            job.refuse(
                directive,
                "it leads to the page of an error, and files are not served here",
            );
            return Err(Refused);
        }
        let mut behind = body(job, server, target, all, found, Some(directive))?;
        behind.conditions.push(leaf("uri", false, "~~", plain(directive.arg(0))));
        bodies.push(behind);
    }
    if jumps.iter().any(|jump| takes_all(jump.directive.arg(0), location)) {
        let table = not_found();
        let directive = location.directive;
        bodies.push(Body { table, directive, conditions: Vec::new(), redirects_first: false });
    } else {
        bodies.push(body(job, server, location, all, found, None)?);
    }
    for body in &mut bodies {
        body.conditions.splice(0..0, condition.clone());
    }
    Ok(bodies)
}

/// What takes the requests of a location that came there by their path, or behind a `rewrite ... last`.
fn body<'a>(
    job: &Job<'a>,
    server: &ServerBlock<'a>,
    location: &LocationBlock<'a>,
    all: &[LocationBlock<'a>],
    found: &mut Vec<Proxies<'a>>,
    jump: Option<&'a Directive>,
) -> Result<Body<'a>, Refused> {
    let taken = job.leads_to(location, all)?.unwrap_or(location);
    let again = |one: &&Directive| is_jump(one) || (jump.is_some() && one.name == "rewrite");
    if !std::ptr::eq(taken, location)
        && let Some(line) = taken.scope.own().iter().find(again)
    {
        job.refuse(line, "`last` in a named location is not converted, nor a `rewrite` behind one");
        return Err(Refused);
    }
    let blocks = [server.directive.inner(), taken.directive.inner()];
    let constants = job.constants(&blocks)?;
    let fixed =
        Fixed { server_name: &server.first_name, constants: &constants, ..Fixed::default() };
    let pair = |line: &Directive| job.pair(line, line.arg(0), line.arg(1), fixed).ok_or(Refused);
    let behind = jump.map(pair).transpose()?.unwrap_or_default();
    let script = job.script(&taken.scope, &blocks, fixed, &behind)?;
    let directive = jump.unwrap_or(location.directive);
    let place = Place { server, scope: &taken.scope, directive, fixed };
    finish(job, place, script, Some(ForLocation { location: taken, found }))
}

/// A location, and where what it proxies is noted.
struct ForLocation<'l, 'a> {
    location: &'l LocationBlock<'a>,
    found: &'l mut Vec<Proxies<'a>>,
}

/// What a route is made of, and what its variables stand for.
#[derive(Clone, Copy)]
struct Place<'p, 'a> {
    server: &'p ServerBlock<'a>,
    scope: &'p Scope<'a>,
    directive: &'a Directive,
    fixed: Fixed<'p>,
}

/// Everything of a route but its host, path and conditions.
fn finish<'a>(
    job: &Job<'a>,
    place: Place<'_, 'a>,
    script: Script,
    location: Option<ForLocation<'_, 'a>>,
) -> Result<Body<'a>, Refused> {
    let Place { scope, directive, .. } = place;
    let mut table = toml::Table::new();
    job.fields_stay(scope, place.fixed.constants, &script.rewrites)?;
    let guards = job.addresses(scope)?;
    let is_guarded = script.asks_verify;
    let list =
        |tables: Vec<toml::Table>| Toml::Array(tables.into_iter().map(Toml::Table).collect());
    let mut client = script.client;
    client.extend(guards);
    let own = location.as_ref().map(|of| of.location.scope.own()).unwrap_or_default();
    let passes = own.iter().find(|one| one.name == "proxy_pass");
    let goes_on = script.answer.as_ref().is_none_or(Answer::lets_tls_pass);
    let is_asked = !(client.is_empty() && script.refuse.is_empty());
    let redirects_first = script.redirects_first && (is_asked || !goes_on);
    if script.answer.is_some() && goes_on && is_asked && !redirects_first {
        job.changed(
            directive,
            "all of its guards are asked before the redirect to https: what they refuse without TLS gets their status",
        );
    }
    if let Some(answer) = script.answer {
        client.extend(answer.guard());
        table.insert(answer.key.to_owned(), Toml::Table(answer.table));
    }
    match (passes, location) {
        (Some(_), Some(of)) if goes_on => {
            proxy(job, place, of, script.rewrites, is_guarded, &mut table)?;
        }
        (Some(line), _) => {
            job.changed(line, "an answer stands in front of it, so it is never reached");
        }
        (None, _) if !goes_on => {}
        // Whoever asks is refused, so it does not matter what would be served.
        (None, _) if client.contains(&nobody(403)) => table.extend(not_found()),
        (None, _) => {
            job.serves_files(scope, directive)?;
            table.extend(not_found());
        }
    }
    if !client.is_empty() {
        table.insert("client".to_owned(), list(client));
    }
    let limits = job.limits(scope)?;
    if !limits.is_empty() && !table.contains_key(RETURN) {
        table.insert("limits".to_owned(), Toml::Table(limits));
    }
    let response = response::of(job, scope, place.fixed)?;
    if !response.is_empty() {
        table.insert("response".to_owned(), list(response));
    }
    let refuse = job.with_doubts(script.refuse);
    if !refuse.is_empty() {
        table.insert("refuse".to_owned(), list(refuse));
    }
    body_size(job, scope, &mut table)?;
    Ok(Body { table, directive, conditions: Vec::new(), redirects_first })
}

fn body_size(job: &Job<'_>, scope: &Scope<'_>, table: &mut toml::Table) -> Result<(), Refused> {
    let outer = job.http.word("client_max_body_size");
    if let Some(line) = scope.one("client_max_body_size").filter(|line| Some(line.arg(0)) != outer)
    {
        let size = super::units::bytes(line.arg(0)).and_then(|size| i64::try_from(size).ok());
        let Some(size) = size else {
            job.refuse(line, "this is no size, as `10m`");
            return Err(Refused);
        };
        table.insert("client_max_body_size".to_owned(), Toml::from(size));
    }
    Ok(())
}

fn proxy<'a>(
    job: &Job<'a>,
    place: Place<'_, 'a>,
    of: ForLocation<'_, 'a>,
    mut rewrites: Vec<Toml>,
    is_guarded: bool,
    table: &mut toml::Table,
) -> Result<(), Refused> {
    let ForLocation { location, found } = of;
    let own = location.scope.own();
    let Some(line) = own.iter().find(|one| one.name == "proxy_pass") else { return Ok(()) };
    if let Some(files) = own.iter().find(|one| one.name == "try_files") {
        job.refuse(files, "files are not served here: take it out, or leave them to a web server");
        return Err(Refused);
    }
    let proxied = job.proxied(line, &location.scope, place.fixed)?;
    if proxied.is_as_it_came && !rewrites.is_empty() {
        job.refuse(
            line,
            "`rewrite` and `$request_uri` in `proxy_pass` together are not converted: nginx sends the path as it came",
        );
        return Err(Refused);
    }
    table.extend(proxied.route);
    if let Some(path) = proxied.path {
        let exact = location.comparison == Comparison::Exact;
        let has_path = matches!(
            location.comparison,
            Comparison::Exact | Comparison::Prefix | Comparison::PrefixAlone
        );
        if !has_path {
            job.refuse(
                line,
                "a path in `proxy_pass` of such a location: nginx does not start with it",
            );
            return Err(Refused);
        }
        if !rewrites.is_empty() {
            job.refuse(line, "`rewrite` and a path in `proxy_pass` together are not converted");
            return Err(Refused);
        }
        rewrites = Job::replaced(location.text, exact, &path);
    }
    let mut rewrite = toml::Table::new();
    if !rewrites.is_empty() {
        rewrite.insert("regex_uri".to_owned(), Toml::Array(rewrites));
    }
    if let Some(method) = location.scope.one("proxy_method") {
        rewrite.insert("method".to_owned(), plain(method.arg(0)));
    }
    if !rewrite.is_empty() {
        table.insert("rewrite".to_owned(), Toml::Table(rewrite));
    }
    found.push(Proxies {
        directive: line,
        fields: proxied.fields,
        verify: place.server.verify(),
        is_guarded,
    });
    Ok(())
}
