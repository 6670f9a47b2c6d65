//! A certificate that is revoked ends: the connections it has, and those it would like to have.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ferrule_tests::raw::get;
use ferrule_tests::zoo::asn1::{basic_constraints, common_name, element, generalized};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft, encode};
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Raw, Revoke, Setup, Upstream, echo,
    on_both_drivers, poll, scratch, shell,
};
use rustls::version::TLS13;

use crate::tunnel::{drained, echo_of, echoing, open};

pub(crate) const CLIENT: &str =
    r#"client = { ca = "clients.crt", crl = "clients.crl", clock_skew = "1m" }"#;

/// The name lets strangers pass; a route does not.
const BY_ROUTE: &str = r#"
[[routes]]
uri = "/members/*"
client = { ca = "clients.crt", crl = "clients.crl", clock_skew = "1m" }
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

pub(crate) const CONFIG: &str = r#"
[identity_headers]
X-Client = "$ssl_client_verify $ssl_client_s_dn"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "ours.test"
cert = "server.crt"
key = "server.key"
@client@

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// A WebSocket for whoever may be here.
const TUNNELS: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", crl = "clients.crl", clock_skew = "0s", on_revoke = "@on_revoke@" }

[[routes]]
uri = "/*"
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// The same where the name lets strangers pass, and a route does not.
const TUNNELS_BY_ROUTE: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client = { verify = "optional_no_ca", on_revoke = "keep" }

[[routes]]
uri = "/*"
client = { ca = "clients.crt", crl = "clients.crl", clock_skew = "0s" }
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

fn draft(subject: &str, serial: u8, extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![serial],
        subject: common_name(subject),
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x18, b"20990101000000Z"),
        extensions,
        digest: Digest::Sha256,
    }
}

/// The list of this CA with these serial numbers, in place of the one before.
pub(crate) fn write_list(dir: &Path, ca: &Issuer, serials: &[u8]) {
    let list = ListDraft {
        version: 2,
        this_update: element(0x17, b"240101000000Z"),
        next_update: element(0x18, b"20980101000000Z"),
        revoked: serials.iter().map(|serial| (vec![*serial], Vec::new())).collect(),
        extensions: Vec::new(),
    };
    fs::write(dir.join("clients.crl"), encode("X509 CRL", &list.sign(ca))).expect("a list");
}

pub(crate) fn client(dir: &Path, ca: &Issuer, name: &str, serial: u8) -> Leaf {
    issue(dir, ca, &draft(name, serial, Vec::new()), name)
}

fn issue(dir: &Path, ca: &Issuer, draft: &Draft, name: &str) -> Leaf {
    let key = Key::new(dir, name, Kind::P256);
    let der = draft.sign(&key, ca);
    let file = dir.join(format!("{name}.crt"));
    fs::write(&file, encode("CERTIFICATE", &der)).expect("a certificate");
    Leaf::read(&file, &key.path)
}

/// The CA, with its certificate and an empty list in place; and those of the server.
pub(crate) fn authority(dir: &Path) -> Issuer {
    let ca = Issuer { name: common_name("clients"), key: Key::new(dir, "ca", Kind::P256) };
    let root = draft("clients", 1, vec![basic_constraints(true, None)]).sign(&ca.key, &ca);
    fs::write(dir.join("clients.crt"), encode("CERTIFICATE", &root)).expect("a CA");
    write_list(dir, &ca, &[]);
    Authority::new("front").server(&["ours.test", "x"]).write(dir, "server");
    ca
}

pub(crate) fn tunnels(dir: &Path, driver: Driver, upstream: &Upstream, on_revoke: &str) -> Gateway {
    Setup::new(dir, driver, TUNNELS)
        .log_line("access = { path = \"access.log\", format = '$status' }")
        .set("upstream", &upstream.port)
        .set("on_revoke", &on_revoke)
        .start()
}

pub(crate) fn dig(gateway: &Gateway, leaf: &Leaf) -> Raw {
    let dial = Dial::with(Some("x"), Some(leaf), &[&TLS13]);
    open(dial.connect(gateway.port("front")).expect("a handshake"))
}

/// Is it open for longer than tunnels take to look up?
fn lives_on(raw: &mut Raw) {
    for _ in 0..12 {
        let _: Option<()> = poll(Duration::from_millis(200), || None);
        echo_of(raw, b"still here");
    }
}

on_both_drivers! {
    /// A route judges every request, of live connections too: its own lists are watched.
    fn a_client_that_a_route_revokes_is_refused_there(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let ca = authority(dir);
        let (good, bad) = (client(dir, &ca, "good", 2), client(dir, &ca, "bad", 3));
        let upstream = Upstream::plain(echo());
        let open = "client = { verify = \"optional_no_ca\", on_revoke = \"keep\" }";
        let text = format!("{}{BY_ROUTE}", CONFIG.replace("@client@", open));
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let dial = |leaf: &Leaf| Dial::as_client("ours.test", leaf).resuming();
        let (good, bad) = (dial(&good), dial(&bad));
        let connect = |dial: &Dial| dial.connect(gateway.port("front")).expect("a handshake");
        let (mut kept, mut ended) = (connect(&good), connect(&bad));
        for raw in [&mut kept, &mut ended] {
            let text = get(raw, "ours.test", "/members/").text();
            assert!(text.contains("\r\nX-Client: SUCCESS CN="), "{text}");
        }
        write_list(dir, &ca, &[3]);
        let refused = poll(PATIENCE, || {
            let answer = get(&mut ended, "ours.test", "/members/");
            (answer.status() == 403).then(|| answer.text())
        });
        assert!(refused.as_ref().is_some_and(|text| text.contains("client-not-verified")), "{refused:?}");
        assert_eq!(get(&mut ended, "ours.test", "/").status(), 200);
        assert_eq!(get(&mut kept, "ours.test", "/members/").status(), 200);
        // The session is of the name, and is resumed; the route judges the certificate all the same.
        for (dial, status) in [(&bad, 403), (&good, 200)] {
            let mut again = connect(dial);
            assert!(again.stream.is_resumed());
            assert_eq!(get(&mut again, "ours.test", "/members/").status(), status);
        }
        write_list(dir, &ca, &[]);
        let back = poll(PATIENCE, || {
            (get(&mut ended, "ours.test", "/members/").status() == 200).then_some(())
        });
        assert!(back.is_some(), "{}", gateway.log());
    }

    /// Of many the ones on the list, and no other; `cargo run --release -p ferrule-tools --bin revoke`
    /// does the same with ten thousand.
    fn the_revoked_of_a_crowd_are_sent_away(driver) {
        let scratch = scratch();
        let revoke = Revoke {
            driver,
            connections: 300,
            revoked: 60,
            workers: 1,
            measure: Duration::ZERO,
            rate: 100,
            // Two seconds is what a release build keeps; this one has debug assertions, and company.
            limit: Duration::from_secs(5),
        };
        let report = revoke.run(scratch.path());
        assert!(report.problems().is_empty(), "{:?}\n{report}", report.problems());
    }

    fn a_revoked_client_is_sent_away_and_no_other(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let ca = authority(dir);
        let (good, bad) = (client(dir, &ca, "good", 2), client(dir, &ca, "bad", 3));
        let upstream = Upstream::plain(echo());
        let text = CONFIG.replace("@client@", CLIENT);
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let connect = |leaf: &Leaf| -> Raw {
            let dial = Dial::with(Some("ours.test"), Some(leaf), &[&TLS13]);
            dial.connect(gateway.port("front")).expect("a handshake")
        };
        let (mut kept, mut ended) = (connect(&good), connect(&bad));
        for raw in [&mut kept, &mut ended] {
            assert_eq!(get(raw, "ours.test", "/").status(), 200);
        }
        write_list(dir, &ca, &[3]);
        assert_eq!(ended.rest().expect("an orderly end"), b"");
        assert_eq!(get(&mut kept, "ours.test", "/").status(), 200);
        assert_eq!(get(&mut connect(&bad), "ours.test", "/").status(), 400);
        assert_eq!(get(&mut connect(&good), "ours.test", "/").status(), 200);
        // A list that nobody can read changes nothing, and says so.
        fs::write(dir.join("clients.crl"), "not a list").expect("a file");
        let told = poll(PATIENCE, || {
            gateway.log().contains("there is no revocation list in").then_some(())
        });
        assert!(told.is_some(), "{}", gateway.log());
        assert_eq!(get(&mut connect(&bad), "ours.test", "/").status(), 400);
        assert_eq!(get(&mut kept, "ours.test", "/").status(), 200);
    }

    /// A tunnel has no next request to end behind: "close" and "cut" end it at once.
    fn a_revoked_client_loses_its_tunnel_unless_it_is_to_be_kept(driver) {
        for on_revoke in ["close", "cut", "keep"] {
            let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
            let dir = scratch.path();
            let ca = authority(dir);
            let (good, bad) = (client(dir, &ca, "good", 2), client(dir, &ca, "bad", 3));
            let gateway = tunnels(dir, driver, &upstream, on_revoke);
            let (mut kept, mut ended) = (dig(&gateway, &good), dig(&gateway, &bad));
            write_list(dir, &ca, &[3]);
            let taken = || gateway.log().contains("files read again").then_some(());
            assert!(poll(PATIENCE, taken).is_some(), "{}", gateway.log());
            if on_revoke == "keep" {
                lives_on(&mut ended);
                assert!(!gateway.log().contains("a tunnel was cut"), "{}", gateway.log());
            } else {
                assert!(drained(&mut ended));
                let told = || gateway.log().contains("a tunnel was cut").then_some(());
                assert!(poll(PATIENCE, told).is_some(), "{}", gateway.log());
                let line = || fs::read_to_string(dir.join("access.log")).ok().filter(|text| !text.is_empty());
                assert_eq!(poll(PATIENCE, line).as_deref(), Some("101\n"));
            }
            lives_on(&mut kept);
        }
    }

    /// The route's own lists hold for the tunnels that it has let in.
    fn a_client_that_a_route_revokes_loses_its_tunnel(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let dir = scratch.path();
        let ca = authority(dir);
        let (good, bad) = (client(dir, &ca, "good", 2), client(dir, &ca, "bad", 3));
        let setup = Setup::new(dir, driver, TUNNELS_BY_ROUTE).set("upstream", &upstream.port);
        let gateway = setup.start();
        let (mut kept, mut ended) = (dig(&gateway, &good), dig(&gateway, &bad));
        echo_of(&mut ended, b"not yet");
        write_list(dir, &ca, &[3]);
        assert!(drained(&mut ended), "{}", gateway.log());
        let told = || gateway.log().contains("reason=\"client-not-verified\"").then_some(());
        assert!(poll(PATIENCE, told).is_some(), "{}", gateway.log());
        lives_on(&mut kept);
    }

    /// What is over is over, whatever is to become of the revoked.
    fn a_tunnel_ends_with_its_clients_certificate(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
        let dir = scratch.path();
        let ca = authority(dir);
        let soon = shell(dir, "date -u -d '+6 seconds' +%Y%m%d%H%M%SZ");
        let brief = Draft { not_after: generalized(soon.trim()), ..draft("brief", 4, Vec::new()) };
        let brief = issue(dir, &ca, &brief, "brief");
        let gateway = tunnels(dir, driver, &upstream, "keep");
        let (mut kept, mut ended) = (dig(&gateway, &client(dir, &ca, "good", 2)), dig(&gateway, &brief));
        echo_of(&mut ended, b"not yet");
        assert!(drained(&mut ended));
        let told = || {
            let log = gateway.log();
            let line = log.lines().find(|line| line.contains("a tunnel was cut"))?;
            Some(line.contains("reason=\"certificate-expired\""))
        };
        assert_eq!(poll(PATIENCE, told), Some(true), "{}", gateway.log());
        echo_of(&mut kept, b"still here");
    }
}
