//! What a handshake with an upstream proved stands until the first date that it rests on, or until the
//! files say otherwise: for connections that wait in the pool, and for tunnels.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ferrule_tests::exposition::Exposition;
use ferrule_tests::{
    Authority, Driver, Gateway, PATIENCE, Reloaded, Script, Setup, Upstream, echo, on_both_drivers,
    poll, raw, scratch, tls,
};

use crate::tunnel::{drained, echo_of, echoing, open};
use crate::tunnel_goodbye::{self, FROM_CLIENT, FROM_SERVER, Heard, copied, last_words, saying};
use crate::write_ca;

const CONFIG: &str = r#"
[metrics]
listen = "127.0.0.1:@metrics@"

[[listen]]
address = "127.0.0.1:@front@"

[[routes]]
uri = "/*"
enable_websocket = true
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { ca = "ca.crt", crl = "ca.crl", server_name = "up.test" }
"#;

const SERIAL: u64 = 0x0a;
const SOON: Duration = Duration::from_secs(4);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What ends: the node's certificate, or the list that says it is not revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ends {
    Certificate,
    List,
    Nothing,
}

struct Place {
    scratch: tempfile::TempDir,
    authority: Authority,
    upstream: Upstream,
    gateway: Gateway,
}

impl Place {
    fn start(driver: Driver, ends: Ends, script: Script) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let authority = Authority::new("ca");
        write_ca(dir, "ca", &authority);
        let end = |what| if ends == what { SOON } else { YEAR };
        let list = authority.revocation_list_until(&[], 1, end(Ends::List));
        fs::write(dir.join("ca.crl"), list).expect("a list");
        let leaf = authority.server_until(&["up.test"], SERIAL, end(Ends::Certificate));
        let upstream = Upstream::tls(tls::server(&leaf, None), script);
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        Self { scratch, authority, upstream, gateway }
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn ask(&self) -> u16 {
        raw::plain_get(self.gateway.port("front"), "x", "/").status()
    }

    fn list(&self, serials: &[u64]) {
        let list = self.authority.revocation_list(serials, 2);
        fs::write(self.dir().join("ca.new"), list).expect("a list");
        fs::rename(self.dir().join("ca.new"), self.dir().join("ca.crl")).expect("a list");
    }

    fn ended(&self) -> f64 {
        let text = raw::plain_get(self.gateway.port("metrics"), "127.0.0.1", "/metrics").text();
        Exposition::read(&text).sum("ferrule_upstream_revoked_total", &[])
    }

    fn wait_for(&self, text: &str) {
        let found = poll(PATIENCE, || self.gateway.log().contains(text).then_some(()));
        assert!(found.is_some(), "{text}:\n{}", self.gateway.log());
    }
}

on_both_drivers! {
    /// Requests come all the time, so that the connection never rests for long.
    fn a_pooled_connection_serves_no_longer_than_its_proof_stands(driver) {
        for ends in [Ends::Certificate, Ends::List] {
            let place = Place::start(driver, ends, echo());
            assert_eq!(place.ask(), 200, "{ends:?}");
            let refused = poll(SOON * 3, || (place.ask() == 502).then_some(()));
            assert!(refused.is_some(), "{ends:?}: {}", place.gateway.log());
            assert!(place.ended() >= 1.0, "{ends:?}");
            assert_eq!(place.ask(), 502, "{ends:?}");
        }
    }

    /// Nobody asks for anything meanwhile.
    fn a_pooled_connection_ends_with_its_certificate(driver) {
        let place = Place::start(driver, Ends::Certificate, echo());
        assert_eq!(place.ask(), 200);
        let ended = poll(SOON * 3, || (place.ended() >= 1.0).then_some(()));
        assert!(ended.is_some(), "{}", place.gateway.log());
    }

    fn a_new_list_ends_pooled_connections_and_good_nodes_are_met_again(driver) {
        let place = Place::start(driver, Ends::Nothing, echo());
        assert_eq!((place.ask(), place.ask(), place.upstream.accepted()), (200, 200, 1));
        place.list(&[0x77]);
        let ended = poll(PATIENCE, || (place.ended() >= 1.0).then_some(()));
        assert!(ended.is_some(), "{}", place.gateway.log());
        assert_eq!((place.ask(), place.upstream.accepted()), (200, 2));
        place.list(&[SERIAL]);
        let refused = poll(PATIENCE, || (place.ask() == 502).then_some(()));
        assert!(refused.is_some(), "{}", place.gateway.log());
    }

    fn a_tunnel_ends_with_what_its_upstreams_certificate_rests_on(driver) {
        for ends in [Ends::Certificate, Ends::List] {
            let place = Place::start(driver, ends, echoing());
            let mut tunnel = open(raw::plain(place.gateway.port("front")));
            echo_of(&mut tunnel, b"before");
            assert!(drained(&mut tunnel), "{ends:?}: {}", place.gateway.log());
            place.wait_for("a connected upstream is not trusted any more");
        }
    }

    fn a_tunnel_to_a_revoked_upstream_is_cut_and_to_a_good_one_kept(driver) {
        let place = Place::start(driver, Ends::Nothing, echoing());
        let mut tunnel = open(raw::plain(place.gateway.port("front")));
        place.list(&[0x77]);
        place.wait_for("files read again");
        // Longer than from one look to the next.
        for _ in 0..15 {
            let _: Option<()> = poll(Duration::from_millis(100), || None);
            echo_of(&mut tunnel, b"still here");
        }
        place.list(&[SERIAL]);
        assert!(drained(&mut tunnel), "{}", place.gateway.log());
        place.wait_for("a connected upstream is not trusted any more");
    }

    /// Not even a goodbye is for an upstream that is not trusted any more; the client may come back, to another one.
    fn an_upstream_that_is_not_trusted_any_more_is_told_nothing(driver) {
        let heard = Heard::default();
        let place = Place::start(driver, Ends::Nothing, saying(FROM_SERVER, &heard));
        let raw = raw::plain(place.gateway.port("front"));
        let mut tunnel = tunnel_goodbye::open(raw, FROM_SERVER, FROM_CLIENT, &heard);
        place.list(&[SERIAL]);
        assert_eq!(last_words(&mut tunnel), b"\x88\x02\x03\xe9", "{}", place.gateway.log());
        place.wait_for("a connected upstream is not trusted any more");
        assert_eq!(copied(&heard), FROM_CLIENT);
    }

    /// The configuration may change around a tunnel, but not lose what vouches for its other end.
    fn a_tunnel_needs_somebody_who_vouches_for_its_upstream(driver) {
        for (text, kept) in [
            (CONFIG.replace("enable_websocket = true", "enable_websocket = true\nid = \"r\""), true),
            (CONFIG.replace("scheme = \"https\"", "").replace("tls = {", "# tls = {"), false),
        ] {
            let text = text.replace("\n[routes.upstream]", "\nupstream_id = \"far\"\n[[upstreams]]\nid = \"far\"");
            let before = CONFIG.replace("\n[routes.upstream]", "\nupstream_id = \"far\"\n[[upstreams]]\nid = \"far\"");
            let scratch = scratch();
            let authority = Authority::new("ca");
            write_ca(scratch.path(), "ca", &authority);
            fs::write(scratch.path().join("ca.crl"), authority.revocation_list(&[], 1)).expect("a list");
            let leaf = authority.server(&["up.test"]);
            let upstream = Upstream::tls(tls::server(&leaf, None), echoing());
            let mut gateway =
                Setup::new(scratch.path(), driver, &before).set("upstream", &upstream.port).start();
            let mut tunnel = open(raw::plain(gateway.port("front")));
            assert_eq!(gateway.reload(&text), Reloaded::Taken);
            if kept {
                for _ in 0..15 {
                    let _: Option<()> = poll(Duration::from_millis(100), || None);
                    echo_of(&mut tunnel, b"still here");
                }
            } else {
                assert!(drained(&mut tunnel), "{}", gateway.log());
                let word = "not configured any more";
                let told = poll(PATIENCE, || gateway.log().contains(word).then_some(()));
                assert!(told.is_some(), "{}", gateway.log());
            }
        }
    }
}
