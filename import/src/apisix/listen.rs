//! `config.yaml`: where APISIX listens, and how it speaks TLS and HTTP.

use toml::Value as Toml;

use crate::document::{Node, Value};
use crate::fields::{Fields, Item, Path, plain, put};
use crate::proof::Draft;
use crate::report::Kind;
use crate::work::Work;
use crate::yaml;

use super::environment;

/// What holds for the whole process.
#[derive(Default)]
pub(super) struct Process {
    plain: Vec<String>,
    tls: Vec<String>,
    fallback_sni: Option<String>,
    ssl_protocols: Option<Vec<Toml>>,
    ssl_ciphers: Option<String>,
    http: toml::Table,
    /// A slash at the end of a request's path is overlooked.
    tail_slash: bool,
}

/// Error answers that nginx makes for APISIX, by the names that error pages have here: their words are what clients
/// and monitors of APISIX know.
const PAGES: [(&str, &str); 7] = [
    ("413", "413 Request Entity Too Large"),
    ("495", "400 Bad Request"),
    ("496", "400 Bad Request"),
    ("497", "400 The plain HTTP request was sent to HTTPS port"),
    ("502", "502 Bad Gateway"),
    ("503", "503 Service Temporarily Unavailable"),
    ("504", "504 Gateway Time-out"),
];

/// APISIX's own ports.
const PLAIN: i64 = 9080;
const TLS: i64 = 9443;

/// The cipher suites of TLS 1.2 that exist here, by OpenSSL's names.
const SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

impl Process {
    pub(super) fn read(
        text: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
        work: &mut Work,
    ) -> Self {
        let mut process = Self::default();
        let document = text.and_then(|text| {
            let document = environment::substitute(text, env).and_then(|text| yaml::read(&text));
            document
                .inspect_err(|error| {
                    work.log.add(Kind::Refused, error.spot, "config.yaml", &error.message);
                })
                .ok()
        });
        if let Some(document) = &document {
            let trusted = process.read_document(document, work);
            work.settings.trusted_certificate = trusted;
            work.settings.loaded_plugins = super::objects::loaded_plugins(document);
        }
        work.settings.tail_slash = process.tail_slash;
        // What APISIX always does.
        put(&mut process.http, "forwarded_host", Some("http_host"));
        put(&mut process.http, "wrong_method_status", Some(404));
        let any = |port| vec![format!("0.0.0.0:{port}")];
        if process.plain.is_empty() {
            process.plain = any(PLAIN);
        }
        let ssl = document.as_ref().and_then(|document| document.get("apisix")?.get("ssl"));
        let is_off = ssl
            .and_then(|ssl| ssl.get("enable"))
            .is_some_and(|node| node.value == Value::Flag(false));
        if process.tls.is_empty() && !is_off {
            process.tls = any(TLS);
        }
        let port = |address: &String| address.rsplit_once(':')?.1.parse().ok();
        work.settings.serves_plain = !process.plain.is_empty();
        let http = document.as_ref().and_then(|document| document.get("nginx_config")?.get("http"));
        let underscores = http.and_then(|http| http.get("underscores_in_headers"));
        work.settings.drops_underscores = underscores
            .is_some_and(|node| node.text() == Some("off") || node.value == Value::Flag(false));
        let attribute = document
            .as_ref()
            .and_then(|document| document.get("plugin_attr")?.get("redirect")?.get("https_port"));
        let said = match attribute.map(|node| &node.value) {
            Some(Value::Integer(number)) => u16::try_from(*number).ok(),
            _ => None,
        };
        work.settings.https_port = said.or_else(|| process.tls.first().and_then(port));
        process
    }

    fn read_document(&mut self, document: &Node, work: &Work) -> Option<String> {
        let path = Path::Root("config.yaml");
        let fields = Item { node: document, path: &path, work }.fields()?;
        // Where APISIX's own objects come from, and which plugins it loads.
        fields.ignore(&["deployment", "plugins", "stream_plugins", "etcd", "conf_version"]);
        let trusted = fields.with("apisix", |item| {
            let fields = item.fields()?;
            let trusted = self.read_apisix(&fields);
            say_rest(
                &fields,
                &[
                    "enable_admin",
                    "enable_admin_cors",
                    "admin_key",
                    "proxy_mode",
                    "show_upstream_status_in_response_header",
                    "enable_control",
                    "control",
                    "data_encryption",
                    "enable_resolv_search_opt",
                    "id",
                    "enable_server_tokens",
                    "lua_module_hook",
                    "resolver_timeout",
                    "events",
                    "status",
                ],
            );
            trusted
        });
        for key in
            ["nginx_config", "plugin_attr", "ext-plugin", "discovery", "wasm", "xrpc", "graphql"]
        {
            let _ = fields.with(key, |item| {
                super::doubts::snippets(&item);
                if key == "plugin_attr" && item.node.entries().iter().all(|line| line.key == "redirect") {
                    return Some(());
                }
                item.changed("this is not imported: docs/configuration.md has the keys of [runtime], [log] and [http]");
                Some(())
            });
        }
        say_rest(&fields, &[]);
        trusted
    }

    fn read_apisix(&mut self, fields: &Fields<'_>) -> Option<String> {
        self.plain = fields.with("node_listen", |item| addresses(&item)).unwrap_or_default();
        let trusted = fields.with("trusted_addresses", |item| item.networks(0));
        put(&mut self.http, "trusted_addresses", trusted.map(Toml::Array));
        let _ = fields.with("router", |item| {
            let fields = item.fields()?;
            let words = ["radixtree_host_uri", "radixtree_uri", "radixtree_uri_with_parameter"];
            let router = fields.with("http", |item| item.word(&words));
            if router != Some("radixtree_host_uri") {
                put(&mut self.http, "router", router);
            }
            say_rest(&fields, &["ssl"]);
            Some(())
        });
        let mut trusted = None;
        let _ = fields.with("ssl", |item| {
            let fields = item.fields()?;
            trusted = self.read_ssl(&fields);
            Some(())
        });
        self.tail_slash = fields.with("delete_uri_tail_slash", |item| item.flag()).unwrap_or(false);
        let _ = fields.with("normalize_uri_like_servlet", |item| {
            if item.flag() == Some(true) {
                item.changed("path parameters (`;...`) are not taken away: such paths match only as they are written");
            }
            Some(())
        });
        let _ = fields.with("proxy_protocol", |item| {
            item.refuse("write a [[listen]] with `proxy_protocol` and the addresses that may send it by hand");
            Some(())
        });
        trusted
    }

    fn read_ssl(&mut self, fields: &Fields<'_>) -> Option<String> {
        if fields.with("enable", |item| item.flag()) != Some(false) {
            self.tls = fields.with("listen", |item| addresses(&item)).unwrap_or_default();
        }
        self.fallback_sni = fields.with("fallback_sni", |item| item.filled().map(str::to_owned));
        self.ssl_protocols = fields.with("ssl_protocols", |item| {
            let mut kept = Vec::new();
            for word in item.filled()?.split_ascii_whitespace() {
                match word {
                    "TLSv1.2" | "TLSv1.3" => kept.push(plain(word)),
                    "TLSv1" | "TLSv1.0" | "TLSv1.1" => {
                        item.changed(format!("{word} is broken, and does not exist here"));
                    }
                    _ => item.refuse(format!("{word:?} is no version of TLS")),
                }
            }
            (!kept.is_empty() && kept.len() < 2).then_some(kept)
        });
        self.ssl_ciphers = fields.with("ssl_ciphers", |item| ciphers(&item, item.filled()?));
        let _ = fields.with("ssl_session_tickets", |item| item.flag());
        let trusted = fields.with("ssl_trusted_certificate", |item| {
            let path = item.filled()?;
            Some(if path.starts_with('/') || path == "system" {
                path.to_owned()
            } else {
                item.changed("this path is now relative to the folder of the new configuration");
                path.to_owned()
            })
        });
        say_rest(fields, &["dh_params", "ssl_prefer_server_ciphers"]);
        trusted
    }

    /// Writes what is not of one object, in front of everything else.
    pub(super) fn write(&self, draft: &mut Draft, body: &Draft, work: &Work) {
        let mut http = self.http.clone();
        put(&mut http, "real_ip", work.real_ip.take());
        put(&mut http, "client_max_body_size", work.max_body_size.take());
        put(&mut http, "error_pages", Some(error_pages(work)));
        draft.push_own("http", http, false);
        if *work.metrics.borrow() {
            let listen = [("listen".to_owned(), Toml::from("127.0.0.1:9091"))];
            let path = [("path".to_owned(), Toml::from("/apisix/prometheus/metrics"))];
            draft.push_own("metrics", listen.into_iter().chain(path).collect(), false);
        }
        let is_server = |table: &&toml::Table| !table.contains_key("type");
        let servers = body.of("ssls").filter(is_server).count() > 0;
        let asks = body.of("ssls").any(|table| table.contains_key("client"));
        for address in &self.plain {
            let mut table = toml::Table::new();
            put(&mut table, "address", Some(address.clone()));
            put(&mut table, "mtls_routes", asks.then_some("reject"));
            draft.push_own("listen", table, true);
        }
        for address in self.tls.iter().filter(|_| servers) {
            let mut table = toml::Table::new();
            put(&mut table, "address", Some(address.clone()));
            put(&mut table, "tls", Some(true));
            put(&mut table, "fallback_sni", self.fallback_sni.clone());
            draft.push_own("listen", table, true);
        }
    }

    /// Says in each `[[ssls]]` what was said once for all of them.
    pub(super) fn spread(&self, body: &mut Draft) {
        body.each_mut("ssls", |table| {
            if table.contains_key("type") {
                return;
            }
            if let Some(protocols) = &self.ssl_protocols {
                table.entry("ssl_protocols").or_insert_with(|| Toml::Array(protocols.clone()));
            }
            if let Some(ciphers) = &self.ssl_ciphers {
                table.entry("ssl_ciphers").or_insert_with(|| plain(ciphers));
            }
        });
    }
}

fn error_pages(work: &Work) -> toml::Table {
    let page = |(status, title): (&str, &str)| {
        let text = format!(
            "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n</body>\n\
             </html>\n"
        );
        (status.to_owned(), Toml::String(work.keep(&format!("error-{status}"), "html", &text)))
    };
    PAGES.into_iter().map(page).collect()
}

/// Says of every key that was not taken that it is not imported; of some nothing, as they mean nothing here.
fn say_rest(fields: &Fields<'_>, silent: &'static [&'static str]) {
    fields.ignore(silent);
    fields.each_left(|item| {
        item.changed("this is not imported: docs/configuration.md has what there is here");
    });
}

/// Cipher suites of TLS 1.2: nothing to say where all are listed that exist.
fn ciphers(item: &Item<'_>, text: &str) -> Option<String> {
    let words: Vec<&str> = text.split([':', ',', ' ']).filter(|word| !word.is_empty()).collect();
    let is_name = |word: &&str| {
        word.starts_with("ECDHE-") || word.starts_with("DHE-") || word.starts_with("AES")
    };
    if !words.iter().all(is_name) {
        return Some(text.to_owned());
    }
    let (kept, lost): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| SUITES.contains(word));
    if !lost.is_empty() {
        item.changed(format!("these cipher suites do not exist here: {}", lost.join(", ")));
    }
    if kept.is_empty() {
        item.refuse("no cipher suite is left");
    }
    (kept.len() < SUITES.len()).then(|| kept.join(":"))
}

/// A port, or a list of ports or tables.
fn addresses(item: &Item<'_>) -> Option<Vec<String>> {
    match &item.node.value {
        Value::Integer(_) => item.integer(1..=65535).map(|port| vec![format!("0.0.0.0:{port}")]),
        _ => item.each(1, |item| {
            if matches!(item.node.value, Value::Integer(_)) {
                return item.integer(1..=65535).map(|port| format!("0.0.0.0:{port}"));
            }
            let fields = item.fields()?;
            let port = fields.need("port", |item| item.integer(1..=65535));
            let ip = fields.with("ip", |item| item.filled().map(str::to_owned));
            for key in ["enable_http2", "enable_http3", "enable_quic"] {
                let _ = fields.with(key, |item| {
                    if item.flag() == Some(true) {
                        item.changed(
                            "only HTTP/1.1 is spoken; clients that can do more fall back to it",
                        );
                    }
                    Some(())
                });
            }
            fields.finish();
            let ip = ip.unwrap_or_else(|| String::from("0.0.0.0"));
            let ip = if ip.contains(':') && !ip.starts_with('[') { format!("[{ip}]") } else { ip };
            port.map(|port| format!("{ip}:{port}"))
        }),
    }
}
