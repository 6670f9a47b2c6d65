//! Sessions are resumed where the policy is the same. Where else they are not: `cve/sessions.rs`.

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, Reloaded, Setup, Upstream, echo, on_both_drivers,
    scratch,
};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::write_ca;

const CONFIG: &str = r#"
[identity_headers]
X-Client = "$ssl_client_s_dn"
X-Reused = "$ssl_session_reused"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "closed.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

struct Place {
    _scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    client: Leaf,
}

fn start(driver: Driver) -> Place {
    let scratch = scratch();
    let dir = scratch.path();
    let clients = Authority::new("clients");
    write_ca(dir, "clients", &clients);
    clients.server(&["closed.test"]).write(dir, "server");
    let upstream = Upstream::plain(echo());
    let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
    Place { _scratch: scratch, _upstream: upstream, gateway, client: clients.client("me") }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

impl Place {
    /// One request on a new connection: was the session resumed, and what was answered?
    fn visit(&self, dial: &Dial, host: &str) -> (bool, u16, String) {
        let mut raw = dial.connect(self.gateway.port("front")).expect("a handshake");
        let resumed = raw.stream.is_resumed();
        let answer = ferrule_tests::raw::get(&mut raw, host, "/");
        (resumed, answer.status(), answer.text())
    }

    /// Clients of both versions that hold a session of `closed.test`.
    fn sessions(&self) -> Vec<Dial> {
        let dial = |version| Dial::with(Some("closed.test"), Some(&self.client), &[version]);
        let dials: Vec<Dial> =
            VERSIONS.into_iter().map(|version| dial(version).resuming()).collect();
        for dial in &dials {
            assert_eq!(self.visit(dial, "closed.test").1, 200);
        }
        dials
    }
}

on_both_drivers! {
    /// The identity is the same as on the first connection, and is judged again.
    fn a_session_is_resumed_with_its_identity(driver) {
        let place = start(driver);
        for version in VERSIONS {
            let dial = Dial::with(Some("closed.test"), Some(&place.client), &[version]).resuming();
            let (resumed, status, first) = place.visit(&dial, "closed.test");
            assert_eq!((resumed, status), (false, 200), "{version:?}");
            assert!(first.contains("X-Client: CN=me\r\n"), "{first}");
            assert!(first.contains("X-Reused: .\r\n"), "{first}");
            let (resumed, status, second) = place.visit(&dial, "closed.test");
            assert_eq!((resumed, status), (true, 200), "{version:?}");
            assert!(second.contains("X-Client: CN=me\r\n"), "{second}");
            assert!(second.contains("X-Reused: r\r\n"), "{second}");
        }
    }

    /// The same for clients without tickets, on TLS 1.2: their sessions have ids.
    fn a_session_is_found_by_its_id(driver) {
        let mut place = start(driver);
        let closed = Dial::with(Some("closed.test"), Some(&place.client), &[&TLS12]);
        let closed = closed.resuming().without_tickets();
        let (resumed, status, _) = place.visit(&closed, "closed.test");
        assert_eq!((resumed, status), (false, 200));
        let (resumed, status, text) = place.visit(&closed, "closed.test");
        assert_eq!((resumed, status), (true, 200));
        assert!(text.contains("X-Client: CN=me\r\n"), "{text}");
        assert_eq!(place.gateway.signal_reload(), Reloaded::Taken);
        assert!(place.visit(&closed, "closed.test").0, "a reload of the same policy");
    }

    fn a_session_survives_a_reload_of_the_same_policy(driver) {
        let mut place = start(driver);
        let dials = place.sessions();
        assert_eq!(place.gateway.signal_reload(), Reloaded::Taken);
        for dial in &dials {
            let (resumed, status, _) = place.visit(dial, "closed.test");
            assert_eq!((resumed, status), (true, 200));
        }
    }
}
