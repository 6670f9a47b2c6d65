//! `[[services]]`, `[[routes]]` and `[[global_rules]]`: merged, each route stands for itself.

use std::collections::BTreeSet;

use crate::check::context::{Check, is_off};
use crate::check::ids::Ids;
use crate::check::reach::Asked;
use crate::check::split::inline_upstreams;
use crate::check::upstreams::timeout;
use crate::host_names;
use crate::model::{
    CircuitBreaker, ClientRule, Cors, HeaderOps, HostPattern, Http, Redirect, RefuseRule,
    RequestLimit, ResponseRule, Rewrite, Route, Router, SplitRule, StaticAnswer, UriPattern,
};
use crate::place::Place;
use crate::raw::Raw;
use crate::uri_pattern;
use crate::values::Wrong;

/// A service, ready to be merged.
#[derive(Debug)]
struct Service {
    hosts: Vec<HostPattern>,
    prefix: String,
    strip: bool,
    target: Target,
    websocket: bool,
    /// `timeout`, as it is written.
    timeout: Option<Raw>,
    body_size: Option<Option<u64>>,
    breaker: Option<CircuitBreaker>,
    /// `limits`; `None` if it has no such key.
    limits: Option<Vec<RequestLimit>>,
    shape: RouteShape,
    split: Option<Vec<SplitRule>>,
    inherited: Inherited,
}

/// What a service or route makes of requests; each key as a whole.
#[derive(Clone, Debug, Default)]
struct RouteShape {
    rewrite: Option<Rewrite>,
    redirect: Option<Redirect>,
    answer: Option<StaticAnswer>,
    response: Option<Vec<ResponseRule>>,
    cors: Option<Cors>,
}

impl RouteShape {
    fn over(self, service: Option<&Self>) -> Self {
        let Some(service) = service else { return self };
        Self {
            rewrite: self.rewrite.or_else(|| service.rewrite.clone()),
            redirect: self.redirect.or_else(|| service.redirect.clone()),
            answer: self.answer.or_else(|| service.answer.clone()),
            response: self.response.or_else(|| service.response.clone()),
            cors: self.cors.or_else(|| service.cors.clone()),
        }
    }

    /// Is nothing ever sent upstream?
    fn answers_all(&self) -> bool {
        self.answer.is_some() || self.redirect.as_ref().is_some_and(Redirect::is_for_all)
    }
}

/// Keys of a route that are about requests which are sent upstream. Its limits are asked behind `redirect` and
/// `return`, as in APISIX.
const OF_SENT_REQUESTS: [&str; 9] = [
    "api_breaker",
    "enable_websocket",
    "headers",
    "limits",
    "rewrite",
    "timeout",
    "traffic_split",
    "upstream",
    "upstream_id",
];

/// What rules, services and routes all may hold, in this order.
#[derive(Clone, Debug, Default)]
struct Inherited {
    headers: Vec<HeaderOps>,
    clients: Vec<ClientRule>,
    refuse: Vec<RefuseRule>,
    /// Of global rules alone.
    response: Vec<ResponseRule>,
    cors: Option<Cors>,
}

impl Inherited {
    fn join(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |mut joined, one| {
            joined.headers.extend(one.headers);
            joined.clients.extend(one.clients);
            joined.refuse.extend(one.refuse);
            joined.response.extend(one.response);
            joined.cors = joined.cors.or(one.cors);
            joined
        })
    }
}

/// `client_max_body_size` of a route or service, if it was given; `Some(None)` is unlimited.
fn body_size(raw: &Raw) -> Option<Option<u64>> {
    let given = raw.has("client_max_body_size");
    given.then(|| Some(raw.size("client_max_body_size")).filter(|size| *size > 0))
}

/// `timeout` of a route, over that of its service.
fn written_timeout(raw: &Raw, service: Option<&Service>) -> Option<Raw> {
    let of_service = service.and_then(|service| service.timeout.as_ref());
    match (raw.table("timeout"), of_service) {
        (Some(own), Some(of_service)) => Some(own.over(of_service)),
        (own, of_service) => own.or(of_service).cloned(),
    }
}

/// Where a service or route sends its requests.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// It does not say.
    None,
    /// It says it wrongly, and that was told.
    Broken,
    /// To the upstream of this index.
    Upstream(usize),
}

impl Check<'_> {
    /// The routes; `asked_for` says whether any server name asks for a certificate.
    pub(super) fn routes(&mut self, root: &Raw, http: &Http, asked_for: bool) -> Vec<Route> {
        let inline = |key| root.tables(key).iter().filter_map(|raw: &Raw| raw.table("upstream"));
        let inline = inline("services").chain(inline("routes"));
        let split = ["services", "routes"].map(|key| inline_upstreams(root.tables(key)));
        self.upstream_ids.claim(self.problems, inline.chain(split.into_iter().flatten()));
        let mut rule_ids = Ids::new("global_rules");
        rule_ids.claim(self.problems, root.tables("global_rules").iter());
        let rules = root.tables("global_rules").iter();
        let global = Inherited::join(rules.map(|raw| Inherited {
            response: self.response_rules(raw),
            cors: self.cors(raw),
            ..self.inherited(raw)
        }));
        self.one_cors(root);
        self.trusts_agree(&[], &global.clients);
        let global_limits = self.global_limits(root.tables("global_rules"));
        let (services, service_ids) = self.services(root.tables("services"));
        for service in &services {
            self.trusts_agree(&global.clients, &service.inherited.clients);
        }
        let mut ids = Ids::new("routes");
        ids.claim(self.problems, root.tables("routes").iter());
        let (mut routes, mut asked) = (Vec::new(), Vec::new());
        for (index, raw) in root.tables("routes").iter().enumerate() {
            if is_off(raw) {
                continue;
            }
            let id = ids.name(raw, format!("routes.{index}"));
            let service = service_ids.find(self.problems, raw, "service_id");
            let service = service.and_then(|index| services.get(index));
            let made_up = format!("routes.{index}.upstream");
            let target = self.target(raw, made_up);
            let of_service = || service.and_then(|service| service.limits.clone());
            let own = self.request_limits(raw, None).or_else(of_service).unwrap_or_default();
            let limits = [global_limits.as_slice(), &own].concat();
            let split = self.traffic_split(raw, &format!("routes.{index}"));
            let (wanted, route) = self.route(raw, id, target, service, &global);
            asked.push(wanted);
            let of_service = || service.and_then(|service| service.split.as_deref());
            let rules = split.as_deref().or_else(of_service).unwrap_or_default();
            let split = self.split_of_route(rules, written_timeout(raw, service).as_ref(), raw);
            routes.extend(route.map(|route| {
                let of_service = service.and_then(|service| service.body_size);
                let size = body_size(raw).or(of_service).unwrap_or(http.client_max_body_size);
                Route { client_max_body_size: size, limits, split, ..route }
            }));
        }
        if root.tables("routes").is_empty() && !root.is_broken("routes") {
            let message = "there are no routes: every request is answered with 404";
            self.warn(root.place, "routes".to_owned(), message, "add a [[routes]]");
        }
        self.reach(&asked);
        self.groups_agree(&routes);
        let demands =
            routes.iter().filter(|route: &&Route| route.clients.iter().any(|rule| rule.required));
        let demands: Vec<_> =
            demands.map(|route| (route.place, format!("routes.{}.client", route.id))).collect();
        self.somebody_asks(asked_for, &demands);
        routes
    }

    fn services(&mut self, raws: &[Raw]) -> (Vec<Service>, Ids) {
        let mut ids = Ids::new("services");
        ids.claim(self.problems, raws.iter());
        let mut services = Vec::new();
        for (index, raw) in raws.iter().enumerate() {
            if let Some(id) = raw.text("id") {
                ids.set(&id.text, services.len());
            }
            let prefix = self.path_prefix(raw);
            let strip = raw.flag("strip_path_prefix");
            if strip && !raw.has("path_prefix") {
                let path = raw.path("strip_path_prefix");
                let help = "set `path_prefix`";
                self.error(raw.at("strip_path_prefix"), path, "there is nothing to strip", help);
            }
            let owner =
                raw.text("id").map_or_else(String::new, |id| format!("services {}", id.text));
            services.push(Service {
                hosts: self.hosts(raw),
                prefix,
                strip,
                target: self.target(raw, format!("services.{index}.upstream")),
                websocket: raw.flag("enable_websocket"),
                timeout: raw.table("timeout").cloned(),
                body_size: body_size(raw),
                breaker: self.breaker(raw),
                limits: self.request_limits(raw, Some(&owner)),
                shape: self.shape(raw),
                split: self.traffic_split(raw, &format!("services.{index}")),
                inherited: self.inherited(raw),
            });
        }
        (services, ids)
    }

    fn shape(&mut self, raw: &Raw) -> RouteShape {
        RouteShape {
            rewrite: self.rewrite(raw),
            redirect: self.redirect(raw),
            answer: self.static_answer(raw),
            response: raw.has("response").then(|| self.response_rules(raw)),
            cors: self.cors(raw),
        }
    }

    fn one_cors(&mut self, root: &Raw) {
        let mut all = root.tables("global_rules").iter().filter(|raw| raw.has("cors"));
        if let (Some(_), Some(second)) = (all.next(), all.next()) {
            let help = "one rule says it for all routes; a route may have its own";
            self.error(second.at("cors"), second.path("cors"), "a second rule has `cors`", help);
        }
    }

    /// What a route says of requests that are sent, where it sends none.
    fn nothing_is_sent(&mut self, raw: &Raw) {
        for key in OF_SENT_REQUESTS.into_iter().filter(|key| raw.has(key)) {
            let message = "this has no effect: the route answers by itself, and sends nothing";
            self.warn(raw.at(key), raw.path(key), message, "leave it out");
        }
    }

    /// A WebSocket is asked for by GET alone (RFC 6455, section 4.1).
    fn shape_agrees(&mut self, raw: &Raw, shape: &RouteShape, service: Option<&Service>) {
        if shape.answers_all() {
            self.nothing_is_sent(raw);
        }
        if raw.has("return") && shape.redirect.as_ref().is_some_and(Redirect::is_for_all) {
            let message = "this has no effect: every request is redirected";
            self.warn(raw.at("return"), raw.path("return"), message, "leave out one of them");
        }
        let websocket = if raw.has("enable_websocket") {
            raw.flag("enable_websocket")
        } else {
            service.is_some_and(|service| service.websocket)
        };
        let method = shape.rewrite.as_ref().and_then(|rewrite| rewrite.method.as_deref());
        if websocket && method.is_some_and(|method| method != "GET") {
            let message = "`enable_websocket` beside another `rewrite.method` than GET";
            self.error(
                raw.place,
                raw.path("rewrite"),
                message,
                "give WebSockets a route of their own",
            );
        }
    }

    fn inherited(&mut self, raw: &Raw) -> Inherited {
        let (headers, clients) = (self.headers(raw), self.client_rules(raw));
        let refuse = self.refuse_rules(raw);
        Inherited { headers, clients, refuse, ..Inherited::default() }
    }

    fn path_prefix(&mut self, raw: &Raw) -> String {
        let Some(text) = raw.text("path_prefix") else { return String::new() };
        let checked = if text.text.len() > 1 && text.text.ends_with('/') {
            let bare = text.text.trim_end_matches('/');
            Err(Wrong::new("`path_prefix` ends with `/`").help(format!("write \"{bare}\"")))
        } else if text.text == "/" {
            Err(Wrong::new("`path_prefix` is every path").help("leave it out"))
        } else if !text.text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%') {
            // It is taken off the path as it was received, which may be escaped in many ways.
            let wrong = Wrong::new("`path_prefix` holds characters that may be escaped");
            Err(wrong.help("letters, digits and punctuation"))
        } else {
            uri_pattern::normal_path(&text.text, &text.text)
        };
        match checked {
            Ok(prefix) => prefix,
            Err(wrong) => {
                self.wrong(text.place, raw.path("path_prefix"), wrong);
                String::new()
            }
        }
    }

    fn target(&mut self, raw: &Raw, made_up: String) -> Target {
        self.exclusive(raw, "upstream", "upstream_id");
        let index = if raw.has("upstream_id") {
            self.upstream_ids.find(self.problems, raw, "upstream_id")
        } else if let Some(inline) = raw.table("upstream") {
            self.add_upstream(inline, made_up)
        } else if raw.has("upstream") {
            None
        } else {
            return Target::None;
        };
        index.map_or(Target::Broken, Target::Upstream)
    }

    fn hosts(&mut self, raw: &Raw) -> Vec<HostPattern> {
        let mut hosts = Vec::new();
        for (text, path) in self.one_or_more(raw, "host", "hosts") {
            match text.pattern().and_then(|text| host_names::host_pattern(text, true)) {
                Ok(pattern) if hosts.contains(&pattern) => {
                    self.wrong(text.place, path, Wrong::new("this host stands here twice"));
                }
                Ok(pattern) => {
                    self.host_is_reached(&pattern, text.place, &path);
                    hosts.push(pattern);
                }
                Err(wrong) => self.wrong(text.place, path, wrong),
            }
        }
        // No host at all is how every host is said inside.
        if hosts == [HostPattern::Any] { Vec::new() } else { hosts }
    }

    /// Clients ask for the server name that they name as the host.
    fn host_is_reached(&mut self, host: &HostPattern, place: Place, path: &str) {
        let named = self.server_names.keys().any(|name| name.overlaps(host));
        if self.names_decide && !named {
            let message =
                format!("no [[ssls]] has a server name for `{host}`: no client gets here");
            let help =
                "add the name to `snis` of an [[ssls]], or set `fallback_sni` of the [[listen]]";
            self.warn(place, path.to_owned(), &message, help);
        }
    }

    fn route(
        &mut self,
        raw: &Raw,
        id: String,
        own: Target,
        service: Option<&Service>,
        global: &Inherited,
    ) -> (Asked, Option<Route>) {
        let of_service = service.map(|service| service.inherited.clone()).unwrap_or_default();
        let own_rules = self.inherited(raw);
        let above = [global.clients.as_slice(), &of_service.clients].concat();
        self.trusts_agree(&above, &own_rules.clients);
        self.denies_agree(&above, &own_rules.clients);
        let all = Inherited::join([global.clone(), of_service, own_rules].into_iter());
        let when = self.conditions(raw);
        let captures = self.captures(raw, when.as_ref());
        let breaker = self.breaker(raw).or_else(|| service?.breaker.clone());
        let shape = self.shape(raw).over(service.map(|service| &service.shape));
        self.shape_agrees(raw, &shape, service);
        let asked = self.asked(raw, service);
        let target = match (own, service) {
            (Target::None, Some(service)) => service.target,
            (own, _) => own,
        };
        let upstream = match target {
            Target::Upstream(upstream) => Some(upstream),
            Target::None if shape.answers_all() => None,
            Target::None if !raw.has("service_id") || service.is_some() => {
                let help =
                    "set `upstream`, `upstream_id` or `service_id` (of a service that has one)";
                self.error(raw.place, raw.path("upstream"), "this route leads nowhere", help);
                return (asked, None);
            }
            Target::None | Target::Broken => return (asked, None),
        };
        let base = upstream.and_then(|at| self.upstreams.get(at)).map(|base| base.timeout);
        let strip = service.filter(|service| service.strip && !service.prefix.is_empty());
        let route = Route {
            place: raw.place,
            id,
            hosts: asked.hosts.clone(),
            uris: asked.uris.clone(),
            methods: asked.methods.clone(),
            priority: asked.priority,
            upstream,
            strip_prefix: strip.map(|service| service.prefix.clone()),
            timeout: written_timeout(raw, service).map(|table| timeout(Some(&table), base, raw)),
            websocket: if raw.has("enable_websocket") {
                raw.flag("enable_websocket")
            } else {
                service.is_some_and(|service| service.websocket)
            },
            client_max_body_size: None,
            breaker,
            limits: Vec::new(),
            rewrite: shape.rewrite,
            redirect: shape.redirect,
            answer: shape.answer,
            split: Vec::new(),
            response: [all.response, shape.response.unwrap_or_default()].concat(),
            cors: shape.cors.or(all.cors),
            when,
            captures,
            clients: all.clients,
            refuse: all.refuse,
            headers: all.headers,
        };
        let whole = !route.uris.is_empty();
        (asked, whole.then_some(route))
    }

    fn asked(&mut self, raw: &Raw, service: Option<&Service>) -> Asked {
        let mut hosts = self.hosts(raw);
        if !raw.has("host") && !raw.has("hosts") {
            hosts = service.map(|service| service.hosts.clone()).unwrap_or_default();
        }
        let methods = raw.words("methods").unwrap_or_default();
        Asked {
            place: raw.place,
            field: raw.field.clone(),
            hosts,
            uris: self.uris(raw, service.map_or("", |service| &service.prefix)),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            priority: raw.int("priority"),
            conditional: ["remote_addr", "remote_addrs", "vars"].iter().any(|key| raw.has(key)),
        }
    }

    fn uris(&mut self, raw: &Raw, prefix: &str) -> Vec<UriPattern> {
        if !raw.has("uri") && !raw.has("uris") {
            let help = "the path, as \"/api/*\"; \"/*\" is every path";
            self.error(raw.place, raw.path("uri"), "`uri` is missing", help);
        }
        let mut uris = Vec::new();
        let mut seen = BTreeSet::new();
        for (text, path) in self.one_or_more(raw, "uri", "uris") {
            let params = self.router == Router::RadixtreeUriWithParameter;
            let read = if params { uri_pattern::param_pattern } else { uri_pattern::uri_pattern };
            match text.pattern().and_then(read) {
                Ok(pattern) => {
                    if !params && text.text.contains("/:") {
                        let message = "a `:name` in a path is no parameter: it stands for itself";
                        let help = "set `router = \"radixtree_uri_with_parameter\"` in [http], or use \
                                    `*` at the end";
                        self.warn(text.place, path.clone(), message, help);
                    }
                    let joined = pattern.behind(prefix);
                    if seen.insert(joined.shape()) {
                        uris.push(joined);
                    } else {
                        self.wrong(text.place, path, Wrong::new("this path stands here twice"));
                    }
                }
                Err(wrong) => self.wrong(text.place, path, wrong),
            }
        }
        uris
    }
}
