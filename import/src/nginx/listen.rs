//! `listen` and `server_name`: which server takes which request.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use toml::Value as Toml;

use crate::proof::Draft;

use super::job::{Job, Refused, source};
use super::scope::Scope;
use super::tree::Directive;

/// Where a server listens.
#[derive(Clone, Debug)]
pub(super) struct Listen<'a> {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) is_default: bool,
    pub(super) directive: &'a Directive,
}

/// A `server` block.
pub(super) struct ServerBlock<'a> {
    pub(super) directive: &'a Directive,
    pub(super) scope: Scope<'a>,
    pub(super) listens: Vec<Listen<'a>>,
    /// In lower case, `.a` as `a` and `*.a`; empty if it has none that a client could ask for.
    pub(super) names: Vec<String>,
    /// `$server_name`.
    pub(super) first_name: String,
    /// It answers no handshake.
    pub(super) rejects: bool,
}

impl<'a> ServerBlock<'a> {
    /// Reads a block.
    pub(super) fn read(job: &Job<'a>, directive: &'a Directive) -> Result<Self, Refused> {
        let scope = job.http.within(directive.inner());
        let mut listens = Vec::new();
        for line in directive.inner().iter().filter(|one| one.name == "listen") {
            listens.push(listen(job, line, scope.is_on("ssl"))?);
        }
        if listens.is_empty() {
            let address = String::from("0.0.0.0");
            listens.push(Listen {
                address,
                port: 80,
                tls: scope.is_on("ssl"),
                is_default: false,
                directive,
            });
        }
        let mut names = Vec::new();
        let mut first_name = String::new();
        for line in directive.inner().iter().filter(|one| one.name == "server_name") {
            for word in &line.args {
                if first_name.is_empty() {
                    first_name = word.text.trim_start_matches('.').to_ascii_lowercase();
                }
                names.extend(name(job, line, &word.text)?);
            }
        }
        let rejects = scope.is_on("ssl_reject_handshake");
        Ok(Self { directive, scope, listens, names, first_name, rejects })
    }

    pub(super) fn has_tls(&self) -> bool {
        self.listens.iter().any(|listen| listen.tls)
    }

    /// How certificates are asked for: `off`, `on`, `optional`, `optional_no_ca`.
    pub(super) fn verify(&self) -> &'a str {
        if self.has_tls() { self.scope.word("ssl_verify_client").unwrap_or("off") } else { "off" }
    }

    /// Names that a client can ask for by SNI.
    pub(super) fn snis(&self) -> Vec<String> {
        let is_name =
            |name: &&String| name.parse::<std::net::IpAddr>().is_err() && !name.starts_with('[');
        self.names.iter().filter(is_name).cloned().collect()
    }
}

/// A name of a server.
fn name(job: &Job<'_>, line: &Directive, text: &str) -> Result<Vec<String>, Refused> {
    let lower = text.to_ascii_lowercase();
    if text.starts_with('~') {
        job.refuse(line, "names by expression are not converted: list them, or write `*.name`");
        return Err(Refused);
    }
    if lower.ends_with(".*") {
        job.refuse(line, "names with a `*` at the end are not converted: list them");
        return Err(Refused);
    }
    if text.is_empty() || text == "$hostname" || lower.contains('$') {
        job.refuse(
            line,
            "this name is not converted: requests without a host, and the name of the machine",
        );
        return Err(Refused);
    }
    // `_` and `*` are no names: such a server gets what no other one takes.
    if matches!(lower.as_str(), "_" | "*" | "__" | "--") {
        return Ok(Vec::new());
    }
    if lower.starts_with("*.") {
        job.changed(
            line,
            "as a server name of TLS, `*` is one label here; requests for deeper names get 421",
        );
    }
    Ok(match lower.strip_prefix('.') {
        Some(rest) => vec![rest.to_owned(), format!("*.{rest}")],
        None => vec![lower],
    })
}

fn listen<'a>(job: &Job<'_>, line: &'a Directive, ssl: bool) -> Result<Listen<'a>, Refused> {
    let text = line.arg(0);
    let (address, port) = match text.rsplit_once(':') {
        _ if text.starts_with("unix:") => {
            job.refuse(line, "there are no listeners on Unix sockets here");
            return Err(Refused);
        }
        Some((address, port)) if !port.ends_with(']') => (address, port),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => ("0.0.0.0", text),
        _ => (text, "80"),
    };
    let address = if address == "*" { "0.0.0.0" } else { address };
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let (Ok(port), Ok(_)) = (port.parse::<u16>(), bare.parse::<std::net::IpAddr>()) else {
        job.refuse(line, "an address and a port is converted, or one of the two; no name");
        return Err(Refused);
    };
    let mut listen =
        Listen { address: address.to_owned(), port, tls: ssl, is_default: false, directive: line };
    for word in line.texts().skip(1) {
        match word.split('=').next().unwrap_or_default() {
            "ssl" => listen.tls = true,
            "default_server" | "default" => listen.is_default = true,
            "http2" | "spdy" => job
                .changed(line, "only HTTP/1.1 is spoken; clients that can do more fall back to it"),
            "ipv6only" if word == "ipv6only=off" => {
                job.refuse(line, "write `listen` for IPv4 and for IPv6");
                return Err(Refused);
            }
            "ipv6only" | "backlog" | "rcvbuf" | "sndbuf" | "reuseport" | "deferred" | "bind"
            | "fastopen" | "so_keepalive" | "setfib" => {}
            _ => {
                job.refuse(line, format!("`{word}` of `listen` is not converted"));
                return Err(Refused);
            }
        }
    }
    Ok(listen)
}

/// All ports, and who takes what nobody else takes on them.
pub(super) struct Ports {
    pub(super) all: BTreeSet<u16>,
    /// By port, the number of the server that says so, or else of the first one.
    defaults: BTreeMap<u16, usize>,
}

/// What the servers in front of one say of a port.
struct OfPort {
    addresses: BTreeSet<String>,
    tls: bool,
    which: usize,
    is_default: bool,
}

impl Ports {
    /// Looks at all servers together.
    pub(super) fn of(job: &Job<'_>, servers: &[ServerBlock<'_>]) -> Result<Self, Refused> {
        let mut known: BTreeMap<u16, OfPort> = BTreeMap::new();
        for (which, server) in servers.iter().enumerate() {
            for listen in &server.listens {
                let on_port = server.listens.iter().filter(|other| other.port == listen.port);
                let addresses: BTreeSet<String> =
                    on_port.clone().map(|other| other.address.clone()).collect();
                let is_default = on_port.clone().any(|other| other.is_default);
                let tls = listen.tls;
                let own = || OfPort { addresses: addresses.clone(), tls, which, is_default };
                let first = known.entry(listen.port).or_insert_with(own);
                // Routes are told apart by ports alone.
                if first.addresses != addresses {
                    job.refuse(listen.directive, "servers on one port with different addresses are not converted: give them ports of their own");
                    return Err(Refused);
                }
                if first.tls != tls {
                    job.refuse(
                        listen.directive,
                        "this port speaks TLS for one server and not for another",
                    );
                    return Err(Refused);
                }
                if is_default && !first.is_default {
                    (first.which, first.is_default) = (which, true);
                }
            }
        }
        let defaults = known.iter().map(|(port, first)| (*port, first.which)).collect();
        Ok(Self { all: known.into_keys().collect(), defaults })
    }

    /// The server that takes what no other one takes on a port.
    pub(super) fn default_on(&self, port: u16) -> Option<usize> {
        self.defaults.get(&port).copied()
    }

    /// Does this server take what no other one takes on this port?
    pub(super) fn is_default(&self, which: usize, port: u16) -> bool {
        self.default_on(port) == Some(which)
    }
}

/// Writes the listeners.
pub(super) fn write(job: &Job<'_>, servers: &[ServerBlock<'_>], ports: &Ports, draft: &mut Draft) {
    // The first server on each port that asks for certificates.
    let mut asking: BTreeMap<u16, &Directive> = BTreeMap::new();
    for server in servers.iter().filter(|server| server.verify() == "on") {
        for listen in &server.listens {
            asking.entry(listen.port).or_insert(server.directive);
        }
    }
    let mut written: HashSet<String> = HashSet::new();
    for server in servers {
        for listen in &server.listens {
            let address = format!("{}:{}", listen.address, listen.port);
            let mut table = toml::Table::new();
            table.insert("address".to_owned(), Toml::from(address.as_str()));
            if listen.tls {
                table.insert("tls".to_owned(), Toml::from(true));
                let default = ports.default_on(listen.port).and_then(|which| servers.get(which));
                if let Some(default) = default.filter(|default| !default.rejects) {
                    let fallback = default.snis().first().map_or_else(
                        || String::from("default.invalid"),
                        |name| name.replace('*', "default"),
                    );
                    table.insert("fallback_sni".to_owned(), Toml::from(fallback));
                }
            } else if !asking.is_empty() {
                let bare = asking.get(&listen.port);
                // Routes know their ports: what is on this one was meant for everybody.
                let word = if bare.is_some() { "reject" } else { "allow" };
                table.insert("mtls_routes".to_owned(), Toml::from(word));
                if bare.is_some_and(|bare| std::ptr::eq(*bare, server.directive)) {
                    job.let_through(listen.directive, "this port has no TLS, so the same locations were open there to everybody; here they answer 421");
                }
            }
            if written.insert(address) {
                draft.push("listen", table, source(listen.directive));
            }
        }
    }
}
