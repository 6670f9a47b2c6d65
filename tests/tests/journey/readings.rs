//! A path that some upstream may read as another one is held to what both of them demand.

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};

use crate::write_ca;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional_no_ca" }

[[ssls]]
sni = "strict.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", skip_mtls_uri_regex = ["^/[^/]*$", "^/open/"] }

[[upstreams]]
id = "up"
nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uris = ["/admin", "/admin/*"]
client.verify = "on"
upstream_id = "up"

[[routes]]
uri = "/read/*"
methods = ["GET"]
client.verify = "on"
upstream_id = "up"

[[routes]]
uri = "/write/*"
methods = ["POST", "DELETE"]
client.verify = "on"
upstream_id = "up"

[[routes]]
uri = "/ops/*"
client.allow = ["CN=ops"]
upstream_id = "up"

[[routes]]
uri = "/partners/*"
client.ca = "partners.crt"
upstream_id = "up"

[[routes]]
uri = "/*"
priority = 1
vars = [["uri", "~~", "^/by-uri/"]]
client.verify = "on"
upstream_id = "up"

[[routes]]
uri = "/open/*"
upstream_id = "up"

[[routes]]
uri = "/*"
upstream_id = "up"
"#;

/// `@` is the segment in front of what is asked for; `/` behind it in many spellings.
const SPELLINGS: [&str; 18] = [
    "/@/x",
    "//@/x",
    "//h/@/x",
    "/%2fh:80/@/x",
    "/@//x",
    "/@%2fx",
    "/@%2Fx",
    "/%2f@/x",
    "/@;a/x",
    "/@;/x",
    "/;/@/x",
    "/;a=b/@;c/x;d",
    "/@%3ba/x",
    "/@%5cx",
    "/@%252fx",
    "/@%25252Fx",
    "/@%c0%afx",
    "/@/x%3fy",
];

struct Place {
    _scratch: tempfile::TempDir,
    upstream: Upstream,
    gateway: Gateway,
    authority: Authority,
    partners: Authority,
}

impl Place {
    fn start(driver: Driver) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let (authority, partners) = (Authority::new("Root"), Authority::new("Partners"));
        write_ca(dir, "ca", &authority);
        write_ca(dir, "partners", &partners);
        authority.server(&["a.test", "strict.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        Self { _scratch: scratch, upstream, gateway, authority, partners }
    }

    /// All of it on one connection.
    fn statuses(&self, dial: &Dial, host: &str, paths: &[String]) -> Vec<u16> {
        let mut raw = dial.connect(self.gateway.port("front")).expect("a handshake");
        paths.iter().map(|path| raw::get(&mut raw, host, path).status()).collect()
    }
}

fn spellings(segment: &str) -> Vec<String> {
    SPELLINGS.iter().map(|spelling| spelling.replace('@', segment)).collect()
}

on_both_drivers! {
    fn every_spelling_of_a_path_is_held_to_the_demands_of_its_route(driver) {
        let place = Place::start(driver);
        let nobody = Dial::new(Some("a.test"));
        let me = place.authority.client("me");
        let ops = place.authority.client("ops");
        let partner = place.partners.client("partner");
        let [me, ops, partner] =
            [&me, &ops, &partner].map(|leaf| Dial::as_client("a.test", leaf));
        for (segment, [none, known, named, foreign]) in [
            ("admin", [403, 200, 200, 403]),
            ("ops", [403, 403, 200, 403]),
            ("partners", [403, 403, 403, 200]),
            ("by-uri", [403, 200, 200, 403]),
            ("open", [200, 200, 200, 200]),
        ] {
            let paths = spellings(segment);
            for (dial, status) in [(&nobody, none), (&me, known), (&ops, named), (&partner, foreign)] {
                let before = place.upstream.seen().len();
                let statuses = place.statuses(dial, "a.test", &paths);
                for (path, got) in paths.iter().zip(statuses) {
                    assert_eq!(got, status, "{path}");
                }
                let passed = place.upstream.seen().len() - before;
                assert_eq!(passed, if status == 200 { paths.len() } else { 0 }, "{segment}");
            }
        }
        // The exact path, in the reading of those who look for the query after they decode.
        let exact = ["/admin", "/admin%3fx", "/admin%23", "/admin;x", "/%2fadmin"];
        let exact = exact.map(ToOwned::to_owned);
        assert_eq!(place.statuses(&nobody, "a.test", &exact), [403; 5]);
        // What two routes demand is demanded together.
        let both = ["/admin/x%3f".to_owned(), "/admin;/..a%2fx".to_owned(), "/ops;a%2f/x".to_owned()];
        assert_eq!(place.statuses(&me, "a.test", &both), [200, 200, 403]);
    }

    /// A method that an application takes for another is held to that one's route.
    fn a_route_of_some_methods_is_not_passed_by_another_spelling_of_them(driver) {
        let place = Place::start(driver);
        let nobody = Dial::new(Some("a.test"));
        for (line, status) in [
            ("GET /read/x", 403),
            ("HEAD /read/x", 403),
            ("HEAD /read;a/x", 403),
            ("get /read/x", 403),
            ("head /read/x", 403),
            ("head /write/x", 200),
            ("Post /write/x", 403),
            ("delete /write;a/x", 403),
            ("DELETE /write/x", 403),
            // What nobody takes for another goes where it leads.
            ("POST /read/x", 200),
            ("HEAD /write/x", 200),
            ("PROPFIND /write/x", 200),
        ] {
            let mut raw = nobody.connect(place.gateway.port("front")).expect("a handshake");
            let head = format!("{line} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
            raw.send(head.as_bytes()).expect("a connection");
            let method = if line.starts_with("HEAD") { "HEAD" } else { "GET" };
            assert_eq!(raw.response(method).expect("an answer").status(), status, "{line}");
        }
    }

    fn a_path_is_exempt_from_mtls_only_if_every_reading_of_it_is(driver) {
        let place = Place::start(driver);
        let nobody = Dial::new(Some("strict.test"));
        for (path, status) in [
            ("/healthz", 200),
            ("/open/x", 200),
            ("/open/x%2fy", 200),
            ("/x;y", 200),
            ("/a/b", 400),
            ("/a%2fb", 400),
            ("/a%5cb", 400),
            ("/a%252fb", 400),
            ("/a;%2fb", 400),
            ("/open;/x", 400),
            ("//healthz", 200),
            ("//a/b", 400),
        ] {
            let answer = nobody.get(place.gateway.port("front"), "strict.test", path);
            assert_eq!(answer.expect("an answer").status(), status, "{path}");
        }
    }
}
