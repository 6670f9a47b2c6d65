//! A connection serves only requests that would have made exactly the same one: each part of what it is known
//! by in the pool is changed alone, and many requests of two identities are mixed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use data_encoding::HEXLOWER;
use ferrule_tests::{
    Authority, Gateway, Leaf, PATIENCE, Raw, Reloaded, Script, Setup, Upstream, on_both_drivers,
    poll, raw, scratch, tls,
};
use ring::digest;

use crate::write_ca;

const ROUTE: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
upstream_id = "far"

[[upstreams]]
id = "far"
"#;

const NODE: &str = "scheme = \"https\"\nnodes = { \"127.0.0.1:@upstream@\" = 1 }\n";

/// What the connection shows and checks, unless a case says otherwise.
const TLS: [(&str, &str); 4] = [
    ("client_cert", "\"one.crt\""),
    ("client_key", "\"one.key\""),
    ("ca", "\"ca.crt\""),
    ("server_name", "\"up.test\""),
];

/// The settings with some of them changed, as a file.
fn file(changes: &[(&str, &str)]) -> String {
    let kept = TLS.into_iter().filter(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
    let keys: Vec<_> = kept
        .chain(changes.iter().copied())
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{ROUTE}{NODE}tls = {{ {} }}\n", keys.join(", "))
}

/// Answers with the common name that the client showed, and the number of the connection.
fn tells_who() -> Script {
    Arc::new(|client| {
        let certificate = client.certificate.clone().unwrap_or_default();
        let is = |name: &str| certificate.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        let name = ["one", "two"].into_iter().find(|name| is(name)).unwrap_or("nobody");
        let text = format!("{name} {}", client.number);
        while client.request().is_some() && client.answer(text.as_bytes()) {}
    })
}

/// The files that the cases name, and the leaf of the upstream.
fn files(dir: &Path) -> (Authority, Leaf) {
    let authority = Authority::new("ca");
    write_ca(dir, "ca", &authority);
    write_ca(dir, "other", &Authority::new("other"));
    let one = authority.client("one");
    one.write(dir, "one");
    authority.client_until("one", 77, &one.key_pem, 24 * 60 * PATIENCE).write(dir, "renewed");
    authority.client("two").write(dir, "two");
    let list = authority.revocation_list(&[4_711], 1);
    std::fs::write(dir.join("ca.crl"), list).expect("a writable directory");
    let leaf = authority.server(&["up.test", "also.test"]);
    (authority, leaf)
}

/// Who was seen, over which connection.
fn ask(gateway: &Gateway) -> (String, usize) {
    let answer = raw::plain_get(gateway.port("front"), "up.test", "/");
    assert_eq!(answer.status(), 200, "{answer:?}\n{}", gateway.log());
    let text = answer.text();
    let (name, number) = text.split_once(' ').expect("a name and a number");
    (name.to_owned(), number.parse().expect("a number"))
}

fn pin(leaf: &Leaf) -> String {
    let der = tls::certificates(&leaf.cert_pem).swap_remove(0);
    let digest = digest::digest(&digest::SHA256, &der);
    format!("[\"sha256:{}\"]", HEXLOWER.encode(digest.as_ref()))
}

fn reload(gateway: &mut Gateway, text: &str) {
    assert_eq!(gateway.reload(text), Reloaded::Taken, "{text}\n{}", gateway.log());
}

/// Sends some requests of each route in turn, over one connection after the other.
fn interleave(front: u16, first: usize, requests: usize) {
    let mut line = raw::plain(front);
    for number in 0..requests {
        // A client connection takes a thousand requests.
        if number % 500 == 499 {
            line = raw::plain(front);
        }
        let name = ["one", "two"][(first + number) % 2];
        let answer = raw::get(&mut line, "up.test", &format!("/{name}"));
        assert_eq!((answer.status(), answer.text().split(' ').next()), (200, Some(name)));
    }
}

on_both_drivers! {
    /// Trust, verification, pins, revocation, versions, name and own certificate: one at a time, by a reload.
    fn each_setting_of_tls_makes_another_connection(driver) {
        let scratch = scratch();
        let (authority, leaf) = files(scratch.path());
        let upstream = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), tells_who());
        let pins = pin(&leaf);
        let base = file(&[]);
        let setup = Setup::new(scratch.path(), driver, &base).set("upstream", &upstream.port);
        let mut gateway = setup.start();
        let own = |name: &str| [format!("\"{name}.crt\""), format!("\"{name}.key\"")];
        let [two, renewed] = [own("two"), own("renewed")];
        let cases: [&[(&str, &str)]; 8] = [
            &[("client_cert", &two[0]), ("client_key", &two[1])],
            &[("client_cert", &renewed[0]), ("client_key", &renewed[1])],
            &[("ca", "[\"ca.crt\", \"other.crt\"]")],
            &[("verify", "\"ca\"")],
            &[("pins", &pins)],
            &[("crl", "\"ca.crl\"")],
            &[("ssl_protocols", "[\"TLSv1.2\"]")],
            &[("server_name", "\"also.test\"")],
        ];
        let mut last = ask(&gateway).1;
        for change in cases {
            assert_eq!(ask(&gateway).1, last, "it is kept");
            reload(&mut gateway, &format!("{base}# nothing else\n"));
            assert_eq!(ask(&gateway).1, last, "a reload that changes nothing changes nothing");
            reload(&mut gateway, &file(change));
            let (name, number) = ask(&gateway);
            assert!(number > last, "{change:?}: {number} after {last}");
            let wanted = if change[0].1.contains("two") { "two" } else { "one" };
            assert_eq!(name, wanted, "{change:?}");
            assert_eq!(ask(&gateway).1, number, "{change:?}: it is kept");
            reload(&mut gateway, &base);
            let again = ask(&gateway).1;
            // What has another name only is as good as before, for its own name.
            let waited = change[0].0 == "server_name";
            assert!(if waited { again == last } else { again > number }, "{change:?}: {again}");
            last = again;
        }
    }

    /// What was made over TLS carries nothing in plain HTTP, and the other way round.
    fn each_scheme_has_its_own(driver) {
        let scratch = scratch();
        let (authority, leaf) = files(scratch.path());
        let upstream = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), tells_who());
        let secure = file(&[]);
        let plain = format!("{ROUTE}nodes = {{ \"127.0.0.1:@upstream@\" = 1 }}\n");
        let setup = Setup::new(scratch.path(), driver, &secure).set("upstream", &upstream.port);
        let mut gateway = setup.start();
        assert_eq!(ask(&gateway), ("one".to_owned(), 0));
        reload(&mut gateway, &plain);
        assert_eq!(raw::plain_get(gateway.port("front"), "up.test", "/").status(), 502);
        reload(&mut gateway, &secure);
        let (name, number) = ask(&gateway);
        assert_eq!((name.as_str(), number > 0), ("one", true), "{number}");
        assert_eq!(upstream.seen().len(), 2, "nothing came in plain HTTP");
    }

    /// Two nodes, and two names of one node that clients ask for.
    fn each_address_and_each_name_has_its_own(driver) {
        let scratch = scratch();
        let (authority, leaf) = files(scratch.path());
        let settings = || tls::server(&leaf, Some(&authority.cert_pem));
        let nodes = [Upstream::tls(settings(), tells_who()), Upstream::tls(settings(), tells_who())];
        let text = file(&[]).replace("= 1 }", "= 1, \"127.0.0.1:@second@\" = 1 }");
        let text = text.replace(", server_name = \"up.test\"", "");
        let setup = Setup::new(scratch.path(), driver, &text).set("upstream", &nodes[0].port);
        let gateway = setup.set("second", &nodes[1].port).start();
        for _ in 0..8 {
            for host in ["up.test", "up.test", "also.test", "also.test"] {
                let answer = raw::plain_get(gateway.port("front"), host, "/");
                assert_eq!(answer.status(), 200, "{answer:?}");
            }
        }
        for node in &nodes {
            assert_eq!((node.accepted(), node.seen().len()), (2, 16));
            for seen in node.seen() {
                let first = node.seen().into_iter().find(|one| one.connection == seen.connection);
                let host = |seen: &ferrule_tests::Message| seen.head.get("host").map(str::to_owned);
                assert_eq!(first.map(|first| host(&first.message)), Some(host(&seen.message)));
            }
        }
    }

    /// A header that names a client stands in front of that client's request alone.
    fn what_begins_with_a_clients_address_is_that_clients(driver) {
        let upstream = Upstream::plain(Arc::new(|client| {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") && line.len() < 107 {
                match client.talk.exactly(1) {
                    Ok(byte) => line.extend(byte),
                    Err(_) => return,
                }
            }
            while client.request().is_some() && client.answer(&line) {}
        }));
        let scratch = scratch();
        let node = "nodes = { \"127.0.0.1:@upstream@\" = 1 }\nproxy_protocol = \"v1\"\n";
        let setup = Setup::new(scratch.path(), driver, &format!("{ROUTE}{node}"));
        let gateway = setup.set("upstream", &upstream.port).start();
        let mut lines: Vec<Raw> = (0..2).map(|_| raw::plain(gateway.port("front"))).collect();
        for _ in 0..4 {
            for line in &mut lines {
                let own = line.stream.socket().local_addr().expect("an address").port().to_string();
                let text = raw::get(line, "x", "/").text();
                assert_eq!(text.split(' ').nth(4), Some(own.as_str()), "{text}");
            }
        }
        assert_eq!(upstream.accepted(), 8);
    }

    /// Two routes, one node, two identities, many clients, a small pool: never the wrong one.
    fn interleaved_identities_never_mix(driver) {
        let scratch = scratch();
        let (authority, leaf) = files(scratch.path());
        let upstream = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), tells_who());
        let routes = ["one", "two"].map(|name| {
            format!(
                "[[routes]]\nuri = \"/{name}\"\n[routes.upstream]\n{NODE}keepalive_pool = {{ size = 3, \
                 requests = 40 }}\ntls = {{ client_cert = \"{name}.crt\", client_key = \"{name}.key\", \
                 ca = \"ca.crt\", server_name = \"up.test\" }}\n"
            )
        });
        let text = format!("[[listen]]\naddress = \"127.0.0.1:@front@\"\n{}", routes.concat());
        let setup = Setup::new(scratch.path(), driver, &text).set("upstream", &upstream.port);
        let mut gateway = setup.quiet().start();
        let front = gateway.port("front");
        let each = if cfg!(debug_assertions) { 250 } else { 1_250 };
        let over = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            let clients: [_; 8] =
                std::array::from_fn(|first| scope.spawn(move || interleave(front, first, each)));
            // A reload that changes nothing comes in between.
            let again = Arc::clone(&over);
            let gateway = &mut gateway;
            let reloads = scope.spawn(move || {
                while !again.load(Ordering::SeqCst) {
                    reload(gateway, &text);
                }
            });
            let ended = clients.map(thread::ScopedJoinHandle::join);
            over.store(true, Ordering::SeqCst);
            reloads.join().expect("every reload was taken");
            assert!(ended.iter().all(Result::is_ok), "every answer was the right one");
        });
        assert_eq!(upstream.seen().len(), 8 * each);
        assert!(upstream.accepted() >= 8 * each / 40, "the pool's limits were met");
    }

    /// A renewed own certificate: the exchange that is under way ends in peace, and with it its connection.
    fn a_rotated_certificate_ends_connections_behind_their_last_exchange(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let (authority, leaf) = files(dir);
        authority.client("one").write(dir, "own");
        let (go, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let script: Script = {
            let (go, gone) = (Arc::clone(&go), Arc::clone(&gone));
            Arc::new(move |client| {
                let certificate = client.certificate.clone().unwrap_or_default();
                let two = certificate.windows(3).any(|bytes| bytes == b"two");
                while let Some(message) = client.request() {
                    if message.head.target() == "/slow" {
                        let _: Option<()> = poll(PATIENCE, || go.load(Ordering::SeqCst).then_some(()));
                    }
                    if !client.answer(if two { b"two" } else { b"one" }) {
                        return;
                    }
                }
                if !two {
                    gone.store(true, Ordering::SeqCst);
                }
            })
        };
        let upstream = Upstream::tls(tls::server(&leaf, Some(&authority.cert_pem)), script);
        let text = file(&[("client_cert", "\"own.crt\""), ("client_key", "\"own.key\"")]);
        let setup = Setup::new(dir, driver, &text).set("upstream", &upstream.port);
        let mut gateway = setup.start();
        let mut slow = raw::plain(gateway.port("front"));
        slow.send(b"GET /slow HTTP/1.1\r\nHost: up.test\r\n\r\n").expect("a connection");
        assert!(poll(PATIENCE, || (upstream.seen().len() == 1).then_some(())).is_some());
        authority.client("two").write(dir, "own");
        reload(&mut gateway, &text);
        assert_eq!(raw::plain_get(gateway.port("front"), "up.test", "/").text(), "two");
        assert!(!gone.load(Ordering::SeqCst), "an exchange is under way over it");
        go.store(true, Ordering::SeqCst);
        assert_eq!(slow.response("GET").expect("an answer").text(), "one");
        assert!(poll(PATIENCE, || gone.load(Ordering::SeqCst).then_some(())).is_some(), "it ends");
        assert_eq!(raw::get(&mut slow, "up.test", "/").text(), "two");
    }
}
