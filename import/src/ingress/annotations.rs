//! Annotations of one Ingress. One that begins as ingress-nginx's do and is not known is refused.

use std::cell::RefCell;

use toml::Value as Toml;

use crate::document::{Entry, Spot};
use crate::fields::{network, plain, put};
use crate::pcre;
use crate::report::Kind;
use crate::work::Work;

use super::objects::Manifest;

const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// What an Ingress says besides its rules.
#[derive(Default)]
pub(super) struct IngressSettings {
    /// Keys of each of its upstreams, and of each of its routes.
    pub(super) upstream: toml::Table,
    pub(super) route: toml::Table,
    pub(super) auth: Option<AuthTls>,
    /// Where it names a Secret, if it says besides that nobody is asked.
    pub(super) asks_nobody: Option<Spot>,
    pub(super) proxy_ssl_secret: Option<SpottedText>,
    pub(super) rewrite_target: Option<String>,
    pub(super) use_regex: bool,
    pub(super) ssl_redirect: bool,
    pub(super) force_ssl_redirect: bool,
    pub(super) canary: Option<CanaryRules>,
}

/// Client certificates.
#[derive(Clone)]
pub(super) struct AuthTls {
    pub(super) secret: SpottedText,
    pub(super) verify: &'static str,
    pub(super) depth: i64,
    pub(super) pass_certificate: bool,
    pub(super) match_cn: Option<String>,
}

/// Which requests go to a canary.
#[derive(Default)]
pub(super) struct CanaryRules {
    pub(super) header: Option<String>,
    pub(super) header_value: Option<String>,
    pub(super) cookie: Option<String>,
    pub(super) weight: i64,
    pub(super) total: i64,
}

/// A value and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SpottedText {
    pub(super) text: String,
    pub(super) spot: Spot,
}

/// Annotations that are taken one after another.
pub(super) struct AnnotationReader<'a> {
    manifest: &'a Manifest<'a>,
    work: &'a Work,
    entries: &'a [Entry],
    taken: RefCell<Vec<&'static str>>,
}

/// What says nothing here: how nginx buffers, logs and connects.
const WITHOUT_MEANING: [&str; 9] = [
    "proxy-buffering",
    "proxy-buffer-size",
    "proxy-buffers-number",
    "proxy-request-buffering",
    "proxy-max-temp-file-size",
    "client-body-buffer-size",
    "proxy-http-version",
    "enable-access-log",
    "enable-rewrite-log",
];

/// Reads all of them.
pub(super) fn read<'a>(manifest: &'a Manifest<'a>, work: &'a Work) -> IngressSettings {
    let annotations =
        manifest.node.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let entries = annotations.map_or(&[][..], |node| node.entries());
    let reader = AnnotationReader { manifest, work, entries, taken: RefCell::default() };
    let mut settings = IngressSettings { ssl_redirect: true, ..IngressSettings::default() };
    settings.auth = reader.auth();
    if let Some(off) = settings.auth.take_if(|auth| auth.verify == "off") {
        settings.asks_nobody = Some(off.secret.spot);
    }
    reader.upstream(&mut settings);
    reader.route(&mut settings);
    reader.cors(&mut settings.route);
    reader.limits(&mut settings.route);
    settings.canary = reader.canary();
    for name in WITHOUT_MEANING {
        if let Some(found) = reader.take(name) {
            reader.say(
                Kind::Dropped,
                found.spot,
                format!("`{name}`: bodies are streamed, and logs are [log]'s"),
            );
        }
    }
    reader.finish();
    settings
}

impl AnnotationReader<'_> {
    fn say(&self, kind: Kind, spot: Spot, message: impl Into<String>) {
        self.manifest.say(self.work, kind, spot, message);
    }

    fn refuse(&self, spot: Spot, message: impl Into<String>) {
        self.say(Kind::Refused, spot, message);
    }

    fn take(&self, name: &'static str) -> Option<SpottedText> {
        self.taken.borrow_mut().push(name);
        let entry =
            self.entries.iter().find(|entry| entry.key.strip_prefix(PREFIX) == Some(name))?;
        let Some(text) = entry.node.text() else {
            self.refuse(entry.node.spot, format!("`{name}` must be text, in quotation marks"));
            return None;
        };
        if text.chars().any(char::is_control) {
            self.refuse(entry.node.spot, format!("`{name}` holds a control character"));
            return None;
        }
        Some(SpottedText { text: text.trim().to_owned(), spot: entry.node.spot })
    }

    fn flag(&self, name: &'static str) -> Option<bool> {
        let found = self.take(name)?;
        match found.text.as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => {
                self.refuse(found.spot, format!("`{name}` must be true or false"));
                None
            }
        }
    }

    fn number(&self, name: &'static str, most: i64) -> Option<i64> {
        let found = self.take(name)?;
        let number = found.text.parse().ok().filter(|number| (0..=most).contains(number));
        if number.is_none() {
            self.refuse(found.spot, format!("`{name}` must be a number from 0 to {most}"));
        }
        number
    }

    fn word(&self, name: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let found = self.take(name)?;
        let word = words.iter().find(|word| **word == found.text).copied();
        if word.is_none() {
            self.refuse(found.spot, format!("`{name}` must be one of: {}", words.join(", ")));
        }
        word
    }

    fn auth(&self) -> Option<AuthTls> {
        let verify =
            self.word("auth-tls-verify-client", &["on", "off", "optional", "optional_no_ca"]);
        let depth = self.number("auth-tls-verify-depth", 10).unwrap_or(1);
        let pass_certificate = self.flag("auth-tls-pass-certificate-to-upstream").unwrap_or(false);
        let match_cn = self.take("auth-tls-match-cn");
        if let Some(found) = &match_cn {
            self.say(
                Kind::Security,
                found.spot,
                "`auth-tls-match-cn` is searched for anywhere in the subject: CN=ab and another attribute that holds it \
                 match, too; `client.allow` compares whole values",
            );
            if let Some(why) = pcre::differs(&found.text) {
                self.refuse(found.spot, why);
            }
        }
        if let Some(found) = self.take("auth-tls-error-page") {
            self.refuse(
                found.spot,
                "`auth-tls-error-page`: a refused client is not sent elsewhere; pages 495 and 496 of `http.error_pages` \
                 can tell it where to go",
            );
        }
        let Some(secret) = self.take("auth-tls-secret") else {
            if verify != Some("off") {
                self.without_secret();
            }
            return None;
        };
        let verify = verify.unwrap_or("on");
        match verify {
            "optional" | "optional_no_ca" => self.say(
                Kind::Security,
                secret.spot,
                format!("`auth-tls-verify-client: {verify}`: clients without a certificate were served; the service has to look at ssl-client-verify"),
            ),
            _ => {}
        }
        let match_cn = match_cn.map(|found| found.text);
        Some(AuthTls { secret, verify, depth, pass_certificate, match_cn })
    }

    /// Without a Secret nothing is asked, whatever the other annotations say.
    fn without_secret(&self) {
        for entry in self.entries {
            let name = entry.key.strip_prefix(PREFIX).unwrap_or_default();
            if name.starts_with("auth-tls-") && name != "auth-tls-secret" {
                let message = format!(
                    "`{name}` had no effect, as `auth-tls-secret` is missing: nobody was asked for a certificate, and \
                     nobody is now; name the Secret of the authorities"
                );
                self.say(Kind::Security, entry.node.spot, message);
            }
        }
    }

    fn upstream(&self, settings: &mut IngressSettings) {
        let table = &mut settings.upstream;
        let mut timeout = toml::Table::new();
        for (name, key) in [
            ("proxy-connect-timeout", "connect"),
            ("proxy-send-timeout", "send"),
            ("proxy-read-timeout", "read"),
        ] {
            put(&mut timeout, key, self.number(name, 86_400));
        }
        put(table, "timeout", (!timeout.is_empty()).then_some(timeout));
        if self.word("load-balance", &["round_robin", "ewma"]) == Some("ewma") {
            put(table, "type", Some("ewma"));
        }
        if let Some(found) = self.take("upstream-hash-by") {
            put(table, "type", Some("chash"));
            put(table, "hash_on", Some("vars_combinations"));
            put(table, "key", Some(found.text));
        }
        if let Some(found) = self.take("upstream-vhost") {
            put(table, "pass_host", Some("rewrite"));
            put(table, "upstream_host", Some(plain(&found.text)));
        }
        let protocol = self.word("backend-protocol", &["HTTP", "HTTPS"]);
        let tls = self.proxy_ssl(settings, protocol == Some("HTTPS"));
        if protocol == Some("HTTPS") {
            put(&mut settings.upstream, "scheme", Some("https"));
            put(&mut settings.upstream, "tls", Some(tls));
        }
    }

    fn proxy_ssl(&self, settings: &mut IngressSettings, used: bool) -> toml::Table {
        let mut tls = toml::Table::new();
        let verify = self.word("proxy-ssl-verify", &["on", "off"]);
        if self.number("proxy-ssl-verify-depth", 10).is_some() {
            self.say(
                Kind::Dropped,
                self.manifest.node.spot,
                "`proxy-ssl-verify-depth`: chains of servers have no bound of their own",
            );
        }
        settings.proxy_ssl_secret = self.take("proxy-ssl-secret");
        put(&mut tls, "server_name", self.take("proxy-ssl-name").map(|found| plain(&found.text)));
        if self.word("proxy-ssl-server-name", &["on", "off"]) != Some("on") && used {
            self.say(
                Kind::Dropped,
                self.manifest.node.spot,
                "a server name is always sent to servers that speak TLS",
            );
        }
        if let Some(found) = self.take("proxy-ssl-protocols") {
            let kept: Vec<Toml> = found
                .text
                .split_ascii_whitespace()
                .filter(|word| matches!(*word, "TLSv1.2" | "TLSv1.3"))
                .map(plain)
                .collect();
            if kept.is_empty() {
                self.refuse(found.spot, "no version of TLS is left: 1.2 and 1.3 exist here");
            }
            put(&mut tls, "ssl_protocols", Some(Toml::Array(kept)));
        }
        put(
            &mut tls,
            "ssl_ciphers",
            self.take("proxy-ssl-ciphers").map(|found| plain(&found.text)),
        );
        if verify != Some("on") {
            put(&mut tls, "verify", Some("off"));
            if used {
                self.say(
                    Kind::Security,
                    self.manifest.node.spot,
                    "the services' certificates were not verified (`proxy-ssl-verify`): name their authority in \
                     `tls.ca`, and take `verify` out",
                );
            }
        }
        tls
    }

    fn route(&self, settings: &mut IngressSettings) {
        settings.ssl_redirect = self.flag("ssl-redirect").unwrap_or(true);
        settings.force_ssl_redirect = self.flag("force-ssl-redirect").unwrap_or(false);
        settings.rewrite_target = self.take("rewrite-target").map(|found| found.text);
        settings.use_regex = self.flag("use-regex").unwrap_or(false);
        let table = &mut settings.route;
        if let Some(found) = self.take("proxy-body-size") {
            let size = found.text.to_ascii_lowercase();
            let size = size.parse::<i64>().map_or_else(|_| Toml::String(size), Toml::Integer);
            put(table, "client_max_body_size", Some(size));
        }
        let mut client = toml::Table::new();
        for (name, key) in [
            ("whitelist-source-range", "allow_addrs"),
            ("allowlist-source-range", "allow_addrs"),
            ("denylist-source-range", "deny_addrs"),
        ] {
            let list = self.take(name).map(|found| {
                Toml::Array(found.text.split(',').map(|one| network(one.trim())).collect())
            });
            if list.is_some() && client.contains_key(key) {
                self.refuse(
                    self.manifest.node.spot,
                    format!("`{name}` is there under another name, too"),
                );
            }
            put(&mut client, key, list);
        }
        put(table, "client", (!client.is_empty()).then_some(client));
    }

    fn limits(&self, table: &mut toml::Table) {
        let factor = self.number("limit-burst-multiplier", 1_000).unwrap_or(5);
        let mut rates = Vec::new();
        for (name, seconds) in [("limit-rps", 1_i32), ("limit-rpm", 60)] {
            let Some(count) = self.number(name, 1_000_000).filter(|count| *count > 0) else {
                continue;
            };
            let mut rate = toml::Table::new();
            #[expect(clippy::cast_precision_loss, reason = "a number below a million")]
            let per_second = count as f64 / f64::from(seconds);
            put(&mut rate, "rate", Some(Toml::Float(per_second)));
            put(&mut rate, "burst", Some(count.saturating_mul(factor)));
            put(&mut rate, "nodelay", Some(true));
            put(&mut rate, "key", Some("$remote_addr"));
            rates.push(Toml::Table(rate));
        }
        let mut limits = toml::Table::new();
        put(&mut limits, "rate", (!rates.is_empty()).then_some(Toml::Array(rates)));
        if let Some(count) = self.number("limit-connections", 1_000_000).filter(|count| *count > 0)
        {
            let mut connections = toml::Table::new();
            put(&mut connections, "connections", Some(count));
            put(&mut connections, "key", Some("$remote_addr"));
            put(&mut limits, "connections", Some(connections));
        }
        put(table, "limits", (!limits.is_empty()).then_some(limits));
    }

    fn cors(&self, table: &mut toml::Table) {
        let enabled = self.flag("enable-cors").unwrap_or(false);
        let text = |name: &'static str, default: &str| {
            let found = self.take(name).map_or_else(|| default.to_owned(), |found| found.text);
            found.replace(' ', "")
        };
        let mut cors = toml::Table::new();
        let origins = text("cors-allow-origin", "*");
        let credentials = self.flag("cors-allow-credentials").unwrap_or(true);
        put(
            &mut cors,
            "allow_methods",
            Some(text("cors-allow-methods", "GET,PUT,POST,DELETE,PATCH,OPTIONS")),
        );
        let headers = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization";
        put(&mut cors, "allow_headers", Some(text("cors-allow-headers", headers)));
        let exposed = text("cors-expose-headers", "");
        put(&mut cors, "expose_headers", (!exposed.is_empty()).then_some(exposed));
        let age = self.number("cors-max-age", i64::from(i32::MAX)).unwrap_or(1_728_000);
        put(&mut cors, "max_age", Some(age.min(86_400)));
        if !enabled {
            return;
        }
        if credentials && origins == "*" {
            self.say(
                Kind::Changed,
                self.manifest.node.spot,
                "`enable-cors` for every origin: credentials are not allowed with it, which browsers refuse anyway",
            );
        } else {
            put(&mut cors, "allow_credential", Some(credentials));
        }
        put(&mut cors, "allow_origins", Some(origins));
        self.say(Kind::Changed, self.manifest.node.spot, "CORS follows APISIX's rules (docs/cors.md): only origins that ask and are allowed get headers");
        put(table, "cors", Some(cors));
    }

    fn canary(&self) -> Option<CanaryRules> {
        let on = self.flag("canary").unwrap_or(false);
        let text = |name: &'static str| self.take(name).map(|found| found.text);
        let rules = CanaryRules {
            header: text("canary-by-header"),
            header_value: text("canary-by-header-value"),
            cookie: text("canary-by-cookie"),
            weight: self.number("canary-weight", 1_000_000).unwrap_or(0),
            total: self.number("canary-weight-total", 1_000_000).unwrap_or(100),
        };
        on.then_some(rules)
    }

    /// Refuses what nobody took.
    fn finish(&self) {
        let taken = self.taken.borrow();
        for entry in self.entries {
            match entry.key.strip_prefix(PREFIX) {
                Some(name) if !taken.contains(&name) => {
                    let help = if name.ends_with("-snippet") {
                        ": directives of nginx are not read; write what it does with Ferrule's keys"
                    } else {
                        ""
                    };
                    self.refuse(
                        entry.spot,
                        format!("the annotation `{name}` is not converted{help}"),
                    );
                }
                None if entry.key.contains("ingress.kubernetes.io/")
                    || entry.key.starts_with("nginx.org/") =>
                {
                    self.refuse(
                        entry.spot,
                        format!("the annotation `{}` is another controller's", entry.key),
                    );
                }
                _ => {}
            }
        }
    }
}
