//! What is missing, refused or unread must not make anybody trusted.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};

use ferrule_tests::{Authority, Dial, Reloaded, Setup, on_both_drivers, raw, scratch};

use super::{CONFIG, World};
use crate::PLAIN;

on_both_drivers! {
    /// Caddy trusted the system's authorities where the file of client CAs could not be read. Here it
    /// does not start, and a reload changes nothing.
    fn cve_2026_27586_a_missing_authority_trusts_nobody(driver) {
        let mut world = World::start(driver);
        let file = world.dir().join("clients.crt");
        let (me, stranger) = (world.clients.client("me"), Authority::new("public").client("me"));
        for broken in [None, Some(""), Some("not a certificate"), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            match broken {
                None => fs::remove_file(&file).expect("a file"),
                Some(text) => fs::write(&file, text).expect("a file"),
            }
            let (code, said) = Setup::new(world.dir(), driver, CONFIG).named("again").set("upstream", &1).check();
            assert_ne!(code, Some(0), "{broken:?}: {said}");
            assert!(said.contains("clients.crt"), "{broken:?}: {said}");
            assert_eq!(world.gateway.signal_reload(), Reloaded::Refused, "{broken:?}");
            let ask = |leaf| world.ask(&Dial::as_client("closed.test", leaf), "closed.test").status();
            assert_eq!((ask(&me), ask(&stranger)), (200, 400), "{broken:?}");
        }
        let none = CONFIG.replace("client.ca = \"clients.crt\"", "client.ca = []");
        let (code, said) = Setup::new(world.dir(), driver, &none).named("none").set("upstream", &1).check();
        assert_ne!(code, Some(0), "{said}");
    }

    /// nginx's stream module asked about revocation, and let the client in whatever came of it. Here
    /// a revoked client is refused in every mode that verifies, and on both ways to refuse.
    fn cve_2026_28755_what_revocation_says_counts(driver) {
        for (verify, reject) in [("on", "http"), ("on", "handshake"), ("optional", "http"), ("optional_no_ca", "http")] {
            let lines = format!(
                "client = {{ ca = \"clients.crt\", crl = \"clients.crl\", verify = \"{verify}\", reject = \"{reject}\" }}"
            );
            let text = CONFIG.replace("client.ca = \"clients.crt\"\nclient.verify = \"optional\"", &lines);
            let scratch = scratch();
            let dir = scratch.path();
            let (clients, others) = (Authority::new("clients"), Authority::new("others"));
            crate::write_ca(dir, "clients", &clients);
            crate::write_ca(dir, "others", &others);
            clients.server(&["open.test"]).write(dir, "open");
            clients.server(&["closed.test"]).write(dir, "server");
            fs::write(dir.join("clients.crl"), clients.revocation_list(&[9], 1)).expect("a list");
            let upstream = ferrule_tests::Upstream::plain(ferrule_tests::echo());
            let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
            let front = gateway.port("front");
            let ask = |serial| {
                let leaf = clients.client_with("me", serial);
                Dial::as_client("maybe.test", &leaf).get(front, "maybe.test", "/")
            };
            assert_eq!(ask(8).expect("an answer").status(), 200, "{verify} {reject}");
            match ask(9) {
                Ok(answer) => assert_eq!((reject, answer.status()), ("http", 400), "{verify}"),
                Err(_) => assert_eq!(reject, "handshake", "{verify}"),
            }
            assert_eq!(upstream.seen().len(), 1, "{verify} {reject}");
        }
    }

    /// nginx took what somebody had put in front of the handshake with an upstream for its answer. Here
    /// it is no TLS, and a 502.
    fn cve_2026_1642_plain_text_before_the_handshake_is_no_answer(driver) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected");
                let _ = ferrule_tests::Conversation::new(stream).rest();
            }
        });
        let scratch = scratch();
        let text = PLAIN.replace(
            "upstream.nodes =",
            "upstream.scheme = \"https\"\nupstream.tls = { verify = \"off\" }\nupstream.nodes =",
        );
        let gateway = Setup::new(scratch.path(), driver, &text).set("upstream", &port).start();
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 502);
    }
}
