//! Keys, issuers and certificates before they are signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::BASE64;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::tls;

use super::asn1::{self, bit_string, explicit, integer, sequence};

/// What kind of key a certificate has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// RSA, 2048 bits
    Rsa2048,
    /// RSA, 1024 bits
    Rsa1024,
    /// RSA, 3072 bits
    Rsa3072,
    /// RSA, 4096 bits
    Rsa4096,
    /// RSA, 4096 bits with the exponent 2^33 - 1
    Rsa4096BigExponent,
    /// RSA, 8192 bits
    Rsa8192,
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// NIST P-521
    P521,
    /// Ed25519
    Ed25519,
}

/// A key pair in a file.
#[derive(Clone, Debug)]
pub struct Key {
    kind: Kind,
    /// PKCS#8 PEM.
    pub path: PathBuf,
    /// Subject public key info.
    pub spki: Vec<u8>,
}

/// Which digest is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
}

/// Who signs.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The name, as a `Name`.
    pub name: Vec<u8>,
    /// The key.
    pub key: Key,
}

/// A certificate before it is signed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// 1, 2 or 3.
    pub version: u8,
    /// Content of the serial number.
    pub serial: Vec<u8>,
    /// The name, as a `Name`.
    pub subject: Vec<u8>,
    /// As a time.
    pub not_before: Vec<u8>,
    /// As a time.
    pub not_after: Vec<u8>,
    /// Whole `Extension`s, in order.
    pub extensions: Vec<Vec<u8>>,
    /// What is signed.
    pub digest: Digest,
}

impl Key {
    /// A new key.
    #[must_use]
    pub fn new(dir: &Path, name: &str, kind: Kind) -> Self {
        let path = dir.join(format!("{name}.key"));
        let (algorithm, option) = match kind {
            Kind::Rsa2048 => ("RSA", "rsa_keygen_bits:2048"),
            Kind::Rsa1024 => ("RSA", "rsa_keygen_bits:1024"),
            Kind::Rsa3072 => ("RSA", "rsa_keygen_bits:3072"),
            Kind::Rsa4096 => ("RSA", "rsa_keygen_bits:4096"),
            Kind::Rsa4096BigExponent => ("RSA", "rsa_keygen_bits:4096"),
            Kind::Rsa8192 => ("RSA", "rsa_keygen_bits:8192"),
            Kind::P256 => ("EC", "ec_paramgen_curve:P-256"),
            Kind::P384 => ("EC", "ec_paramgen_curve:P-384"),
            Kind::P521 => ("EC", "ec_paramgen_curve:P-521"),
            Kind::Ed25519 => ("ED25519", ""),
        };
        let file = path.display().to_string();
        let mut arguments = vec!["genpkey", "-algorithm", algorithm, "-out", &file];
        if !option.is_empty() {
            arguments.extend(["-pkeyopt", option]);
        }
        // More primes are found sooner, and nobody sees them in a public key.
        match kind {
            Kind::Rsa4096 => arguments.extend(["-pkeyopt", "rsa_keygen_primes:4"]),
            Kind::Rsa4096BigExponent => arguments.extend([
                "-pkeyopt",
                "rsa_keygen_primes:4",
                "-pkeyopt",
                "rsa_keygen_pubexp:8589934591",
            ]),
            Kind::Rsa8192 => arguments.extend(["-pkeyopt", "rsa_keygen_primes:5"]),
            _ => {}
        }
        openssl(&arguments);
        let spki = openssl(&["pkey", "-in", &file, "-pubout", "-outform", "DER"]);
        Self { kind, path, spki }
    }

    pub(super) fn algorithm(&self, digest: Digest) -> Vec<u8> {
        let (dotted, with_null) = match (self.kind, digest) {
            (Kind::Ed25519, _) => ("1.3.101.112", false),
            (Kind::P256 | Kind::P384 | Kind::P521, Digest::Sha1) => ("1.2.840.10045.4.1", false),
            (Kind::P256 | Kind::P384 | Kind::P521, Digest::Sha256) => {
                ("1.2.840.10045.4.3.2", false)
            }
            (Kind::P256 | Kind::P384 | Kind::P521, Digest::Sha384) => {
                ("1.2.840.10045.4.3.3", false)
            }
            (_, Digest::Sha1) => ("1.2.840.113549.1.1.5", true),
            (_, Digest::Sha256) => ("1.2.840.113549.1.1.11", true),
            (_, Digest::Sha384) => ("1.2.840.113549.1.1.12", true),
        };
        let null: &[u8] = if with_null { &[5, 0] } else { &[] };
        sequence(&[&asn1::oid(dotted), null])
    }

    pub(super) fn sign(&self, message: &[u8], digest: Digest) -> Vec<u8> {
        if (self.kind, digest) == (Kind::P256, Digest::Sha256) {
            return self.sign_here(message);
        }
        let file = self.path.with_extension("tbs");
        fs::write(&file, message).expect("a file to sign");
        let file = file.display().to_string();
        let key = self.path.display().to_string();
        if self.kind == Kind::Ed25519 {
            return openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &file]);
        }
        let option = match digest {
            Digest::Sha1 => "-sha1",
            Digest::Sha256 => "-sha256",
            Digest::Sha384 => "-sha384",
        };
        openssl(&["dgst", option, "-sign", &key, &file])
    }
}

impl Key {
    /// The one kind that hundreds of certificates are signed with takes no process of its own.
    fn sign_here(&self, message: &[u8]) -> Vec<u8> {
        let key = PrivateKeyDer::from_pem_file(&self.path).expect("a key");
        let key = tls::provider().key_provider.load_private_key(key).expect("a usable key");
        let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        signer.expect("a P-256 key").sign(message).expect("a signature")
    }
}

impl Draft {
    /// The certificate for this key, signed by the issuer.
    #[must_use]
    pub fn sign(&self, key: &Key, issuer: &Issuer) -> Vec<u8> {
        let algorithm = issuer.key.algorithm(self.digest);
        let version =
            if self.version == 1 { Vec::new() } else { explicit(0, &integer(&[self.version - 1])) };
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            let list: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
            explicit(3, &sequence(&list))
        };
        let body = sequence(&[
            &version,
            &integer(&self.serial),
            &algorithm,
            &issuer.name,
            &sequence(&[&self.not_before, &self.not_after]),
            &self.subject,
            &key.spki,
            &extensions,
        ]);
        let signature = issuer.key.sign(&body, self.digest);
        sequence(&[&body, &algorithm, &bit_string(0, &signature)])
    }
}

/// DER as PEM.
#[must_use]
pub fn pem(der: &[u8], dir: &Path) -> String {
    let file = dir.join("one.der");
    fs::write(&file, der).expect("a file to convert");
    let file = file.display().to_string();
    // `openssl x509` would normalise; base64 keeps every byte.
    let body = openssl(&["base64", "-e", "-in", &file]);
    let body = String::from_utf8(body).expect("base64 is text");
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

/// DER as a PEM block of this kind.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
