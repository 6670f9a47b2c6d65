//! The effective configuration as TOML: defaults filled in, services merged, secrets redacted.
//!
//! What comes out reads back, and its dump is the same text, as long as no key was inline.

mod active_checks;
mod balance;
mod breaker;
mod checks;
mod crl_fetch;
mod demands;
mod http;
mod limits;
mod log;
mod redaction;
mod request_id;
mod request_limits;
mod resolver;
mod retry;
mod shaping;
mod split;
mod stores;
mod tls_choices;
mod trust;
mod writer;

use std::hash::RandomState;

use toml::Value;

use self::balance::{dump_balance, node_table};
use self::redaction::header_value;
use self::resolver::dump_resolver;
use self::retry::{dump_retry, timeout_table};
use self::tls_choices::{dump_ciphers, dump_groups, dump_versions};
use self::trust::{dump_password_file, dump_revocation, dump_upstream_tls, key_text, pem_text};
use self::writer::{Writer, file_text, list, plain, quoted_key, text, vars};
use crate::model::{
    ClientAuth, ClientLists, ClientRule, Config, HeaderOps, KeepalivePool, Listen, PassHost,
    ProxyProtocol, Route, Satisfy, Server, Upstream, Xfcc,
};
use crate::uri_pattern::uri_pattern_text;
use crate::values::{duration_text, size_text};
use crate::words::Word;

impl Config {
    /// The effective configuration as a file.
    #[must_use]
    pub fn dump(&self) -> String {
        self.write(Writer::default())
    }

    /// The same with a mark in the place of each secret, `<redacted:MARK>`: two that are alike have the same one, and
    /// only whoever knows the state of `marks` can tell which secret may have it.
    #[must_use]
    pub fn dump_marked(&self, marks: &RandomState) -> String {
        self.write(Writer { marks: Some(marks.clone()), ..Writer::default() })
    }

    fn write(&self, mut out: Writer) -> String {
        self.dump_process(&mut out);
        let rules = self.http.answers.request_id.iter();
        rules.for_each(|rule| request_id::dump_request_id(&mut out, rule));
        let xfcc = &self.xfcc;
        if !self.identity_headers.is_empty() || *xfcc != Xfcc::default() {
            out.header("[identity_headers]");
            let keys = list(xfcc.keys.iter().map(|key| key.word().to_owned()));
            let mode = text(xfcc.mode.word());
            out.line("xfcc", format!("{{ mode = {mode}, keys = {keys} }}"));
            for header in &self.identity_headers {
                let value = header_value(&out, header);
                out.line(&quoted_key(&header.name), value);
            }
        }
        for listen in &self.listens {
            dump_listen(&mut out, listen);
        }
        for server in &self.servers {
            dump_server(&mut out, server);
        }
        for upstream in &self.upstreams {
            dump_upstream(&mut out, upstream);
        }
        self.stores.iter().for_each(|store| stores::dump_store(&mut out, store));
        let prefixes = self.dump_services(&mut out);
        for route in &self.routes {
            self.dump_route(&mut out, route, &prefixes);
        }
        out.text
    }

    fn dump_process(&self, out: &mut Writer) {
        let (runtime, http) = (&self.runtime, &self.http);
        out.header("[runtime]");
        match runtime.workers {
            Some(workers) => out.line("workers", workers),
            None => out.text_line("workers", "auto"),
        }
        out.line("cpu_affinity", runtime.cpu_affinity);
        out.text_line("io_driver", runtime.io_driver.word());
        out.line("ring_entries", runtime.ring_entries);
        out.line("max_connections", runtime.max_connections);
        if let Some(bytes) = runtime.buffer_memory {
            out.text_line("buffer_memory", &size_text(bytes));
        }
        out.line("tls_fast_path", runtime.tls_fast_path);
        out.line("watch_files", runtime.watch_files);
        if let Some(file) = &runtime.pid_file {
            out.text_line("pid_file", &file.display().to_string());
        }
        out.text_line("shutdown_delay", &duration_text(runtime.shutdown_delay));
        out.text_line("shutdown_timeout", &duration_text(runtime.shutdown_timeout));
        out.text_line("upgrade_timeout", &duration_text(runtime.upgrade_timeout));
        dump_resolver(&runtime.resolver, out);
        log::dump_log(self, out);
        if let Some(metrics) = &self.metrics {
            out.header("[metrics]");
            out.text_line("listen", &metrics.listen.to_string());
            out.text_line("path", &metrics.path);
            if let Some(path) = &metrics.status_path {
                out.text_line("status_path", path);
            }
            if let Some(file) = &metrics.import_report {
                out.text_line("import_report", &file.display().to_string());
            }
            if !metrics.hosts.is_empty() {
                out.line("hosts", list(metrics.hosts.iter().cloned()));
            }
        }
        if let Some(admin) = &self.admin {
            out.header("[admin]");
            out.text_line("socket", &admin.socket.display().to_string());
        }
        if let Some(fetch) = &self.crl_fetch {
            crl_fetch::dump_crl_fetch(out, fetch);
        }
        http::dump_http(out, http);
    }

    /// Routes are merged already; only a prefix that is stripped still needs a service.
    fn dump_services<'a>(&'a self, out: &mut Writer) -> Vec<&'a str> {
        let mut prefixes: Vec<&str> = Vec::new();
        for prefix in self.routes.iter().filter_map(|route| route.strip_prefix.as_deref()) {
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
        for (index, prefix) in prefixes.iter().enumerate() {
            out.header("[[services]]");
            out.text_line("id", &format!("prefix.{index}"));
            out.text_line("path_prefix", prefix);
            out.line("strip_path_prefix", true);
        }
        prefixes
    }

    fn dump_rule(&self, out: &mut Writer, rule: &ClientRule) {
        out.header("[[routes.client]]");
        if rule.required || rule.satisfy == Satisfy::Any {
            out.text_line("verify", "on");
        }
        dump_lists(out, &rule.lists);
        if let Some(trust) = rule.trust.and_then(|index| self.trusts.get(index)) {
            out.line("ca", list(trust.ca.iter().map(pem_text)));
            out.line("depth", trust.depth);
            out.line("allow_v1", trust.allow_v1);
            out.text_line("eku", trust.eku.word());
            out.text_line("clock_skew", &duration_text(trust.clock_skew));
            dump_revocation(out, trust.revocation.as_ref());
        }
        demands::dump_demands(out, rule);
    }

    fn dump_route(&self, out: &mut Writer, route: &Route, prefixes: &[&str]) {
        out.header("[[routes]]");
        out.text_line("id", &route.id);
        let strip = route.strip_prefix.as_deref();
        let service = prefixes.iter().position(|prefix| Some(*prefix) == strip);
        if let Some(index) = service {
            out.text_line("service_id", &format!("prefix.{index}"));
        }
        if !route.hosts.is_empty() {
            out.line("hosts", list(route.hosts.iter().map(ToString::to_string)));
        }
        let uris = route.uris.iter().map(uri_pattern_text);
        let own = |uri: String| match strip.and_then(|prefix| uri.strip_prefix(prefix)) {
            Some(rest) => rest.to_owned(),
            None => uri,
        };
        out.line("uris", list(uris.map(own)));
        if !route.methods.is_empty() {
            out.line("methods", list(route.methods.iter().cloned()));
        }
        out.line("priority", route.priority);
        if let Some(upstream) = route.upstream.and_then(|at| self.upstreams.get(at)) {
            out.text_line("upstream_id", &upstream.id);
        }
        out.line("enable_websocket", route.websocket);
        if let Some(timeout) = &route.timeout {
            out.line("timeout", timeout_table(timeout));
        }
        if route.client_max_body_size != self.http.client_max_body_size {
            let size = size_text(route.client_max_body_size.unwrap_or(0));
            out.text_line("client_max_body_size", &size);
        }
        split::dump_split(out, &route.split, &self.upstreams);
        route.breaker.iter().for_each(|breaker| breaker::dump_breaker(out, breaker));
        request_limits::dump_request_limits(out, &route.limits);
        route.rewrite.iter().for_each(|rewrite| shaping::dump_rewrite(out, rewrite));
        route.redirect.iter().for_each(|redirect| shaping::dump_redirect(out, redirect));
        if let Some(answer) = &route.answer {
            shaping::dump_return(out, answer, &self.body_files);
        }
        shaping::dump_response(out, &route.response, &self.body_files);
        route.cors.iter().for_each(|cors| shaping::dump_cors(out, cors));
        if let Some(when) = &route.when {
            let when = vars(out, when);
            out.line("vars", when);
        }
        for rule in &route.clients {
            self.dump_rule(out, rule);
        }
        demands::dump_refuse(out, &route.refuse);
        for ops in &route.headers {
            dump_headers(out, ops);
        }
    }
}

fn dump_lists(out: &mut Writer, lists: &ClientLists) {
    for (key, entries) in [("allow", &lists.allow), ("deny", &lists.deny)] {
        let entries = entries.iter().map(|entry| match entry.terms.as_slice() {
            [one] => plain(&one.to_string()),
            several => Value::Array(several.iter().map(|term| plain(&term.to_string())).collect()),
        });
        let entries: Vec<Value> = entries.collect();
        if !entries.is_empty() {
            out.line(key, Value::Array(entries));
        }
    }
}

fn dump_listen(out: &mut Writer, listen: &Listen) {
    out.header("[[listen]]");
    out.text_line("address", &listen.address.to_string());
    if listen.address.is_ipv6() {
        out.line("ipv6only", listen.ipv6only);
    }
    out.line("tls", listen.tls);
    if listen.tls || listen.proxy_protocol.is_some() {
        out.text_line("handshake_timeout", &duration_text(listen.handshake_timeout));
    }
    if let Some(trusted) = &listen.proxy_protocol {
        out.line("proxy_protocol", true);
        out.line("proxy_protocol_trusted", list(trusted.iter().map(ToString::to_string)));
    }
    if let Some(port) = listen.https_port {
        out.line("redirect_to_https", true);
        out.line("https_port", port);
    }
    if let Some(word) = listen.mtls_routes {
        out.text_line("mtls_routes", word.word());
    }
    if listen.tls {
        out.text_line("fallback_sni", listen.fallback_sni.as_deref().unwrap_or_default());
    }
}

fn dump_server(out: &mut Writer, server: &Server) {
    out.header("[[ssls]]");
    out.text_line("id", &server.id);
    out.text_line("type", "server");
    out.line("snis", list(server.snis.iter().map(ToString::to_string)));
    if let Some((first, more)) = server.pairs.split_first() {
        out.text_line("cert", &pem_text(&first.cert));
        out.text_line("key", &key_text(out, &first.key));
        if !more.is_empty() {
            out.line("certs", list(more.iter().map(|pair| pem_text(&pair.cert))));
            out.line("keys", list(more.iter().map(|pair| key_text(out, &pair.key))));
        }
    }
    dump_versions(out, server.protocols);
    dump_groups(out, &server.groups);
    dump_ciphers(out, &server.ciphers);
    out.line("ssl_prefer_server_ciphers", server.prefer_server_ciphers);
    dump_password_file(out, server.pairs.first());
    if !server.stapling_files.is_empty() {
        out.line("ssl_stapling_file", list(server.stapling_files.iter().map(file_text)));
    }
    out.line("session_tickets", server.session_tickets);
    out.line("session_ticket_count", server.session_ticket_count);
    out.line("session_cache", server.session_cache);
    if let Some(client) = &server.client {
        dump_client(out, client);
    }
}

fn dump_client(out: &mut Writer, client: &ClientAuth) {
    out.header("[ssls.client]");
    if !client.ca.is_empty() {
        out.line("ca", list(client.ca.iter().map(pem_text)));
    }
    out.text_line("verify", client.verify.word());
    out.line("depth", client.depth);
    out.text_line("reject", client.reject.word());
    out.text_line("on_revoke", client.on_revoke.word());
    out.line("allow_v1", client.allow_v1);
    out.text_line("eku", client.eku.word());
    out.text_line("clock_skew", &duration_text(client.clock_skew));
    dump_revocation(out, client.revocation.as_ref());
    out.line("send_ca_names", client.send_ca_names);
    out.line("explain", client.explain);
    dump_lists(out, &client.lists);
    if !client.exempt.is_empty() {
        let exempt = client.exempt.iter().map(|pattern| pattern.as_str().to_owned());
        out.line("skip_mtls_uri_regex", list(exempt));
    }
}

fn dump_upstream(out: &mut Writer, upstream: &Upstream) {
    out.header("[[upstreams]]");
    out.text_line("id", &upstream.id);
    out.text_line("scheme", upstream.scheme.word());
    let nodes: Vec<_> = upstream.nodes.iter().map(node_table).collect();
    out.line("nodes", format!("[{}]", nodes.join(", ")));
    dump_balance(out, &upstream.balance);
    match &upstream.pass_host {
        PassHost::Pass => out.text_line("pass_host", "pass"),
        PassHost::Node => out.text_line("pass_host", "node"),
        PassHost::Rewrite(host) => {
            out.text_line("pass_host", "rewrite");
            out.text_line("upstream_host", host);
        }
    }
    limits::dump_queue(out, upstream);
    dump_retry(out, &upstream.retry);
    out.line("timeout", timeout_table(&upstream.timeout));
    out.line("keepalive_pool", pool_table(&upstream.pool));
    out.text_line("http_reuse", upstream.http_reuse.word());
    match &upstream.proxy_protocol {
        None => {}
        Some(ProxyProtocol::V1) => out.text_line("proxy_protocol", "v1"),
        Some(ProxyProtocol::V2(tlvs)) => {
            out.text_line("proxy_protocol", "v2");
            out.line("proxy_protocol_tlvs", list(tlvs.iter().map(|tlv| tlv.word().to_owned())));
        }
    }
    checks::dump_checks(out, &upstream.checks);
    if let Some(tls) = &upstream.tls {
        dump_upstream_tls(out, "[upstreams.tls]", tls);
    }
}

fn pool_table(pool: &KeepalivePool) -> String {
    let [idle, age] = [pool.idle_timeout, pool.max_age].map(|time| text(&duration_text(time)));
    let KeepalivePool { size, requests, min_idle, .. } = pool;
    let first = format!("size = {size}, idle_timeout = {idle}, requests = {requests}");
    format!("{{ {first}, max_age = {age}, min_idle = {min_idle} }}")
}

fn dump_headers(out: &mut Writer, ops: &HeaderOps) {
    out.header("[[routes.headers]]");
    for (key, values) in [("add", &ops.add), ("set", &ops.set)] {
        let mut fields: Vec<(&str, Vec<String>)> = Vec::new();
        for header in values {
            let value = header_value(out, header);
            match fields.last_mut() {
                Some((name, values)) if *name == header.name => values.push(value),
                _ => fields.push((&header.name, vec![value])),
            }
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, values)| format!("{} = [{}]", quoted_key(name), values.join(", ")))
            .collect();
        if !fields.is_empty() {
            out.line(key, format!("{{ {} }}", fields.join(", ")));
        }
    }
    if !ops.remove.is_empty() {
        out.line("remove", list(ops.remove.iter().cloned()));
    }
}
