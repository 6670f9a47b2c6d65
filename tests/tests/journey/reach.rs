//! A host that no server name is meant for does not slip past the names that ask for certificates.

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Message, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};

use crate::write_ca;

/// An open name, a wildcard with mTLS, routes by hosts, and a plain listener.
const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[listen]]
address = "127.0.0.1:@second@"
tls = true
fallback_sni = "open.test"

[[listen]]
address = "127.0.0.1:@plain@"
mtls_routes = "@plain_word@"

[[ssls]]
snis = ["open.test", "other.test"]
cert = "server.crt"
key = "server.key"

[[ssls]]
sni = "*.corp.example"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
host = "*.corp.example"
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
host = "ops.corp.example"
uri = "/ops/*"
client.verify = "on"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
hosts = ["open.test", "intranet"]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

struct Place {
    _scratch: tempfile::TempDir,
    authority: Authority,
    upstream: Upstream,
    gateway: Gateway,
}

impl Place {
    fn start(driver: Driver, plain_word: &str) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("Root");
        write_ca(dir, "ca", &authority);
        authority.server(&["open.test", "*.corp.example"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let text = CONFIG.replace("@plain_word@", plain_word);
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        Self { _scratch: scratch, authority, upstream, gateway }
    }

    /// No byte of what is misdirected goes on, and its connection ends.
    fn get(&self, listener: &str, dial: Option<&Dial>, host: &str, path: &str) -> u16 {
        let before = self.upstream.seen().len();
        let port = self.gateway.port(listener);
        let answer: Message = match dial {
            Some(dial) => dial.get(port, host, path).expect("an answer"),
            None => raw::plain_get(port, host, path),
        };
        if answer.status() == 421 {
            assert_eq!(self.upstream.seen().len(), before, "{host} reached the upstream");
            assert_eq!(answer.head.get("connection"), Some("close"), "{host}");
        }
        answer.status()
    }
}

on_both_drivers! {
    fn a_host_below_a_wildcard_name_is_misdirected_on_a_connection_without_a_certificate(driver) {
        let place = Place::start(driver, "reject");
        let me = place.authority.client("me");
        let (open, mtls) = (Dial::new(Some("open.test")), Dial::as_client("a.corp.example", &me));
        for (listener, dial, host, status) in [
            ("front", &open, "open.test", 200),
            ("front", &open, "intranet", 200),
            ("front", &open, "a.corp.example", 421),
            // No server name: a wildcard is one label there, and any number in a route.
            ("front", &open, "x.y.corp.example", 421),
            ("front", &open, "X.Y.Corp.Example.:8443", 421),
            ("front", &open, "x.y.z.corp.example", 421),
            ("second", &open, "x.y.corp.example", 421),
            ("second", &Dial::new(None), "x.y.corp.example", 421),
            ("second", &Dial::new(Some("x.y.corp.example")), "x.y.corp.example", 421),
            ("second", &Dial::new(None), "intranet", 200),
            ("front", &mtls, "a.corp.example", 200),
            ("front", &mtls, "b.corp.example", 200),
            ("front", &mtls, "x.y.corp.example", 421),
        ] {
            assert_eq!(place.get(listener, Some(dial), host, "/"), status, "{listener} {host}");
        }
        let mut raw = open.connect(place.gateway.port("front")).expect("a handshake");
        raw.send(b"GET https://x.y.corp.example/ HTTP/1.1\r\nHost: open.test\r\n\r\n").expect("sent");
        assert_eq!(raw.response("GET").expect("an answer").status(), 421);
    }

    fn a_plain_listener_serves_what_mtls_names_lead_to_only_where_it_says_so(driver) {
        for (word, guarded) in [("reject", 421), ("allow", 200)] {
            let place = Place::start(driver, word);
            for (host, path, status) in [
                ("open.test", "/", 200),
                ("intranet", "/", 200),
                ("a.corp.example", "/", guarded),
                ("x.y.corp.example", "/", guarded),
                // The route demands a certificate itself.
                ("ops.corp.example", "/ops/x", 403),
                ("nowhere.test", "/", 404),
            ] {
                assert_eq!(place.get("plain", None, host, path), status, "{word} {host}");
            }
        }
    }
}
