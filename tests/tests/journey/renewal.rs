//! A client's certificate is renewed, and the client still holds a session of the old one.
//!
//! TLS carries the old certificate along in a session, so that a resumed one is the old identity: for
//! as long as that is good. Once it is not, the same client gets in by a full handshake, with the new.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ferrule_tests::raw::{Wallet, get};
use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Leaf, PATIENCE, Setup, Upstream, echo, now, on_both_drivers,
    poll, scratch,
};
use rustls::version::{TLS12, TLS13};

use crate::write_ca;

const CONFIG: &str = r#"
[identity_headers]
X-Serial = "$ssl_client_serial"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "ours.test"
cert = "server.crt"
key = "server.key"
client = { ca = "clients.crt", crl = "clients.crl" }

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const OLD: &str = "0A";
const NEW: &str = "0B";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

struct Place {
    scratch: tempfile::TempDir,
    _upstream: Upstream,
    gateway: Gateway,
    clients: Authority,
}

/// One client in the middle of its renewal.
struct Client {
    what: String,
    dial: Dial,
    wallet: Arc<Wallet>,
    renewed: Leaf,
}

impl Place {
    fn start(driver: Driver) -> Self {
        let scratch = scratch();
        let dir = scratch.path();
        let clients = Authority::new("clients");
        write_ca(dir, "clients", &clients);
        fs::write(dir.join("clients.crl"), clients.revocation_list(&[], 1)).expect("a list");
        clients.server(&["ours.test"]).write(dir, "server");
        let upstream = Upstream::plain(echo());
        let gateway = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port).start();
        Self { scratch, _upstream: upstream, gateway, clients }
    }

    /// A request on a connection of its own: was the session resumed, and which certificate is the
    /// upstream told of? `None` is a client that was not let in.
    fn visit(&self, dial: &Dial) -> (bool, Option<String>) {
        let mut raw = dial.connect(self.gateway.port("front")).expect("a handshake");
        let resumed = raw.stream.is_resumed();
        let answer = get(&mut raw, "ours.test", "/");
        let text = answer.text();
        let serial = text.lines().find_map(|line| line.strip_prefix("X-Serial: "));
        (resumed, serial.filter(|_| answer.status() == 200).map(str::to_owned))
    }

    /// Clients with sessions of a certificate that ends so soon: of each kind of session, with each
    /// kind of renewal.
    fn clients(&self, end: Duration) -> Vec<Client> {
        let mut all = Vec::new();
        for (new_key, word) in [(false, "the same key"), (true, "another key")] {
            for (kind, memory) in ["a ticket of 1.3", "a ticket of 1.2", "an id"].iter().enumerate()
            {
                let first = self.clients.client("me").key_pem;
                let old = self.clients.client_until("me", 0x0a, &first, end);
                let key = if new_key { self.clients.client("me").key_pem } else { first };
                let renewed = self.clients.client_until("me", 0x0b, &key, YEAR);
                let wallet = Wallet::new(&old);
                let version = if kind == 0 { &TLS13 } else { &TLS12 };
                let dial = Dial::with(Some("ours.test"), None, &[version]).showing(&wallet);
                let dial = dial.resuming();
                let dial = if kind == 2 { dial.without_tickets() } else { dial };
                let what = format!("{memory}, {word}");
                assert_eq!(self.visit(&dial), (false, Some(OLD.to_owned())), "{what}");
                all.push(Client { what, dial, wallet, renewed });
            }
        }
        all
    }

    /// Every one of them is let in with its new certificate, by a full handshake; and resumes that.
    fn all_renewed(&self, clients: &[Client]) {
        for Client { what, dial, .. } in clients {
            assert_eq!(self.visit(dial), (false, Some(NEW.to_owned())), "{what}");
            assert_eq!(self.visit(dial), (true, Some(NEW.to_owned())), "{what}");
        }
    }
}

fn renew(clients: &[Client]) {
    for client in clients {
        client.wallet.renew(&client.renewed);
    }
}

on_both_drivers! {
    /// A session is the identity it was made with; without it the new certificate is shown, and told.
    fn an_old_session_is_the_old_identity_while_that_is_good(driver) {
        let place = Place::start(driver);
        let clients = place.clients(YEAR);
        renew(&clients);
        for Client { what, dial, renewed, .. } in &clients {
            assert_eq!(place.visit(dial), (true, Some(OLD.to_owned())), "{what}");
            // Most libraries do it like this: a new certificate is a new context, without sessions.
            let fresh = Dial::with(Some("ours.test"), Some(renewed), rustls::ALL_VERSIONS).resuming();
            assert_eq!(place.visit(&fresh), (false, Some(NEW.to_owned())), "{what}");
            assert_eq!(place.visit(&fresh), (true, Some(NEW.to_owned())), "{what}");
        }
    }

    fn behind_the_end_of_the_old_certificate_the_new_one_is_asked_for(driver) {
        let place = Place::start(driver);
        // Six handshakes have to fit in.
        let end = Duration::from_secs(6);
        let started = now();
        let clients = place.clients(end);
        renew(&clients);
        let over = end + Duration::from_secs(1);
        poll(over, || (started.elapsed() > over).then_some(()));
        place.all_renewed(&clients);
    }

    /// Somebody without a certificate, or with a wrong one, has nothing that stands in the way of the
    /// right one.
    fn a_refused_client_gets_in_once_it_can(driver) {
        let place = Place::start(driver);
        for (what, wrong) in [("revoked", 0x0a), ("nobody's", 0x0c), ("none", 0)] {
            let first = place.clients.client_with("me", wrong);
            if what == "revoked" {
                fs::write(place.scratch.path().join("clients.crl"), place.clients.revocation_list(&[0x0a], 2)).expect("a list");
                let read = poll(PATIENCE, || place.gateway.log().contains("files read again").then_some(()));
                assert!(read.is_some(), "{}", place.gateway.log());
            }
            let first = if what == "nobody's" { Authority::new("others").client("me") } else { first };
            let good = place.clients.client_with("me", 0x0b);
            for (version, by_id) in [(&TLS13, false), (&TLS12, false), (&TLS12, true)] {
                let wallet = Wallet::new(&first);
                if what == "none" {
                    wallet.empty();
                }
                let dial = Dial::with(Some("ours.test"), None, &[version]).showing(&wallet).resuming();
                let dial = if by_id { dial.without_tickets() } else { dial };
                assert_eq!(place.visit(&dial), (false, None), "{what} {version:?}");
                assert_eq!(place.visit(&dial), (false, None), "{what} {version:?}");
                wallet.renew(&good);
                assert_eq!(place.visit(&dial), (false, Some(NEW.to_owned())), "{what} {version:?}");
                assert_eq!(place.visit(&dial), (true, Some(NEW.to_owned())), "{what} {version:?}");
            }
        }
    }

    fn a_revoked_certificate_takes_its_sessions_along(driver) {
        let place = Place::start(driver);
        let clients = place.clients(YEAR);
        let list = place.clients.revocation_list(&[0x0a], 2);
        fs::write(place.scratch.path().join("clients.crl"), list).expect("a list");
        let read = poll(PATIENCE, || place.gateway.log().contains("files read again").then_some(()));
        assert!(read.is_some(), "{}", place.gateway.log());
        // Who has nothing but the old one is out.
        for Client { what, dial, .. } in &clients {
            assert_eq!(place.visit(dial), (false, None), "{what}");
        }
        renew(&clients);
        place.all_renewed(&clients);
    }
}
