//! Files that change by themselves are taken or kept object by object: what is broken stays as it was, is
//! named until it is mended, and keeps nothing else from counting.

use std::fs;
use std::path::Path;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::raw::{self, get};
use ferrule_tests::zoo::Issuer;
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Reloaded, Setup, Upstream, echo,
    on_both_drivers, poll, scratch,
};
use rustls::version::TLS13;

use crate::revoke::{authority, client, write_list};

const CONFIG: &str = r#"
[http]
ssl_session_ticket_key = ["tickets.key"]

[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "ours.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", crl = "clients.crl", clock_skew = "1m" }

[[ssls]]
sni = "other.test"
cert = "other.crt"
key = "other.key"
client.ca = "others.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }

[[routes]]
uri = "/secure/*"

[routes.upstream]
scheme = "https"
tls = { ca = "others.crt", client_cert = "front.crt", client_key = "front.key" }
nodes = { "127.0.0.1:9" = 1 }
"#;

struct Place {
    scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    ca: Issuer,
    bad: Leaf,
}

impl Place {
    fn start(driver: Driver) -> Self {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let ca = authority(dir);
        let bad = client(dir, &ca, "bad", 3);
        let others = Authority::new("others");
        crate::write_ca(dir, "others", &others);
        others.server(&["other.test"]).write(dir, "other");
        others.server(&["front.test"]).write(dir, "front");
        fs::write(dir.join("tickets.key"), (0..80).collect::<Vec<u8>>()).expect("a file");
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        Self { _upstream: upstream, gateway, ca, bad, scratch }
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn status(&self) -> u16 {
        let dial = Dial::with(Some("ours.test"), Some(&self.bad), &[&TLS13]);
        let mut raw = dial.connect(self.gateway.port("front")).expect("a handshake");
        get(&mut raw, "ours.test", "/").status()
    }

    fn revoke(&self, revoked: bool) {
        write_list(self.dir(), &self.ca, if revoked { &[3] } else { &[] });
        let wanted = if revoked { 400 } else { 200 };
        let counts = poll(PATIENCE, || (self.status() == wanted).then_some(()));
        assert!(counts.is_some(), "revoked: {revoked}\n{}", self.gateway.log());
    }

    /// Is exactly this one shown as refused?
    fn shows(&self, file: Option<&str>) {
        let shown = || {
            let text = raw::plain_get(self.gateway.port("metrics"), "localhost", "/metrics").text();
            let mut lines = text.lines().filter(|line| line.starts_with("ferrule_file_refused{"));
            match file {
                Some(file) => lines.any(|line| line.contains(&format!("{file}\"}} 1"))),
                None => lines.next().is_none(),
            }
            .then_some(())
        };
        assert!(poll(PATIENCE, shown).is_some(), "{file:?}\n{}", self.gateway.log());
    }
}

/// The value of a metric now; of one result, if there are several.
#[expect(clippy::cast_possible_truncation, reason = "a small count")]
fn value(metrics: u16, name: &str, result: &str) -> i64 {
    let text = raw::plain_get(metrics, "localhost", "/metrics").text();
    let labels = [("result", result)];
    let labels = if result.is_empty() { &[][..] } else { &labels[..] };
    Exposition::read(&text).sum(name, labels) as i64
}

/// Every kind of file that is read again.
const NEIGHBOURS: [&str; 8] = [
    "server.crt",
    "server.key",
    "other.crt",
    "other.key",
    "others.crt",
    "front.crt",
    "front.key",
    "tickets.key",
];

on_both_drivers! {
    /// Files that are read again say nothing about the configuration on disk, and the other way round.
    fn a_renewal_does_not_hide_a_refused_reload(driver) {
        let mut place = Place::start(driver);
        let metrics = place.gateway.port("metrics");
        let value = |name: &str, result: &str| value(metrics, name, result);
        let reaches = |result: &str, wanted: i64| {
            let found = poll(PATIENCE, || (value("ferrule_file_renewals_total", result) >= wanted).then_some(()));
            assert!(found.is_some(), "{result}");
        };
        let good = fs::read_to_string(&place.gateway.file).expect("the file");
        let others = fs::read(place.dir().join("others.crt")).expect("the file");
        fs::write(place.dir().join("others.crt"), "broken").expect("a writable file");
        place.shows(Some("others.crt"));
        reaches("refused", 1);
        assert_eq!(value("ferrule_last_reload_success", ""), 1);
        fs::write(place.dir().join("others.crt"), others).expect("a writable file");
        place.shows(None);
        let renewals = value("ferrule_file_renewals_total", "taken");
        assert_eq!(place.gateway.reload("[[listen]]\n"), Reloaded::Refused);
        place.revoke(true);
        reaches("taken", renewals + 1);
        assert_eq!(value("ferrule_last_reload_success", ""), 0);
        assert_eq!(value("ferrule_reloads_total", "refused"), 1);
        assert_eq!(value("ferrule_reloads_total", "taken"), 0);
        assert!(place.gateway.log().contains("0 reloads taken, 1 refused so far"), "{}", place.gateway.log());
        fs::write(&place.gateway.file, good).expect("a writable file");
        assert_eq!(place.gateway.signal_reload(), Reloaded::Taken);
        assert_eq!(value("ferrule_last_reload_success", ""), 1);
    }

    fn a_broken_file_keeps_no_list_from_counting(driver) {
        let place = Place::start(driver);
        for (at, name) in NEIGHBOURS.iter().enumerate() {
            let path = place.dir().join(name);
            let good = fs::read(&path).expect("the file");
            fs::write(&path, "broken").expect("a writable file");
            place.shows(Some(name));
            place.revoke(at % 2 == 0);
            place.shows(Some(name));
            fs::write(&path, good).expect("a writable file");
            place.shows(None);
        }
        let log = place.gateway.log();
        assert!(log.contains("no file is refused any more"), "{log}");
        for name in NEIGHBOURS {
            let told = log.lines().any(|line| {
                line.contains("changed file refused") && line.contains("ERROR") && line.contains(name)
            });
            assert!(told, "{name}:\n{log}");
        }
    }

    /// A list that is refused leaves the one before in force, and says so until it is mended.
    fn a_broken_list_leaves_the_one_before(driver) {
        let place = Place::start(driver);
        place.revoke(true);
        for broken in ["", "not a list", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
            fs::write(place.dir().join("clients.crl"), broken).expect("a writable file");
            place.shows(Some("clients.crl"));
            assert_eq!(place.status(), 400, "{broken}");
            // Another object comes into force meanwhile.
            let before = place.gateway.log().matches("files read again").count();
            Authority::new("new").server(&["other.test"]).write(place.dir(), "other");
            let taken = || (place.gateway.log().matches("files read again").count() > before).then_some(());
            assert!(poll(PATIENCE, taken).is_some(), "{}", place.gateway.log());
            assert_eq!(place.status(), 400, "{broken}");
            place.revoke(true);
            place.shows(None);
        }
    }

    /// Half of a renewal: an authority of the same name comes before its list does.
    fn an_authority_waits_for_the_list_that_fits_it(driver) {
        let place = Place::start(driver);
        place.revoke(true);
        let renewed = fs::create_dir(place.dir().join("new")).map(|()| place.dir().join("new"));
        let renewed = renewed.expect("a directory");
        let ca = authority(&renewed);
        let old_list = place.dir().join("clients.crl");
        fs::copy(renewed.join("clients.crt"), place.dir().join("clients.crt")).expect("a file");
        place.shows(Some("clients.crt"));
        assert_eq!(place.status(), 400);
        // Both fit now: the authority of before is not trusted any more.
        write_list(place.dir(), &ca, &[7]);
        assert!(old_list.exists());
        place.shows(None);
        let me = client(&renewed, &ca, "me", 9);
        let dial = Dial::with(Some("ours.test"), Some(&me), &[&TLS13]);
        let mut raw = dial.connect(place.gateway.port("front")).expect("a handshake");
        assert_eq!(get(&mut raw, "ours.test", "/").status(), 200);
    }
}
