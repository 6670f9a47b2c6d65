//! What the TLS settings promise, between our rustls and rustls as a peer, without a socket.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

mod authorities;
mod list_warnings;
mod own_keys;
mod shared_lists;

use std::sync::Arc;
use std::time::Duration;

use crate::kit::{Met, World, client, config, draft, inline, load, meet, now, server};
use ferrule_config::model::{
    CipherSuite, ClientAuth, ClientEku, ClientVerify, CrlExpired, CrlMissing, HostPattern,
    KeyExchangeGroup, KeyPair, Pin, Protocols, Reject, Revocation, Server, UpstreamCa,
    UpstreamTls as UpstreamModel, UpstreamVerify,
};
use ferrule_config::{Place, Problems};
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::verify_client;
use ferrule_engine::identity::verify::verdict::Verdict;
use ferrule_engine::plan::Gate;
use ferrule_engine::tls::client::reason;
use ferrule_engine::tls::load::loaded_crl::gone_back;
use ferrule_engine::tls::{LoadedCrl, ServerTls, TicketKeys, TlsSettings, UpstreamTls};
use ferrule_tests::zoo::asn1::element;
use ferrule_tests::zoo::{Key, Kind, ListDraft, encode};
use rustls::HandshakeKind;
use rustls::pki_types::{CertificateDer, ServerName};

fn verdict(met: &Met, settings: &ServerTls) -> Verdict {
    let chain = met.server.peer_certificates().unwrap_or_default();
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    verify_client(&chain, settings.policy.as_deref().expect("a policy"), now())
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
        changed(|client| client.eku = ClientEku::Any),
        changed(|client| client.clock_skew = Duration::from_secs(1)),
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
        revocation: None,
        pins: Vec::new(),
        verify,
        server_name: None,
        protocols: Protocols { tls12: true, tls13: true },
        groups: KeyExchangeGroup::ALL.to_vec(),
        ciphers: CipherSuite::ALL.to_vec(),
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
    for (name, expected) in [
        ("Host.Example", "host.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("not a name", "0.0.0.0"),
        ("/run/socket", "0.0.0.0"),
        ("", "0.0.0.0"),
    ] {
        assert_eq!(free.server_name(name).to_str(), expected);
        assert_eq!(fixed.server_name(name).to_str(), "fixed.example");
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

fn revoked_by(world: &World, serials: &[&[u8]]) -> Vec<u8> {
    let list = ListDraft {
        version: 2,
        this_update: element(0x17, b"240101000000Z"),
        next_update: element(0x18, b"20980101000000Z"),
        revoked: serials.iter().map(|serial| (serial.to_vec(), Vec::new())).collect(),
        extensions: Vec::new(),
    };
    list.sign(&world.root)
}

fn revocation(texts: &[String]) -> Revocation {
    Revocation {
        place: Place::default(),
        crls: texts.iter().map(|text| inline(text)).collect(),
        urls: Vec::new(),
        distribution_points: false,
        expired: CrlExpired::Reject,
        missing: CrlMissing::Reject,
    }
}

#[test]
fn pins_hold_on_top_of_everything_else() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let leaf = world.leaf("v3", 3, b"\x82\x09a.example");
    let mut model = server(&world, ClientVerify::Off, Reject::Http);
    model.pairs = vec![world.pair(&leaf)];
    let config = load(&model, &keys).config;
    let sha256 = |bytes: &[u8]| -> [u8; 32] {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        digest.as_ref().try_into().expect("32 bytes")
    };
    let (own, key) = (Pin::Certificate(sha256(&leaf)), Pin::Spki(sha256(&world.key.spki)));
    let (strange, swapped) = (Pin::Spki([7; 32]), Pin::Spki(sha256(&leaf)));
    let refused = "certificate is none of the pinned ones";
    let table = [
        (UpstreamVerify::Full, vec![own], ""),
        (UpstreamVerify::Full, vec![key], ""),
        (UpstreamVerify::Ca, vec![strange, key], ""),
        (UpstreamVerify::Full, vec![strange], refused),
        (UpstreamVerify::Ca, vec![swapped], refused),
        (UpstreamVerify::Off, vec![strange], refused),
        (UpstreamVerify::Off, vec![own], ""),
    ];
    let mut identities = Vec::new();
    for (verify, pins, expected) in table {
        let model = UpstreamModel { pins, ..upstream(&world, verify) };
        let ours = load_upstream(&model);
        let found = meet(&ours.config, &config, "a.example");
        assert_eq!(
            found.as_ref().err().map_or("", reason),
            expected,
            "{verify:?} {:?}",
            model.pins
        );
        identities.push(ours.pool_identity());
    }
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), 7, "pins are part of a pool's identity");
    // A pin does not make another name the right one.
    let ours =
        load_upstream(&UpstreamModel { pins: vec![own], ..upstream(&world, UpstreamVerify::Full) });
    let name = ServerName::try_from("b.example").expect("a name");
    let other = ours.check_again(&[CertificateDer::from(leaf)], &name, now());
    assert_eq!(other.as_ref().err().map_or("", reason), "certificate for another name");
}

#[test]
fn upstream_names_are_alternative_names_alone() {
    let world = World::new("root", 1);
    let ours = load_upstream(&upstream(&world, UpstreamVerify::Full));
    let table: [(&[u8], &str, bool); 9] = [
        (b"\x82\x0b*.b.example", "a.b.example", true),
        (b"\x82\x0b*.b.example", "x.a.b.example", false),
        (b"\x82\x0b*.b.example", "b.example", false),
        (b"\x82\x0aa*.example.", "ab.example", false),
        (b"\x82\x0ba.example\0.b", "a.example", false),
        (b"\x87\x04\x0a\0\0\x01", "10.0.0.1", true),
        (b"\x87\x04\x0a\0\0\x02", "10.0.0.1", false),
        (b"\x82\x0810.0.0.1", "10.0.0.1", false),
        (b"\x86\x0ahttp://a.b", "a.b", false),
    ];
    for (names, wanted, expected) in table {
        // Its common name would fit, and is not asked.
        let leaf = world.leaf(wanted, 3, names);
        let text = String::from_utf8_lossy(names);
        let name = ServerName::try_from(wanted).expect("a name");
        let found = ours.check_again(&[CertificateDer::from(leaf)], &name, now());
        assert_eq!(found.is_ok(), expected, "{text} for {wanted}");
    }
}

#[test]
fn a_revoked_or_ended_upstream_is_refused_resumed_or_not() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let leaf = world.leaf("v3", 3, b"\x82\x09a.example");
    let mut model = server(&world, ClientVerify::Off, Reject::Http);
    model.pairs = vec![world.pair(&leaf)];
    let config = load(&model, &keys).config;
    let with = |list: &[u8]| {
        let text = encode("X509 CRL", list);
        UpstreamModel {
            revocation: Some(revocation(&[text])),
            ..upstream(&world, UpstreamVerify::Full)
        }
    };
    let clean = load_upstream(&with(&revoked_by(&world, &[&[9]])));
    let strict = load_upstream(&with(&revoked_by(&world, &[&[1]])));
    assert_ne!(clean.pool_identity(), strict.pool_identity());
    assert!(meet(&clean.config, &config, "a.example").is_ok());
    let found = meet(&strict.config, &config, "a.example");
    assert_eq!(found.as_ref().err().map_or("", reason), "certificate revoked");
    // What a resumed session is asked.
    let chain = [CertificateDer::from(leaf)];
    let name = ServerName::try_from("a.example").expect("a name");
    let again = |tls: &UpstreamTls, at: i64| {
        tls.check_again(&chain, &name, at).as_ref().err().map_or("", reason)
    };
    assert_eq!(again(&clean, now()), "");
    assert_eq!(again(&strict, now()), "certificate revoked");
    assert_eq!(again(&clean, 4_070_908_800), "certificate has expired");
}

#[test]
fn a_client_is_revoked_by_its_cas_list() {
    let world = World::new("root", 1);
    let keys = Arc::new(TicketKeys::new());
    let leaf = world.certified(&world.leaf("client", 1, b""));
    for (serial, expected) in [(1, Some(VerifyFailure::Revoked)), (2, None)] {
        let mut model = server(&world, ClientVerify::On, Reject::Http);
        let list = encode("X509 CRL", &revoked_by(&world, &[&[serial]]));
        let auth = model.client.as_mut().expect("a policy");
        auth.revocation = Some(revocation(&[list]));
        let settings = load(&model, &keys);
        let config = Arc::new(client(Some(Arc::clone(&leaf)), true));
        let met = meet(&config, &settings.config, "a.example").expect("told in HTTP");
        let wanted = expected.map_or(Verdict::Success, Verdict::Failed);
        assert_eq!(verdict(&met, &settings), wanted);
        model.client.as_mut().expect("a policy").reject = Reject::Handshake;
        let alert = load(&model, &keys);
        assert_eq!(meet(&config, &alert.config, "a.example").is_err(), expected.is_some());
    }
}

#[test]
fn every_list_that_cannot_be_used_is_named() {
    let world = World::new("root", 1);
    let foreign = World::new("root", 1);
    let stranger = World::new("stranger", 1);
    let load = |texts: &[String]| {
        let mut model = server(&world, ClientVerify::On, Reject::Http);
        model.client.as_mut().expect("a policy").revocation = Some(revocation(texts));
        let mut problems = Problems::default();
        let keys = Arc::new(TicketKeys::new());
        let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
        assert_eq!(settings.servers.is_empty(), !problems.is_empty());
        (settings, format!("{problems:?}"))
    };
    let pem = |der: &[u8]| encode("X509 CRL", der);
    let good = revoked_by(&world, &[&[1], &[2]]);
    let table = [
        (String::new(), "is empty"),
        ("nothing".to_owned(), "there is no revocation list in"),
        (pem(b"\x30\x03abc"), "the text given here, line 1: this list is broken"),
        (format!("{}{}", pem(&good), pem(b"\x30\x00")), "this list is broken"),
        (pem(&revoked_by(&foreign, &[])), "is not signed by CN=root"),
        (encode("CERTIFICATE", &world.root_der), "line 1: this block is no revocation list"),
    ];
    for (text, expected) in table {
        let (_, problems) = load(&[text]);
        assert!(problems.contains(expected) && problems.contains(".client.crl"), "{problems}");
    }
    let (settings, _) = load(&[pem(&good), pem(&revoked_by(&stranger, &[]))]);
    let counts: Vec<usize> = settings.crls.iter().map(|list| list.count).collect();
    assert_eq!(counts, [2, 0]);
    assert_eq!(settings.crls[0].issuer, "CN=root");
    let warnings = format!("{:?}", settings.warnings);
    assert!(warnings.contains("CN=stranger, which is not among the CAs"), "{warnings}");
    // One that was put back is older than it was.
    let numbered = |number: &[u8]| LoadedCrl {
        number: Some(number.to_vec()),
        digest: [number[0]; 32],
        ..settings.crls[0].clone()
    };
    let (old, new) = ([numbered(&[9])], [numbered(&[1, 0])]);
    assert!(gone_back(&old, &new).is_empty());
    assert_eq!(gone_back(&new, &old).len(), 1);
}
