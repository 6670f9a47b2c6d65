//! `server` lines: nodes, and how TLS is spoken to them.

use toml::Value as Toml;

use crate::fields::{plain, put};
use crate::report::Kind;
use crate::work::Work;

use super::files::ProxyFiles;
use super::global::{HaproxyGlobal, duration, number};
use super::proxy::ServerWords;
use super::sample::SampleExpression;
use super::tls_words::{TlsVersions, cipher_suites, curves};
use super::words::ConfigLine;

/// What a server becomes.
#[derive(Debug)]
pub(super) struct ServerEntry {
    pub(super) line: ConfigLine,
    pub(super) node: toml::Table,
    pub(super) tls: Option<toml::Table>,
    pub(super) check: Option<ServerCheck>,
    pub(super) slow_start: Option<u64>,
    pub(super) proxy_protocol: Option<&'static str>,
    pub(super) disabled: bool,
}

/// How a server is checked: times in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct ServerCheck {
    pub(super) inter: u64,
    pub(super) down_inter: Option<u64>,
    pub(super) rise: u64,
    pub(super) fall: u64,
    pub(super) port: Option<u16>,
    /// Without TLS, though requests are sent with it.
    pub(super) plain: bool,
    pub(super) line: ConfigLine,
}

impl PartialEq for ServerCheck {
    /// The same check, wherever it is written.
    fn eq(&self, other: &Self) -> bool {
        (self.inter, self.down_inter, self.rise, self.fall, self.port, self.plain)
            == (other.inter, other.down_inter, other.rise, other.fall, other.port, other.plain)
    }
}

/// What the words say, before they are put together.
#[expect(clippy::struct_excessive_bools, reason = "each is a word of HAProxy's of its own")]
struct ServerReader<'a> {
    global: &'a HaproxyGlobal,
    files: &'a ProxyFiles,
    work: &'a Work,
    node: toml::Table,
    ssl: bool,
    check: bool,
    check_ssl: bool,
    settings: ServerCheck,
    tls: toml::Table,
    versions: TlsVersions,
    verify: Option<bool>,
    verify_host: Option<String>,
    sni: Option<String>,
    ciphers: Option<String>,
    suites: Option<String>,
    slow_start: Option<u64>,
    proxy_protocol: Option<&'static str>,
    disabled: bool,
}

/// Words without a value that say nothing here.
const FLAGS: [&str; 4] = ["no-check", "no-backup", "tfo", "enabled"];
/// The same with a value.
const PAIRS: [&str; 14] = [
    "id",
    "cookie-unused",
    "error-limit",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "init-addr",
    "resolvers",
    "resolve-prefer",
    "pool-max-conn",
    "pool-purge-delay",
    "pool-low-conn",
    "tcp-ut",
    "agent-inter",
];

impl ServerEntry {
    /// Reads a line behind its defaults.
    pub(super) fn read(
        words: &ServerWords<'_>,
        global: &HaproxyGlobal,
        files: &ProxyFiles,
        work: &Work,
    ) -> Self {
        let line = words.line;
        let mut reader = ServerReader::new(line, global, files, work);
        reader.address(line);
        reader.versions.take_options(&global.server_options, work);
        for defaults in &words.defaults {
            reader.take_all(defaults, 1);
        }
        reader.take_all(line, 3);
        reader.finish(line)
    }
}

impl<'a> ServerReader<'a> {
    fn new(
        line: &ConfigLine,
        global: &'a HaproxyGlobal,
        files: &'a ProxyFiles,
        work: &'a Work,
    ) -> Self {
        let settings = ServerCheck {
            inter: 2_000,
            down_inter: None,
            rise: 2,
            fall: 3,
            port: None,
            plain: false,
            line: line.clone(),
        };
        Self {
            global,
            files,
            work,
            node: toml::Table::new(),
            ssl: false,
            check: false,
            check_ssl: false,
            settings,
            tls: toml::Table::new(),
            versions: TlsVersions::default(),
            verify: None,
            verify_host: None,
            sni: None,
            ciphers: global.server_ciphers.clone(),
            suites: global.server_suites.clone(),
            slow_start: None,
            proxy_protocol: None,
            disabled: false,
        }
    }

    fn address(&mut self, line: &ConfigLine) {
        let text = line.word(2);
        let plain_text =
            text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
        if let Some(path) =
            text.strip_prefix("unix@").or_else(|| text.starts_with('/').then_some(text))
        {
            put(&mut self.node, "host", Some(plain(&format!("unix:{path}"))));
            return;
        }
        let found = plain_text.rsplit_once(':').and_then(|(host, port)| {
            let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (!host.is_empty() && !host.contains('@')).then_some((host, port))
        });
        match found {
            Some((host, port)) => {
                put(&mut self.node, "host", Some(plain(host)));
                put(&mut self.node, "port", Some(i64::from(port)));
            }
            None => {
                line.refuse(self.work, 2, format!("{text:?}: an address and a port are needed"));
            }
        }
    }

    fn take_all(&mut self, line: &ConfigLine, start: usize) {
        let mut at = start;
        while at < line.words.len() {
            at = self.take(line, at);
        }
    }

    fn take(&mut self, line: &ConfigLine, at: usize) -> usize {
        let next = at.saturating_add(1);
        if let Some(next) = self.versions.take(line, at, self.work) {
            return next;
        }
        match line.word(at) {
            "ssl" => self.ssl = true,
            "no-ssl" => self.ssl = false,
            "check" => self.check = true,
            "check-ssl" => self.check_ssl = true,
            "no-check-ssl" => self.check_ssl = false,
            "backup" => put(&mut self.node, "backup", Some(true)),
            "disabled" => self.disabled = true,
            "send-proxy" => self.proxy_protocol = Some("v1"),
            "send-proxy-v2" => self.proxy_protocol = Some("v2"),
            "no-tls-tickets" | "no-ssl-reuse" => {
                line.say(
                    self.work,
                    Kind::Dropped,
                    at,
                    "sessions are resumed only under the same settings",
                );
            }
            word if FLAGS.contains(&word) => {}
            _ => {
                let value = line.word(next).to_owned();
                if value.is_empty() {
                    line.refuse(self.work, at, format!("`{}` is not converted", line.word(at)));
                    return next;
                }
                self.take_pair(line, at, &value);
                return next.saturating_add(1);
            }
        }
        next
    }

    fn take_pair(&mut self, line: &ConfigLine, at: usize, value: &str) {
        let value_at = at.saturating_add(1);
        let work = self.work;
        let small = |most: u64| number(line, value_at, 0..=most, work);
        match line.word(at) {
            "weight" => put(
                &mut self.node,
                "weight",
                small(256).and_then(|number| i64::try_from(number).ok()),
            ),
            "maxconn" => {
                put(
                    &mut self.node,
                    "max_requests",
                    small(1_000_000).and_then(|number| i64::try_from(number).ok()),
                );
            }
            "inter" => {
                self.settings.inter = duration(line, value_at, work).unwrap_or(2_000).max(100);
            }
            "downinter" => {
                self.settings.down_inter = duration(line, value_at, work).map(|time| time.max(100));
            }
            "fastinter" => {
                line.say(work, Kind::Dropped, at, "there is one interval for servers that work");
            }
            "rise" => self.settings.rise = number(line, value_at, 1..=254, work).unwrap_or(2),
            "fall" => self.settings.fall = number(line, value_at, 1..=254, work).unwrap_or(3),
            "port" => {
                let port = number(line, value_at, 1..=65_535, work);
                self.settings.port = port.and_then(|port| u16::try_from(port).ok());
            }
            "slowstart" => self.slow_start = duration(line, value_at, work),
            "ca-file" => put(&mut self.tls, "ca", Some(self.files.authority(value))),
            "crl-file" => put(&mut self.tls, "crl", Some(self.files.authority(value))),
            "crt" => self.own_certificate(line, at, value),
            "verify" => match value {
                "none" => self.verify = Some(false),
                "required" => self.verify = Some(true),
                _ => line.refuse(work, value_at, "`none` or `required` is needed"),
            },
            "verifyhost" => self.verify_host = Some(value.to_owned()),
            "sni" => self.sni = Some(value.to_owned()),
            "check-sni" => line.changed(work, at, "checks send the server name that requests send"),
            "alpn" | "check-alpn" => {
                if value.split(',').any(|name| name != "http/1.1") {
                    line.changed(work, at, "servers are spoken to by HTTP/1.1 only");
                }
            }
            "proto" => line.refuse(work, at, "only HTTP/1.1 is spoken"),
            "ciphers" => self.ciphers = cipher_suites(line, value_at, value, work),
            "ciphersuites" => self.suites = cipher_suites(line, value_at, value, work),
            "curves" => {
                put(
                    &mut self.tls,
                    "ssl_ecdh_curve",
                    curves(line, value_at, value, work).map(Toml::Array),
                );
            }
            word if PAIRS.contains(&word) => {
                line.say(work, Kind::Dropped, at, format!("`{word}` has no counterpart"));
            }
            word => line.refuse(work, at, format!("`{word}` is not converted")),
        }
    }

    fn own_certificate(&mut self, line: &ConfigLine, at: usize, value: &str) {
        match ProxyFiles::open(&self.files.certificate(value)) {
            Ok(found) => {
                put(&mut self.tls, "client_cert", Some(plain(&found.cert.to_string_lossy())));
                put(&mut self.tls, "client_key", Some(plain(&found.key.to_string_lossy())));
            }
            Err(message) => line.refuse(self.work, at, message),
        }
    }

    fn finish(mut self, line: &ConfigLine) -> ServerEntry {
        if self.disabled {
            line.say(self.work, Kind::Dropped, 0, "`disabled` switches it off");
        }
        if self.check_ssl && !self.ssl {
            line.refuse(self.work, 0, "checks with TLS of a server without TLS are not converted");
        }
        self.settings.plain = self.ssl && self.settings.port.is_some() && !self.check_ssl;
        if self.ssl {
            self.finish_tls(line);
        }
        ServerEntry {
            line: line.clone(),
            node: self.node,
            tls: self.ssl.then_some(self.tls),
            check: self.check.then_some(self.settings),
            slow_start: self.slow_start,
            proxy_protocol: self.proxy_protocol,
            disabled: self.disabled,
        }
    }

    fn finish_tls(&mut self, line: &ConfigLine) {
        let work = self.work;
        let name = self.server_name(line);
        let verify = self.verify.unwrap_or(!self.global.servers_unverified);
        if verify {
            if !self.tls.contains_key("ca") {
                line.refuse(work, 0, "`verify required` needs `ca-file`");
            }
            let named = name.is_some() || self.sni.is_some();
            if !named {
                line.say(
                    work,
                    Kind::Security,
                    0,
                    "any certificate of `ca-file` was taken, whatever its name: write `sni` or `verifyhost`, or set \
                     `tls.verify = \"full\"`",
                );
                put(&mut self.tls, "verify", Some("ca"));
            }
        } else {
            line.say(
                work,
                Kind::Security,
                0,
                "the server's certificate was not verified: name its authority in `tls.ca` and take `verify` out",
            );
            put(&mut self.tls, "verify", Some("off"));
            self.tls.remove("ca");
            self.tls.remove("crl");
        }
        put(&mut self.tls, "server_name", name.map(|name| plain(&name)));
        put(&mut self.tls, "ssl_protocols", self.versions.list(line, work).map(Toml::Array));
        let ciphers: Vec<String> =
            [self.ciphers.take(), self.suites.take()].into_iter().flatten().collect();
        put(&mut self.tls, "ssl_ciphers", (!ciphers.is_empty()).then(|| ciphers.join(":")));
    }

    /// The name that is sent and checked; nothing where it is that of `Host`.
    fn server_name(&self, line: &ConfigLine) -> Option<String> {
        let work = self.work;
        let sni = self.sni.as_deref().and_then(|text| {
            let sample = SampleExpression::parse(text).ok();
            let argument = sample.as_ref().map(SampleExpression::argument).unwrap_or_default();
            // A name has no port and no upper case here.
            let same = |word: &String| {
                argument == "host" && matches!(word.as_str(), "lower" | "field(1,:)")
            };
            let sample = sample
                .filter(|sample| sample.understood().is_ok() && sample.converters.iter().all(same));
            match sample.as_ref().map_or("", |sample| sample.name.as_str()) {
                "str" => sample.map(|sample| sample.arguments.join(",")),
                "hdr" | "req.hdr" if argument == "host" => None,
                "ssl_fc_sni" => {
                    line.changed(
                        work,
                        0,
                        "the server name that is sent is that of `Host`, not that of the client",
                    );
                    None
                }
                _ => {
                    line.refuse(work, 0, format!("`sni {text}` is not converted"));
                    None
                }
            }
        });
        match (&self.verify_host, sni) {
            (Some(host), Some(sni)) if *host != sni => {
                line.refuse(work, 0, "`sni` and `verifyhost` must be the same name");
                None
            }
            (Some(host), None) if self.sni.is_some() => {
                line.refuse(
                    work,
                    0,
                    format!("`verifyhost {host}` beside an `sni` of each request is not converted"),
                );
                None
            }
            (Some(host), _) => Some(host.clone()),
            (None, sni) => sni,
        }
    }
}
