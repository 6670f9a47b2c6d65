//! Real decoders behind the gateway: whatever they take for a path below `/admin` is reached with a
//! certificate alone.
//!
//! A generated table of spellings is asked of each of them directly, and through a gateway with
//! `/admin` and `/admin/*` (`client.verify = "on"`) beside `/*`: without a certificate, where no answer
//! may come from `/admin`, and with one, where everything that the decoder serves is served.
//! gunicorn, nginx, Node and a model of the servlet rule are always asked; Go and Tomcat where
//! this machine has them.

#![expect(clippy::print_stderr, reason = "a test tells what it saw")]

mod peers;

use ferrule_tests::{Authority, Dial, Driver, Gateway, Raw, Setup, raw, scratch};

use peers::Peer;

const HEAD: &str = r#"
[http]
keepalive_requests = 1000000

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "*.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional_no_ca" }
"#;

/// Spellings of `/admin/x`, and of `/admin`.
fn table() -> Vec<String> {
    let fronts = ["/", "//", "/;/", "/;a/", "/%2f", "/%5c", "/%3b/", "/%252F"];
    let names = ["admin", "%61dmin", "admi%6E", "%2561dmin"];
    let between = [
        "/",
        "//",
        "%2f",
        "%2F",
        "%5c",
        "%252f",
        "%255C",
        ";/",
        ";a=b/",
        ";a%2f",
        "%3b/",
        "%3Ba%2f",
        "/;/",
        "/;a//",
        "%c0%af",
        "%e0%80%af",
        "%25%32%66",
        "%2f%2f",
        "%3f",
        ";",
    ];
    let mut table = Vec::new();
    for front in fronts {
        for name in names {
            for between in between {
                table.push(format!("{front}{name}{between}x"));
            }
            table.push(format!("{front}{name}"));
        }
    }
    table
}

/// One kept connection to somebody, opened again where it was closed.
struct Line<'a> {
    open: Box<dyn Fn() -> Raw + 'a>,
    raw: Option<Raw>,
    host: String,
}

impl<'a> Line<'a> {
    fn new(host: &str, open: impl Fn() -> Raw + 'a) -> Self {
        Self { open: Box::new(open), raw: None, host: host.to_owned() }
    }

    /// Status and body.
    fn ask(&mut self, path: &str) -> (u16, String) {
        let mut raw = self.raw.take().unwrap_or_else(&self.open);
        let answer = raw::get(&mut raw, &self.host, path);
        let closes = answer.head.all("connection").contains(&"close");
        if !closes {
            self.raw = Some(raw);
        }
        (answer.status(), answer.text())
    }
}

fn config(peers: &[Peer]) -> String {
    let routes = peers.iter().map(|Peer { name, port, .. }| {
        format!(
            "[[upstreams]]\nid = \"{name}\"\nnodes = {{ \"127.0.0.1:{port}\" = 1 }}\n\
             [[routes]]\nhost = \"{name}.test\"\nuris = [\"/admin\", \"/admin/*\"]\n\
             client.verify = \"on\"\nupstream_id = \"{name}\"\n\
             [[routes]]\nhost = \"{name}.test\"\nuri = \"/*\"\nupstream_id = \"{name}\"\n"
        )
    });
    HEAD.to_owned() + &routes.collect::<String>()
}

#[test]
fn no_decoder_serves_a_guarded_path_to_a_client_without_a_certificate() {
    let scratch = scratch();
    let dir = scratch.path();
    let authority = Authority::new("Root");
    std::fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    authority.server(&["*.test"]).write(dir, "server");
    let peers = peers::start(dir);
    let gateway = Setup::new(dir, Driver::Epoll, &config(&peers)).quiet().start();
    let client = authority.client("me");
    let table = table();
    for peer in &peers {
        let host = format!("{}.test", peer.name);
        let bare = Dial::new(Some(&host));
        let known = Dial::as_client(&host, &client);
        let front = |dial: &Dial| dial.connect(gateway_port(&gateway)).expect("a handshake");
        let mut direct = Line::new(&host, || raw::plain(peer.port));
        let mut without = Line::new(&host, || front(&bare));
        let mut with = Line::new(&host, || front(&known));
        let mut guarded = 0;
        for path in &table {
            let wanted = direct.ask(path);
            let (status, body) = without.ask(path);
            assert_ne!(body, "ADMIN", "{}: {path} without a certificate", peer.name);
            assert_eq!(with.ask(path), wanted, "{}: {path} with a certificate", peer.name);
            if wanted.1 == "ADMIN" {
                assert_eq!(status, 403, "{}: {path}", peer.name);
                guarded += 1;
            }
            // The same trick played with an open path is nobody's business.
            let other = path.replace("dm", "nyth");
            assert_eq!(without.ask(&other), direct.ask(&other), "{}: {other}", peer.name);
        }
        eprintln!(
            "{}: takes {guarded} of {} spellings for one below /admin",
            peer.name,
            table.len()
        );
        assert!(guarded > 10, "{} reads nothing as /admin", peer.name);
    }
}

fn gateway_port(gateway: &Gateway) -> u16 {
    gateway.port("front")
}
