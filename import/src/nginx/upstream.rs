//! `upstream` blocks and the addresses of `proxy_pass`, as nodes.

use toml::Value as Toml;

use crate::fields::plain;

use super::constants::expanded;
use super::job::Job;
use super::tree::Directive;
use super::units::duration;
use super::variables::{Constant, Fixed, parts};

/// Where a `proxy_pass` leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Destination {
    pub(super) tls: bool,
    /// nginx's `$proxy_host`: the name and, if it is not the usual one, the port.
    pub(super) host: String,
    /// The path that takes the place of the location's text.
    pub(super) path: Option<String>,
    /// The path is said to be that of the request as it came.
    pub(super) is_as_it_came: bool,
}

impl Destination {
    /// The host without its port.
    pub(super) fn name(&self) -> &str {
        let end = if self.host.starts_with('[') {
            self.host.find(']').map(|at| at.saturating_add(1))
        } else {
            self.host.find(':')
        };
        end.and_then(|end| self.host.get(..end)).unwrap_or(&self.host)
    }

    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with("unix:")
    }
}

impl Job<'_> {
    /// What a `proxy_pass` names.
    pub(super) fn destination(
        &self,
        directive: &Directive,
        constants: &[Constant],
    ) -> Option<Destination> {
        let text = self.without_variables(directive, constants)?;
        let is_as_it_came = text.len() < expanded(directive.arg(0), constants).len();
        let text = text.as_str();
        let (tls, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else {
            self.refuse(directive, "this is neither `http://` nor `https://`");
            return None;
        };
        if let Some(socket) = rest.strip_prefix("unix:") {
            let (socket, path) = match socket.split_once(':') {
                Some((socket, path)) => (socket, Some(path.to_owned())),
                None => (socket, None),
            };
            let host = format!("unix:{socket}");
            return Some(Destination { tls, host, path, is_as_it_came });
        }
        let (host, path) = match rest.find('/') {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at..).map(str::to_owned)),
            None => (rest, None),
        };
        if path.as_deref().is_some_and(|path| path.contains('?')) {
            self.refuse(directive, "a query in `proxy_pass` is not converted: write `rewrite.uri`");
            return None;
        }
        let usual = if tls { ":443" } else { ":80" };
        if path.is_some() && directive.arg(0).contains('$') {
            self.refuse(
                directive,
                "a path behind variables in `proxy_pass` takes the place of the whole path and query: write \
                 `rewrite.uri` by hand",
            );
            return None;
        }
        let host = host.strip_suffix(usual).unwrap_or(host).to_owned();
        Some(Destination { tls, host, path, is_as_it_came })
    }

    /// The address with what `set` makes in it, and without the path of the request, which is sent anyway.
    fn without_variables(&self, directive: &Directive, constants: &[Constant]) -> Option<String> {
        let whole = expanded(directive.arg(0), constants);
        let mut text = whole.as_str();
        if let Some(rest) = text.strip_suffix("${request_uri}") {
            text = rest;
        } else if let Some(rest) = text.strip_suffix("${uri}${is_args}${args}") {
            self.changed(
                directive,
                "the path is sent as the client spelt it: nginx sends `$uri` decoded, so that %0D%0A in it is a line \
                 break, and %2F a slash",
            );
            text = rest;
        }
        if text.contains('$') {
            self.refuse(
                directive,
                "variables in `proxy_pass` are not converted, but for one that `set` makes of a text, and \
                 `$request_uri` at the end: write routes, or a `traffic_split`",
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// The nodes of a destination, and how they are chosen.
    pub(super) fn nodes(&self, directive: &Directive, to: &Destination) -> Option<toml::Table> {
        let mut table = toml::Table::new();
        if let Some(group) = self.named("upstream", 0, &to.host) {
            self.group(group, to.tls, &mut table)?;
            return Some(table);
        }
        if to.host.is_empty() {
            self.refuse(directive, "a `proxy_pass` without a host");
            return None;
        }
        let node = self.node(directive, &to.host, to.tls)?;
        table.insert("nodes".to_owned(), Toml::Array(vec![Toml::Table(node)]));
        Some(table)
    }

    /// `host:port` as a node.
    fn node(&self, directive: &Directive, text: &str, tls: bool) -> Option<toml::Table> {
        let mut node = toml::Table::new();
        if text.starts_with("unix:") {
            node.insert("host".to_owned(), plain(text));
            return Some(node);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (text, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        node.insert("host".to_owned(), plain(host));
        let port = match port.map(str::parse::<u16>) {
            None if tls => 443,
            None => 80,
            Some(Ok(port)) => port,
            Some(Err(_)) => {
                self.refuse(directive, "this port is no number from 1 to 65535");
                return None;
            }
        };
        node.insert("port".to_owned(), Toml::from(i64::from(port)));
        Some(node)
    }

    /// An `upstream` block.
    fn group(&self, group: &Directive, tls: bool, table: &mut toml::Table) -> Option<()> {
        let mut nodes = Vec::new();
        let mut health = Health::default();
        let mut pool = toml::Table::new();
        for line in group.inner() {
            let number = |text: &str| text.parse::<i64>().ok();
            match line.name.as_str() {
                "server" => nodes.push(Toml::Table(self.server_of(line, tls, &mut health)?)),
                "least_conn" => put(table, "type", Toml::from("least_conn")),
                "random" => put(table, "type", Toml::from("random")),
                "ip_hash" => {
                    self.changed(line, "equal addresses go to equal nodes, but to others than with nginx, which looks at the first three numbers alone");
                    put(table, "type", Toml::from("chash"));
                    put(table, "key", Toml::from("remote_addr"));
                }
                "hash" => {
                    if line.arg(1) != "consistent" {
                        self.changed(line, "hashing is consistent here: equal keys go to equal nodes, but to others than with nginx");
                    }
                    let key = self.template(line, line.arg(0), Fixed::default())?;
                    let has_variable = parts(line.arg(0))
                        .is_ok_and(|parts| parts.len() > 1 || line.arg(0).starts_with('$'));
                    if !has_variable {
                        self.refuse(line, "a key without a variable sends everything to one node");
                        return None;
                    }
                    put(table, "type", Toml::from("chash"));
                    put(table, "hash_on", Toml::from("vars_combinations"));
                    put(table, "key", Toml::from(key));
                }
                "keepalive" => put(&mut pool, "size", Toml::from(number(line.arg(0))?)),
                "keepalive_requests" => {
                    put(&mut pool, "requests", Toml::from(number(line.arg(0))?));
                }
                "keepalive_timeout" => {
                    put(&mut pool, "idle_timeout", duration(line.arg(0))?.into());
                }
                "keepalive_time" => put(&mut pool, "max_age", duration(line.arg(0))?.into()),
                // Memory for the workers; and what the walk through all directives has refused.
                _ => {}
            }
        }
        if nodes.is_empty() {
            self.refuse(group, "an upstream without servers");
            return None;
        }
        put(table, "nodes", Toml::Array(nodes));
        if !pool.is_empty() {
            put(table, "keepalive_pool", Toml::Table(pool));
        }
        if let Some(checks) = health.checks(self, group) {
            put(table, "checks", checks);
        }
        Some(())
    }

    fn server_of(&self, line: &Directive, tls: bool, health: &mut Health) -> Option<toml::Table> {
        let mut node = self.node(line, line.arg(0), tls)?;
        let mut fails = Fails::default();
        for word in line.args.iter().skip(1) {
            let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
            let number = value.parse::<i64>().ok();
            match (name, number) {
                ("weight", Some(weight)) => put(&mut node, "weight", Toml::from(weight)),
                ("down", _) => put(&mut node, "weight", Toml::from(0)),
                ("backup", _) => put(&mut node, "backup", Toml::from(true)),
                ("max_conns", Some(most)) => put(&mut node, "max_connections", Toml::from(most)),
                ("max_fails", Some(most)) => fails.count = Some(most),
                ("fail_timeout", _) => fails.time = Some(duration(value)?),
                ("resolve", _) => {}
                _ => {
                    self.refuse(line, format!("`{name}` of a server is not converted"));
                    return None;
                }
            }
        }
        health.all.push(fails);
        Some(node)
    }
}

fn put(table: &mut toml::Table, key: &str, value: Toml) {
    table.insert(key.to_owned(), value);
}

/// When a server counts as failed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Fails {
    count: Option<i64>,
    time: Option<String>,
}

/// The same of all servers of a block.
#[derive(Debug, Default)]
struct Health {
    all: Vec<Fails>,
}

impl Health {
    fn checks(&self, job: &Job<'_>, group: &Directive) -> Option<Toml> {
        let first = self.all.iter().find(|fails| **fails != Fails::default())?;
        if self.all.iter().any(|fails| fails != first) {
            job.changed(group, "`max_fails` and `fail_timeout` are those of the first server that has them, for all servers");
        }
        let mut unhealthy = toml::Table::new();
        if let Some(count) = first.count {
            put(&mut unhealthy, "tcp_failures", Toml::from(count));
            put(&mut unhealthy, "timeouts", Toml::from(count));
            put(&mut unhealthy, "http_failures", Toml::from(0));
        }
        if let Some(time) = &first.time {
            put(&mut unhealthy, "fail_timeout", Toml::from(time.as_str()));
        }
        let unhealthy = [("unhealthy".to_owned(), Toml::Table(unhealthy))].into_iter().collect();
        let passive = [("passive".to_owned(), Toml::Table(unhealthy))].into_iter().collect();
        Some(Toml::Table(passive))
    }
}
