//! A session is worth what a full handshake for the same name would be.

use std::fs;
use std::sync::Arc;

use ferrule_tests::{Authority, Dial, Leaf, Reloaded, on_both_drivers, tls};
use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, HandshakeKind};

use super::{CONFIG, World};
use crate::write_ca;

/// Clients of `name` that keep sessions in each of the ways there are.
fn rememberers(name: &str, leaf: Option<&Leaf>) -> [Dial; 3] {
    let dial = |version| Dial::with(Some(name), leaf, &[version]).resuming();
    [dial(&TLS13), dial(&TLS12), dial(&TLS12).without_tickets()]
}

/// Makes a session for one name, shows it to another: was it resumed, and what was answered?
fn cross(world: &World, dial: &Dial, from: &str, to: &str) -> (bool, u16) {
    assert_eq!(world.ask(dial, from).status(), 200, "{from}");
    visit(world, &dial.to(to), to)
}

fn visit(world: &World, dial: &Dial, host: &str) -> (bool, u16) {
    let mut raw = dial.connect(world.front()).expect("a handshake");
    let resumed = raw.stream.is_resumed();
    (resumed, ferrule_tests::raw::get(&mut raw, host, "/").status())
}

on_both_drivers! {
    /// nginx shared one session cache between servers, so that a session of one was resumed by another,
    /// behind whose back the first had spoken with its own certificate. Here the other name shows its
    /// own, in a full handshake.
    fn cve_2014_3616_a_session_meets_the_certificate_it_was_made_with(driver) {
        let world = World::start(driver);
        for dial in rememberers("open.test", None) {
            assert_eq!(world.ask(&dial, "open.test").status(), 200);
            let home = dial.connect(world.front()).expect("a handshake");
            assert!(home.stream.is_resumed());
            let away = dial.to("neighbour.test").connect(world.front()).expect("a handshake");
            assert!(!away.stream.is_resumed());
            assert_ne!(away.stream.certificate(), home.stream.certificate());
        }
    }

    /// nginx resumed a session of one name on another that requires certificates of another CA. Here it
    /// is a full handshake, in which the certificate fails.
    fn cve_2025_23419_a_session_opens_no_name_of_another_authority(driver) {
        let world = World::start(driver);
        let other = world.others.client("other");
        for dial in rememberers("other.test", Some(&other)) {
            assert_eq!(cross(&world, &dial, "other.test", "closed.test"), (false, 400));
        }
    }

    /// Apache let clients of one virtual host into another by resuming TLS 1.3. Here a session that was
    /// made without a certificate where that is allowed is worth nothing where it is not, be it of
    /// the very same CA.
    fn cve_2025_23048_a_session_opens_no_stricter_name(driver) {
        let world = World::start(driver);
        for dial in rememberers("maybe.test", None) {
            assert_eq!(cross(&world, &dial, "maybe.test", "closed.test"), (false, 400));
        }
        for dial in rememberers("maybe.test", None) {
            assert_eq!(cross(&world, &dial, "maybe.test", "x.closed.test"), (false, 400));
        }
    }

    /// HAProxy (4a8f762) answered 200 to a session without a certificate that was resumed on a name
    /// that verifies. Here that name asks for one.
    fn haproxy_4a8f762_a_session_of_an_open_name_opens_no_closed_one(driver) {
        let world = World::start(driver);
        for dial in rememberers("open.test", None) {
            assert_eq!(cross(&world, &dial, "open.test", "closed.test"), (false, 400));
        }
    }

    /// wolfSSL bound tickets to their name, but not sessions that are found by id. Here an id is
    /// looked up under the policy of the name that is asked for.
    fn cve_2026_11703_an_id_opens_no_other_name(driver) {
        let world = World::start(driver);
        let other = world.others.client("other");
        let dial = |name, leaf| Dial::with(Some(name), leaf, &[&TLS12]).resuming().without_tickets();
        let with = dial("other.test", Some(&other));
        assert_eq!(cross(&world, &with, "other.test", "closed.test"), (false, 400));
        assert_eq!(cross(&world, &dial("open.test", None), "open.test", "closed.test"), (false, 400));
        let back = dial("other.test", Some(&other));
        assert_eq!(cross(&world, &back, "other.test", "other.test"), (true, 200));
    }

    /// Envoy resumed sessions after the validation settings had changed. Here a session belongs to the
    /// settings it was made under: another CA, another depth or a list refuses it.
    fn cve_2022_21654_a_session_ends_with_the_settings_it_was_made_under(driver) {
        let mut world = World::start(driver);
        let me = world.clients.client_with("me", 5);
        let sessions = |world: &World| {
            let dials = rememberers("closed.test", Some(&me));
            for dial in &dials {
                assert_eq!(world.ask(dial, "closed.test").status(), 200);
            }
            dials
        };
        let dials = sessions(&world);
        let deeper = CONFIG.replace("client.ca = \"clients.crt\"", "client = { ca = \"clients.crt\", depth = 2 }")
            .replace("client.verify = \"optional\"", "");
        assert_eq!(world.gateway.reload(&deeper), Reloaded::Taken);
        for dial in &dials {
            assert_eq!(visit(&world, dial, "closed.test"), (false, 200), "depth");
        }
        let dials = sessions(&world);
        fs::write(world.dir().join("clients.crl"), world.clients.revocation_list(&[5], 1)).expect("a list");
        let listed = deeper.replace("depth = 2", "crl = \"clients.crl\"");
        assert_eq!(world.gateway.reload(&listed), Reloaded::Taken);
        for dial in &dials {
            assert_eq!(visit(&world, dial, "closed.test"), (false, 400), "list");
        }
        assert_eq!(world.gateway.reload(CONFIG), Reloaded::Taken);
        let dials = sessions(&world);
        write_ca(world.dir(), "clients", &Authority::new("a new authority"));
        assert_eq!(world.gateway.signal_reload(), Reloaded::Taken);
        for dial in &dials {
            assert_eq!(visit(&world, dial, "closed.test"), (false, 400), "authority");
        }
    }

    /// Early data can be sent again by whoever has seen it (nginx leaves that to the application). Here
    /// no ticket offers it.
    fn replayed_early_data_has_nothing_to_replay(driver) {
        let world = World::start(driver);
        let me = world.clients.client("me");
        for (name, leaf) in [("open.test", None), ("closed.test", Some(&me))] {
            let mut config = tls::client(leaf, &[&TLS13]);
            config.resumption = Resumption::in_memory_sessions(8);
            config.enable_early_data = true;
            let config = Arc::new(config);
            for round in 0..2 {
                let server = name.try_into().expect("a server name");
                let mut session = ClientConnection::new(Arc::clone(&config), server).expect("a session");
                assert!(session.early_data().is_none(), "{name}");
                let address = (std::net::Ipv4Addr::LOCALHOST, world.front());
                let socket = std::net::TcpStream::connect(address).expect("a listener");
                socket.set_read_timeout(Some(ferrule_tests::PATIENCE)).expect("a timeout");
                let mut socket = socket;
                while session.is_handshaking() {
                    session.complete_io(&mut socket).expect("a handshake");
                }
                let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
                assert_eq!(resumed, round > 0, "{name}");
                // The tickets come with the first answer.
                let stream = rustls::StreamOwned::new(session, socket);
                let mut talk = ferrule_tests::Conversation::new(stream);
                talk.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").as_bytes()).expect("a connection");
                assert_eq!(talk.response("GET").expect("an answer").status(), 200);
            }
        }
    }
}
