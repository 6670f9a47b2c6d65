//! `[[stores]]`, and `store` of a limit.

use std::net::IpAddr;
use std::time::Duration;

use crate::check::context::Check;
use crate::check::upstreams::split_port;
use crate::host_names;
use crate::model::{LimitStore, Password, Route, Store, StoreNode, StorePolicy};
use crate::place::Place;
use crate::raw::{Raw, Text};
use crate::values::{Wrong, duration_text};

/// The port that IANA has for it.
const PORT: u16 = 6379;
/// Each has a thread and connections of its own.
const STORES_MAX: usize = 16;
/// Only to begin with: a cluster tells the others.
const NODES_MAX: usize = 64;
const TIME_MIN: Duration = Duration::from_millis(10);
const TIME_MAX: Duration = Duration::from_secs(60);

impl Check<'_> {
    /// All stores.
    pub(super) fn named_stores(&mut self, raws: &[Raw]) {
        self.store_ids.claim(self.problems, raws.iter());
        if let Some(raw) = raws.get(STORES_MAX) {
            let message = format!("these are more than {STORES_MAX}");
            let help = Some("each has a thread of its own: let limits share a store".to_owned());
            self.problems.push_at(raw.place, raw.field.clone(), message, help);
        }
        for raw in raws {
            let Some(store) = self.store(raw) else { continue };
            self.password_is_hidden(raw, &store);
            self.store_ids.set(&store.id, self.stores.len());
            self.stores.push(store);
        }
    }

    fn store(&mut self, raw: &Raw) -> Option<Store> {
        if raw.has("password") {
            // Also one that looks like a path.
            self.problems.mask(raw.at("password"));
        }
        let policy = raw.word("policy").unwrap_or(StorePolicy::Redis);
        let nodes = self.store_nodes(raw, policy);
        let tls = match raw.table("tls") {
            Some(tls) => Some(self.tls(tls, &[])?),
            None => None,
        };
        let (username, password) = (raw.text("username"), raw.text("password"));
        if let Some(name) = username.as_ref().filter(|_| !raw.has("password")) {
            let help = "set `password`, or take `username` out";
            self.error(name.place, raw.path("username"), "nobody logs in without a password", help);
        }
        for (key, text) in [("username", &username), ("password", &password)] {
            if let Some(text) = text.as_ref().filter(|text| text.text.is_empty()) {
                let help = "take it out if nobody logs in";
                self.error(text.place, raw.path(key), "this is empty", help);
            }
        }
        let database = raw.int("database");
        if policy == StorePolicy::RedisCluster && database > 0 {
            let help = "take `database` out";
            let message = "a cluster has only the database 0";
            self.error(raw.at("database"), raw.path("database"), message, help);
        }
        Some(Store {
            place: raw.place,
            id: raw.text("id")?.text,
            policy,
            nodes: nodes?,
            username: username.map(|text| text.text),
            password: password.map(|text| Password::new(text.text)),
            database,
            timeout: self.store_time(raw, "timeout"),
            sync_interval: self.store_time(raw, "sync_interval"),
            tls,
        })
    }

    fn store_time(&mut self, raw: &Raw, key: &str) -> Duration {
        let time = raw.duration(key);
        if !(TIME_MIN..=TIME_MAX).contains(&time) && !raw.is_broken(key) {
            let wrong = Wrong::new(format!("{} is out of range", duration_text(time)));
            self.wrong(raw.at(key), raw.path(key), wrong.help("from 10ms to 1m"));
        }
        time
    }

    fn store_nodes(&mut self, raw: &Raw, policy: StorePolicy) -> Option<Vec<StoreNode>> {
        let texts = raw.texts("nodes");
        let most = if policy == StorePolicy::Redis { 1 } else { NODES_MAX };
        if texts.len() > most {
            let wrong = Wrong::new(match policy {
                StorePolicy::Redis => "these are several servers, and one is asked".to_owned(),
                StorePolicy::RedisCluster => format!("these are more than {NODES_MAX}"),
            });
            let help = match policy {
                StorePolicy::Redis => {
                    "name the one that writes, or set `policy = \"redis-cluster\"`"
                }
                StorePolicy::RedisCluster => "name a few: the cluster tells the others",
            };
            self.wrong(raw.at("nodes"), raw.path("nodes"), wrong.help(help));
            return None;
        }
        let mut nodes: Vec<StoreNode> = Vec::new();
        for text in texts {
            match store_node(text) {
                Ok(node) if nodes.contains(&node) => {
                    let wrong = Wrong::new(format!("`{}` stands here twice", text.text));
                    self.wrong(text.place, raw.path("nodes"), wrong);
                }
                Ok(node) => nodes.push(node),
                Err(wrong) => self.wrong(text.place, raw.path("nodes"), wrong),
            }
        }
        (!nodes.is_empty()).then_some(nodes)
    }

    /// A store that no limit counts in is only looked at.
    pub(super) fn stores_are_used(&mut self, routes: &[Route]) {
        let used = |index: usize| {
            let limits = routes.iter().flat_map(|route| &route.limits);
            limits.filter_map(|limit| limit.store.as_ref()).any(|store| store.index == index)
        };
        let unused = self.stores.iter().enumerate().filter(|(index, _)| !used(*index));
        let unused: Vec<Place> = unused.map(|(_, store)| store.place).collect();
        for place in unused {
            let help = "name it by `store` of a `limits.requests`, or take it out";
            self.warn(place, "stores".to_owned(), "no limit is counted in this store", help);
        }
    }

    /// A password goes to every server in clear, where there is no TLS.
    fn password_is_hidden(&mut self, raw: &Raw, store: &Store) {
        let is_here = |node: &StoreNode| {
            let address = node.host.parse::<IpAddr>();
            address.map_or(node.host == "localhost", |address| address.is_loopback())
        };
        if store.password.is_some() && store.tls.is_none() && !store.nodes.iter().all(is_here) {
            let message = "whoever listens on the way to the store reads the password";
            self.warn(raw.at("password"), raw.path("password"), message, "set `tls`");
        }
    }

    /// Which store a limit counts in, and what it does without it.
    pub(super) fn limit_store(&mut self, raw: &Raw, window: Duration) -> Option<LimitStore> {
        if !raw.has("store") {
            if raw.has("allow_degradation") {
                let message = "`allow_degradation` is for limits that are counted in a store";
                let help = "set `store`, or take it out";
                let path = raw.path("allow_degradation");
                self.error(raw.at("allow_degradation"), path, message, help);
            }
            return None;
        }
        if !raw.has("group") {
            let message = "`store` needs `group`: by it the other gateways find the same counts";
            let help = "name one that all gateways use for this limit, as `group = \"pay\"`";
            self.error(raw.at("store"), raw.path("group"), message, help);
        }
        let index = self.store_ids.find(self.problems, raw, "store")?;
        let interval = self.stores.get(index)?.sync_interval;
        if window <= interval && !raw.is_broken("window") {
            let message = format!(
                "the window is over before gateways have exchanged their counts, every {}",
                duration_text(interval)
            );
            let help = Some("set a longer `window`, or a shorter `sync_interval`".to_owned());
            self.problems.push_at(raw.at("window"), raw.path("window"), message, help);
        }
        let id = raw.text("store")?.text;
        Some(LimitStore { id, index, allow_degradation: raw.flag("allow_degradation") })
    }
}

/// `host:port` or `host`; IPv6 addresses in brackets.
fn store_node(text: &Text) -> Result<StoreNode, Wrong> {
    let written = text.text.as_str();
    if written.contains("://") || written.contains('@') {
        return Err(Wrong::new("this is a URL, and a server is wanted").help(
            "write \"host:port\"; `username`, `password`, `database` and `tls` have keys of their own",
        ));
    }
    let (host, port) = split_port(written);
    let port = match port.map(str::parse::<u16>) {
        None => PORT,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            let wrong = Wrong::new(format!("`{written}` has no port from 1 to 65535"));
            return Err(wrong.help("write \"host:port\""));
        }
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(StoreNode { host: address.to_string(), port });
    }
    Ok(StoreNode { host: host_names::dns_name(host)?, port })
}
