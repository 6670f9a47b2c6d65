//! The name of the connection and the name of the request.

use ferrule_tests::{Dial, on_both_drivers};

use super::World;

/// Every host that `closed.test`'s policy or that of the names below it protects, as somebody would
/// write it who hopes not to be understood.
const CLOSED: [&str; 8] = [
    "closed.test",
    "Closed.Test",
    "closed.test.",
    "closed.test:443",
    "x.closed.test",
    "X.cLOSED.tEST",
    "x.closed.test.",
    "x.closed.test.:8443",
];

on_both_drivers! {
    /// Traefik looked the host up among exact names only, so that one under a wildcard passed on a
    /// connection of an open name. Here one resolver finds the policy of both: 421, and nothing upstream.
    fn cve_2026_48491_a_host_under_a_wildcard_is_not_reached_by_another_name(driver) {
        let world = World::start(driver);
        for sni in [Some("open.test"), Some("neighbour.test"), Some("maybe.test"), Some("unknown.test"), None] {
            for host in ["x.closed.test", "closed.test", "y.closed.test"] {
                assert_eq!(world.ask(&Dial::new(sni), host).status(), 421, "{sni:?} {host}");
            }
        }
        let other = world.others.client("other");
        assert_eq!(world.ask(&Dial::as_client("other.test", &other), "x.closed.test").status(), 421);
        assert!(world.targets().is_empty());
    }

    /// The same by case, by a final dot, by a port, by the absolute form; and a server name in another
    /// case that led to weaker settings. Here names are compared as names.
    fn cve_2026_53622_a_name_is_the_same_in_every_spelling(driver) {
        let world = World::start(driver);
        for host in CLOSED {
            assert_eq!(world.ask(&Dial::new(Some("open.test")), host).status(), 421, "{host}");
            let mut raw = Dial::new(Some("open.test")).connect(world.front()).expect("a handshake");
            let request = format!("GET https://{host}/ HTTP/1.1\r\nHost: open.test\r\n\r\n");
            raw.send(request.as_bytes()).expect("a connection");
            assert_eq!(raw.response("GET").expect("an answer").status(), 421, "{host}");
        }
        for sni in ["CLOSED.TEST", "X.Closed.tesT", "x.closed.test"] {
            let host = sni.to_lowercase();
            assert_eq!(world.ask(&Dial::new(Some(sni)), &host).status(), 400, "{sni}");
        }
        assert!(world.targets().is_empty());
        let me = world.clients.client("me");
        assert_eq!(world.ask(&Dial::as_client("X.Closed.Test", &me), "x.CLOSED.test").status(), 200);
    }

    /// Traefik did not find the server name in a ClientHello that came in fragments, and used its
    /// default settings. Here a hello of one-byte records gets the settings of its name.
    fn cve_2026_32305_a_hello_in_fragments_gets_no_weaker_settings(driver) {
        let world = World::start(driver);
        for version in rustls::ALL_VERSIONS {
            for name in ["closed.test", "x.closed.test", "other.test"] {
                let dial = Dial::with(Some(name), None, &[version]).split_hello();
                assert_eq!(world.ask(&dial, name).status(), 400, "{version:?} {name}");
                assert_eq!(world.ask(&dial, "open.test").status(), 400, "{version:?} {name}");
            }
        }
        assert!(world.targets().is_empty());
    }
}
