//! What a certificate says, and what it does not.

use ferrule_tests::zoo::asn1::{
    attribute, basic_constraints, common_name, element, extended, extension, name, sequence,
};
use ferrule_tests::zoo::{Issuer, Key, Kind, encode};
use ferrule_tests::{
    Authority, Dial, Driver, Leaf, Setup, Upstream, echo, on_both_drivers, raw, scratch, tls,
};

use super::{CONFIG, Scribe, World, alt_names, draft};

/// The `GeneralName`s that the tests use.
const MAIL: u8 = 1;
const DNS: u8 = 2;
const URI: u8 = 6;
const ADDRESS: u8 = 7;

/// The status for an upstream with this certificate, which must be of the name `up.test`.
fn upstream_status(driver: Driver, (scribe, leaf): (&Scribe, &Leaf)) -> u16 {
    let scratch = scratch();
    let text = super::super::PLAIN.replace(
        "upstream.nodes =",
        "upstream.scheme = \"https\"\nupstream.tls = { ca = \"ca.crt\", server_name = \"up.test\" }\nupstream.nodes =",
    );
    std::fs::write(scratch.path().join("ca.crt"), &scribe.pem).expect("a file");
    let upstream = Upstream::tls(tls::server(leaf, None), echo());
    let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port).start();
    raw::plain_get(gateway.port("front"), "x", "/").status()
}

on_both_drivers! {
    /// Envoy took certificates for a purpose that they did not have. Here a certificate for servers is
    /// none for a client.
    fn cve_2022_21657_a_servers_certificate_makes_no_client(driver) {
        let world = World::start(driver);
        let server = world.clients.server(&["client.test"]);
        assert_eq!(world.ask(&Dial::as_client("closed.test", &server), "closed.test").status(), 400);
        assert_eq!(world.ask(&Dial::as_client("maybe.test", &server), "maybe.test").status(), 400);
        let client = world.clients.client("client.test");
        assert_eq!(world.ask(&Dial::as_client("closed.test", &client), "closed.test").status(), 200);
    }

    /// Envoy compared every alternative name as text, whatever its type. Here a mail address or a URI that
    /// reads like a host is none, neither of an upstream nor in what is passed on of a client.
    fn cve_2022_21656_a_name_counts_as_what_it_is(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let scribe = Scribe::new(dir, "ca");
        for (choice, right) in [(MAIL, false), (URI, false), (ADDRESS, false), (DNS, true)] {
            let names = alt_names(&[(choice, b"up.test")]);
            let leaf = scribe.leaf(dir, common_name("up.test"), vec![names]);
            let status = upstream_status(driver, (&scribe, &leaf));
            assert_eq!(status, if right { 200 } else { 502 }, "{choice}");
        }
        let config = CONFIG.replace("X-Client-Mail = \"$ssl_client_san_email\"", "X-Client-Dns = \"$ssl_client_san_dns\"");
        let world = World::with(driver, &config);
        std::fs::write(world.dir().join("clients.crt"), &scribe.pem).expect("a file");
        let mut world = world;
        assert_eq!(world.gateway.signal_reload(), ferrule_tests::Reloaded::Taken);
        let names = alt_names(&[(MAIL, b"admin.test"), (URI, b"admin.test"), (DNS, b"me.test")]);
        let leaf = scribe.leaf(dir, common_name("me"), vec![names, extended(&["1.3.6.1.5.5.7.3.2"])]);
        let head = world.passed_on(Some(&Dial::as_client("closed.test", &leaf)), ("closed.test", ""));
        assert_eq!(head.all("x-client-dns"), ["me.test"]);
    }

    /// Envoy read a dNSName up to its first NUL. Here a name that holds one is no name, neither of an
    /// upstream nor in what is passed on.
    fn cve_2026_47778_a_name_does_not_end_at_nul(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let scribe = Scribe::new(dir, "ca");
        for name in [&b"up.test\0.evil.test"[..], b"up.test\0", b"\0up.test"] {
            let leaf = scribe.leaf(dir, common_name("x"), vec![alt_names(&[(DNS, name)])]);
            assert_eq!(upstream_status(driver, (&scribe, &leaf)), 502, "{name:?}");
        }
        let config = CONFIG.replace("X-Client-Mail = \"$ssl_client_san_email\"", "X-Client-Dns = \"$ssl_client_san_dns\"");
        let mut world = World::with(driver, &config);
        std::fs::write(world.dir().join("clients.crt"), &scribe.pem).expect("a file");
        assert_eq!(world.gateway.signal_reload(), ferrule_tests::Reloaded::Taken);
        let names = alt_names(&[(DNS, b"admin.test\0.evil.test")]);
        let leaf = scribe.leaf(dir, common_name("me"), vec![names]);
        let answer = world.ask(&Dial::as_client("closed.test", &leaf), "closed.test");
        let told = world.targets().is_empty() || !answer.text().contains("admin.test\r\n");
        assert!(told, "{answer:?}");
        assert!(!answer.text().contains('\0'), "{answer:?}");
    }

    /// HAProxy (#3486) took the common name for the host where there were alternative names. Here it is
    /// never one.
    fn haproxy_3486_the_common_name_is_no_host(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let scribe = Scribe::new(dir, "ca");
        for extensions in [vec![], vec![alt_names(&[(DNS, b"other.test")])]] {
            let leaf = scribe.leaf(dir, common_name("up.test"), extensions);
            assert_eq!(upstream_status(driver, (&scribe, &leaf)), 502);
        }
    }

    /// Names of a certificate end up in fields and logs. Here a line feed or a quote in one begins no
    /// new field, and no new line or member in a log.
    fn hostile_names_stay_one_value(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let scribe = Scribe::new(dir, "ca");
        let log = "access = { path = \"access.log\", format = \"json\" }";
        std::fs::write(dir.join("clients.crt"), &scribe.pem).expect("a file");
        let front = Authority::new("front");
        crate::write_ca(dir, "others", &front);
        front.server(&["open.test"]).write(dir, "open");
        front.server(&["closed.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let mut gateway = Setup::new(dir, driver, CONFIG).log_line(log).set("upstream", &upstream.port).start();
        let words = b"a\r\nX-Admin: yes\"}\n{\"status\":1,\"x\":\"\\";
        let subject = name(&[&[attribute("2.5.4.3", 12, words)]]);
        let leaf = scribe.leaf(dir, subject, Vec::new());
        let dial = Dial::as_client("closed.test", &leaf);
        let answer = dial.get(gateway.port("front"), "closed.test", "/").expect("an answer");
        assert!(upstream.seen().iter().all(|seen| seen.message.head.all("x-admin").is_empty()), "{answer:?}");
        assert!(gateway.stop().success());
        let text = std::fs::read_to_string(dir.join("access.log")).expect("a log");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("a line of JSON");
        assert_eq!(line["status"], answer.status());
    }

    /// Names that one reader knew by the number of their tag, and constraints by the whole of it, made
    /// constraints of none. Here a CA that is held to some names issues no others, however they are written.
    fn a_tag_of_another_form_passes_no_constraint(driver) {
        let config = CONFIG.replacen(
            "client.ca = \"clients.crt\"",
            "client.ca = \"clients.crt\"\nclient.allow = [\"URI:spiffe://prod.example/admin\"]",
            1,
        );
        let mut world = World::with(driver, &config);
        let dir = world.dir().to_owned();
        let root = Scribe::new(&dir, "ca");
        std::fs::write(dir.join("clients.crt"), &root.pem).expect("a file");
        assert_eq!(world.gateway.signal_reload(), ferrule_tests::Reloaded::Taken);
        let sub = Issuer { name: common_name("sub"), key: Key::new(&dir, "sub", Kind::P256) };
        let base = sequence(&[&element(0x86, b".partner.example")]);
        let held = extension("2.5.29.30", true, &sequence(&[&element(0xa0, &base)]));
        for (tag, constrained, status) in
            [(0x86, false, 200), (0x86, true, 400), (0xa6, false, 400), (0xa6, true, 400), (0x06, true, 400)]
        {
            let mut extensions = vec![basic_constraints(true, None)];
            extensions.extend(constrained.then(|| held.clone()));
            let sub_der = draft(sub.name.clone(), extensions).sign(&sub.key, &root.issuer);
            let key = Key::new(&dir, "leaf", Kind::P256);
            let names = element(0x30, &element(tag, b"spiffe://prod.example/admin"));
            let names = vec![extension("2.5.29.17", false, &names), extended(&["1.3.6.1.5.5.7.3.2"])];
            let der = draft(common_name("me"), names).sign(&key, &sub);
            let file = dir.join("leaf.pem");
            let chain = [der, sub_der].map(|der| encode("CERTIFICATE", &der)).concat();
            std::fs::write(&file, chain).expect("a chain");
            let dial = Dial::as_client("closed.test", &Leaf::read(&file, &key.path));
            let answer = world.ask(&dial, "closed.test");
            assert_eq!(answer.status(), status, "{tag:02x} {constrained}: {answer:?}");
        }
    }

    /// Chains may be as long as a peer likes. Here ten certificates are enough, and more are refused
    /// before any signature is looked at.
    fn a_chain_of_eleven_is_refused(driver) {
        let world = World::start(driver);
        let me = world.clients.client("me");
        for (more, status) in [(9, 200), (10, 400), (40, 400)] {
            let leaf = me.clone().behind(&world.others.cert_pem.repeat(more));
            let dial = Dial::as_client("closed.test", &leaf);
            assert_eq!(world.ask(&dial, "closed.test").status(), status, "{more}");
        }
    }
}
