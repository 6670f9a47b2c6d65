//! "Which route would this request take, and why?", asked of the generation in force.
//!
//! In: method, URL, and the certificates that the client shows, if any. Out: the route, every candidate that was asked
//! before it, and what the client would be told. The decisions are those of a real request: the same parser, lookup
//! and admission. What is not known here (other fields, the client's address) is absent for conditions.

use std::net::IpAddr;

use ferrule_config::Config;
use ferrule_config::model::{Reject, Route, Server, UriPattern};
use serde_json::{Value, json};

use crate::control::process::clock;
use crate::control::state::client_outlook;
use crate::exchange::connection_view::ConnectionView;
use crate::exchange::demands::check_demands;
use crate::exchange::permit::{check_client, permit};
use crate::exchange::refusal::Refusal;
use crate::exchange::request::admit;
use crate::exchange::route_trace::{RouteTrace, TraceStep, trace};
use crate::exchange::scratch::Scratch;
use crate::identity::{ClientIdentity, ClientPolicy, Verdict, verify_client};
use crate::plan::facts::{ConnectionFacts, Now, SessionFacts};
use crate::plan::hosts::Cover;
use crate::plan::{CandidateVerdict, Facts, ListenerId, ListenerPlan, Plan, RouteId, ServerId};
use crate::setup::Generation;
use crate::wire::head::{RequestHead, parse_request};

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 4 * 1024;
/// Hosts, and paths, of a route that an answer lists.
const PATTERNS_MAX: usize = 16;

/// A question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteQuestion<'a> {
    /// As in a request line.
    pub(crate) method: &'a str,
    /// `https://host/path?query`, `http://...`, or without a scheme, which is `https` then.
    pub(crate) url: &'a str,
    /// What the client shows, as DER, the leaf first; nothing is an answer without it.
    pub(crate) chain: &'a [Vec<u8>],
}

/// A URL, taken apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct UrlParts<'a> {
    tls: bool,
    host: &'a str,
    path: &'a str,
}

impl<'a> UrlParts<'a> {
    fn read(url: &'a str) -> Result<Self, &'static str> {
        if url.len() > URL_BYTES_MAX {
            return Err("this URL is too long");
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a URL has visible ASCII alone; write the rest with percent signs");
        }
        let (tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err("the scheme of a URL is `https` or `http`"),
            None => (true, url),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        if host.is_empty() {
            return Err("there is no host: write `https://HOST/PATH`");
        }
        Ok(Self { tls, host, path: if path.is_empty() { "/" } else { path } })
    }

    /// The host without its port.
    fn name(&self) -> &'a str {
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let parts = self.host.rsplit_once(':').filter(|(_, port)| is_port(port));
        parts.map_or(self.host, |(name, _)| name)
    }

    /// What a client sends as server name: none for an address (RFC 6066, section 3).
    fn server_name(&self) -> Option<&'a str> {
        let name = self.name();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_err().then_some(name)
    }

    /// The port that the client connects to.
    fn port(&self) -> u16 {
        let port = self.host.strip_prefix(self.name()).and_then(|rest| rest.strip_prefix(':'));
        let usual = if self.tls { 443 } else { 80 };
        port.and_then(|port| port.parse().ok()).unwrap_or(usual)
    }

    /// The head of such a request.
    fn head(&self, method: &str) -> Result<String, &'static str> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
        if method.is_empty() || method.len() > 32 || !method.bytes().all(is_token) {
            return Err("this is not a method");
        }
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        Ok(format!("{method} {slash}{} HTTP/1.1\r\nHost: {}\r\n\r\n", self.path, self.host))
    }
}

/// Answers.
///
/// # Errors
/// The question is not understood; why.
pub(crate) fn answer(
    generation: &Generation,
    question: RouteQuestion<'_>,
) -> Result<Value, &'static str> {
    let plan = &generation.plan;
    let url = UrlParts::read(question.url)?;
    let text = url.head(question.method)?;
    let mut head = RequestHead::default();
    if let Err(error) = parse_request(text.as_bytes(), text.len(), plan.head_limits(), &mut head) {
        return Ok(refused_json(generation, Refusal::Malformed(error)));
    }
    let request = head.view(text.as_bytes());
    let name = url.server_name();
    let listener = listener_of(plan, &url);
    let server = plan.server_for(listener, name.map(str::as_bytes)).filter(|_| url.tls);
    let now = clock::unix_seconds();
    let client = server.map(|server| identity(generation, server, question.chain, now));
    let connection_facts = ConnectionFacts { tls: url.tls, ..ConnectionFacts::default() };
    let server_name = name.unwrap_or_default().to_owned();
    let session = SessionFacts { server_name, ..SessionFacts::default() };
    let facts = Facts {
        connection: &connection_facts,
        session: url.tls.then_some(&session),
        client: client.as_ref(),
        request: None,
        now: Now { unix_seconds: now, millis: 0, http_date: "", local: "", iso8601: "" },
        log: None,
        request_ids: None,
    };
    let connection = ConnectionView {
        listener,
        policy: server.map(|server| plan.sni.policy(server)),
        client: client.as_ref(),
        now,
        facts: Some(facts),
    };
    let mut scratch = Scratch::default();
    let found = match trace(plan, &connection, request, &mut scratch) {
        Ok(found) => found,
        Err(refusal) => return Ok(refused_json(generation, refusal)),
    };
    let path = String::from_utf8_lossy(&scratch.path).into_owned();
    let mut value = trace_json(generation, &found, &path);
    let settings = server.and_then(|id| generation.config.servers.get(id.0 as usize));
    let in_handshake = url.tls.then(|| refused_in_handshake(plan, settings, &connection));
    let told = in_handshake.flatten().or_else(|| {
        let admitted = admit(plan, &connection, request, &mut scratch);
        let permitted = admitted.and_then(|admitted| {
            let mut routes = scratch.demanding.clone();
            routes.push(admitted.route);
            routes.into_iter().try_for_each(|route| {
                let chain = question.chain;
                let by_route = identity_by_route(generation, server, route, chain, now);
                let client = by_route.as_ref().or(client.as_ref());
                permit(plan, route, client, now)?;
                check_demands(plan.route(route), &Facts { client, ..facts }, request, &mut scratch)
            })
        });
        permitted.err().map(refusal_text)
    });
    if let Some(value) = value.as_object_mut() {
        let listener = listener.map(|listener| plan.listener(listener).listen.address.to_string());
        value.insert("listener".to_owned(), json!(listener));
        value.insert("server".to_owned(), json!(settings.map(|server| &server.id)));
        value.insert("refused".to_owned(), json!(told));
        let verdict = client.map(|client| verdict_text(client.verdict));
        value.insert("client".to_owned(), json!(verdict));
    }
    Ok(value)
}

/// The listener of the URL's port. What stands before the gateway may have another one: the first of the kind then.
fn listener_of(plan: &Plan, url: &UrlParts<'_>) -> Option<ListenerId> {
    let fits = |listener: &&ListenerPlan| listener.listen.tls == url.tls;
    let is_it = |listener: &ListenerPlan| listener.listen.address.port() == url.port();
    let all = plan.listeners();
    let exact = all.iter().position(|listener| fits(&listener) && is_it(listener));
    let at = exact.or_else(|| all.iter().position(|listener| fits(&listener)))?;
    u32::try_from(at).ok().map(ListenerId)
}

/// The alert that the client is told, if it does not get as far as to ask.
fn refused_in_handshake(
    plan: &Plan,
    server: Option<&Server>,
    connection: &ConnectionView<'_>,
) -> Option<String> {
    let Some(server) = server else {
        return Some("the TLS alert UnrecognisedName: no [[ssls]] has this name".to_owned());
    };
    let reject = server.client.as_ref()?.reject;
    let refusal = check_client(plan, connection, None).err()?;
    (reject == Reject::Handshake).then(|| client_outlook::told(reject, refusal))
}

/// Who the client is at this server object.
fn identity(
    generation: &Generation,
    server: ServerId,
    chain: &[Vec<u8>],
    now: i64,
) -> ClientIdentity {
    let settings = generation.tls.servers.get(server.0 as usize);
    judged(generation, settings.and_then(|settings| settings.policy.as_deref()), chain, now)
}

/// Who it is by the authorities that a route has of its own, if it has any and the client shows a certificate at
/// this server object.
fn identity_by_route(
    generation: &Generation,
    server: Option<ServerId>,
    route: RouteId,
    chain: &[Vec<u8>],
    now: i64,
) -> Option<ClientIdentity> {
    let settings = generation.tls.servers.get(server?.0 as usize)?;
    let trust = generation.plan.route(route).access.trust()?;
    let policy = generation.tls.trusts.get(trust.0 as usize)?;
    settings.policy.is_some().then(|| judged(generation, Some(policy), chain, now))
}

fn judged(
    generation: &Generation,
    policy: Option<&ClientPolicy>,
    chain: &[Vec<u8>],
    now: i64,
) -> ClientIdentity {
    let shown: Vec<&[u8]> = chain.iter().filter(|_| policy.is_some()).map(Vec::as_slice).collect();
    let verdict = policy.map_or(Verdict::None, |policy| verify_client(&shown, policy, now));
    ClientIdentity::of(&shown, verdict, &generation.plan.wanted)
}

fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::None => "no certificate",
        Verdict::Success => "verified",
        Verdict::Failed(failure) => failure.text(),
    }
}

fn refusal_text(refusal: Refusal) -> String {
    let reason = refusal.reason().unwrap_or_else(|| refusal.word());
    format!("{} {reason}", refusal.status())
}

/// It is refused before any route is asked.
fn refused_json(generation: &Generation, refusal: Refusal) -> Value {
    json!({
        "ok": true,
        "generation": generation.number,
        "route": null,
        "refused": refusal_text(refusal),
        "steps": [],
    })
}

fn trace_json(generation: &Generation, found: &RouteTrace, path: &str) -> Value {
    let config = &generation.config;
    let step = |step: &TraceStep| {
        let route = config.routes.get(step.route.0 as usize)?;
        Some(json!({
            "route": route.id,
            "taken": step.verdict == CandidateVerdict::Taken,
            "why": why(route, *step, path),
        }))
    };
    let steps: Vec<Value> = found.steps.iter().filter_map(step).collect();
    let taken = found.taken.and_then(|id| config.routes.get(id.0 as usize));
    json!({
        "ok": true,
        "generation": generation.number,
        "path": path,
        "route": taken.map(|route| route_json(config, route)),
        "steps": steps,
        "unlisted": found.unlisted,
    })
}

/// One route as operators see it.
pub(crate) fn route_json(config: &Config, route: &Route) -> Value {
    let upstream = route.upstream.and_then(|at| config.upstreams.get(at));
    let patterns = |all: Vec<String>| {
        let more = all.len().saturating_sub(PATTERNS_MAX);
        let mut shown: Vec<String> = all.into_iter().take(PATTERNS_MAX).collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        shown
    };
    json!({
        "id": route.id,
        "hosts": patterns(route.hosts.iter().map(ToString::to_string).collect()),
        "uris": patterns(route.uris.iter().map(uri_text).collect()),
        "methods": route.methods,
        "priority": route.priority,
        "conditions": route.when.is_some(),
        "demands": !route.clients.is_empty(),
        "upstream": upstream.map(|upstream| &upstream.id),
    })
}

fn uri_text(uri: &UriPattern) -> String {
    match uri {
        UriPattern::Exact(text) => text.clone(),
        UriPattern::Prefix(text) => format!("{text}*"),
        UriPattern::Params(path) => path.to_string(),
    }
}

/// Why a candidate was asked, and what became of it.
fn why(route: &Route, step: TraceStep, path: &str) -> String {
    let host = match step.cover {
        Cover::Exact => "its host is this one",
        Cover::OneLabel | Cover::MoreLabels => "its wildcard covers this host",
        Cover::Every => "it is for every host",
    };
    let fits = |uri: &&UriPattern| match uri {
        UriPattern::Exact(text) => *text == *path,
        UriPattern::Prefix(text) => path.starts_with(text.as_str()),
        UriPattern::Params(_) => false,
    };
    let len = |uri: &&UriPattern| match uri {
        UriPattern::Exact(_) => usize::MAX,
        UriPattern::Prefix(text) => text.len(),
        UriPattern::Params(_) => 0,
    };
    let uri = route.uris.iter().filter(fits).max_by_key(len);
    let uri = match uri {
        Some(UriPattern::Exact(_)) => "its path is this one".to_owned(),
        Some(uri) => format!("{} covers this path", uri_text(uri)),
        None => "the shape of its path is this one".to_owned(),
    };
    let fate = match step.verdict {
        CandidateVerdict::Taken if route.when.is_some() => {
            "its conditions hold: it is taken".to_owned()
        }
        CandidateVerdict::Taken => "it is taken".to_owned(),
        CandidateVerdict::Conditions => {
            "its conditions (`vars`) do not hold for what was asked here".to_owned()
        }
        CandidateVerdict::Method => format!("it is for {} alone", route.methods.join(", ")),
    };
    format!("{host}, {uri}; {fate}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::config;

    /// The port chooses among listeners of the kind, and an address is no server name.
    #[test]
    fn a_url_says_where_it_leads_and_by_which_name() {
        let mut config = config();
        let mut second = config.listens[1].clone();
        second.address.set_port(9444);
        config.listens.push(second);
        let plan = Plan::build(&config);
        let [plain, first] = [0, 1].map(|at| config.listens[at].address.port());
        for (url, listener, name) in [
            ("https://a.test:9444/".to_owned(), 2, Some("a.test")),
            (format!("https://a.test:{first}/"), 1, Some("a.test")),
            ("https://a.test/".to_owned(), 1, Some("a.test")),
            ("https://a.test:7/".to_owned(), 1, Some("a.test")),
            (format!("http://a.test:{plain}/"), 0, Some("a.test")),
            ("http://a.test:9444/".to_owned(), 0, Some("a.test")),
            ("https://127.0.0.1:9444/".to_owned(), 2, None),
            ("https://[::1]:9444/".to_owned(), 2, None),
            ("https://[::1]/".to_owned(), 1, None),
        ] {
            let url = UrlParts::read(&url).unwrap();
            assert_eq!(listener_of(&plan, &url), Some(ListenerId(listener)), "{url:?}");
            assert_eq!(url.server_name(), name, "{url:?}");
        }
    }

    #[test]
    fn urls_are_taken_apart_and_nothing_gets_into_the_head() {
        let parts = |tls, host, path| Ok(UrlParts { tls, host, path });
        for (url, wanted) in [
            ("https://a.test/x?y", parts(true, "a.test", "/x?y")),
            ("HTTP://a.test:80", parts(false, "a.test:80", "/")),
            ("a.test/x", parts(true, "a.test", "/x")),
            ("[::1]:8443/", parts(true, "[::1]:8443", "/")),
            ("a.test?q", parts(true, "a.test", "?q")),
        ] {
            assert_eq!(UrlParts::read(url), wanted, "{url}");
        }
        for url in
            ["", "/x", "https:///x", "ftp://a/", "a.test/x\r\nX: y", "a.test/x y", "a.test/\u{e9}"]
        {
            assert!(UrlParts::read(url).is_err(), "{url}");
        }
        assert!(UrlParts::read(&"x".repeat(URL_BYTES_MAX + 1)).is_err());
        let url = UrlParts::read("a.test?q").unwrap();
        assert_eq!(url.head("GET").as_deref(), Ok("GET /?q HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        for method in ["", "GET /", "GET\r\nX: y\r\n"] {
            assert!(url.head(method).is_err(), "{method}");
        }
    }
}
