//! What the TLS settings promise, between our rustls and rustls as a peer, without a socket.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

mod tls_kit;

use std::sync::Arc;

use ferrule_config::model::{
    ClientAuth, ClientVerify, HostPattern, KeyPair, Protocols, Reject, Server, UpstreamCa,
    UpstreamTls as UpstreamModel, UpstreamVerify,
};
use ferrule_config::{Place, Problems};
use ferrule_engine::identity::chain::{Verdict, judge};
use ferrule_engine::plan::Gate;
use ferrule_engine::tls::client::reason;
use ferrule_engine::tls::{ServerTls, TicketKeys, TlsSettings, UpstreamTls};
use ferrule_tests::zoo::{Key, Kind};
use rustls::HandshakeKind;
use tls_kit::{Met, World, client, config, draft, inline, load, meet, now, server};

fn verdict(met: &Met, settings: &ServerTls) -> Verdict {
    let chain = met.server.peer_certificates().unwrap_or_default();
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    judge(&chain, settings.policy.as_deref().expect("a policy"), now())
}

#[test]
fn both_guides_clients_verify_on_both_versions() {
    for (root_version, leaf_version) in [(1, 1), (3, 3), (3, 1), (1, 3)] {
        for tls13 in [true, false] {
            let world = World::new("root", root_version);
            let keys = Arc::new(TicketKeys::new());
            for reject in [Reject::Http, Reject::Handshake] {
                let settings = load(&server(&world, ClientVerify::On, reject), &keys);
                let leaf = world.certified(&world.leaf("client", leaf_version, b""));
                let config = Arc::new(client(Some(leaf), tls13));
                let met = meet(&config, &settings.config, "a.example").expect("a handshake");
                assert_eq!(verdict(&met, &settings), Verdict::Success);
                assert_eq!(met.notes.client_sigalg(), "ecdsa_secp256r1_sha256");
                // The same client again resumes, and is still known.
                let met = meet(&config, &settings.config, "a.example").expect("a handshake");
                assert_eq!(met.server.handshake_kind(), Some(HandshakeKind::Resumed));
                assert_eq!(verdict(&met, &settings), Verdict::Success);
                assert_eq!(met.notes.client_sigalg(), "");
            }
        }
    }
}

#[test]
fn a_session_is_not_resumed_under_another_policy() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let model = server(&world, ClientVerify::Optional, Reject::Http);
    let changed = |change: fn(&mut ClientAuth)| {
        let mut model = model.clone();
        model.client.as_mut().map(change);
        model
    };
    let mut others = vec![
        changed(|client| client.verify = ClientVerify::On),
        changed(|client| client.depth = 2),
        changed(|client| client.allow_v1 = false),
        changed(|client| client.ca = World::new("other", 1).ca()),
        changed(|client| client.reject = Reject::Handshake),
    ];
    others.push(Server { snis: vec![HostPattern::Any], ..model.clone() });
    others.push(Server { pairs: vec![world.pair(&world.leaf("new", 1, b""))], ..model.clone() });
    others.push(Server { client: None, ..model.clone() });
    for tls13 in [true, false] {
        let config = Arc::new(client(None, tls13));
        let open = load(&model, &keys);
        meet(&config, &open.config, "a.example").expect("a handshake");
        // A reload that changes nothing here.
        let same = load(&model, &keys);
        let met = meet(&config, &same.config, "a.example").expect("a handshake");
        assert_eq!(met.server.handshake_kind(), Some(HandshakeKind::Resumed));
        for (at, other) in others.iter().enumerate() {
            let other = load(other, &keys);
            if let Ok(met) = meet(&config, &other.config, "a.example") {
                assert_eq!(met.server.handshake_kind(), Some(HandshakeKind::Full), "{at}");
            }
            // That may have replaced the client's ticket.
            meet(&config, &open.config, "a.example").expect("a handshake");
        }
    }
}

#[test]
fn strangers_are_refused_where_the_object_says() {
    let world = World::new("root", 1);
    let foreign = World::new("foreign", 1);
    let keys = Arc::new(TicketKeys::new());
    let leaf = foreign.certified(&foreign.leaf("client", 1, b""));
    for tls13 in [true, false] {
        let config = Arc::new(client(Some(Arc::clone(&leaf)), tls13));
        let http = load(&server(&world, ClientVerify::On, Reject::Http), &keys);
        let met = meet(&config, &http.config, "a.example").expect("told in HTTP");
        let gate = Gate::of(ClientVerify::On, verdict(&met, &http));
        assert!(matches!(gate, Gate::BadCertificate(_)), "{gate:?}");
        let nobody = Arc::new(client(None, tls13));
        let met = meet(&nobody, &http.config, "a.example").expect("told in HTTP");
        assert_eq!(Gate::of(ClientVerify::On, verdict(&met, &http)), Gate::NoCertificate);
        let alert = load(&server(&world, ClientVerify::On, Reject::Handshake), &keys);
        assert!(meet(&config, &alert.config, "a.example").is_err());
        assert!(meet(&nobody, &alert.config, "a.example").is_err());
        let unknown = load(&server(&world, ClientVerify::OptionalNoCa, Reject::Handshake), &keys);
        let met = meet(&config, &unknown.config, "a.example").expect("an unknown CA passes");
        let gate = Gate::of(ClientVerify::OptionalNoCa, verdict(&met, &unknown));
        assert_eq!(gate, Gate::Pass);
    }
}

#[test]
fn possession_of_the_key_is_proved() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let settings = load(&server(&world, ClientVerify::OptionalNoCa, Reject::Http), &keys);
    let stolen = world.leaf("client", 1, b"");
    let thief = World::new("root", 1);
    for tls13 in [true, false] {
        let config = Arc::new(client(Some(thief.certified(&stolen)), tls13));
        assert!(meet(&config, &settings.config, "a.example").is_err());
    }
}

#[test]
fn a_server_name_that_differs_from_ours_ends_the_handshake() {
    let world = World::new("root", 1);
    let settings =
        load(&server(&world, ClientVerify::Optional, Reject::Http), &Arc::new(TicketKeys::new()));
    let config = Arc::new(client(None, true));
    assert!(meet(&config, &settings.config, "b.example").is_err());
    assert!(meet(&config, &settings.config, "A.Example").is_ok());
}

fn upstream(world: &World, verify: UpstreamVerify) -> UpstreamModel {
    UpstreamModel {
        place: Place::default(),
        client: Some(world.pair(&world.leaf("us", 1, b""))),
        ca: Some(UpstreamCa::Files(world.ca())),
        verify,
        server_name: None,
        protocols: Protocols { tls12: true, tls13: true },
    }
}

fn load_upstream(model: &UpstreamModel) -> UpstreamTls {
    let mut problems = Problems::default();
    let keys = Arc::new(TicketKeys::new());
    let config = config(Vec::new(), Some(model.clone()));
    let mut settings = TlsSettings::load(&config, &keys, &mut problems, now());
    assert!(problems.is_empty(), "{problems:?}");
    settings.upstreams.pop().flatten().expect("settings")
}

#[test]
fn upstreams_are_verified_as_far_as_configured() {
    let world = World::new("root", 1);
    let foreign = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let serve = |world: &World, leaf: &[u8]| {
        let mut model = server(world, ClientVerify::Off, Reject::Http);
        model.pairs = vec![world.pair(leaf)];
        load(&model, &keys).config
    };
    let bare = serve(&world, &world.leaf("v1", 1, b""));
    let named = serve(&world, &world.leaf("v3", 3, b"\x82\x09a.example"));
    let other = serve(&world, &world.leaf("v3", 3, b"\x82\x09c.example"));
    let fake = serve(&foreign, &foreign.leaf("v3", 3, b"\x82\x09a.example"));
    let table = [
        (UpstreamVerify::Full, &named, ""),
        (UpstreamVerify::Full, &bare, "certificate without alternative names"),
        (UpstreamVerify::Full, &other, "certificate for another name"),
        (UpstreamVerify::Full, &fake, "certificate signature failure"),
        (UpstreamVerify::Ca, &bare, ""),
        (UpstreamVerify::Ca, &other, ""),
        (UpstreamVerify::Ca, &fake, "certificate signature failure"),
        (UpstreamVerify::Off, &fake, ""),
    ];
    for (verify, config, expected) in table {
        let ours = load_upstream(&upstream(&world, verify));
        let found = meet(&ours.config, config, "a.example");
        assert_eq!(found.as_ref().err().map_or("", reason), expected, "{verify:?}");
    }
}

#[test]
fn pool_identities_differ_by_what_matters() {
    let world = World::new("root", 1);
    let full = load_upstream(&upstream(&world, UpstreamVerify::Full)).pool_identity();
    let again = UpstreamModel {
        client: upstream(&world, UpstreamVerify::Full).client,
        ..upstream(&world, UpstreamVerify::Ca)
    };
    assert_ne!(load_upstream(&again).pool_identity(), full);
    let nobody = UpstreamModel { client: None, ..upstream(&world, UpstreamVerify::Full) };
    assert_ne!(load_upstream(&nobody).pool_identity(), full);
    let elsewhere = World::new("elsewhere", 1);
    let model =
        UpstreamModel { ca: upstream(&elsewhere, UpstreamVerify::Full).ca, ..nobody.clone() };
    assert_ne!(load_upstream(&model).pool_identity(), load_upstream(&nobody).pool_identity());
}

#[test]
fn upstream_names_come_from_the_right_place() {
    let world = World::new("root", 1);
    let free = load_upstream(&upstream(&world, UpstreamVerify::Full));
    let fixed = load_upstream(&UpstreamModel {
        server_name: Some("fixed.example".to_owned()),
        ..upstream(&world, UpstreamVerify::Full)
    });
    let table = [
        ("Host.Example:8443", "10.0.0.1", "host.example"),
        ("10.1.1.1:80", "node.example", "node.example"),
        ("[::1]:80", "10.0.0.1", "10.0.0.1"),
        ("", "::1", "::1"),
        ("not a name", "/run/socket", "0.0.0.0"),
    ];
    for (host, node, expected) in table {
        assert_eq!(free.server_name(host, node).to_str(), expected);
        assert_eq!(fixed.server_name(host, node).to_str(), "fixed.example");
    }
}

#[test]
fn every_broken_file_is_named() {
    let world = World::new("root", 1);
    let other = Key::new(world.dir.path(), "other", Kind::P256);
    let large = Key::new(world.dir.path(), "p521", Kind::P521);
    let leaf = world.leaf("server", 1, b"");
    let text = |key: &Key| inline(&std::fs::read_to_string(&key.path).expect("a key"));
    let p521 = draft("p521", 3).sign(&large, &world.root);
    let sealed =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let table = [
        (world.pem(&leaf), text(&other), "does not belong to"),
        (world.pem(&p521), text(&large), "P-521"),
        (inline(""), text(&world.key), "is empty"),
        (inline("nothing"), text(&world.key), "there is no certificate in"),
        (world.pem(&leaf), inline(""), "is empty"),
        (world.pem(&leaf), inline("nothing"), "there is no private key in"),
        (world.pem(b"\x30\x03abc"), text(&world.key), "is broken"),
        (world.pem(&leaf), inline(sealed), "is encrypted"),
    ];
    for (cert, key, expected) in table {
        let mut model = server(&world, ClientVerify::Off, Reject::Http);
        model.pairs = vec![KeyPair { cert, key, password_file: None }];
        let mut problems = Problems::default();
        let keys = Arc::new(TicketKeys::new());
        let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
        assert!(settings.servers.is_empty());
        assert!(format!("{problems:?}").contains(expected), "{expected}: {problems:?}");
    }
}
