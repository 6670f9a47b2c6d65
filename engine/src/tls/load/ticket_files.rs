//! Ticket secrets from files, so that a fleet opens each other's tickets.
//!
//! nginx's `ssl_session_ticket_key`: 48 or 80 random bytes a file, of which the first 16 are the
//! name. The first file seals, all of them open; what protects tickets is derived from the rest, by
//! policy.

use std::path::Path;
use std::sync::Arc;

use ferrule_config::model::FileAt;
use ferrule_config::{FileError, read_file};
use ring::digest;
use zeroize::Zeroizing;

use super::findings::Findings;
use crate::tls::resumption::ticket_secret::{NAME_LEN, TicketSecret};

/// Files that are taken.
const FILES_MAX: usize = 8;
const DAY: i64 = 86_400;
/// Seconds since a file was written after which its key is warned of.
const AGE_MAX: i64 = 7 * DAY;
/// Bytes of the longer kind.
const FILE_BYTES_MAX: u64 = 80;

/// All of them, or those of before: a key is found by its place among the others.
pub(crate) fn take_or_keep(files: &[FileAt], found: &mut Findings<'_>) -> Arc<[TicketSecret]> {
    let Some(first) = files.first() else { return Arc::new([]) };
    let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    let taken = found.take_or_keep(first.place, &paths, |found| Some(load(files, found)));
    taken.unwrap_or_default()
}

/// Reads them all; problems are pushed.
fn load(files: &[FileAt], found: &mut Findings<'_>) -> Arc<[TicketSecret]> {
    let mut secrets: Vec<TicketSecret> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let field = "http.ssl_session_ticket_key";
        let path = file.path.display();
        if index >= FILES_MAX {
            let help = "a ticket lives for an hour: keep the last key or two";
            let message = "these are more than 8 files".to_owned();
            found.error(file.place, field, message, Some(help));
            break;
        }
        let read = read_file(&file.path, FILE_BYTES_MAX);
        if let Ok(read) = &read {
            found.warn_if_open(read.open_to_others(), &path, file.place, field);
            let age = found.now.saturating_sub(read.modified);
            // The first seals; what only opens may be as old as it likes.
            if index == 0 && age >= AGE_MAX {
                let message = format!(
                    "{path} has sealed tickets for {} days: whoever gets hold of it opens what was \
                     recorded in that time; put a new key in front and keep this one for two hours",
                    age / DAY
                );
                found.warning(file.place, field, message);
            }
        }
        match read.map(|read| secret(&Zeroizing::new(read.bytes))) {
            Ok(Some(secret)) if secrets.iter().any(|known| known.name == secret.name) => {
                found.error(file.place, field, format!("{path} holds a key given above"), None);
            }
            Ok(Some(secret)) => secrets.push(secret),
            Ok(None) | Err(FileError::TooLarge(_)) => {
                let message = format!("{path} does not hold 48 or 80 random bytes");
                let help = "openssl rand -out FILE 80, readable by us alone";
                found.error(file.place, field, message, Some(help));
            }
            Err(error) => {
                found.error(file.place, field, error.about(&path), None);
            }
        }
    }
    secrets.into()
}

/// The secret in these bytes. One byte over and over is no secret.
fn secret(bytes: &[u8]) -> Option<TicketSecret> {
    if !matches!(bytes.len(), 48 | 80) {
        return None;
    }
    let (name, rest) = bytes.split_first_chunk::<NAME_LEN>()?;
    let first = rest.first()?;
    if rest.iter().all(|byte| byte == first) {
        return None;
    }
    let mut hashed = digest::Context::new(&digest::SHA256);
    hashed.update(b"ferrule session ticket file");
    hashed.update(rest);
    let bytes = hashed.finish().as_ref().try_into().ok()?;
    // A file's age is its owner's business; what is sealed with it ends by itself.
    Some(TicketSecret { name: *name, bytes, born: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_48_or_80_bytes_that_differ() {
        let mut bytes: Vec<u8> = (0..80).collect();
        let long = secret(&bytes).unwrap();
        assert_eq!(long.name[..], bytes[..16]);
        let short = secret(&bytes[..48]).unwrap();
        assert_ne!(long.bytes, short.bytes);
        for len in [0, 16, 47, 49, 79] {
            assert!(secret(&bytes[..len]).is_none(), "{len}");
        }
        bytes[16..].fill(7);
        assert!(secret(&bytes).is_none());
    }

    #[test]
    fn a_key_that_seals_for_more_than_a_week_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = folder.path().join(name);
            let seed = u8::try_from(name.len()).unwrap();
            std::fs::write(&path, (seed..seed + 80).collect::<Vec<u8>>()).unwrap();
            let modified = read_file(&path, FILE_BYTES_MAX).unwrap().modified;
            (FileAt { path, place: ferrule_config::Place::default() }, modified)
        };
        let ((one, now), (other, _)) = (at("one"), at("other"));
        for (age, warnings) in [(0, 0), (AGE_MAX - 1, 0), (AGE_MAX, 1), (100 * DAY, 1)] {
            let mut found = Findings { now: now + age, ..Findings::default() };
            // The second one only opens.
            let secrets = load(&[one.clone(), other.clone()], &mut found);
            let old = |problem: &&ferrule_config::Problem| problem.message.contains("has sealed");
            assert_eq!(found.warnings.iter().filter(old).count(), warnings, "{age}");
            assert_eq!(secrets.len(), 2);
        }
    }
}
