//! Random configurations over few names, so that they overlap in every way.

use std::cell::OnceCell;
use std::path::Path;

use ferrule_config::Draft;
use ferrule_engine::plan::Plan;

/// Every path that is asked for.
pub(crate) const PATHS: [&str; 3] = ["/", "/p", "/p/x"];

const SERVER_NAMES: [&str; 8] =
    ["a.test", "b.test", "x.a.test", "*.a.test", "*.test", "*.x.a.test", "y.x.a.test", "*"];

const ROUTE_HOSTS: [&str; 10] = [
    "a.test",
    "b.test",
    "x.a.test",
    "y.x.a.test",
    "*.a.test",
    "*.test",
    "*.x.a.test",
    "c.test",
    "192.0.2.1",
    "*.other",
];

/// Where the path comes before the host, `:x` is a segment.
const ROUTE_URIS: [&str; 5] = ["/*", "/p/*", "/p", "/:x", "/p/:x"];
const PLAIN_URIS: usize = 3;

/// What clients mean; empty is HTTP/1.0 without Host.
const HOSTS_TO_TRY: [&str; 12] = [
    "",
    "a.test",
    "b.test",
    "c.test",
    "x.a.test",
    "z.a.test",
    "y.x.a.test",
    "z.y.x.a.test",
    "q.r.test",
    "192.0.2.1",
    "[2001:db8::1]",
    "x.y.other",
];

/// How they may write a name or an IPv4 address (`~`), and whether it is one still.
const SPELLINGS: [(&str, bool); 14] = [
    ("~", true),
    ("~.", true),
    ("~:", true),
    ("~:443", true),
    ("~:0443", true),
    ("~.:8443", true),
    ("~:99999", false),
    ("~:000443", false),
    ("~..", false),
    (".~", false),
    ("u@~", false),
    ("~%2e", false),
    ("~,~", false),
    ("[~]", false),
];

/// Other spellings of the two addresses.
const ADDRESSES: [(&str, &str, bool); 14] = [
    ("192.0.2.1", "[::ffff:192.0.2.1]", true),
    ("192.0.2.1", "[::FFFF:c000:201]:80", true),
    ("192.0.2.1", "[0:0:0:0:0:ffff:192.0.2.1]", true),
    ("192.0.2.1", "192.0.02.1", false),
    ("192.0.2.1", "192.0.513", false),
    ("192.0.2.1", "3221225985", false),
    ("192.0.2.1", "0xC0.0.2.1", false),
    ("192.0.2.1", "0xc0000201.", false),
    ("[2001:db8::1]", "[2001:DB8:0:0::1]", true),
    ("[2001:db8::1]", "[2001:0db8::0.0.0.1]:443", true),
    ("[2001:db8::1]", "[2001:db8::1]:", true),
    ("[2001:db8::1]", "[2001:db8::1%25eth0]", false),
    ("[2001:db8::1]", "[2001:db8::1].", false),
    ("[2001:db8::1]", "2001:db8::1", false),
];

/// What a client names.
pub(crate) struct Host {
    pub(crate) sent: String,
    /// The host in the one form that is compared, empty for none; `None` where it is refused.
    pub(crate) means: Option<&'static str>,
}

const NAMES_TO_TRY: [Option<&str>; 7] = [
    None,
    Some("a.test"),
    Some("b.test"),
    Some("x.a.test"),
    Some("y.x.a.test"),
    Some("q.r.test"),
    Some("nowhere"),
];

/// Policies, by number; the first asks nobody.
pub(crate) const POLICIES: [&str; 6] = [
    "",
    "client = { ca = 'a.crt' }",
    "client = { ca = 'b.crt' }",
    "client = { ca = 'a.crt', depth = 3 }",
    "client = { ca = 'a.crt', verify = 'optional' }",
    "client = { verify = 'optional_no_ca' }",
];

/// A linear congruential generator: the same worlds everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
        random.below(2);
        random
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn some<'a>(&mut self, from: &[&'a str], most: usize) -> Vec<&'a str> {
        let mut some = Vec::new();
        for _ in 0..self.below(most + 1) {
            let one = from[self.below(from.len())];
            if !some.contains(&one) {
                some.push(one);
            }
        }
        some
    }
}

pub(crate) struct Listener {
    pub(crate) tls: bool,
    pub(crate) fallback: Option<&'static str>,
    /// Plain listeners alone.
    pub(crate) mtls_routes: Option<&'static str>,
}

pub(crate) struct Server {
    pub(crate) names: Vec<&'static str>,
    /// Index of [`POLICIES`].
    pub(crate) policy: usize,
}

pub(crate) struct Route {
    /// Empty for every host.
    pub(crate) hosts: Vec<&'static str>,
    pub(crate) uri: &'static str,
    pub(crate) demands: bool,
    /// What the oracle has found out.
    pub(crate) leading: OnceCell<Vec<usize>>,
}

pub(crate) struct World {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) servers: Vec<Server>,
    pub(crate) routes: Vec<Route>,
    /// Does the path of a route come before its host?
    pub(crate) path_first: bool,
}

impl World {
    pub(crate) fn generate(random: &mut Random) -> Self {
        let mut free = SERVER_NAMES.to_vec();
        let mut servers = Vec::new();
        for _ in 0..1 + random.below(4) {
            let count = 1 + random.below(2);
            let names: Vec<_> = (0..count).map(|_| free.remove(random.below(free.len()))).collect();
            servers.push(Server { names, policy: random.below(POLICIES.len()) });
        }
        let exact = servers.iter().flat_map(|server| &server.names);
        let exact: Vec<_> = exact.copied().filter(|name| !name.contains('*')).collect();
        let fallback = exact.first().copied();
        let tls = |fallback| Listener { tls: true, fallback, mtls_routes: None };
        let mtls_routes = [None, Some("reject"), Some("allow")][random.below(3)];
        let plain = Listener { tls: false, fallback: None, mtls_routes };
        let path_first = random.below(2) == 0;
        let uris = if path_first { ROUTE_URIS.len() } else { PLAIN_URIS };
        let routes = (0..1 + random.below(5))
            .map(|_| Route {
                hosts: random.some(&ROUTE_HOSTS, 2),
                uri: ROUTE_URIS[random.below(uris)],
                demands: random.below(4) == 0,
                leading: OnceCell::new(),
            })
            .collect();
        Self { listeners: vec![tls(None), tls(fallback), plain], servers, routes, path_first }
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = Vec::new();
        for (at, listener) in self.listeners.iter().enumerate() {
            lines.push(format!("[[listen]]\naddress = '127.0.0.1:{}'\n", 8000 + at));
            lines.push(format!("tls = {}\n", listener.tls));
            if let Some(name) = listener.fallback {
                lines.push(format!("fallback_sni = '{name}'\n"));
            }
            if let Some(word) = listener.mtls_routes {
                lines.push(format!("mtls_routes = '{word}'\n"));
            }
        }
        if self.path_first {
            lines.push("[http]\nrouter = 'radixtree_uri_with_parameter'\n".to_owned());
        }
        for server in &self.servers {
            lines.push(format!("[[ssls]]\nsnis = {:?}\n", server.names));
            lines.push(format!("cert = 's.crt'\nkey = 's.key'\n{}\n", POLICIES[server.policy]));
        }
        for route in &self.routes {
            lines.push(format!("[[routes]]\nuri = '{}'\n", route.uri));
            if !route.hosts.is_empty() {
                lines.push(format!("hosts = {:?}\n", route.hosts));
            }
            if route.demands {
                lines.push("client.verify = 'on'\n".to_owned());
            }
            lines.push("upstream.nodes = { '127.0.0.1:1' = 1 }\n".to_owned());
        }
        lines.concat()
    }

    /// `None` if it is no configuration: one route that hides another, or a demand that nobody meets.
    /// And is `check` silent about a plain listener? The run time holds by itself.
    pub(crate) fn plan(&self) -> Option<(Plan, bool)> {
        let read = ferrule_config::read_text(Path::new("/f.toml"), self.text(), &|_| None);
        let Draft { config, mut problems } = read.ok().filter(|draft| draft.problems.is_empty())?;
        Plan::check(&config, &mut problems);
        Some((Plan::build(&config), problems.is_empty()))
    }

    /// Does its plain listener not say what it means?
    pub(crate) fn is_silent(&self) -> bool {
        self.listeners.iter().any(|listener| !listener.tls && listener.mtls_routes.is_none())
    }

    /// Every host, and a spelling of each.
    pub(crate) fn hosts_to_try(random: &mut Random) -> Vec<Host> {
        let mut hosts = Vec::new();
        for name in HOSTS_TO_TRY {
            hosts.push(Host { sent: name.to_owned(), means: Some(name) });
            if name.is_empty() || name.starts_with('[') {
                continue;
            }
            let (spelling, legal) = SPELLINGS[random.below(SPELLINGS.len())];
            let mut written = name.to_owned();
            if random.below(2) == 0 {
                written.make_ascii_uppercase();
            }
            let sent = spelling.replace('~', &written);
            hosts.push(Host { sent, means: Some(name).filter(|_| legal) });
        }
        let (means, sent, legal) = ADDRESSES[random.below(ADDRESSES.len())];
        hosts.push(Host { sent: sent.to_owned(), means: Some(means).filter(|_| legal) });
        hosts
    }

    pub(crate) fn server_names_to_try(&self, listener: usize) -> &'static [Option<&'static str>] {
        if self.listeners[listener].tls { &NAMES_TO_TRY } else { &[None] }
    }
}
