//! `proxy_pass` and what belongs to it: the upstream with its TLS, the fields of requests, timeouts and retries.

use toml::Value as Toml;

use crate::fields::plain;

use super::job::{Job, MadeUpstream, Refused, source};
use super::scope::Scope;
use super::tls;
use super::tree::Directive;
use super::units::duration;
use super::upstream::Destination;
use super::variables::{Fixed, Part, parts};

/// What a location that proxies says of its requests.
#[derive(Debug, Default)]
pub(super) struct Proxied {
    /// Keys of the route.
    pub(super) route: toml::Table,
    /// The rewrite that the path of `proxy_pass` stands for.
    pub(super) path: Option<String>,
    /// The path is said to be that of the request as it came.
    pub(super) is_as_it_came: bool,
    /// Where the fields that are set for the upstream stand.
    pub(super) fields: Vec<FieldLine>,
}

/// A field that is set for the upstream.
#[derive(Clone, Debug)]
pub(super) struct FieldLine {
    pub(super) name: String,
    /// It says who the client is.
    pub(super) identifies: bool,
}

/// What the upstream gets as `Host`.
enum HostField {
    Pass,
    Fixed(String),
}

impl Job<'_> {
    /// Converts a location that proxies.
    pub(super) fn proxied(
        &self,
        directive: &Directive,
        scope: &Scope<'_>,
        fixed: Fixed<'_>,
    ) -> Result<Proxied, Refused> {
        let to = self.destination(directive, fixed.constants).ok_or(Refused)?;
        let mut made = Proxied {
            path: to.path.clone(),
            is_as_it_came: to.is_as_it_came,
            ..Proxied::default()
        };
        let mut upstream = self.nodes(directive, &to).ok_or(Refused)?;
        let fixed = Fixed { proxy_host: &to.host, ..fixed };
        let host = self.fields(scope, fixed, &mut made)?;
        match &host {
            HostField::Pass => {}
            HostField::Fixed(host) => {
                upstream.insert("pass_host".to_owned(), Toml::from("rewrite"));
                upstream.insert("upstream_host".to_owned(), plain(host));
            }
        }
        if to.tls {
            upstream.insert("scheme".to_owned(), Toml::from("https"));
            let name = self.server_name_of(scope, &to, &host, fixed).ok_or(Refused)?;
            let table = tls::of_upstream(self, scope, directive, name)?;
            upstream.insert("tls".to_owned(), Toml::Table(table));
        }
        self.retries(scope, &mut upstream)?;
        let id = self.keep_upstream(directive, &to, upstream);
        made.route.insert("upstream_id".to_owned(), Toml::from(id));
        self.timeouts(scope, &mut made.route)?;
        if let Some(line) = scope.one("proxy_intercept_errors").filter(|one| one.arg(0) == "on") {
            self.refuse(
                line,
                "errors of upstreams pass as they are: write a `response` with `vars` on `status`",
            );
            return Err(Refused);
        }
        for switch in ["proxy_pass_request_headers", "proxy_pass_request_body"] {
            if let Some(off) = scope.one(switch).filter(|one| one.arg(0) == "off") {
                self.refuse(off, "requests are sent whole");
                return Err(Refused);
            }
        }
        if let Some(redirect) =
            scope.one("proxy_redirect").filter(|one| !matches!(one.arg(0), "off" | "default"))
        {
            self.refuse(
                redirect,
                "`Location` of responses is not changed: let the upstream know its public name",
            );
            return Err(Refused);
        }
        Ok(made)
    }

    /// `proxy_set_header`: which `Host` is sent, and what else is set.
    fn fields(
        &self,
        scope: &Scope<'_>,
        fixed: Fixed<'_>,
        made: &mut Proxied,
    ) -> Result<HostField, Refused> {
        let mut set = toml::Table::new();
        let mut host = if fixed.proxy_host.starts_with("unix:") {
            HostField::Fixed(String::from("localhost"))
        } else {
            HostField::Fixed(fixed.proxy_host.to_owned())
        };
        for line in scope.all("proxy_set_header") {
            let (name, value) = (self.field_name(line)?, line.arg(1));
            let lower = name.to_ascii_lowercase();
            match lower.as_str() {
                "host" => host = self.host_field(line, value, fixed).ok_or(Refused)?,
                // Each hop has its own; an upgrade is asked for by both.
                "connection" => {}
                "upgrade" if value == "$http_upgrade" => {
                    made.route.insert("enable_websocket".to_owned(), Toml::from(true));
                }
                "x-forwarded-for" if value == "$proxy_add_x_forwarded_for" => {}
                "x-real-ip" if value == "$remote_addr" => {}
                "x-forwarded-proto" if value == "$scheme" => {}
                "x-forwarded-port" if value == "$server_port" => {}
                "x-forwarded-host"
                    if matches!(value, "$host" | "$http_host" | "$host:$server_port") => {}
                _ => {
                    let template = self.template(line, value, fixed).ok_or(Refused)?;
                    set.insert(name.to_owned(), Toml::from(template));
                }
            }
            let variables = parts(value).unwrap_or_default();
            let identifies = variables.iter().any(
                |part| matches!(part, Part::Variable(name) if name.starts_with("ssl_client_")),
            );
            made.fields.push(FieldLine { name: name.to_owned(), identifies });
        }
        if !set.is_empty() {
            let table = [("set".to_owned(), Toml::Table(set))].into_iter().collect();
            made.route.insert("headers".to_owned(), Toml::Table(table));
        }
        Ok(host)
    }

    /// The name of a field that is set. What is none may be a value, and that a secret, so it is not shown.
    pub(super) fn field_name<'l>(&self, line: &'l Directive) -> Result<&'l str, Refused> {
        let name = line.arg(0);
        let is_part = |mark: char| mark.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(mark);
        if name.is_empty() || !name.chars().all(is_part) {
            self.refuse(line, "this is no name of a field: a name, a space and a value are needed");
            return Err(Refused);
        }
        Ok(name)
    }

    fn host_field(&self, line: &Directive, value: &str, fixed: Fixed<'_>) -> Option<HostField> {
        match value {
            "$http_host" | "$host" | "$host:$server_port" => {
                if value != "$http_host" {
                    self.changed(
                        line,
                        "the client's `Host` passes as it came, with its port if it has one",
                    );
                }
                Some(HostField::Pass)
            }
            _ => {
                let text = self.template(line, value, fixed)?;
                if text.contains('$') || text.is_empty() {
                    self.refuse(line, "the `Host` of the upstream is the client's or a fixed text");
                    return None;
                }
                Some(HostField::Fixed(text))
            }
        }
    }

    /// The name that is sent by TLS and that a certificate must have; none where it is that of `Host`.
    fn server_name_of(
        &self,
        scope: &Scope<'_>,
        to: &Destination,
        host: &HostField,
        fixed: Fixed<'_>,
    ) -> Option<Option<String>> {
        let own = (!to.is_socket()).then(|| to.name().trim_matches(['[', ']']).to_owned());
        let Some(line) = scope.one("proxy_ssl_name") else { return Some(own) };
        match line.arg(0) {
            "$proxy_host" => Some(own),
            "$host" | "$http_host" | "$ssl_server_name" if matches!(host, HostField::Pass) => {
                Some(None)
            }
            text => {
                let fixed = Fixed { proxy_host: to.name(), ..fixed };
                let text = self.template(line, text, fixed)?;
                if text.contains('$') {
                    self.refuse(
                        line,
                        "the name of an upstream is a fixed text, or `$host` where `Host` is, too",
                    );
                    return None;
                }
                Some(Some(text))
            }
        }
    }

    fn timeouts(&self, scope: &Scope<'_>, route: &mut toml::Table) -> Result<(), Refused> {
        let mut table = toml::Table::new();
        for (name, key) in [
            ("proxy_connect_timeout", "connect"),
            ("proxy_send_timeout", "send"),
            ("proxy_read_timeout", "read"),
        ] {
            if let Some(line) = scope.one(name) {
                let Some(time) = duration(line.arg(0)).filter(|time| time != "0s") else {
                    self.refuse(line, "this is no time above 0, as `60s`");
                    return Err(Refused);
                };
                table.insert(key.to_owned(), Toml::from(time));
            }
        }
        if !table.is_empty() {
            route.insert("timeout".to_owned(), Toml::Table(table));
        }
        Ok(())
    }

    /// `proxy_next_upstream` and its bounds.
    fn retries(&self, scope: &Scope<'_>, upstream: &mut toml::Table) -> Result<(), Refused> {
        if let Some(line) = scope.one("proxy_next_upstream") {
            let mut on: Vec<&str> = Vec::new();
            for word in line.texts() {
                match word {
                    "error" => on.extend(["connect", "lost"]),
                    "timeout" => on.push("timeout"),
                    "invalid_header" => on.push("bad_response"),
                    "http_500" | "http_502" | "http_503" | "http_504" | "http_403" | "http_404"
                    | "http_429" => {
                        on.extend(word.strip_prefix("http_"));
                    }
                    "non_idempotent" => {
                        upstream.insert("retry_non_idempotent".to_owned(), Toml::from(true));
                    }
                    "off" => {
                        upstream.insert("retries".to_owned(), Toml::from(0));
                    }
                    _ => {
                        self.refuse(line, format!("{word:?} is not converted"));
                        return Err(Refused);
                    }
                }
            }
            if !on.is_empty() {
                let on = on.into_iter().map(Toml::from).collect();
                upstream.insert("retry_on".to_owned(), Toml::Array(on));
            }
        }
        if let Some(line) = scope.one("proxy_next_upstream_tries") {
            let tries: i64 = line.arg(0).parse().unwrap_or(0);
            // Of nginx's tries the first one counts, too; 0 is no limit.
            if tries > 0 {
                let retries = tries.saturating_sub(1).min(16);
                upstream.insert("retries".to_owned(), Toml::from(retries));
            }
        }
        if let Some(line) = scope.one("proxy_next_upstream_timeout")
            && let Some(time) = duration(line.arg(0)).filter(|time| time != "0s")
        {
            upstream.insert("retry_timeout".to_owned(), Toml::from(time));
        }
        Ok(())
    }

    /// The id of an upstream: that of an equal one which is there already, or a new one.
    fn keep_upstream(&self, directive: &Directive, to: &Destination, table: toml::Table) -> String {
        let mut all = self.upstreams.borrow_mut();
        let text = table.to_string();
        if let Some(same) = all.ids.get(&text) {
            return same.clone();
        }
        let usable = |mark: char| {
            if mark.is_ascii_alphanumeric() || mark == '-' || mark == '_' || mark == '.' {
                mark
            } else {
                '-'
            }
        };
        let base: String = to.host.chars().map(usable).take(48).collect();
        let base = base.trim_matches('-').to_owned();
        let base = if base.is_empty() { String::from("upstream") } else { base };
        let mut id = base.clone();
        let mut number = all.numbers.get(&base).copied().unwrap_or(1);
        while !all.taken.insert(id.clone()) {
            number = number.saturating_add(1);
            id = format!("{base}-{number}");
        }
        all.numbers.insert(base, number);
        let origin = self.named("upstream", 0, &to.host).unwrap_or(directive);
        all.ids.insert(text, id.clone());
        all.list.push(MadeUpstream { id: id.clone(), table, source: source(origin) });
        id
    }
}
