//! What changes on disk reaches connections that live: without a signal, and without a request.

use std::fs;
use std::path::Path;

use ferrule_tests::raw::get;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Raw, Reloaded, Setup, Upstream, echo,
    on_both_drivers, poll, scratch,
};
use rustls::version::TLS13;

use crate::write_ca;

const CONFIG: &str = r#"
[identity_headers]
X-Client = "$ssl_client_verify $ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "ours.test"
cert = "server.crt"
key = "server.key"
client.ca = "clients.crt"
client.on_revoke = "@on_revoke@"

[[ssls]]
sni = "other.test"
cert = "server.crt"
key = "server.key"
client.ca = "others.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

struct Place {
    scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    clients: Authority,
    others: Authority,
}

fn start(driver: Driver, on_revoke: &str) -> Place {
    let scratch = scratch();
    let dir = scratch.path();
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    write_ca(dir, "clients", &clients);
    write_ca(dir, "others", &others);
    clients.server(&["ours.test", "other.test"]).write(dir, "server");
    let upstream = Upstream::plain(echo());
    let gateway = Setup::new(dir, driver, CONFIG)
        .set("upstream", &upstream.port)
        .set("on_revoke", &on_revoke)
        .start();
    Place { scratch, _upstream: upstream, gateway, clients, others }
}

impl Place {
    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// A connection that has had its first answer.
    fn connect(&self, name: &str, leaf: &Leaf) -> Raw {
        let dial = Dial::with(Some(name), Some(leaf), &[&TLS13]);
        let mut raw = dial.connect(self.gateway.port("front")).expect("a handshake");
        assert_eq!(get(&mut raw, name, "/").status(), 200);
        raw
    }

    /// Waits until the log holds this.
    fn wait_for(&self, text: &str) {
        let found = poll(PATIENCE, || self.gateway.log().contains(text).then_some(()));
        assert!(found.is_some(), "{text}:\n{}", self.gateway.log());
    }
}

on_both_drivers! {
    /// Nobody asks for anything: the file alone ends what waits, and nothing else.
    fn a_client_of_a_removed_authority_is_sent_away_while_it_waits(driver) {
        let place = start(driver, "close");
        let (ours, other) = (place.clients.client("me"), place.others.client("you"));
        let mut revoked: Vec<Raw> = (0..3).map(|_| place.connect("ours.test", &ours)).collect();
        let mut kept = place.connect("other.test", &other);
        write_ca(place.dir(), "clients", &Authority::new("a new authority"));
        for raw in &mut revoked {
            assert_eq!(raw.rest().expect("an orderly end"), b"");
        }
        assert_eq!(get(&mut kept, "other.test", "/").status(), 200);
        place.wait_for("a connected client is not trusted any more");
        place.wait_for("files read again");
    }

    fn cut_resets_and_keep_keeps(driver) {
        for (on_revoke, ends) in [("cut", true), ("keep", false)] {
            let place = start(driver, on_revoke);
            let mut raw = place.connect("ours.test", &place.clients.client("me"));
            write_ca(place.dir(), "clients", &Authority::new("a new authority"));
            place.wait_for("files read again");
            if ends {
                place.wait_for("a connected client is not trusted any more");
                let end = raw.rest().expect_err("no orderly end");
                assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
            } else {
                let answer = get(&mut raw, "ours.test", "/");
                assert_eq!(answer.status(), 200);
                assert!(answer.text().contains("X-Client: SUCCESS CN=me\r\n"));
            }
        }
    }

    /// A renewal in two steps: the old pair serves until certificate and key fit together again.
    fn a_pair_is_taken_when_it_matches(driver) {
        let place = start(driver, "close");
        let me = place.clients.client("me");
        let served = || {
            let dial = Dial::with(Some("ours.test"), Some(&me), &[&TLS13]);
            let raw = dial.connect(place.gateway.port("front")).expect("a handshake");
            raw.stream.certificate()
        };
        let before = served();
        let renewed = place.clients.server(&["ours.test", "other.test"]);
        fs::write(place.dir().join("server.crt"), &renewed.cert_pem).expect("a writable file");
        place.wait_for("a changed file is refused");
        assert_eq!(served(), before);
        fs::write(place.dir().join("server.key"), &renewed.key_pem).expect("a writable file");
        place.wait_for("files read again");
        assert_ne!(served(), before);
    }

    /// The configuration itself is read at SIGHUP alone.
    fn a_changed_configuration_waits_for_its_signal(driver) {
        let mut place = start(driver, "close");
        let me = place.clients.client("me");
        let file = place.dir().join("ferrule.toml");
        let text = fs::read_to_string(&file).expect("the file").replace("ours.test", "new.test");
        fs::write(&file, text).expect("a writable file");
        write_ca(place.dir(), "others", &Authority::new("another"));
        place.wait_for("files read again");
        place.connect("ours.test", &me);
        assert_eq!(place.gateway.signal_reload(), Reloaded::Taken);
        let gone = Dial::with(Some("ours.test"), Some(&me), &[&TLS13]);
        assert!(gone.connect(place.gateway.port("front")).is_err());
    }
}
