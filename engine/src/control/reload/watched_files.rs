//! The files that a configuration names, and which of them have changed: certificates, keys, CRLs.
//!
//! In: one check of all files at a time. Out: the files to read again. They are polled, because renewals
//! come by rename, by symlink swap and over network file systems, and `stat` sees all of these. A change
//! counts once it has settled: two checks agree. A file that keeps changing is read after a few checks,
//! unless it grows: then it is not complete. Refused files are tried again, less and less often, because
//! the reason may have lain elsewhere.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What `stat` says of a file; `None` if it fails.
type Stamp = Option<[i64; 7]>;

/// How many checks a change waits to settle, itself and for other changes that have not settled.
const CHECKS_TO_SETTLE: u32 = 3;
/// How many checks pass until refused files are tried again; twice as many each time.
const CHECKS_TO_RETRY_MIN: u32 = 4;
const CHECKS_TO_RETRY_MAX: u32 = 20;
/// Of refusals in a row for the same reason, one in so many is reported.
const REPORT_EVERY: u32 = 360;

/// The files that one configuration names.
#[derive(Debug, Default)]
pub(super) struct WatchedFiles {
    /// As they were at the last load.
    taken: BTreeMap<PathBuf, Stamp>,
    /// As they were at the last check.
    seen: BTreeMap<PathBuf, Stamp>,
    /// How many checks in a row have seen each file change.
    unsettled: BTreeMap<PathBuf, u32>,
    refused: Option<RefusedLoad>,
}

/// The last load that was refused.
#[derive(Debug)]
struct RefusedLoad {
    files: Vec<PathBuf>,
    reason: String,
    /// How many loads before it were refused for the same reason.
    times: u32,
    /// How many checks pass from this refusal to the next try.
    wait: u32,
    /// How many of them are left.
    left: u32,
}

fn stamp(path: &Path) -> Stamp {
    let of = |meta: Metadata| {
        let number = |value: u64| i64::from_ne_bytes(value.to_ne_bytes());
        [
            number(meta.dev()),
            number(meta.ino()),
            number(meta.size()),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        ]
    };
    std::fs::metadata(path).ok().map(of)
}

/// Has the same file another size than before, or does it exist only now?
fn grows(before: Stamp, now: Stamp) -> bool {
    match (before, now) {
        (Some([dev, ino, size, ..]), Some([now_dev, now_ino, now_size, ..])) => {
            (dev, ino) == (now_dev, now_ino) && size != now_size
        }
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

impl WatchedFiles {
    /// Watches these files, as they are now. Called before they are read, so that a change while they are
    /// read is seen by the next check.
    pub(super) fn of(files: &[&Path]) -> Self {
        let taken: BTreeMap<_, _> =
            files.iter().map(|path| (path.to_path_buf(), stamp(path))).collect();
        Self { seen: taken.clone(), taken, ..Self::default() }
    }

    /// Checks the files. Returns those to read: files that have changed since the last load, once the
    /// changes have settled or had their time to; or refused files, once it is time to try them again.
    pub(super) fn take_changed(&mut self) -> Vec<PathBuf> {
        let now: BTreeMap<_, _> =
            self.taken.keys().map(|path| (path.clone(), stamp(path))).collect();
        let before = std::mem::replace(&mut self.seen, now);
        let Self { taken, seen, unsettled, .. } = self;
        let (mut ready, mut waiting) = (Vec::new(), false);
        for (path, now) in &*seen {
            let before = before.get(path).copied().flatten();
            if taken.get(path) == Some(now) || before == *now {
                unsettled.remove(path);
            } else {
                let checks = unsettled.entry(path.clone()).or_default();
                *checks = checks.saturating_add(1);
                let in_time = *checks <= CHECKS_TO_SETTLE;
                waiting |= in_time;
                if in_time || grows(before, *now) {
                    continue;
                }
            }
            if taken.get(path) != Some(now) {
                ready.push((path.clone(), *now));
            }
        }
        if ready.is_empty() {
            return self.due();
        }
        if waiting {
            return Vec::new();
        }
        unsettled.clear();
        taken.extend(ready.iter().cloned());
        ready.into_iter().map(|(path, _)| path).collect()
    }

    /// The refused files, if it is time to try them again.
    pub(super) fn due(&mut self) -> Vec<PathBuf> {
        let Some(refused) = &mut self.refused else { return Vec::new() };
        refused.left = refused.left.saturating_sub(1);
        if refused.left == 0 { refused.files.clone() } else { Vec::new() }
    }

    /// Watches the files from this state on, and keeps the last refusal.
    pub(super) fn watch_from(&mut self, mut next: Self) {
        next.refused = self.refused.take();
        *self = next;
    }

    /// Forgets the last refusal. Was there one?
    pub(super) fn clear_refusal(&mut self) -> bool {
        self.refused.take().is_some()
    }

    /// Records that these files were refused. Is that to be reported? The same reason is, only now and then.
    pub(super) fn record_refusal(&mut self, files: Vec<PathBuf>, reason: String) -> bool {
        let (times, wait) = match &self.refused {
            Some(before) if before.reason == reason => (
                before.times.saturating_add(1),
                before.wait.saturating_mul(2).min(CHECKS_TO_RETRY_MAX),
            ),
            _ => (0, CHECKS_TO_RETRY_MIN),
        };
        self.refused = Some(RefusedLoad { files, reason, times, wait, left: wait });
        times % REPORT_EVERY == 0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_counts_once_and_only_when_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, "1").unwrap();
        let mut watched = WatchedFiles::of(&[&one, &two]);
        assert!(watched.take_changed().is_empty());
        std::fs::write(&one, "12").unwrap();
        assert!(watched.take_changed().is_empty());
        // Still being written.
        std::fs::write(&one, "123").unwrap();
        std::fs::write(&two, "new").unwrap();
        assert!(watched.take_changed().is_empty());
        assert_eq!(watched.take_changed(), [one, two.clone()]);
        assert!(watched.take_changed().is_empty());
        std::fs::remove_file(&two).unwrap();
        assert!(watched.take_changed().is_empty());
        assert_eq!(watched.take_changed(), [two]);
    }

    #[test]
    fn refused_files_are_tried_again_less_and_less_often() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let mut watched = WatchedFiles::of(&[&one]);
        std::fs::write(&one, "1").unwrap();
        assert!(watched.take_changed().is_empty());
        assert_eq!(watched.take_changed().len(), 1);
        let checks_until_due = |watched: &mut WatchedFiles| {
            (1_u32..99).find(|_| !watched.take_changed().is_empty()).unwrap_or_default()
        };
        assert!(watched.record_refusal(vec![one.clone()], "no room".to_owned()));
        for wait in [4, 8, 16, 20, 20] {
            assert_eq!(checks_until_due(&mut watched), wait);
            assert!(
                !watched.record_refusal(vec![one.clone()], "no room".to_owned()),
                "reported already"
            );
        }
        assert!(watched.record_refusal(vec![one.clone()], "broken".to_owned()), "another reason");
        assert_eq!(checks_until_due(&mut watched), 4);
        // A change does not wait for that.
        assert!(!watched.record_refusal(vec![one.clone()], "broken".to_owned()));
        std::fs::write(&one, "12").unwrap();
        assert_eq!(checks_until_due(&mut watched), 2);
    }

    #[test]
    fn a_file_that_never_settles_delays_others_only_briefly() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let mut watched = WatchedFiles::of(&[&one, &two]);
        std::fs::write(&one, "1").unwrap();
        let taken = (1_usize..99).find_map(|check| {
            std::fs::write(&two, "x".repeat(check)).unwrap();
            Some((check, watched.take_changed())).filter(|(_, changed)| !changed.is_empty())
        });
        assert_eq!(taken, Some((4, vec![one])));
    }

    /// A list that is fetched more often than we check must still be read.
    #[test]
    fn a_file_that_never_settles_is_read() {
        type Write = fn(&Path, usize);
        let renamed: Write = |path, check| {
            let next = path.with_extension("next");
            std::fs::write(&next, "x".repeat(check)).unwrap();
            std::fs::rename(next, path).unwrap();
        };
        let rewritten: Write = |path, check| {
            std::fs::write(path, (check % 10).to_string()).unwrap();
        };
        let folder = tempfile::tempdir().unwrap();
        for (number, write) in [renamed, rewritten].into_iter().enumerate() {
            let one = folder.path().join(number.to_string());
            std::fs::write(&one, "0").unwrap();
            let mut watched = WatchedFiles::of(&[&one]);
            for round in 0..3 {
                let read = (1_usize..99).find(|check| {
                    write(&one, *check);
                    !watched.take_changed().is_empty()
                });
                assert_eq!(read, Some(4), "{number}, {round}");
            }
        }
    }

    /// While it grows, it is not complete.
    #[test]
    fn a_file_that_grows_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let mut watched = WatchedFiles::of(&[&one]);
        for length in 1..30 {
            std::fs::write(&one, "x".repeat(length)).unwrap();
            assert!(watched.take_changed().is_empty(), "{length}");
        }
        assert_eq!(watched.take_changed(), [one]);
    }

    #[test]
    fn a_swapped_symlink_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["v1", "v2"] {
            let dir = folder.path().join(version);
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("cert"), "same").unwrap();
        }
        let data = folder.path().join("data");
        symlink("v1", &data).unwrap();
        let cert = data.join("cert");
        let mut watched = WatchedFiles::of(&[&cert]);
        symlink("v2", folder.path().join("next")).unwrap();
        std::fs::rename(folder.path().join("next"), &data).unwrap();
        assert!(watched.take_changed().is_empty());
        assert_eq!(watched.take_changed(), [cert]);
    }

    #[test]
    fn a_change_that_is_undone_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let mut watched = WatchedFiles::of(&[&one]);
        std::fs::write(&one, "1").unwrap();
        assert!(watched.take_changed().is_empty());
        std::fs::remove_file(&one).unwrap();
        assert!(watched.take_changed().is_empty());
        assert!(watched.take_changed().is_empty());
    }
}
