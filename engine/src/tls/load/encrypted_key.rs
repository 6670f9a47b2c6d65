//! Encrypted private keys (PKCS#8, RFC 5958 with PBES2 of RFC 8018) and the pass phrases that open
//! them.
//!
//! Like nginx's `ssl_password_file`: one pass phrase a line, tried in turn. Neither a pass phrase nor
//! a part of a key ever gets into a message.

use ferrule_config::model::{FileAt, KeyPair};
use ferrule_config::read_file;
use pkcs8::EncryptedPrivateKeyInfoRef;
use zeroize::Zeroizing;

use super::findings::Findings;
use super::{encryption_names, private_key};

/// Bytes of a file of pass phrases.
const PASSWORDS_BYTES_MAX: u64 = 64 * 1024;
/// Pass phrases that are tried; each costs a key derivation.
const PASSWORDS_MAX: usize = 32;

/// Opens the key in this block, which is PKCS #8 then, with these pass phrases; problems are pushed.
pub(crate) fn open(
    pair: &KeyPair,
    passwords: &[u8],
    der: &[u8],
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Vec<u8>> {
    let key = &pair.key;
    let Some(file) = &pair.password_file else {
        let message = format!("the private key in {} is encrypted", key.name());
        let help = "`password_file`, or a key without a pass phrase that only we may read";
        found.error(key.place, field, message, Some(help));
        return None;
    };
    if passwords.is_empty() {
        let field = format!("{field} (password_file)");
        found.error(file.place, &field, format!("{} is empty", file.path.display()), None);
        return None;
    }
    let unknown = |found: &mut Findings<'_>| {
        let message = match encryption_names::names(der) {
            Some(names) => {
                format!("the private key in {} is encrypted with {names}", key.name())
            }
            None => format!("the encrypted private key in {} is broken", key.name()),
        };
        let help = "PBES2 with AES, which we open: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out \
                    NEW (for DES, RC2 and RC4 with -provider default -provider legacy)";
        found.error(key.place, field, message, Some(help));
    };
    let Ok(info) = EncryptedPrivateKeyInfoRef::try_from(der) else {
        unknown(found);
        return None;
    };
    let lines = passwords.split(|byte| *byte == b'\n').take(PASSWORDS_MAX);
    for line in lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        match info.encryption_algorithm.decrypt(line, info.encrypted_data.as_bytes()) {
            // One wrong pass phrase in 256 leaves a padding that looks right.
            Ok(plain) if private_key::is_pkcs8(&plain) => return Some(plain),
            Ok(_) | Err(pkcs8::pkcs5::Error::DecryptFailed) => {}
            Err(_) => {
                unknown(found);
                return None;
            }
        }
    }
    let message =
        format!("no pass phrase in {} opens the key in {}", file.path.display(), key.name());
    found.error(file.place, &format!("{field} (password_file)"), message, None);
    None
}

/// What this file holds; problems are pushed. It is read whether a key needs it or not, as in nginx: a
/// file that is named and cannot be read is never passed over.
pub(crate) fn passwords(
    file: &FileAt,
    field: &str,
    found: &mut Findings<'_>,
) -> Option<Zeroizing<Vec<u8>>> {
    let field = format!("{field} (password_file)");
    let path = file.path.display();
    match read_file(&file.path, PASSWORDS_BYTES_MAX) {
        Ok(read) => {
            found.warn_if_open(read.open_to_others(), &path, file.place, &field);
            Some(Zeroizing::new(read.bytes))
        }
        Err(error) => {
            found.error(file.place, &field, error.about(&path), None);
            None
        }
    }
}
