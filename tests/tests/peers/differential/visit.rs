//! One request by one client to one server, and what came of it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferrule_tests::{Dial, Leaf, raw, tls};
use rustls::SupportedProtocolVersion;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};

use crate::differential::stage::{Side, header};

/// What a client shows.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The chain and the key; `None` shows nothing.
    pub(crate) files: Option<(PathBuf, PathBuf)>,
}

/// How the text of a connection begins that ended without a word.
pub(crate) const UNALERTED: &str = "without an alert";

/// A TLS version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tls {
    /// 1.2
    V12,
    /// 1.3
    V13,
}

/// What one server did with a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    /// The status; 0 if the TLS handshake failed.
    pub(crate) status: u16,
    /// The head that the upstream got (or the text of an error).
    pub(crate) text: String,
}

impl Tls {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::V12, Self::V13];

    fn version(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::V12 => &TLS12,
            Self::V13 => &TLS13,
        }
    }
}

impl Seen {
    /// What the upstream got for this variable.
    pub(crate) fn value(&self, variable: &str) -> Option<&str> {
        let name = header(variable);
        let lines = self.text.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.filter(|(field, _)| field.eq_ignore_ascii_case(&name)).map(|(_, value)| value).next()
    }
}

/// Can our own client sign with this key? Otherwise curl does.
fn is_ours(key: &Path) -> bool {
    let key = PrivateKeyDer::from_pem_file(key).expect("a PEM key");
    tls::provider().key_provider.load_private_key(key).is_ok()
}

/// A rustls client, if it can be this one.
pub(crate) fn dial(shown: &Shown, host: &str, version: Tls) -> Option<Dial> {
    let leaf = match &shown.files {
        None => None,
        Some((_, key)) if !is_ours(key) => return None,
        Some((chain, key)) => Some(Leaf::read(chain, key)),
    };
    Some(Dial::with(Some(host), leaf.as_ref(), &[version.version()]))
}

/// One request by rustls.
pub(crate) fn by_rustls(dial: &Dial, side: &Side, host: &str, target: &str) -> Seen {
    let once = || {
        let mut raw = dial.connect(side.port)?;
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        raw.response("GET")
    };
    match once() {
        Ok(message) => Seen { status: message.status(), text: message.text() },
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        Err(error) if raw::alert(&error).is_some() => Seen { status: 0, text: error.to_string() },
        Err(error) => Seen { status: 0, text: format!("{UNALERTED}: {error}") },
    }
}

/// One request by curl, with these options.
pub(crate) struct Curl<'a> {
    /// OpenSSL's settings.
    pub(crate) settings: &'a Path,
    /// The certificate.
    pub(crate) shown: &'a Shown,
    /// The TLS version.
    pub(crate) version: Tls,
    /// Anything else.
    pub(crate) options: &'a [&'a str],
}

impl Curl<'_> {
    /// One request.
    pub(crate) fn get(&self, side: &Side, host: &str, target: &str) -> Seen {
        let mut command = Command::new("curl");
        command.env("OPENSSL_CONF", self.settings);
        command.args(["-sSk", "--noproxy", "*", "--max-time", "20", "-w", "\n%{http_code}"]);
        command.args(match self.version {
            Tls::V12 => ["--tlsv1.2", "--tls-max", "1.2"],
            Tls::V13 => ["--tlsv1.3", "--tls-max", "1.3"],
        });
        command.args(["--resolve", &format!("{host}:{}:{}", side.port, Ipv4Addr::LOCALHOST)]);
        if let Some((chain, key)) = &self.shown.files {
            command.arg("--cert").arg(chain).arg("--key").arg(key);
        }
        command.args(self.options);
        command.arg(format!("https://{host}:{}{target}", side.port));
        let output = command.output().expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        let status = status.parse().unwrap_or(0);
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Seen { status: 0, text };
        }
        Seen { status, text: body.to_owned() }
    }
}
