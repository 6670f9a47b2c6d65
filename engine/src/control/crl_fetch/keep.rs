//! Fetched lists become a file: whole or not at all, for its owner alone, and never older than it was.
//!
//! In: the lists of a URL. Out: those that are held from then on, which are in the file as well. Other processes may
//! write there at the same time: the one before an upgrade, while it ends. So what is there is read again and
//! judged under a lock, right before it is replaced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::control::process::clock;
use crate::identity::verify::anchors::Anchors;
use crate::identity::x509::crl::{CRL_BYTES_MAX, Crl};
use crate::tls::load::{crl_kinds, fetched_crls};

/// The file whose lock keeps writers of a directory apart.
const LOCK: &str = "crl-lock";
/// How long to wait for another writer, who needs as long as a file takes to be written.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// Letters of a line of PEM (RFC 7468).
const LINE_LETTERS: usize = 64;

/// What is held from now on.
#[derive(Debug)]
pub(super) struct KeptLists {
    pub(super) lists: Vec<Arc<Crl>>,
    /// The file was replaced.
    pub(super) written: bool,
}

/// Brings the file up to these lists, and these up to the file. Nothing is written once they are not wanted any
/// more. Writers at one time have different numbers.
///
/// # Errors
/// Words for operators; the file is as it was then.
pub(super) fn keep(
    path: &Path,
    number: u64,
    anchors: &Anchors,
    lists: &[Arc<Crl>],
    is_wanted: &dyn Fn() -> bool,
) -> Result<KeptLists, String> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let _lock = lock(directory)
        .map_err(|error| format!("{} cannot be locked: {error}", directory.display()))?;
    let in_file = fetched_crls::kept(path).map_err(|error| error.about(&path.display()))?;
    let merged = crl_kinds::merge(&in_file, lists, anchors);
    if merged.is_empty() || crl_kinds::is_same(&merged, &in_file) || !is_wanted() {
        return Ok(KeptLists { lists: merged, written: false });
    }
    if merged.iter().map(|list| list.der().len()).sum::<usize>() > CRL_BYTES_MAX {
        return Err(String::from("the lists of this URL are larger than 128 MiB together"));
    }
    write(path, number, &text_of(&merged))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    Ok(KeptLists { lists: merged, written: true })
}

/// Removes what writers have left who ended before they were done.
///
/// # Errors
/// The directory cannot be read or locked.
pub(super) fn remove_leftovers(directory: &Path) -> io::Result<()> {
    let _lock = lock(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_left =
            name.to_str().is_some_and(|name| name.starts_with("crl-") && name.contains(".der."));
        if is_left {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Keeps other writers out until it is dropped.
fn lock(directory: &Path) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(directory.join(LOCK), flags, Mode::RUSR | Mode::WUSR)?;
    let end = clock::monotonic() + LOCK_PATIENCE;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR)
                if clock::monotonic() < end =>
            {
                std::thread::park_timeout(LOCK_PAUSE);
            }
            Ok(()) => return Ok(File::from(file)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One list as it is; several as PEM, which has a place for each.
fn text_of(lists: &[Arc<Crl>]) -> Vec<u8> {
    if let [one] = lists {
        return one.der().to_vec();
    }
    let mut text = Vec::new();
    for list in lists {
        text.extend_from_slice(b"-----BEGIN X509 CRL-----\n");
        for line in BASE64.encode(list.der()).as_bytes().chunks(LINE_LETTERS) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        text.extend_from_slice(b"-----END X509 CRL-----\n");
    }
    text
}

fn write(path: &Path, number: u64, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.{number}", std::process::id()));
    let new = PathBuf::from(new);
    // What an earlier process of this number has left is in the way of nobody else.
    drop(fs::remove_file(&new));
    let new_one = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&new, new_one, Mode::RUSR | Mode::WUSR)?);
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        drop(fs::remove_file(&new));
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::tls::load::crl_kinds::testing::{ListAuthority, anchors, parsed};

    const LIFE: [i64; 2] = [1_000, 9_000];

    fn numbers(kept: &KeptLists) -> Vec<u8> {
        kept.lists.iter().map(|list| list.number().unwrap()[0]).collect()
    }

    #[test]
    fn it_is_replaced_as_a_whole_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl-0.der");
        let (one, other) = (ListAuthority::new("one"), ListAuthority::new("other"));
        let anchors = anchors(&[&one, &other]);
        let keep = |lists: &[Vec<u8>]| keep(&path, 1, &anchors, &parsed(lists), &|| true).unwrap();
        let first = one.list(1, LIFE, "");
        assert!(keep(std::slice::from_ref(&first)).written);
        assert_eq!(fs::read(&path).unwrap(), first);
        assert!(!keep(&[first]).written);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A second kind makes it PEM, and is read back with the first.
        let both = keep(&[other.list(7, LIFE, "")]);
        assert_eq!((numbers(&both), both.written), (vec![1, 7], true));
        assert!(fs::read(&path).unwrap().starts_with(b"-----BEGIN X509 CRL-----\n"));
        assert_eq!(numbers(&keep(&[])), [1, 7]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the list and the lock");
    }

    /// The process before an upgrade, and a fetch that began before a reload, bring what they began with.
    #[test]
    fn whoever_comes_late_puts_nothing_older_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl-0.der");
        let one = ListAuthority::new("one");
        let anchors = anchors(&[&one]);
        let keep = |number: u64, wanted: bool| {
            let lists = parsed(&[one.list(number, LIFE, "")]);
            keep(&path, number, &anchors, &lists, &|| wanted).unwrap()
        };
        assert!(keep(5, true).written);
        let late = keep(4, true);
        assert_eq!((numbers(&late), late.written), (vec![5], false));
        // The row is gone: what it brings is nobody's.
        let gone = keep(6, false);
        assert!(!gone.written);
        assert_eq!(numbers(&keep(5, true)), [5]);
        // A file that somebody has taken away is there again.
        fs::remove_file(&path).unwrap();
        assert!(keep(5, true).written);
    }

    #[test]
    fn what_may_be_anybodys_is_not_read_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl-0.der");
        let one = ListAuthority::new("one");
        let (anchors, list) = (anchors(&[&one]), one.list(1, LIFE, ""));
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, &list).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let keep = || keep(&path, 1, &anchors, &parsed(std::slice::from_ref(&list)), &|| true);
        assert!(keep().is_err() && fetched_crls::kept(&path).is_err());
        fs::remove_file(&path).unwrap();
        // Other lists, and what is none, are as good as nothing.
        let mut text = text_of(&parsed(&[ListAuthority::new("far").list(9, LIFE, "")]));
        fs::write(&path, &text).unwrap();
        assert!(keep().unwrap().written);
        // What stands beside ours does not make ours forgotten.
        let mixed = [ListAuthority::new("far").list(9, LIFE, ""), one.list(8, LIFE, "")];
        fs::write(&path, text_of(&parsed(&mixed))).unwrap();
        assert_eq!(numbers(&keep().unwrap()), [8]);
        text.truncate(40);
        fs::write(&path, &text).unwrap();
        assert!(keep().unwrap().written);
    }

    #[test]
    fn what_others_have_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["crl-00.der.17.1", "crl-00.der", "mine"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        remove_leftovers(folder.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["crl-00.der", LOCK, "mine"]);
        assert!(remove_leftovers(&folder.path().join("no")).is_err());
    }
}
