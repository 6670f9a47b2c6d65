//! A verdict that was kept (`on_revoke = "keep"`) is for the server name it was given under, and for no
//! other: whoever trusts other authorities is not told of it.

use std::fs;

use ferrule_tests::raw::get;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Raw, Reloaded, Setup, Upstream, echo, on_both_drivers,
    scratch,
};
use rustls::version::TLS13;

use crate::write_ca;

const LISTEN: &str = r#"
[identity_headers]
X-Client = "$ssl_client_verify"
X-Chain = "$ssl_client_chain_rfc9440"

[[listen]]
address = "127.0.0.1:@front@"
tls = true
"#;

const ROUTES: &str = r#"
[[routes]]
host = "open.test"
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A server object with these names, and these keys for its clients.
fn server(snis: &str, keys: &str) -> String {
    format!("[[ssls]]\nsnis = {snis}\ncert = 'server.crt'\nkey = 'server.key'\n{keys}\n")
}

struct Place {
    scratch: tempfile::TempDir,
    upstream: Upstream,
    gateway: Gateway,
    old: Authority,
}

impl Place {
    fn start(driver: Driver, servers: &str) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let (old, new) = (Authority::new("old"), Authority::new("new"));
        write_ca(dir, "old", &old);
        write_ca(dir, "new", &new);
        new.server(&["a.test", "b.test", "c.test", "open.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let text = format!("{LISTEN}{servers}{ROUTES}");
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        Self { scratch, upstream, gateway, old }
    }

    /// A connection of a client of the old authority that has had its first answer.
    fn connect(&self, name: &str) -> Raw {
        // Behind its certificate stand a stranger's, and that of its authority.
        let stranger = Authority::new("stranger").cert_pem;
        let leaf = self.old.client("me").behind(&stranger).behind(&self.old.cert_pem);
        let dial = Dial::with(Some(name), Some(&leaf), &[&TLS13]);
        let mut raw = dial.connect(self.gateway.port("front")).expect("a handshake");
        assert_eq!(get(&mut raw, name, "/").status(), 200);
        raw
    }

    /// Changes the file, and has it taken.
    fn reload(&mut self, from: &str, to: &str) {
        let file = self.scratch.path().join("ferrule.toml");
        let text = fs::read_to_string(&file).expect("the file");
        assert!(text.contains(from), "{text}");
        fs::write(&file, text.replace(from, to)).expect("a writable file");
        assert_eq!(self.gateway.signal_reload(), Reloaded::Taken);
    }

    /// The status, and whether the request reached the upstream.
    fn ask(&self, raw: &mut Raw, host: &str) -> (u16, bool) {
        let before = self.upstream.seen().len();
        let status = get(raw, host, "/").status();
        (status, self.upstream.seen().len() > before)
    }
}

const KEEP_OLD: &str = "client = { ca = 'old.crt', on_revoke = 'keep' }";
const KEEP_NEW: &str = "client = { ca = 'new.crt', on_revoke = 'keep' }";

on_both_drivers! {
    /// One object comes to trust what another does: its old clients are not known to the other.
    fn a_kept_client_is_kept_from_every_other_name(driver) {
        for other in ["b.test", "c.test"] {
            let servers = [server("['a.test', 'c.test']", KEEP_OLD), server("['b.test']", KEEP_NEW)];
            let mut place = Place::start(driver, &servers.concat());
            let mut raw = place.connect("a.test");
            place.reload("'old.crt'", "'new.crt'");
            assert_eq!(place.ask(&mut raw, "A.TEST."), (200, true));
            assert_eq!(place.ask(&mut raw, other), (421, false), "{other}");
        }
    }

    /// By which path a client was verified is kept with the verdict.
    fn the_verified_path_of_a_kept_client_is_told_as_before(driver) {
        let mut place = Place::start(driver, &server("['a.test']", KEEP_OLD));
        let mut raw = place.connect("a.test");
        place.reload("'old.crt'", "'new.crt'");
        assert_eq!(place.ask(&mut raw, "a.test"), (200, true));
        let seen = place.upstream.seen();
        let chain = |at: usize| seen[at].message.head.get("x-chain").expect("a chain").to_owned();
        assert_eq!(chain(0).split(", ").count(), 1, "the stranger is on no path");
        assert_eq!(chain(0), chain(1));
    }

    /// The object of its name is gone, and one for other names keeps other clients.
    fn a_client_of_a_removed_name_is_not_kept_by_another(driver) {
        let partner = server("['a.test']", KEEP_OLD);
        let mut place = Place::start(driver, &(partner.clone() + &server("['*']", KEEP_NEW)));
        let mut raw = place.connect("a.test");
        place.reload(&partner, "");
        assert_eq!(place.ask(&mut raw, "a.test"), (400, false));
    }

    /// Names that let a client go in different ways, or speak other versions, have different policies.
    fn what_becomes_of_a_client_is_part_of_its_policy(driver) {
        for (one, other) in [
            ("client = { ca = 'old.crt', on_revoke = 'keep' }", "client = { ca = 'old.crt' }"),
            ("client.ca = 'old.crt'", "ssl_protocols = ['TLSv1.3']\nclient.ca = 'old.crt'"),
        ] {
            let servers = server("['a.test']", one) + &server("['b.test']", other);
            let place = Place::start(driver, &servers);
            let mut raw = place.connect("a.test");
            assert_eq!(place.ask(&mut raw, "b.test"), (421, false), "{other}");
        }
    }

    /// HTTP/1.0 without Host asks for what the server name said, not for what is meant for others.
    fn a_request_without_host_does_not_reach_a_guarded_route(driver) {
        let servers = server("['open.test']", "") + &server("['*']", "client.ca = 'old.crt'");
        let place = Place::start(driver, &servers);
        let open = || Dial::new(Some("open.test")).connect(place.gateway.port("front"));
        for head in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: other.test\r\n\r\n"] {
            let mut raw = open().expect("a handshake");
            raw.send(head.as_bytes()).expect("a connection");
            assert_eq!(raw.response("GET").expect("an answer").status(), 421, "{head}");
            assert!(place.upstream.seen().is_empty());
        }
        let mut raw = open().expect("a handshake");
        assert_eq!(get(&mut raw, "open.test", "/").status(), 200);
    }
}
