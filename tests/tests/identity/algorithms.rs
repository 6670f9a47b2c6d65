//! Signatures of other people: verified, or called unsupported; wrong only where they are wrong.
//!
//! OpenSSL makes every key, certificate and list here, and says what it thinks of them.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use ferrule_engine::identity::ClientPolicy;
use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::verify_client;
use ferrule_engine::identity::verify::revocation::{Revocation, RevocationRules};
use ferrule_engine::identity::verify::verdict::Verdict;
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_tests::shell;

/// A way to make a key, and the ways in which it may sign.
struct Maker {
    name: &'static str,
    key: &'static str,
    /// Options of `openssl x509`, and whether OpenSSL takes it.
    signs: &'static [&'static str],
}

const PSS: &str = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen";

/// What nginx takes and we verify.
const VERIFIED: &[Maker] = &[
    Maker {
        name: "p256",
        key: "EC -pkeyopt ec_paramgen_curve:P-256",
        signs: &["-sha224", "-sha256", "-sha384", "-sha512"],
    },
    Maker {
        name: "p384",
        key: "EC -pkeyopt ec_paramgen_curve:P-384",
        signs: &["-sha224", "-sha256", "-sha384", "-sha512"],
    },
    Maker {
        name: "p521",
        key: "EC -pkeyopt ec_paramgen_curve:P-521",
        signs: &["-sha224", "-sha256", "-sha384", "-sha512"],
    },
    Maker { name: "ed25519", key: "ED25519", signs: &[""] },
    Maker {
        name: "rsa",
        key: "RSA -pkeyopt rsa_keygen_bits:2048",
        signs: &[
            "-sha224",
            "-sha256",
            "-sha384",
            "-sha512",
            "-sha256 {PSS}:0",
            "-sha256 {PSS}:20",
            "-sha256 {PSS}:32",
            "-sha256 {PSS}:127",
            "-sha256 {PSS}:128",
            "-sha256 {PSS}:222",
            "-sha224 {PSS}:28",
            "-sha384 {PSS}:48",
            "-sha384 {PSS}:1",
            "-sha512 {PSS}:64",
            "-sha512 {PSS}:20",
            "-sha512 {PSS}:max",
        ],
    },
    // One bit more than whole octets, so that the encoded message has an octet less.
    Maker {
        name: "rsa2049",
        key: "RSA -pkeyopt rsa_keygen_bits:2049",
        signs: &["-sha256", "-sha224", "-sha256 {PSS}:17", "-sha256 {PSS}:max"],
    },
    Maker {
        name: "rsa3",
        key: "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
        signs: &["-sha224", "-sha256", "-sha256 {PSS}:5"],
    },
    Maker {
        name: "pss",
        key: "RSA-PSS -pkeyopt rsa_keygen_bits:2048",
        signs: &["-sha256 {PSS}:32", "-sha384 {PSS}:7", "-sha224 {PSS}:max"],
    },
];

/// What nobody verifies here, whatever OpenSSL does.
const UNSUPPORTED: &[Maker] = &[
    Maker { name: "ed448", key: "ED448", signs: &[""] },
    Maker { name: "k256", key: "EC -pkeyopt ec_paramgen_curve:secp256k1", signs: &["-sha256"] },
    Maker { name: "p224", key: "EC -pkeyopt ec_paramgen_curve:P-224", signs: &["-sha256"] },
    Maker {
        name: "b256",
        key: "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
        signs: &["-sha256"],
    },
    Maker { name: "sm2", key: "EC -pkeyopt ec_paramgen_curve:SM2", signs: &["-sm3"] },
    Maker {
        name: "explicit",
        key: "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
        signs: &["-sha256"],
    },
    Maker {
        name: "sha3",
        key: "RSA -pkeyopt rsa_keygen_bits:2048",
        signs: &[
            "-sha3-256",
            "-sha512-256",
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_mgf1_md:sha384",
        ],
    },
    Maker {
        name: "held",
        key: "RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_pss_keygen_md:sha256 \
              -pkeyopt rsa_pss_keygen_mgf1_md:sha256 -pkeyopt rsa_pss_keygen_saltlen:32",
        signs: &["-sha256 {PSS}:32"],
    },
];

/// Hashes below 112 bits keep their own word.
const WEAK: &[Maker] = &[
    Maker {
        name: "weak",
        key: "RSA -pkeyopt rsa_keygen_bits:2048",
        signs: &["-sha1", "-md5", "-sha1 {PSS}:20"],
    },
    Maker { name: "weakec", key: "EC -pkeyopt ec_paramgen_curve:P-256", signs: &["-sha1"] },
];

/// Certificates are made now.
fn now() -> i64 {
    i64::try_from(rustls::pki_types::UnixTime::now().as_secs()).expect("a time")
}

fn der(dir: &Path, file: &str) -> Vec<u8> {
    shell(dir, &format!("openssl x509 -in {file} -outform DER -out {file}.der"));
    std::fs::read(dir.join(format!("{file}.der"))).expect("a certificate")
}

/// A root of this kind, and a leaf signed in each way. The leaf's key is of the same kind.
fn issue(dir: &Path, maker: &Maker, extra: &str) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let Maker { name, key, .. } = maker;
    // The name of the root tells the machine's OpenSSL nothing; its own signature is not looked at.
    let own = maker.signs[0].replace("{PSS}", PSS);
    shell(
        dir,
        &format!(
            "openssl genpkey -algorithm {key} -out {name}.key 2>/dev/null && {extra} \
             openssl req -x509 -new -key {name}.key {own} -subj /CN={name} -days 30 -out {name}.root \
             -addext basicConstraints=critical,CA:TRUE && \
             openssl req -new -key {name}.key {own} -subj /CN=leaf -out {name}.csr"
        ),
    );
    let mut leaves = Vec::new();
    for (at, how) in maker.signs.iter().enumerate() {
        let how = how.replace("{PSS}", PSS);
        let file = format!("{name}{at}.leaf");
        shell(
            dir,
            &format!(
                "openssl x509 -req -in {name}.csr -CA {name}.root -CAkey {name}.key -CAcreateserial \
                 {how} -days 20 -out {file} 2>/dev/null"
            ),
        );
        leaves.push((format!("{name} {how}"), der(dir, &file)));
    }
    (der(dir, &format!("{name}.root")), leaves)
}

fn verdict(root: &[u8], leaf: &[u8]) -> Verdict {
    let policy = ClientPolicy::new(&[root.to_vec()], 1, true).expect("a policy");
    verify_client(&[leaf], &policy, now())
}

#[test]
fn every_signature_that_nginx_takes_of_these_kinds_is_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    for maker in VERIFIED {
        let (root, leaves) = issue(dir.path(), maker, "");
        for (at, (name, leaf)) in leaves.iter().enumerate() {
            let files = format!("-CAfile {0}.root {0}{at}.leaf", maker.name);
            shell(dir.path(), &format!("openssl verify -auth_level 2 {files}"));
            assert_eq!(verdict(&root, leaf), Verdict::Success, "{name}");
            let mut wrong = leaf.clone();
            *wrong.last_mut().expect("a signature") ^= 1;
            let refused = Verdict::Failed(VerifyFailure::Signature);
            assert_eq!(verdict(&root, &wrong), refused, "{name}, wrong");
            // The signed part counts, too: a serial number, which stands at its start.
            let mut changed = leaf.clone();
            changed[20] ^= 1;
            assert_ne!(verdict(&root, &changed), Verdict::Success, "{name}, changed");
        }
    }
}

#[test]
fn what_is_not_verified_is_called_unsupported() {
    let dir = tempfile::tempdir().expect("a directory");
    for maker in UNSUPPORTED {
        let (root, leaves) = issue(dir.path(), maker, "");
        for (name, leaf) in &leaves {
            let refused = Verdict::Failed(VerifyFailure::Unsupported);
            assert_eq!(verdict(&root, leaf), refused, "{name}");
        }
    }
    let dsa =
        Maker { name: "dsa", key: "DSA -pkeyopt dsa_paramgen_bits:2048", signs: &["-sha256"] };
    // Parameters of a key of that kind take seconds to find; these are from OpenSSL's own list.
    let (root, leaves) = issue_dsa(dir.path(), &dsa);
    let refused = Verdict::Failed(VerifyFailure::Unsupported);
    assert_eq!(verdict(&root, &leaves), refused, "dsa");
}

fn issue_dsa(dir: &Path, maker: &Maker) -> (Vec<u8>, Vec<u8>) {
    let name = maker.name;
    shell(
        dir,
        &format!(
            "openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -pkeyopt \
             dsa_paramgen_q_bits:160 -out dsa.par 2>/dev/null && \
             openssl genpkey -paramfile dsa.par -out {name}.key && \
             openssl req -x509 -new -key {name}.key -sha256 -subj /CN={name} -days 30 -out {name}.root \
             -addext basicConstraints=critical,CA:TRUE && \
             openssl req -new -key {name}.key -sha256 -subj /CN=leaf -out {name}.csr && \
             openssl x509 -req -in {name}.csr -CA {name}.root -CAkey {name}.key -CAcreateserial -sha256 \
             -days 20 -out {name}.leaf 2>/dev/null"
        ),
    );
    (der(dir, &format!("{name}.root")), der(dir, &format!("{name}.leaf")))
}

#[test]
fn weak_hashes_keep_their_own_word() {
    let dir = tempfile::tempdir().expect("a directory");
    for maker in WEAK {
        let (root, leaves) = issue(dir.path(), maker, "");
        for (name, leaf) in &leaves {
            let refused = Verdict::Failed(VerifyFailure::WeakDigest);
            assert_eq!(verdict(&root, leaf), refused, "{name}");
        }
    }
}

/// OpenSSL writes a key with a compressed point if it is asked to.
#[test]
fn compressed_points_verify() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, curve) in [("c256", "P-256"), ("c384", "P-384"), ("c521", "P-521")] {
        let key = format!("EC -pkeyopt ec_paramgen_curve:{curve}");
        let maker =
            Maker { name, key: Box::leak(key.into_boxed_str()), signs: &["-sha256", "-sha512"] };
        let compress = format!(
            "openssl ec -in {name}.key -conv_form compressed -out {name}.ec 2>/dev/null && \
             mv {name}.ec {name}.key &&"
        );
        let (root, leaves) = issue(dir.path(), &maker, &compress);
        for (name, leaf) in &leaves {
            assert_eq!(verdict(&root, leaf), Verdict::Success, "{name}");
        }
    }
}

/// A list that cannot be believed refuses the certificates of its own CA, and nobody else's.
#[test]
fn a_list_of_an_unsupported_kind_refuses_its_own_ca_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let mut roots = Vec::new();
    let mut leaves = Vec::new();
    let mut lists = Vec::new();
    for maker in [&VERIFIED[0], &VERIFIED[2], &UNSUPPORTED[0]] {
        let (root, issued) = issue(dir, maker, "");
        let name = maker.name;
        let digest = if name == "ed448" { "null" } else { "sha512" };
        shell(
            dir,
            &format!(
                "touch {name}.index && echo 01 >{name}.number && printf '[ca]\\ndefault_ca=d\\n[d]\\n\
                 database={name}.index\\ncrlnumber={name}.number\\ndefault_md={digest}\\n' >{name}.cnf && \
                 openssl ca -config {name}.cnf -gencrl -crldays 30 -keyfile {name}.key -cert {name}.root \
                 -out {name}.crl 2>/dev/null && openssl crl -in {name}.crl -outform DER -out {name}.list"
            ),
        );
        lists.push(std::fs::read(dir.join(format!("{name}.list"))).expect("a list"));
        roots.push(root);
        leaves.push(issued[0].1.clone());
    }
    let policy = ClientPolicy::new(&roots, 1, true).expect("a policy");
    let lists = lists.into_iter().map(|der| Crl::parse(der).expect("a list")).collect();
    let rules = RevocationRules { expired_refuses: true, missing_refuses: true };
    let policy = policy.with_revocation(Some(Revocation::new(lists, rules)));
    let verdicts: Vec<Verdict> =
        leaves.iter().map(|leaf| verify_client(&[leaf], &policy, now())).collect();
    let refused = Verdict::Failed(VerifyFailure::Unsupported);
    assert_eq!(verdicts, [Verdict::Success, Verdict::Success, refused]);
}
