//! Warnings about listed authorities, and what an upstream's key may be used for.

use std::sync::Arc;

use ferrule_config::model::{ClientVerify, CrlExpired, CrlMissing, Pem, Reject, Revocation};
use ferrule_config::{Place, Problems};
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::anchors::Anchors;
use ferrule_engine::identity::verify::purpose::Purpose;
use ferrule_engine::identity::verify::rules::VerificationRules;
use ferrule_engine::identity::x509::time::Clock;
use ferrule_engine::tls::{TicketKeys, TlsSettings};
use ferrule_tests::zoo::asn1::{
    basic_constraints, common_name, element, extended, extension, key_usage,
};
use ferrule_tests::zoo::{Digest, Draft, Issuer, Key, Kind, encode};

use ferrule_tests::shell;
use rustls::{CertificateError, Error};

use crate::kit::{World, client, config, draft, inline, load, meet, now, server};

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";

fn ca(name: &str, extensions: Vec<Vec<u8>>) -> Draft {
    Draft { extensions, ..draft(name, 3) }
}

fn stated() -> Vec<u8> {
    basic_constraints(true, None)
}

fn text(ders: &[&[u8]]) -> Pem {
    inline(&ders.iter().map(|der| encode("CERTIFICATE", der)).collect::<String>())
}

/// The warnings about these texts, one after the other.
fn warnings(world: &World, texts: Vec<Pem>) -> Vec<String> {
    let mut model = server(world, ClientVerify::On, Reject::Http);
    model.client.as_mut().expect("clients").ca = texts;
    let mut problems = Problems::default();
    let keys = Arc::new(TicketKeys::new());
    let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
    assert!(problems.is_empty(), "{problems:?}");
    let found = settings.warnings.iter().map(|warning| warning.message.clone());
    // The server's certificate is nobody's here.
    found.filter(|one| !one.contains("does not carry the server name")).collect()
}

#[test]
fn every_authority_that_is_of_no_use_is_warned_about_by_name() {
    let world = World::new("root", 1);
    let dir = world.dir.path();
    let own = |name: &str, key: &Key, draft: &Draft| {
        draft.sign(key, &Issuer { name: common_name(name), key: key.clone() })
    };
    let key = &world.key;
    let dated = |start: &[u8], end: &[u8]| Draft {
        not_before: element(0x17, start),
        not_after: element(0x18, end),
        ..ca("dated", vec![stated()])
    };
    let table: Vec<(Draft, &str, Key, &str)> = vec![
        (ca("good", vec![stated()]), "good", key.clone(), ""),
        (ca("good", vec![stated(), key_usage(0x06)]), "good", key.clone(), ""),
        (draft("v1", 1), "v1", key.clone(), "X.509 before v3"),
        (ca("v3", vec![]), "v3", key.clone(), "(basicConstraints); it is trusted"),
        (ca("no", vec![basic_constraints(false, None)]), "no", key.clone(), "may not issue"),
        (ca("sign", vec![stated(), key_usage(0x80)]), "sign", key.clone(), "may not issue"),
        (ca("web", vec![stated(), extended(&[SERVER_AUTH])]), "web", key.clone(), "other purposes"),
        (
            ca("odd", vec![stated(), extension("1.2.3.4", true, &[5, 0])]),
            "odd",
            key.clone(),
            "critical extension",
        ),
        (dated(b"200101000000Z", b"20210101000000Z"), "dated", key.clone(), "has expired"),
        (dated(b"490101000000Z", b"20990101000000Z"), "dated", key.clone(), "not yet valid"),
        (
            ca("small", vec![stated()]),
            "small",
            Key::new(dir, "small", Kind::Rsa1024),
            "below 2048 bits",
        ),
        (ca("large", vec![stated()]), "large", Key::new(dir, "large", Kind::P521), ""),
    ];
    for (draft, name, key, said) in table {
        let der = own(name, &key, &draft);
        let found = warnings(&world, vec![text(&[&der])]);
        if said.is_empty() {
            assert_eq!(found, Vec::<String>::new(), "{name}");
            continue;
        }
        assert_eq!(found.len(), 1, "{found:?}");
        let found = &found[0];
        assert!(found.contains(said) && found.contains(&format!("(CN={name})")), "{found}");
    }
    // What stands behind it in the same file is told, too; of equal ones once.
    let (good, bad) =
        (own("good", key, &ca("good", vec![stated()])), own("v1", key, &draft("v1", 1)));
    assert_eq!(warnings(&world, vec![text(&[&good, &bad, &good, &bad])]).len(), 1);
}

#[test]
fn a_root_that_is_absent_is_warned_about_and_one_that_is_there_is_not() {
    let world = World::new("root", 3);
    let dir = world.dir.path();
    let sub = Issuer { name: common_name("sub"), key: Key::new(dir, "sub", Kind::P256) };
    let root = Issuer { name: common_name("top"), key: world.key.clone() };
    let root_der = ca("top", vec![stated()]).sign(&root.key, &root);
    let sub_der = ca("sub", vec![stated()]).sign(&sub.key, &root);
    let below = Issuer { name: common_name("below"), key: Key::new(dir, "below", Kind::P256) };
    let below_der = ca("below", vec![stated()]).sign(&below.key, &sub);
    // Of its name, and not its issuer.
    let other_key = Key::new(dir, "other", Kind::P256);
    let namesake = Issuer { name: common_name("top"), key: other_key };
    let namesake_der = ca("top", vec![stated()]).sign(&namesake.key, &namesake);
    let count = |texts: Vec<Pem>| {
        let found = warnings(&world, texts);
        found.iter().filter(|one| one.contains("its root is not listed")).count()
    };
    assert_eq!(count(vec![text(&[&sub_der])]), 1);
    assert_eq!(count(vec![text(&[&below_der, &sub_der])]), 2);
    assert_eq!(count(vec![text(&[&sub_der, &namesake_der])]), 1);
    assert_eq!(count(vec![text(&[&below_der, &root_der])]), 1, "a link is missing");
    for texts in [
        vec![text(&[&sub_der, &root_der])],
        vec![text(&[&root_der, &sub_der])],
        vec![text(&[&sub_der]), text(&[&root_der])],
        vec![text(&[&below_der]), text(&[&root_der, &sub_der])],
    ] {
        assert_eq!(count(texts), 0);
    }
}

/// `keyUsage` of an upstream: every handshake of ours is signed with its key.
#[test]
fn an_upstreams_key_must_be_for_signatures() {
    let world = World::new("root", 1);
    let anchors = Anchors::new(std::slice::from_ref(&world.root_der)).expect("anchors");
    let rules = VerificationRules {
        depth: 1,
        allow_v1: true,
        purpose: Purpose::Server,
        clock: Clock { now: now(), skew: 0 },
        revocation: None,
    };
    let table = [
        (None, Ok(())),
        (Some(0x80), Ok(())),
        (Some(0xa0), Ok(())),
        (Some(0xe8), Ok(())),
        (Some(0x20), Err(VerifyFailure::Purpose)),
        (Some(0x08), Err(VerifyFailure::Purpose)),
        (Some(0x40), Err(VerifyFailure::Purpose)),
        (Some(0x06), Err(VerifyFailure::Purpose)),
    ];
    for (bits, expected) in table {
        let draft = ca("server", bits.into_iter().map(key_usage).collect());
        let draft = Draft { digest: Digest::Sha256, ..draft };
        let leaf = draft.sign(&world.key, &world.root);
        assert_eq!(anchors.verify(&[&leaf], rules), expected, "{bits:x?}");
    }
}

/// Makes a root of a kind that is not verified, and a list by it.
fn other_kind(dir: &std::path::Path) -> (Vec<u8>, String) {
    shell(
        dir,
        "openssl genpkey -algorithm ED448 -out ed448.key && \
         openssl req -x509 -new -key ed448.key -subj /CN=ed448 -days 30 -out ed448.pem && \
         openssl x509 -in ed448.pem -outform DER -out ed448.der && \
         touch index && echo 01 >number && \
         printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\ncrlnumber=number\\ndefault_md=null\\n' >cnf && \
         openssl ca -config cnf -gencrl -crldays 30 -keyfile ed448.key -cert ed448.pem -out list.pem \
         2>/dev/null",
    );
    let der = std::fs::read(dir.join("ed448.der")).expect("a certificate");
    (der, std::fs::read_to_string(dir.join("list.pem")).expect("a list"))
}

/// Whatever is made of its chain, its holder could sign nothing that we understand.
#[test]
fn a_client_that_can_prove_nothing_is_told_so() {
    let world = World::new("root", 1);
    let (leaf, _) = other_kind(world.dir.path());
    let leaf = world.certified(&leaf);
    let keys = Arc::new(TicketKeys::new());
    for verify in [ClientVerify::On, ClientVerify::Optional, ClientVerify::OptionalNoCa] {
        for reject in [Reject::Http, Reject::Handshake] {
            let settings = load(&server(&world, verify, reject), &keys);
            for tls13 in [true, false] {
                let config = Arc::new(client(Some(Arc::clone(&leaf)), tls13));
                let met = meet(&config, &settings.config, "a.example");
                let error = met.err().expect("nothing is proved");
                // unsupported_certificate
                let said = Error::InvalidCertificate(CertificateError::InvalidPurpose);
                assert_eq!(error, said, "{verify:?}, {reject:?}");
            }
        }
    }
}

/// A list that cannot be believed is told at load, and refuses nobody else's file.
#[test]
fn a_list_of_an_unsupported_kind_is_warned_about() {
    let world = World::new("root", 1);
    let (root, list) = other_kind(world.dir.path());
    let mut model = server(&world, ClientVerify::On, Reject::Http);
    let clients = model.client.as_mut().expect("clients");
    clients.ca.push(text(&[&root]));
    clients.revocation = Some(Revocation {
        place: Place::default(),
        crls: vec![inline(&list)],
        urls: Vec::new(),
        distribution_points: false,
        expired: CrlExpired::Reject,
        missing: CrlMissing::Allow,
    });
    let mut problems = Problems::default();
    let keys = Arc::new(TicketKeys::new());
    let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
    assert!(problems.is_empty(), "{problems:?}");
    let said = "is signed by CN=ed448 with an unsupported algorithm";
    let told = settings.warnings.iter().any(|warning| warning.message.contains(said));
    assert!(told, "{:?}", settings.warnings);
}
