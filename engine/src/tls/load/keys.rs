//! PEM text to chains and keys. Errors name the file, never the key.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use ferrule_config::model::{KeyPair, Pem, PemSource};
use ferrule_config::read_file;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::encrypted_key;
use super::findings::{Findings, NamedPem};
use super::private_key::{self, KeyEncoding, KeyFlaw};
use super::shared_objects::PairSources;
use crate::identity::digest::sha256;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::signature;
use crate::tls::pem::{self, Block, BlockKind, Contents, Object};

/// Bytes of one PEM file; a bundle of every public root is a tenth of it.
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What we sign with.
const OWN_KINDS: &str = "RSA of 2048, 3072 or 4096 bits, P-256, P-384 or Ed25519";
const KEY_KINDS: &str =
    "a PEM block of type PRIVATE KEY, ENCRYPTED PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY";

/// The certificates in this text, in their order; problems are pushed, and what can be read is
/// returned. `wanted` says what else may stand there.
pub(crate) fn certificates(
    pem: &Pem,
    wanted: Contents,
    field: &str,
    found: &mut Findings<'_>,
) -> Vec<CertificateDer<'static>> {
    let Some((text, _)) = text(pem, field, found) else { return Vec::new() };
    let Some(blocks) = blocks(pem, &text, wanted, field, found) else { return Vec::new() };
    let mut list = Vec::new();
    for block in blocks {
        if Certificate::parse(&block.der).is_none() {
            let message =
                format!("{}, line {}: this certificate is broken", pem.name(), block.line);
            found.error(pem.place, field, message, None);
            return list;
        }
        list.push(CertificateDer::from(block.der));
    }
    if list.is_empty() {
        let help = "a PEM block that starts with -----BEGIN CERTIFICATE-----";
        found.nothing(pem, &text, field, "certificate", help);
    }
    list
}

/// The blocks of a text that are wanted there; problems are pushed.
fn blocks<'t>(
    pem: &Pem,
    text: &'t [u8],
    wanted: Contents,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Vec<Block<'t>>> {
    match pem::read(text, wanted) {
        Ok(blocks) => Some(blocks),
        Err(error) => {
            let (message, help) = match error.object(text) {
                Some(object) => {
                    let message = format!("{}, {error}: it is {}", pem.name(), object.text());
                    (message, object.help(wanted))
                }
                None => (format!("{}, {error}", pem.name()), error.flaw.help()),
            };
            found.error(pem.place, field, message, Some(help));
            None
        }
    }
}

/// A chain and its key, or those in force; problems are pushed. `field` names the object that holds it.
pub(crate) fn load_pair(
    pair: &KeyPair,
    field: &str,
    provider: &CryptoProvider,
    found: &mut Findings<'_>,
) -> Option<Arc<CertifiedKey>> {
    let place = pair.cert.place;
    found.load_once(
        |all| &mut all.pairs,
        PairSources::of(pair),
        vec![place],
        "",
        |found| {
            let files: Vec<&Path> = pair.files().collect();
            found.take_or_keep(place, &files, |found| read_pair(pair, field, provider, found))
        },
    )
}

/// A chain and its key, ready to sign; problems are pushed.
fn read_pair(
    pair: &KeyPair,
    field: &str,
    provider: &CryptoProvider,
    found: &mut Findings<'_>,
) -> Option<Arc<CertifiedKey>> {
    let chain = certificates(&pair.cert, Contents::Chain, &format!("{field}.cert"), found);
    let key = private_key_of(pair, &format!("{field}.key"), found);
    let leaf_der = chain.first()?.clone();
    let leaf = Certificate::parse(&leaf_der)?;
    let place = pair.cert.place;
    warn_on_dates(&leaf, &pair.cert, &format!("{field}.cert"), found);
    // An RSA key of another size is named by its file.
    if !signature::key_is_usable(&leaf) && signature::rsa_bits(&leaf).is_none() {
        let message = format!(
            "the key of {} is of a kind we cannot use (unsupported algorithm)",
            pair.cert.name()
        );
        found.error(place, field, message, Some(OWN_KINDS));
        return None;
    }
    let (encoding, der) = key?;
    let der = Zeroizing::new(der);
    match private_key::load(encoding, &der, &leaf, provider) {
        Ok(key) => Some(Arc::new(CertifiedKey::new(chain, key))),
        Err(KeyFlaw::Foreign) => {
            let message =
                format!("the key in {} does not belong to {}", pair.key.name(), pair.cert.name());
            let help = Some(KeyFlaw::Foreign.help());
            found.error(pair.key.place, &format!("{field}.key"), message, help);
            None
        }
        Err(flaw) => {
            let message = format!("the private key in {} {}", pair.key.name(), flaw.text());
            found.error(pair.key.place, &format!("{field}.key"), message, Some(flaw.help()));
            None
        }
    }
}

/// The DER of the key, opened, and how it is framed; problems are pushed.
fn private_key_of(
    pair: &KeyPair,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<(KeyEncoding, Vec<u8>)> {
    let pem = &pair.key;
    let passwords = match &pair.password_file {
        Some(file) => encrypted_key::passwords(file, field, found)?,
        None => Zeroizing::default(),
    };
    let (text, open) = text(pem, field, found)?;
    let text = Zeroizing::new(text.into_owned());
    found.warn_if_open(open, &pem.name(), pem.place, field);
    let mut blocks = blocks(pem, &text, Contents::Key, field, found)?.into_iter();
    let Some(block) = blocks.next() else {
        found.nothing(pem, &text, field, "private key", KEY_KINDS);
        return None;
    };
    let at = format!("{}, line {}", pem.name(), block.line);
    if let Some(second) = blocks.next() {
        let message = format!("{}, line {}: this is a second private key", pem.name(), second.line);
        let help = "one key in a file: nobody can tell which of two is meant";
        found.error(pem.place, field, message, Some(help));
        return None;
    }
    if !block.headers.is_empty() {
        let cipher = block.headers.iter().find_map(|line| line.strip_prefix("DEK-Info: "));
        let cipher = cipher.and_then(|line| line.split(',').next()).unwrap_or("no word how");
        let message =
            format!("{at}: this private key is encrypted in OpenSSL's old format ({cipher})");
        let help = "PKCS#8 (openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW), with \
                    `password_file`";
        found.error(pem.place, field, message, Some(help));
        return None;
    }
    match block.kind {
        BlockKind::Pkcs8Key => Some((KeyEncoding::Pkcs8, block.der)),
        BlockKind::Pkcs1Key => Some((KeyEncoding::Pkcs1, block.der)),
        BlockKind::Sec1Key => Some((KeyEncoding::Sec1, block.der)),
        BlockKind::EncryptedKey => encrypted_key::open(pair, &passwords, &block.der, field, found)
            .map(|der| (KeyEncoding::Pkcs8, der)),
        _ => {
            let message = format!("{at}: this is an {} block, which we cannot use", block.label);
            let help = match Object::of(&text) {
                Some(Object::SshKey) => Object::SshKey.help(Contents::Key).to_owned(),
                _ => format!("{KEY_KINDS} (openssl pkey -in KEY -out NEW)"),
            };
            found.error(pem.place, field, message, Some(&help));
            None
        }
    }
}

/// The text, and what others can do to the file that it came from; problems are pushed.
fn text<'p>(
    pem: &'p Pem,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<(Cow<'p, [u8]>, Option<&'static str>)> {
    let path = match &pem.source {
        PemSource::Inline(text) => return Some((Cow::Borrowed(text.as_bytes()), None)),
        PemSource::Path(path) => path,
    };
    match read_file(path, PEM_BYTES_MAX) {
        Ok(file) => {
            let open = file.open_to_others();
            Some((Cow::Owned(file.bytes), open))
        }
        Err(error) => {
            found.error(pem.place, field, error.about(&pem.name()), None);
            None
        }
    }
}

fn warn_on_dates(leaf: &Certificate<'_>, pem: &Pem, field: &str, found: &mut Findings<'_>) {
    let name = format!("the certificate in {}", pem.name());
    let at = NamedPem { pem, field, name: &name };
    if leaf.not_after <= found.now {
        found.warn_once(sha256(leaf.raw.der), at, "has expired");
    } else if found.now < leaf.not_before {
        found.warn_once(sha256(leaf.raw.der), at, "is not yet valid");
    }
}
