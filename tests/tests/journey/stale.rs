//! What a client's verdict rests on ends while the client is connected: an issuer, a revocation list.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ferrule_tests::raw::get;
use ferrule_tests::zoo::asn1::{basic_constraints, common_name, element, generalized};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, ListDraft, encode};
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Raw, Setup, Upstream, echo, on_both_drivers,
    poll, scratch, shell,
};
use rustls::version::TLS13;

use crate::tunnel::{drained, echo_of, echoing, open};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x"
cert = "server.crt"
key = "server.key"
client = { @verify@, on_revoke = "keep" }

[[routes]]
uri = "/*"
@route@
enable_websocket = true
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const PLAIN: &str = r#"ca = "clients.crt", clock_skew = "0s""#;
const LISTED: &str = r#"ca = "clients.crt", crl = "clients.crl", clock_skew = "0s""#;

const FAR: &[u8] = b"20980101000000Z";

fn draft(subject: &str, end: &[u8], extensions: Vec<Vec<u8>>) -> Draft {
    Draft {
        version: 3,
        serial: vec![7],
        subject: common_name(subject),
        not_before: element(0x17, b"200101000000Z"),
        not_after: element(0x18, end),
        extensions,
        digest: Digest::Sha256,
    }
}

fn soon(dir: &Path) -> String {
    shell(dir, "date -u -d '+6 seconds' +%Y%m%d%H%M%SZ").trim().to_owned()
}

fn write(dir: &Path, name: &str, ders: &[&[u8]]) {
    let text: String = ders.iter().map(|der| encode("CERTIFICATE", der)).collect();
    fs::write(dir.join(name), text).expect("certificates");
}

/// A CA with an empty list that ends then, and a client below an intermediate that ends then.
fn stage(dir: &Path, (issuer_end, list_end): (&[u8], &[u8])) -> Leaf {
    let named =
        |name: &str| Issuer { name: common_name(name), key: Key::new(dir, name, Kind::P256) };
    let (root, between) = (named("root"), named("between"));
    let ca = || vec![basic_constraints(true, None)];
    write(dir, "clients.crt", &[&draft("root", FAR, ca()).sign(&root.key, &root)]);
    let list = |issuer: &Issuer| {
        let list = ListDraft {
            version: 2,
            this_update: element(0x17, b"240101000000Z"),
            next_update: generalized(str::from_utf8(list_end).expect("text")),
            revoked: Vec::new(),
            extensions: Vec::new(),
        };
        encode("X509 CRL", &list.sign(issuer))
    };
    fs::write(dir.join("clients.crl"), list(&root) + &list(&between)).expect("lists");
    Authority::new("front").server(&["x"]).write(dir, "server");
    let issuer = draft("between", issuer_end, ca()).sign(&between.key, &root);
    let key = Key::new(dir, "leaf", Kind::P256);
    let leaf = draft("leaf", FAR, Vec::new()).sign(&key, &between);
    write(dir, "leaf.crt", &[&leaf, &issuer]);
    Leaf::read(&dir.join("leaf.crt"), &key.path)
}

fn start(dir: &Path, driver: Driver, upstream: &Upstream, client: &str) -> Gateway {
    let text = CONFIG.replace("@verify@", client).replace("@route@", "");
    Setup::new(dir, driver, &text).set("upstream", &upstream.port).start()
}

fn connect(gateway: &Gateway, leaf: &Leaf) -> Raw {
    let dial = Dial::with(Some("x"), Some(leaf), &[&TLS13]);
    dial.connect(gateway.port("front")).expect("a handshake")
}

/// Asks until it is refused in this way.
fn refused(raw: &mut Raw, status: u16) -> bool {
    let ask = || {
        let _: Option<()> = poll(Duration::from_millis(100), || None);
        let sent = raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        match sent.and_then(|()| raw.response("GET")) {
            Ok(answer) => (answer.status() == status).then_some(()),
            // It was ended between two requests; only a route's refusal lets it live on.
            Err(_) => (status == 400).then_some(()),
        }
    };
    poll(PATIENCE, ask).is_some()
}

on_both_drivers! {
    fn a_connection_does_not_outlive_its_clients_issuer(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let leaf = stage(dir, (soon(dir).as_bytes(), FAR));
        let gateway = start(dir, driver, &upstream, PLAIN);
        let (mut busy, mut idle) = (connect(&gateway, &leaf), connect(&gateway, &leaf));
        for raw in [&mut busy, &mut idle] {
            assert_eq!(get(raw, "x", "/").status(), 200);
        }
        assert!(refused(&mut busy, 400), "{}", gateway.log());
        assert_eq!(idle.rest().expect("an orderly end"), b"");
    }

    fn a_connection_does_not_outlive_the_list_it_was_judged_by(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let leaf = stage(dir, (FAR, soon(dir).as_bytes()));
        let gateway = start(dir, driver, &upstream, LISTED);
        let (mut busy, mut idle) = (connect(&gateway, &leaf), connect(&gateway, &leaf));
        for raw in [&mut busy, &mut idle] {
            assert_eq!(get(raw, "x", "/").status(), 200);
        }
        assert!(refused(&mut busy, 400), "{}", gateway.log());
        assert_eq!(idle.rest().expect("an orderly end"), b"");
    }

    /// By the authorities of the name, and by those of the route.
    fn a_tunnel_does_not_outlive_the_list_it_was_judged_by(driver) {
        for by_route in [false, true] {
            let (scratch, upstream) = (scratch(), Upstream::plain(echoing()));
            let dir = scratch.path();
            let leaf = stage(dir, (FAR, soon(dir).as_bytes()));
            let (name, route) = if by_route {
                (r#"verify = "optional_no_ca""#, format!("client = {{ {LISTED} }}"))
            } else {
                (LISTED, String::new())
            };
            let text = CONFIG.replace("@verify@", name).replace("@route@", &route);
            let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
            let mut raw = open(connect(&gateway, &leaf));
            echo_of(&mut raw, b"not yet");
            assert!(drained(&mut raw), "{}", gateway.log());
            let told = || gateway.log().contains("a tunnel was cut").then_some(());
            assert!(poll(PATIENCE, told).is_some(), "{}", gateway.log());
        }
    }

    /// The same for requests on a route with authorities of its own.
    fn a_route_does_not_trust_longer_than_its_list(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let leaf = stage(dir, (FAR, soon(dir).as_bytes()));
        let route = format!("client = {{ {LISTED} }}");
        let text = CONFIG.replace("@verify@", r#"verify = "optional_no_ca""#);
        let text = text.replace("@route@", &route);
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let mut raw = connect(&gateway, &leaf);
        assert_eq!(get(&mut raw, "x", "/").status(), 200);
        assert!(refused(&mut raw, 403), "{}", gateway.log());
    }
}
