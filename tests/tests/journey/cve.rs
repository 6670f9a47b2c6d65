//! What was done to others, done to Ferrule: one test for each number of `docs/cves.md`.
//!
//! Each begins with what went wrong there, and what is to happen here.

mod certificates;
mod fields;
mod messages;
mod names;
mod patterns;
mod sessions;
mod trust;

use std::path::Path;

use ferrule_tests::zoo::asn1::{common_name, element, extension};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, encode};
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Head, Leaf, Message, Setup, Upstream, echo, raw, scratch,
};

use crate::write_ca;

/// A name without client certificates (also the one for unknown names), names that need one of two
/// CAs, one that takes one, and a plain port.
const CONFIG: &str = r#"
[identity_headers]
X-Client-Verify = "$ssl_client_verify"
X-Client-Dn = "$ssl_client_s_dn"
X-Client-Mail = "$ssl_client_san_email"

[[listen]]
address = "127.0.0.1:@plain@"
mtls_routes = "reject"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
fallback_sni = "open.test"

[[ssls]]
sni = "open.test"
cert = "open.crt"
key = "open.key"

[[ssls]]
sni = "neighbour.test"
cert = "server.crt"
key = "server.key"

[[ssls]]
sni = "closed.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"

[[ssls]]
sni = "*.closed.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"

[[ssls]]
sni = "other.test"
cert = "server.crt"
key = "server.key"
client.ca = "others.crt"

[[ssls]]
sni = "maybe.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"
client.verify = "optional"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// [`CONFIG`] at work.
struct World {
    scratch: tempfile::TempDir,
    upstream: Upstream,
    gateway: Gateway,
    clients: Authority,
    others: Authority,
}

impl World {
    fn start(driver: Driver) -> Self {
        Self::with(driver, CONFIG)
    }

    fn with(driver: Driver, config: &str) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let (clients, others) = (Authority::new("clients"), Authority::new("others"));
        write_ca(dir, "clients", &clients);
        write_ca(dir, "others", &others);
        clients.server(&["open.test"]).write(dir, "open");
        clients.server(&["closed.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, config).set("upstream", &upstream.port).start();
        Self { scratch, upstream, gateway, clients, others }
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn front(&self) -> u16 {
        self.gateway.port("front")
    }

    /// What one request on a connection of its own is answered with.
    fn ask(&self, dial: &Dial, host: &str) -> Message {
        dial.get(self.front(), host, "/").expect("an answer")
    }

    /// The head that the upstream got of a request with these field lines.
    fn passed_on(&self, dial: Option<&Dial>, (host, fields): (&str, &str)) -> Head {
        let mut raw = match dial {
            Some(dial) => dial.connect(self.front()).expect("a handshake"),
            None => raw::plain(self.gateway.port("plain")),
        };
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        raw.send(request.as_bytes()).expect("a connection");
        let answer = raw.response("GET").expect("an answer");
        assert_eq!(answer.status(), 200, "{answer:?}");
        Head { raw: answer.text() }
    }

    /// The targets that reached the upstream.
    fn targets(&self) -> Vec<String> {
        let seen = self.upstream.seen();
        seen.iter().map(|seen| seen.message.head.target().to_owned()).collect()
    }
}

/// An authority whose certificates are written byte by byte.
struct Scribe {
    issuer: Issuer,
    pem: String,
}

impl Scribe {
    fn new(dir: &Path, name: &str) -> Self {
        let key = Key::new(dir, name, Kind::P256);
        let issuer = Issuer { name: common_name(name), key };
        let basic = ferrule_tests::zoo::asn1::basic_constraints(true, None);
        let der = draft(common_name(name), vec![basic]).sign(&issuer.key, &issuer);
        Self { pem: encode("CERTIFICATE", &der), issuer }
    }

    /// A certificate for this name, with these extensions.
    fn leaf(&self, dir: &Path, subject: Vec<u8>, extensions: Vec<Vec<u8>>) -> Leaf {
        let key = Key::new(dir, "leaf", Kind::P256);
        let der = draft(subject, extensions).sign(&key, &self.issuer);
        let file = dir.join("leaf.pem");
        std::fs::write(&file, encode("CERTIFICATE", &der)).expect("a certificate");
        Leaf::read(&file, &key.path)
    }
}

fn draft(subject: Vec<u8>, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![7],
        subject,
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x18, b"20990101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}

/// `subjectAltName` of these `GeneralName`s: number of the choice, content.
fn alt_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<Vec<u8>> =
        names.iter().map(|(choice, content)| element(0x80 | choice, content)).collect();
    extension("2.5.29.17", false, &element(0x30, &names.concat()))
}
