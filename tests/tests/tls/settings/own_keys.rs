//! Keys as other people's tools write them: opened, or refused by the very thing that is in the way.
//!
//! In: every kind of key that openssl makes, in every container and under every encryption. Out: settings
//! that sign with it, or a message that names what is wrong with it and what mends it.
use std::path::Path;
use std::sync::Arc;

use crate::kit::{World, client, config, inline, meet, now, server};
use ferrule_config::model::{ClientVerify, FileAt, KeyPair, Reject};
use ferrule_config::{Place, Problems};
use ferrule_engine::tls::{TicketKeys, TlsSettings};
use ferrule_tests::shell;

/// A name, how `openssl genpkey` makes it, and what is said of it; `None` opens.
const KINDS: [(&str, &str, Option<&str>); 16] = [
    ("rsa2048", "RSA -pkeyopt rsa_keygen_bits:2048", None),
    ("rsa3072", "RSA -pkeyopt rsa_keygen_bits:3072", None),
    ("p256", "EC -pkeyopt ec_paramgen_curve:P-256", None),
    ("p384", "EC -pkeyopt ec_paramgen_curve:P-384", None),
    ("ed25519", "ED25519", None),
    ("p521", "EC -pkeyopt ec_paramgen_curve:P-521", Some("is on the curve P-521")),
    ("k256", "EC -pkeyopt ec_paramgen_curve:secp256k1", Some("unsupported algorithm")),
    ("p224", "EC -pkeyopt ec_paramgen_curve:P-224", Some("unsupported algorithm")),
    ("bp256", "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", Some("unsupported algorithm")),
    ("ed448", "ED448", Some("unsupported algorithm")),
    ("e3", "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3", Some("exponent")),
    (
        "three",
        "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3",
        Some("more than two primes"),
    ),
    ("odd", "RSA -pkeyopt rsa_keygen_bits:2056", Some("RSA key of 2056 bits")),
    ("pss", "RSA-PSS -pkeyopt rsa_keygen_bits:2048", Some("id-RSASSA-PSS")),
    (
        "written",
        "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
        Some("unsupported algorithm"),
    ),
    ("small", "RSA -pkeyopt rsa_keygen_bits:1024", Some("RSA key of 1024 bits")),
];

/// How a key may be written without a pass phrase: a command from `$k.key` to `$k.out`.
const CONTAINERS: [(&str, &str); 7] = [
    ("PKCS#8", "openssl pkcs8 -topk8 -nocrypt -in $k.key -out $k.out"),
    ("its own", "openssl pkey -traditional -in $k.key -out $k.out"),
    ("DER and back", "openssl pkey -in $k.key -outform DER | openssl pkey -inform DER -out $k.out"),
    ("no public half", "openssl ec -no_public -in $k.key -out $k.out"),
    ("explicit parameters", "openssl ec -param_enc explicit -in $k.key -out $k.out"),
    ("a compressed point", "openssl ec -conv_form compressed -in $k.key -out $k.out"),
    (
        "no public half in PKCS#8",
        "openssl ec -no_public -param_enc explicit -in $k.key -out $k.sec && \
         openssl pkcs8 -topk8 -nocrypt -in $k.sec -out $k.out",
    ),
];

/// How a key may be encrypted, and what is said of it.
const ENCRYPTIONS: [(&str, Option<&str>); 20] = [
    ("pkcs8 -topk8 -v2 aes-128-cbc", None),
    ("pkcs8 -topk8 -v2 aes-192-cbc", None),
    ("pkcs8 -topk8 -v2 aes-256-cbc", None),
    ("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA1", None),
    ("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA224", None),
    ("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA384", None),
    ("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA512", None),
    ("pkcs8 -topk8 -v2 des3", None),
    ("pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1", None),
    ("pkcs8 -topk8 -scrypt -scrypt_N 1024", None),
    ("pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA512-256", Some("hmacWithSHA512-256")),
    ("pkcs8 -topk8 -v2 camellia-256-cbc", Some("camellia")),
    ("pkcs8 -topk8 -v2 aria-256-cbc", Some("aria")),
    ("pkcs8 -provider legacy -provider default -topk8 -v2 des", Some("des-cbc")),
    ("pkcs8 -provider legacy -provider default -topk8 -v2 rc2", Some("rc2-cbc")),
    ("pkcs8 -topk8 -v1 PBE-SHA1-3DES", Some("pbeWithSHA1And3-KeyTripleDES-CBC")),
    (
        "pkcs8 -provider legacy -provider default -topk8 -v1 PBE-SHA1-RC2-40",
        Some("pbeWithSHA1And40BitRC2-CBC"),
    ),
    (
        "pkcs8 -provider legacy -provider default -topk8 -v1 PBE-MD5-DES",
        Some("pbeWithMD5AndDES-CBC"),
    ),
    ("pkey -traditional -aes256", Some("OpenSSL's old format (AES-256-CBC)")),
    ("pkey -traditional -des3", Some("OpenSSL's old format (DES-EDE3-CBC)")),
];

/// A key and a certificate of its own.
fn make(dir: &Path, name: &str, how: &str) -> String {
    shell(
        dir,
        &format!(
            "openssl genpkey -algorithm {how} -out {name}.key 2>/dev/null && \
             openssl req -x509 -new -key {name}.key -subj /CN=a.example -days 30 -out {name}.cer"
        ),
    )
}

fn text(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).expect("a file")
}

/// What is wrong with this pair; nothing if it opens and a handshake with it succeeds.
fn outcome(dir: &Path, world: &World, (cert, key): (&str, &str), phrases: Option<&str>) -> String {
    let password_file =
        phrases.map(|file| FileAt { path: dir.join(file), place: Place::default() });
    let mut model = server(world, ClientVerify::Off, Reject::Http);
    model.client = None;
    let pair =
        KeyPair { cert: inline(&text(dir, cert)), key: inline(&text(dir, key)), password_file };
    model.pairs = vec![pair];
    let mut problems = Problems::default();
    let keys = Arc::new(TicketKeys::new());
    let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
    if !problems.is_empty() {
        return problems.iter().map(|one| format!("{} ({:?})", one.message, one.help)).collect();
    }
    for tls13 in [true, false] {
        let config = Arc::new(client(None, tls13));
        let met = meet(&config, &settings.servers[0].config, "a.example");
        met.map(|_| ()).expect("a handshake with the key");
    }
    String::new()
}

fn assert_is(outcome: &str, said: Option<&str>, what: &str) {
    match said {
        None => assert_eq!(outcome, "", "{what}"),
        Some(said) => {
            assert!(outcome.contains(said), "{what}: {said:?} is not in {outcome:?}");
            assert!(!outcome.contains("None"), "{what}: no help in {outcome}");
            for wrong in ["no pass phrase", "does not belong", "is broken"] {
                assert!(!outcome.contains(wrong), "{what}: {outcome}");
            }
        }
    }
}

#[test]
fn every_kind_of_key_opens_in_every_container_or_is_named() {
    let (world, dir) = (World::new("root", 1), tempfile::tempdir().expect("a directory"));
    let dir = dir.path();
    for (name, how, said) in KINDS {
        make(dir, name, how);
        let elliptic = how.starts_with("EC ");
        for (container, command) in CONTAINERS {
            // There is no other container for these kinds.
            let alone = matches!(name, "ed25519" | "ed448" | "pss") && container == "its own";
            if alone || (command.contains("openssl ec") && !elliptic) {
                continue;
            }
            let command = command.replace("$k", name);
            shell(dir, &format!("({command}) 2>/dev/null"));
            let files = (format!("{name}.cer"), format!("{name}.out"));
            let outcome = outcome(dir, &world, (&files.0, &files.1), None);
            assert_is(&outcome, said, &format!("{name} in {container}"));
        }
    }
}

#[test]
fn every_encryption_opens_or_is_named() {
    let (world, dir) = (World::new("root", 1), tempfile::tempdir().expect("a directory"));
    let dir = dir.path();
    std::fs::write(dir.join("phrases"), "wrong\nright\n").expect("a file");
    std::fs::write(dir.join("wrong"), "wrong\nalso\n").expect("a file");
    for (name, how) in [("p256", KINDS[2].1), ("rsa2048", KINDS[0].1)] {
        make(dir, name, how);
        let certificate = format!("{name}.cer");
        for (encryption, said) in ENCRYPTIONS {
            let command = format!(
                "openssl {encryption} -in {name}.key -out {name}.out -passout pass:right 2>/dev/null"
            );
            shell(dir, &command);
            let key = format!("{name}.out");
            let opened = outcome(dir, &world, (&certificate, &key), Some("phrases"));
            assert_is(&opened, said, &format!("{name}, {encryption}"));
            if said.is_none() {
                let refused = outcome(dir, &world, (&certificate, &key), Some("wrong"));
                assert!(refused.contains("no pass phrase"), "{name}, {encryption}: {refused}");
            }
        }
    }
}

#[test]
fn a_key_of_somebody_else_is_told_whatever_it_looks_like() {
    let (world, dir) = (World::new("root", 1), tempfile::tempdir().expect("a directory"));
    let dir = dir.path();
    for (name, at) in [("one", 2), ("two", 2), ("three", 0), ("four", 3), ("five", 4)] {
        make(dir, name, KINDS[at].1);
    }
    shell(dir, "openssl ec -no_public -in two.key -out bare.key 2>/dev/null");
    for key in ["two.key", "bare.key", "three.key", "four.key", "five.key"] {
        let outcome = outcome(dir, &world, ("one.cer", key), None);
        assert!(outcome.contains("does not belong to"), "{key}: {outcome}");
    }
}

/// A certificate may have its point in the short form; the key is the same.
#[test]
fn a_certificate_with_a_compressed_point_keeps_its_key() {
    let (world, dir) = (World::new("root", 1), tempfile::tempdir().expect("a directory"));
    let dir = dir.path();
    shell(
        dir,
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out long.key && \
         openssl ec -in long.key -conv_form compressed -out short.key 2>/dev/null && \
         openssl req -x509 -new -key short.key -subj /CN=a.example -days 30 -out short.cer",
    );
    for key in ["long.key", "short.key"] {
        assert_eq!(outcome(dir, &world, ("short.cer", key), None), "", "{key}");
    }
}
