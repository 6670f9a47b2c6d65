//! Four names with four policies, served by each of the proxies.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Haproxy, Leaf, Nginx, Setup, Shape, Upstream, echo,
    free_port, raw, scratch,
};
use rustls::SupportedProtocolVersion;
use tempfile::TempDir;

/// Without client certificates; of CA a; of CA b; of CA a, but a certificate may be missing. The last
/// one stands for every name below it.
pub(crate) const NAMES: [&str; 4] = ["open.test", "a.test", "b.test", "*.maybe.test"];

/// A name that a client can ask for, for each of [`NAMES`].
pub(crate) const ASKED: [&str; 4] = ["open.test", "a.test", "b.test", "x.maybe.test"];

/// CA file and whether a certificate is required, for each of [`NAMES`].
const POLICIES: [Option<(&str, bool)>; 4] =
    [None, Some(("a.crt", true)), Some(("b.crt", true)), Some(("a.crt", false))];

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Ferrule(Driver),
    Nginx,
    Haproxy,
}

pub(crate) const KINDS: [Kind; 4] =
    [Kind::Ferrule(Driver::IoUring), Kind::Ferrule(Driver::Epoll), Kind::Nginx, Kind::Haproxy];

/// One of them at work.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    _running: Running,
}

#[expect(dead_code, reason = "they end with the value")]
enum Running {
    Ferrule(Box<(Gateway, Upstream)>),
    Nginx(Nginx),
    Haproxy(Haproxy),
}

/// The certificates of everybody.
pub(crate) struct World {
    scratch: TempDir,
    pub(crate) a: Authority,
    b: Authority,
}

impl World {
    pub(crate) fn new() -> Self {
        let (scratch, a, b) = (scratch(), Authority::new("CA a"), Authority::new("CA b"));
        let dir = scratch.path();
        for (authority, file) in [(&a, "a.crt"), (&b, "b.crt")] {
            fs::write(dir.join(file), &authority.cert_pem).expect("a writable directory");
        }
        let leaf = a.server(&NAMES);
        leaf.write(dir, "server");
        let both = format!("{}{}", leaf.cert_pem, leaf.key_pem);
        fs::write(dir.join("server.pem"), both).expect("a writable directory");
        Self { scratch, a, b }
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// No certificate, one of CA a, one of CA b.
    pub(crate) fn clients(&self) -> [Option<Leaf>; 3] {
        [None, Some(self.a.client("a")), Some(self.b.client("b"))]
    }

    pub(crate) fn peer(&self, kind: Kind) -> Peer {
        match kind {
            Kind::Ferrule(driver) => self.ferrule(driver),
            Kind::Nginx => self.nginx(),
            Kind::Haproxy => self.haproxy(),
        }
    }

    fn ferrule(&self, driver: Driver) -> Peer {
        let mut text = "[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n\
                        fallback_sni = \"open.test\"\n\
                        [[routes]]\nuri = \"/*\"\nupstream.nodes = { \"127.0.0.1:@upstream@\" = 1 }\n"
            .to_owned();
        for (name, policy) in NAMES.iter().zip(POLICIES) {
            let _ = write!(
                text,
                "[[ssls]]\nsni = \"{name}\"\ncert = \"server.crt\"\nkey = \"server.key\"\n"
            );
            if let Some((ca, required)) = policy {
                let verify = if required { "on" } else { "optional" };
                let _ = write!(text, "client.ca = \"{ca}\"\nclient.verify = \"{verify}\"\n");
            }
        }
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(self.dir(), driver, &text).set("upstream", &upstream.port).start();
        let port = gateway.port("front");
        let running = Running::Ferrule(Box::new((gateway, upstream)));
        Peer { kind: Kind::Ferrule(driver), port, _running: running }
    }

    fn nginx(&self) -> Peer {
        let (port, at) = (free_port(), self.dir().display());
        let mut text = format!(
            "ssl_certificate {at}/server.crt;\nssl_certificate_key {at}/server.key;\n\
             ssl_protocols TLSv1.2 TLSv1.3;\nssl_session_cache shared:all:1m;\n"
        );
        for (index, (name, policy)) in NAMES.iter().zip(POLICIES).enumerate() {
            let default = if index == 0 { " default_server" } else { "" };
            let _ = write!(
                text,
                "server {{\nlisten 127.0.0.1:{port} ssl{default};\nserver_name {name};\n"
            );
            if let Some((ca, required)) = policy {
                let verify = if required { "on" } else { "optional" };
                let _ = write!(
                    text,
                    "ssl_client_certificate {at}/{ca};\nssl_verify_client {verify};\n"
                );
            }
            text += "location / { return 200 ok; }\n}\n";
        }
        let nginx = Nginx::start(self.dir(), port, &text, Shape::Single);
        Peer { kind: Kind::Nginx, port, _running: Running::Nginx(nginx) }
    }

    fn haproxy(&self) -> Peer {
        let (port, at) = (free_port(), self.dir().display());
        let mut list = String::new();
        for (name, policy) in NAMES.iter().zip(POLICIES) {
            let options = policy.map_or_else(
                || "[verify none]".to_owned(),
                |(ca, required)| {
                    let verify = if required { "required" } else { "optional" };
                    format!("[ca-file {at}/{ca} verify {verify}]")
                },
            );
            let _ = writeln!(list, "{at}/server.pem {options} {name}");
        }
        let file = self.dir().join("list.txt");
        fs::write(&file, list).expect("a writable directory");
        let text = format!(
            "frontend f\n  bind 127.0.0.1:{port} ssl crt-list {} ssl-min-ver TLSv1.2\n  \
             http-request return status 200 content-type text/plain string ok",
            file.display()
        );
        let haproxy = Haproxy::start(self.dir(), port, &text);
        Peer { kind: Kind::Haproxy, port, _running: Running::Haproxy(haproxy) }
    }
}

/// What a visit came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Came {
    /// An answer with this status, on a session resumed or new.
    Answer { status: u16, resumed: bool },
    /// The handshake, or the connection, ended without one.
    Nothing,
}

impl Came {
    pub(crate) const fn got_in(self) -> bool {
        matches!(self, Self::Answer { status: 200, .. })
    }
}

impl Peer {
    /// One request for `target` of `host` on a connection of its own.
    pub(crate) fn visit(&self, dial: &Dial, (host, target): (&str, &str)) -> Came {
        let Ok(mut raw) = dial.connect(self.port) else { return Came::Nothing };
        let resumed = raw.stream.is_resumed();
        match ask(&mut raw, host, target) {
            Some(status) => Came::Answer { status, resumed },
            None => Came::Nothing,
        }
    }
}

fn ask(raw: &mut raw::Raw, host: &str, target: &str) -> Option<u16> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    raw.send(request.as_bytes()).ok()?;
    raw.response("GET").ok().map(|answer| answer.status())
}

/// A client of this name.
pub(crate) fn dial(
    name: Option<&str>,
    leaf: Option<&Leaf>,
    versions: &[&'static SupportedProtocolVersion],
) -> Dial {
    Dial::with(name, leaf, versions)
}
