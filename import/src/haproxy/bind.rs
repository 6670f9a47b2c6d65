//! `bind` lines: where a frontend listens, and how it speaks TLS there.

use std::path::PathBuf;

use toml::Value as Toml;

use crate::fields::put;
use crate::report::Kind;
use crate::work::Work;

use super::crt_list;
use super::files::ProxyFiles;
use super::global::HaproxyGlobal;
use super::sample::Asks;
use super::tls_words::{TlsVersions, cipher_suites, curves};
use super::words::ConfigLine;

/// One `bind` line.
#[derive(Debug)]
pub(super) struct BindLine {
    pub(super) addresses: Vec<String>,
    pub(super) tls: Option<BindTls>,
    pub(super) line: ConfigLine,
}

/// How TLS is spoken there.
#[derive(Debug, Default)]
pub(super) struct BindTls {
    /// In their order: the first is the default.
    pub(super) certificates: Vec<BindCertificate>,
    pub(super) strict_sni: bool,
    /// What holds for all of its names; `Optional` if some ask and others do not.
    pub(super) asks: Asks,
    /// Some of its names take nobody without a certificate.
    pub(super) requires: bool,
    /// Its names ask for certificates in several ways: its rules cannot tell them apart.
    pub(super) is_mixed: bool,
    /// The settings that each `[[ssls]]` gets, unless its certificate has some of its own.
    pub(super) settings: toml::Table,
}

/// A certificate, and what a `crt-list` says about it.
#[derive(Debug)]
pub(super) struct BindCertificate {
    pub(super) path: PathBuf,
    /// Names in the place of those in the certificate, if there are any.
    pub(super) names: Vec<String>,
    /// Names that another certificate has to have.
    pub(super) excluded: Vec<String>,
    pub(super) settings: toml::Table,
    /// Where it is named.
    pub(super) line: ConfigLine,
}

/// What is asked of clients, and the settings of a name.
struct BindPolicy {
    asks: Asks,
    settings: toml::Table,
}

/// What the words say, before they are put together.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of HAProxy's of its own")]
struct BindWords {
    ssl: bool,
    /// In the order of the words: the first certificate is the default.
    certificates: Vec<CertificateWord>,
    strict_sni: bool,
    verify: Option<String>,
    ca: Vec<Toml>,
    crl: Option<Toml>,
    no_ca_names: bool,
    ciphers: Option<String>,
    suites: Option<String>,
    curves: Option<Vec<Toml>>,
    versions: TlsVersions,
    no_tickets: bool,
}

/// What a word names.
#[derive(Clone)]
enum CertificateWord {
    /// `crt`: a file, or a folder of them.
    Files(PathBuf),
    /// `crt-list`, and which word it is.
    List { path: PathBuf, at: usize },
}

/// Words that may stand in the brackets of a list; another one is of the listener.
const IN_LISTS: [&str; 14] = [
    "allow-0rtt",
    "alpn",
    "ca-file",
    "ca-verify-file",
    "ciphers",
    "ciphersuites",
    "crl-file",
    "curves",
    "ecdhe",
    "no-alpn",
    "no-ca-names",
    "ssl-max-ver",
    "ssl-min-ver",
    "verify",
];

/// Words with a value that only tune sockets and threads.
const TUNING: [&str; 12] = [
    "backlog",
    "maxconn",
    "nice",
    "process",
    "thread",
    "shards",
    "tcp-ut",
    "mss",
    "name",
    "id",
    "quic-cc-algo",
    "severity-output",
];
/// The same without a value.
const TUNING_FLAGS: [&str; 5] = ["defer-accept", "tfo", "transparent", "v4v6", "v6only"];

/// Reads a `bind` line.
pub(super) fn read(
    line: &ConfigLine,
    global: &HaproxyGlobal,
    files: &ProxyFiles,
    work: &Work,
) -> BindLine {
    let addresses = addresses(line, work);
    let mut spoken = BindWords::default();
    spoken.versions.take_options(&global.bind_options, work);
    spoken.ciphers.clone_from(&global.bind_ciphers);
    spoken.suites.clone_from(&global.bind_suites);
    spoken.curves.clone_from(&global.bind_curves);
    for option in global.bind_options.iter().flat_map(|line| line.words.iter().skip(1)) {
        match option.text.as_str() {
            "no-tls-tickets" => spoken.no_tickets = true,
            "strict-sni" => spoken.strict_sni = true,
            _ => {}
        }
    }
    let mut at = 2;
    while at < line.words.len() {
        at = spoken.take(line, at, files, work);
    }
    if !spoken.ssl && spoken.verify.as_deref().is_some_and(|verify| verify != "none") {
        line.say(
            work,
            Kind::Security,
            0,
            "`verify` without `ssl`: this port is plain HTTP, and no client was asked for a certificate",
        );
    }
    let tls = spoken.ssl.then(|| spoken.into_tls(line, files, work));
    BindLine { addresses, tls, line: line.clone() }
}

fn addresses(line: &ConfigLine, work: &Work) -> Vec<String> {
    let mut all = Vec::new();
    for text in line.word(1).split(',') {
        match address(text) {
            Ok(address) => all.push(address),
            Err(message) => line.refuse(work, 1, message),
        }
    }
    all
}

fn address(text: &str) -> Result<String, String> {
    let plain = text.strip_prefix("ipv4@").or_else(|| text.strip_prefix("ipv6@")).unwrap_or(text);
    if plain.contains('@') || plain.starts_with('/') {
        return Err(format!("{text:?}: only addresses and ports are listened on"));
    }
    let Some((host, port)) = plain.rsplit_once(':') else {
        return Err(format!("{text:?} has no port"));
    };
    if port.contains('-') {
        return Err(format!("{text:?}: write a `bind` line for each port"));
    }
    let port: u16 = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = match host {
        "" | "*" if text.starts_with("ipv6@") => "::",
        "" | "*" => "0.0.0.0",
        host => host,
    };
    let address: std::net::IpAddr = host
        .parse()
        .map_err(|_| format!("{host:?} is no address: names are not looked up here"))?;
    Ok(std::net::SocketAddr::new(address, port).to_string())
}

impl BindWords {
    /// Takes the word at `at` and its value; returns where the next one stands.
    fn take(&mut self, line: &ConfigLine, at: usize, files: &ProxyFiles, work: &Work) -> usize {
        let word = line.word(at);
        let value = at.saturating_add(1);
        let two = at.saturating_add(2);
        if let Some(next) = self.versions.take(line, at, work) {
            return next;
        }
        match word {
            "ssl" => self.ssl = true,
            "strict-sni" => self.strict_sni = true,
            "no-ca-names" => self.no_ca_names = true,
            "no-tls-tickets" => self.no_tickets = true,
            "no-alpn" => {}
            "prefer-client-ciphers" => {}
            "accept-proxy" => line.refuse(
                work,
                at,
                "write `proxy_protocol` and the addresses that may send the header (`proxy_protocol_trusted`) by hand",
            ),
            "allow-0rtt" => line.changed(work, at, "early data is never taken: it can be replayed"),
            word if TUNING_FLAGS.contains(&word) => {
                line.say(work, Kind::Dropped, at, format!("`{word}` only tunes the socket"));
            }
            _ => {
                self.take_pair(line, at, files, work);
                return if value < line.words.len() { two } else { value };
            }
        }
        value
    }

    fn take_pair(&mut self, line: &ConfigLine, at: usize, files: &ProxyFiles, work: &Work) {
        let value = line.word(at.saturating_add(1));
        if value.is_empty() {
            line.refuse(work, at, format!("`{}` needs a value, or is not known", line.word(at)));
            return;
        }
        match line.word(at) {
            "crt" => self.certificates.push(CertificateWord::Files(files.certificate(value))),
            "ca-file" => self.ca.push(files.authority(value)),
            "ca-verify-file" => {
                line.changed(work, at, "its authorities are named to clients, too");
                self.ca.push(files.authority(value));
            }
            "crl-file" => self.crl = Some(files.authority(value)),
            "verify" => self.verify = Some(value.to_owned()),
            "ciphers" => self.ciphers = cipher_suites(line, at, value, work),
            "ciphersuites" => self.suites = cipher_suites(line, at, value, work),
            "curves" | "ecdhe" => self.curves = curves(line, at, value, work),
            "alpn" => {
                if value.split(',').any(|name| name != "http/1.1" && name != "http/1.0") {
                    line.changed(work, at, "only HTTP/1.1 is spoken: clients fall back to it");
                }
            }
            "crt-list" => {
                self.certificates.push(CertificateWord::List { path: files.path(value), at });
            }
            "crt-ignore-err" | "ca-ignore-err" => line.refuse(
                work,
                at,
                "certificates with faults are not let in: `client.verify = \"optional_no_ca\"` lets in those of \
                 unknown authorities, and routes decide",
            ),
            word if TUNING.contains(&word) => {
                line.say(work, Kind::Dropped, at, format!("`{word}` only tunes the listener"));
            }
            "interface" | "namespace" | "uid" | "gid" | "user" | "group" | "mode" | "level" => {
                line.refuse(work, at, "this has no counterpart: name the address to listen on");
            }
            word => line.refuse(work, at, format!("`{word}` is not converted")),
        }
    }

    fn into_tls(self, line: &ConfigLine, files: &ProxyFiles, work: &Work) -> BindTls {
        let own = self.policy(line, work);
        let mut all = Vec::new();
        let mut asked = Vec::new();
        for word in &self.certificates {
            match word {
                CertificateWord::Files(path) => {
                    let paths = ProxyFiles::expand(std::slice::from_ref(path), line, work);
                    asked.extend(paths.iter().map(|_| own.asks));
                    all.extend(paths.into_iter().map(|path| BindCertificate {
                        path,
                        names: Vec::new(),
                        excluded: Vec::new(),
                        settings: own.settings.clone(),
                        line: line.clone(),
                    }));
                }
                CertificateWord::List { path, at } => {
                    for entry in crt_list::read(path, line, *at, work) {
                        let policy =
                            self.within(&entry.line, files, work).policy(&entry.line, work);
                        asked.push(policy.asks);
                        all.push(BindCertificate {
                            path: files.certificate(entry.line.word(0)),
                            names: entry.names,
                            excluded: entry.excluded,
                            settings: policy.settings,
                            line: entry.line,
                        });
                    }
                }
            }
        }
        if self.certificates.is_empty() {
            line.refuse(work, 0, "`ssl` needs `crt`");
        }
        let first = asked.first().copied().unwrap_or(own.asks);
        let is_mixed = asked.iter().any(|asks| *asks != first);
        BindTls {
            certificates: all,
            strict_sni: self.strict_sni,
            asks: if is_mixed { Asks::Optional } else { first },
            is_mixed,
            requires: asked.contains(&Asks::Required),
            settings: own.settings,
        }
    }

    /// The words of an entry of a list in the place of those of `bind`.
    fn within(&self, line: &ConfigLine, files: &ProxyFiles, work: &Work) -> Self {
        let mut own = self.clone();
        let says = |names: &[&str]| {
            line.words.iter().skip(1).any(|word| names.contains(&word.text.as_str()))
        };
        if says(&["ca-file", "ca-verify-file"]) {
            own.ca.clear();
        }
        let mut at = 1;
        while at < line.words.len() {
            if !IN_LISTS.contains(&line.word(at)) {
                line.refuse(work, at, format!("`{}` in a list is not converted", line.word(at)));
                break;
            }
            at = own.take(line, at, files, work);
        }
        own
    }

    /// What is asked of clients, and the settings of a name.
    fn policy(&self, line: &ConfigLine, work: &Work) -> BindPolicy {
        let mut settings = toml::Table::new();
        put(&mut settings, "ssl_protocols", self.versions.list(line, work).map(Toml::Array));
        put(&mut settings, "ssl_ecdh_curve", self.curves.clone().map(Toml::Array));
        let ciphers: Vec<String> =
            [self.ciphers.clone(), self.suites.clone()].into_iter().flatten().collect();
        if !ciphers.is_empty() {
            put(&mut settings, "ssl_ciphers", Some(ciphers.join(":")));
        }
        if self.no_tickets {
            put(&mut settings, "session_tickets", Some(false));
        }
        let verify = self.verify.clone().unwrap_or_else(|| String::from("none"));
        let asks = match verify.as_str() {
            "none" => Asks::Never,
            "optional" => Asks::Optional,
            "required" => Asks::Required,
            other => {
                line.refuse(work, 0, format!("`verify {other}` is not known"));
                Asks::Never
            }
        };
        match asks {
            Asks::Never if !self.ca.is_empty() => line.say(
                work,
                Kind::Security,
                0,
                "`ca-file` without `verify`: no client was asked for a certificate",
            ),
            Asks::Never => {}
            _ if self.ca.is_empty() => line.refuse(work, 0, "`verify` needs `ca-file`"),
            _ => put(&mut settings, "client", Some(self.client(asks))),
        }
        BindPolicy { asks, settings }
    }

    fn client(&self, asks: Asks) -> toml::Table {
        let mut client = toml::Table::new();
        put(&mut client, "ca", Some(Toml::Array(self.ca.clone())));
        if asks == Asks::Optional {
            put(&mut client, "verify", Some("optional"));
        }
        // HAProxy has no bound of its own; this is the greatest there is.
        put(&mut client, "depth", Some(10));
        put(&mut client, "reject", Some("handshake"));
        put(&mut client, "crl", self.crl.clone());
        put(&mut client, "send_ca_names", self.no_ca_names.then_some(false));
        client
    }
}
