//! HAProxy: `haproxy.cfg`, its mTLS subset. What is not understood is refused by its name and line.

mod answers;
mod attributes;
mod bind;
mod condition;
mod crt_list;
mod files;
mod frontend;
mod global;
mod matching;
mod ports;
mod proxy;
mod rules;
mod sample;
mod section;
mod server;
mod server_names;
mod tls_words;
mod upstream;
mod words;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::document::{LIMITS, Spot};
use crate::fields::put;
use crate::output::Import;
use crate::proof::{Draft, Source, finish};
use crate::report::Kind;
use crate::work::Work;

use self::bind::BindLine;
use self::files::ProxyFiles;
use self::frontend::{FrontGroup, RouteMaker};
use self::global::{HaproxyGlobal, text};
use self::proxy::ProxyLines;
use self::server_names::ServerNames;

/// What is said on the command line.
#[derive(Clone, Debug, Default)]
pub struct HaproxyOptions {
    /// The name of the file, for the report.
    pub source: String,
    /// Where relative paths of certificates count from; an absolute path.
    pub base: PathBuf,
}

/// What stands in the first line of what is made.
const MAKER: &str = "ferrule import haproxy";

/// What is different for every configuration that moves here.
const DIFFERENCES: [&str; 11] = [
    "`Host` is compared without case and without its port; HAProxy compares what the client wrote.",
    "Paths are compared in their normalised form: escapes decoded, `//` as `/`; dot segments and broken escapes are \
     refused with 400.",
    "A request whose Host belongs to another policy than its server name gets 421; a session is resumed only under \
     the policy that it was made for.",
    "A header whose value would be empty is not sent; HAProxy sends it empty.",
    "Where a rule asks an attribute of the subject, clients with several values of it get 403; HAProxy asks the first.",
    "Headers that only a gateway may send (X-SSL-*, SSL-Client-* and the like) are removed from every request, and so \
     are headers with an underscore in their name.",
    "The names of servers are checked against their alternative names only, never the common name; a server name is \
     always sent.",
    "With `option forwardfor`, X-Forwarded-Proto, -Host, -Port and X-Real-IP are set as well (http.forwarded_headers).",
    "Rules for response headers hold for the gateway's own error answers, too; those have other texts.",
    "Framing is strict: what RFC 9112 calls invalid is refused and never mended.",
    "A server that fails several requests in a row is set aside for a while, with or without `check`; retries go to \
     other servers.",
];

/// Converts a configuration; `env` is asked for variables of the environment. Certificates that it names are read, for
/// the names in them.
#[must_use]
pub fn convert(
    text: &str,
    options: &HaproxyOptions,
    env: &dyn Fn(&str) -> Option<String>,
) -> Import {
    let work = Work::default();
    let mut draft = Draft::new(MAKER);
    if text.len() > LIMITS.bytes {
        let message = format!("the file has more than {} bytes", LIMITS.bytes);
        work.log.add(Kind::Refused, Spot::default(), "file", message);
    } else {
        write_all(text, options, env, &work, &mut draft);
        if !work.log.refused() {
            draft.prove(&work, env);
        }
    }
    finish(work, draft, &options.source, &DIFFERENCES)
}

fn write_all(
    text: &str,
    options: &HaproxyOptions,
    env: &dyn Fn(&str) -> Option<String>,
    work: &Work,
    draft: &mut Draft,
) {
    let sections = section::read(words::read(text, env, work), work);
    let mut files = ProxyFiles { base: options.base.clone(), ..ProxyFiles::default() };
    let global = global::read(&sections.global, &mut files, work);
    let proxies: Vec<ProxyLines<'_>> =
        sections.proxies.iter().map(|section| ProxyLines::of(section, work)).collect();
    let mut names = ServerNames::default();
    let mut number = 0_usize;
    let binds: Vec<Vec<BindLine>> = proxies
        .iter()
        .map(|proxy| {
            if proxy.section.frontend && proxy.binds.is_empty() {
                proxy.section.head.refuse(work, 0, "it has no `bind`");
            }
            let lines = proxy.binds.iter().filter(|_| proxy.section.frontend);
            lines
                .map(|line| {
                    let mut bind = bind::read(line, &global, &files, work);
                    number = number.saturating_add(1);
                    names.take(&mut bind, number, work);
                    bind
                })
                .collect()
        })
        .collect();
    if binds.iter().all(Vec::is_empty) {
        work.log.add(Kind::Refused, Spot::default(), "file", "there is no frontend");
    }
    ports::refuse_other_demands(binds.iter().flatten(), work);
    process(&global, &proxies, work, draft);
    let mut upstreams = Draft::new(MAKER);
    let mut known = BTreeMap::new();
    for proxy in proxies.iter().filter(|proxy| proxy.section.backend) {
        if let Some(table) = upstream::convert(proxy, &global, &files, work) {
            let section = proxy.section;
            known.insert(section.name.as_str(), frontend::upstream_id(&section.name));
            let path = format!("{} {}", section.head.word(0), section.name);
            upstreams.push(
                "upstreams",
                table,
                Source { path, file: None, spot: section.head.spot() },
            );
        }
    }
    let groups: Vec<FrontGroup<'_>> = proxies
        .iter()
        .zip(&binds)
        .flat_map(|(proxy, binds)| frontend::groups(proxy, binds))
        .collect();
    frontend::refuse_shared_ports(&groups, work);
    let requires =
        binds.iter().flatten().filter_map(|bind| bind.tls.as_ref()).any(|tls| tls.requires);
    let several = groups.len() > 1;
    let made = Cell::default();
    let maker = RouteMaker { proxies: &proxies, upstreams: &known, work, several, requires, made };
    let mut routes = Draft::new(MAKER);
    for group in &groups {
        maker.write(group, &mut routes, draft);
    }
    names.write(draft);
    draft.append(upstreams);
    draft.append(routes);
    draft.each_mut("ssls", |table| {
        table.remove("fallback");
    });
}

/// `[runtime]` and `[http]`, which all frontends share.
fn process(global: &HaproxyGlobal, proxies: &[ProxyLines<'_>], work: &Work, draft: &mut Draft) {
    if let Some(maxconn) = global.maxconn {
        let mut runtime = toml::Table::new();
        put(&mut runtime, "max_connections", i64::try_from(maxconn).ok());
        draft.push_own("runtime", runtime, false);
    }
    let mut http = toml::Table::new();
    let standard = |line: &words::ConfigLine| line.word(2).is_empty();
    let asked: Vec<bool> = proxies
        .iter()
        .filter(|proxy| proxy.section.frontend)
        .map(|proxy| proxy.forwarded_for.is_some_and(standard))
        .collect();
    let any = proxies.iter().any(|proxy| proxy.forwarded_for.is_some_and(standard));
    if any
        && !asked.iter().all(|asked| *asked)
        && let Some(line) = proxies.iter().find_map(|proxy| proxy.forwarded_for)
    {
        line.changed(work, 1, "every upstream is told about its clients, not only this one");
    }
    put(&mut http, "forwarded_headers", (!any).then_some(false));
    let times = [
        ("client", "client_body_timeout"),
        ("client", "send_timeout"),
        ("http-request", "client_header_timeout"),
        ("http-keep-alive", "keepalive_timeout"),
    ];
    for (name, key) in times {
        let frontends = || proxies.iter().filter(|proxy| proxy.section.frontend);
        let of = |proxy: &ProxyLines<'_>| {
            let fallback = (name != "client").then(|| proxy.timeouts.get("client")).flatten();
            proxy.timeouts.get(name).or(fallback).copied()
        };
        let most = frontends().filter_map(of).max();
        if let Some(differs) = frontends().find(|proxy| of(proxy) != most) {
            let message =
                format!("`timeout {name}` is the same for every listener: the longest is taken");
            differs.section.head.changed(work, 0, message);
        }
        put(&mut http, key, most.map(text));
    }
    if !http.is_empty() {
        draft.push_own("http", http, false);
    }
}
