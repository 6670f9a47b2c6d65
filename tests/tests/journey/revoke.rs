//! A certificate that is revoked ends: the connections it has, and those it would like to have.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ferrule_tests::raw::get;
use ferrule_tests::zoo::asn1::{basic_constraints, common_name, element};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft, encode};
use ferrule_tests::{
    Authority, Dial, Leaf, PATIENCE, Raw, Revoke, Setup, Upstream, echo, on_both_drivers, poll,
    scratch,
};
use rustls::version::TLS13;

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
client = { ca = "clients.crt", crl = "clients.crl", clock_skew = "1m" }

[[routes]]
uri = "/*"
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
fn write_list(dir: &Path, ca: &Issuer, serials: &[u8]) {
    let list = ListDraft {
        version: 2,
        this_update: element(0x17, b"240101000000Z"),
        next_update: element(0x18, b"20980101000000Z"),
        revoked: serials.iter().map(|serial| (vec![*serial], Vec::new())).collect(),
        extensions: Vec::new(),
    };
    fs::write(dir.join("clients.crl"), encode("X509 CRL", &list.sign(ca))).expect("a list");
}

fn client(dir: &Path, ca: &Issuer, name: &str, serial: u8) -> Leaf {
    let key = Key::new(dir, name, Kind::P256);
    let der = draft(name, serial, Vec::new()).sign(&key, ca);
    let file = dir.join(format!("{name}.crt"));
    fs::write(&file, encode("CERTIFICATE", &der)).expect("a certificate");
    Leaf::read(&file, &key.path)
}

on_both_drivers! {
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
        let ca = Issuer { name: common_name("clients"), key: Key::new(dir, "ca", Kind::P256) };
        let root = draft("clients", 1, vec![basic_constraints(true, None)]).sign(&ca.key, &ca);
        fs::write(dir.join("clients.crt"), encode("CERTIFICATE", &root)).expect("a CA");
        write_list(dir, &ca, &[]);
        Authority::new("front").server(&["ours.test"]).write(dir, "server");
        let (good, bad) = (client(dir, &ca, "good", 2), client(dir, &ca, "bad", 3));
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
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
}
