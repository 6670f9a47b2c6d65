//! PEM text to chains and keys. Errors name the file, never the key.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use ferrule_config::model::{KeyPair, Pem, PemSource};
use ferrule_config::{Place, Problem, read_file};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Findings, encrypted};
use crate::identity::certificate::Certificate;
use crate::identity::signature;

/// Bytes of one PEM file; a bundle of every public root is a tenth of it.
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// ring signs with no larger RSA key.
const RSA_BITS_MAX: usize = 4096;

/// The certificates in these files, in their order; problems are pushed, and what can be read
/// is returned.
pub(super) fn certificates(
    pem: &Pem,
    field: &str,
    found: &mut Findings<'_>,
) -> Vec<CertificateDer<'static>> {
    let Some((text, _)) = text(pem, field, found) else { return Vec::new() };
    let mut list = Vec::new();
    for item in CertificateDer::pem_slice_iter(&text) {
        match item {
            Ok(der) if Certificate::parse(&der).is_some() => list.push(der),
            Ok(_) | Err(_) => {
                let message = format!("certificate {} in {} is broken", list.len() + 1, name(pem));
                found.error(pem.place, field, message, None);
                return list;
            }
        }
    }
    if list.is_empty() {
        let message = if text.trim_ascii().is_empty() {
            format!("{} is empty", name(pem))
        } else {
            format!("there is no certificate in {}", name(pem))
        };
        let help = "a PEM block that starts with -----BEGIN CERTIFICATE-----";
        found.error(pem.place, field, message, Some(help));
    }
    list
}

/// A chain and its key, ready to sign; problems are pushed. `field` names the object that holds it.
pub(super) fn pair(
    pair: &KeyPair,
    field: &str,
    provider: &CryptoProvider,
    found: &mut Findings<'_>,
) -> Option<Arc<CertifiedKey>> {
    let chain = certificates(&pair.cert, &format!("{field}.cert"), found);
    let key = private_key(pair, &format!("{field}.key"), found);
    let leaf_der = chain.first()?.clone();
    let leaf = Certificate::parse(&leaf_der)?;
    let place = pair.cert.place;
    warn_on_dates(&leaf, &pair.cert, &format!("{field}.cert"), found);
    if signature::rsa_bits(&leaf).is_some_and(|bits| bits > RSA_BITS_MAX) {
        let message = format!("the RSA key of {} is larger than 4096 bits", name(&pair.cert));
        found.error(place, field, message, Some("RSA up to 4096 bits, P-256, P-384 or Ed25519"));
        return None;
    }
    if signature::is_on_p521(&leaf) {
        let message = format!("the key of {} is on the curve P-521", name(&pair.cert));
        found.error(place, field, message, Some("P-256, P-384, Ed25519 or RSA"));
        return None;
    }
    let Ok(key) = provider.key_provider.load_private_key(key?) else {
        let message = format!("the private key in {} is of a kind we cannot use", name(&pair.key));
        let help = "RSA from 2048 to 4096 bits, P-256, P-384 or Ed25519";
        found.error(pair.key.place, &format!("{field}.key"), message, Some(help));
        return None;
    };
    let matches = key.public_key().is_some_and(|public| public.as_ref() == leaf.outline.spki);
    if !matches {
        let message =
            format!("the key in {} does not belong to {}", name(&pair.key), name(&pair.cert));
        let help = "the certificate first in the file must be the key's own";
        found.error(pair.key.place, &format!("{field}.key"), message, Some(help));
        return None;
    }
    Some(Arc::new(CertifiedKey::new(chain, key)))
}

fn private_key(
    pair: &KeyPair,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<PrivateKeyDer<'static>> {
    let pem = &pair.key;
    let (text, mode) = text(pem, field, found)?;
    if let Some(mode) = mode {
        found.warn_on_mode(mode, &name(pem), pem.place, field);
    }
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&text) {
        return Some(key);
    }
    if contains(&text, encrypted::BEGIN) {
        return encrypted::open(pair, &text, field, found);
    }
    let legacy = contains(&text, b"ENCRYPTED");
    let message = if legacy {
        format!("the private key in {} is encrypted in OpenSSL's old format", name(pem))
    } else if text.trim_ascii().is_empty() {
        format!("{} is empty", name(pem))
    } else {
        format!("there is no private key in {}", name(pem))
    };
    let help = if legacy {
        "PKCS#8 (openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW), with `password_file`"
    } else {
        "a PEM block of type PRIVATE KEY, ENCRYPTED PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY"
    };
    found.error(pem.place, field, message, Some(help));
    None
}

/// How a message names this PEM text.
pub(super) fn name(pem: &Pem) -> Cow<'_, str> {
    pem.name()
}

/// The text, and the mode of the file that it came from.
fn text<'p>(
    pem: &'p Pem,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<(Cow<'p, [u8]>, Option<u32>)> {
    let path = match &pem.source {
        PemSource::Inline(text) => return Some((Cow::Borrowed(text.as_bytes()), None)),
        PemSource::Path(path) => path,
    };
    match read_file(path, PEM_BYTES_MAX) {
        Ok(file) => Some((Cow::Owned(file.bytes), Some(file.mode))),
        Err(error) => {
            found.error(pem.place, field, error.about(&name(pem)), None);
            None
        }
    }
}

fn warn_on_dates(leaf: &Certificate<'_>, pem: &Pem, field: &str, found: &mut Findings<'_>) {
    let now = found.now;
    if leaf.not_after <= now {
        found.warning(pem.place, field, format!("the certificate in {} has expired", name(pem)));
    } else if now < leaf.not_before {
        let message = format!("the certificate in {} is not yet valid", name(pem));
        found.warning(pem.place, field, message);
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

impl Findings<'_> {
    /// Refuses the file.
    pub(super) fn error(&mut self, place: Place, field: &str, message: String, help: Option<&str>) {
        let help = help.map(ToOwned::to_owned);
        self.problems.push(Problem { place, field: field.to_owned(), message, help });
    }

    /// Does not refuse it.
    pub(super) fn warning(&mut self, place: Place, field: &str, message: String) {
        self.warnings.push(Problem { place, field: field.to_owned(), message, help: None });
    }

    /// Warns about a secret that others may read.
    pub(super) fn warn_on_mode(
        &mut self,
        mode: u32,
        name: &dyn Display,
        place: Place,
        field: &str,
    ) {
        if mode & 0o077 != 0 {
            let message = format!("{name} can be read by others than its owner");
            self.warning(place, field, message);
        }
    }
}
