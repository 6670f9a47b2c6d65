//! Files that change by themselves: certificates, keys, CRLs and what belongs to them.
//!
//! Polled, because renewals come by rename, by symlink swap and over network file systems, and each
//! of these looks the same to `stat`. A change counts once it has settled: two looks that agree. What goes
//! on changing is waited for, but not for long, unless it grows: then it is not whole. What was refused
//! is tried again, ever less often: the reason may have been none of the files' own.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file looks like from outside; `None` if it cannot be looked at.
type Stamp = Option<[i64; 7]>;

/// Looks for which a change waits to settle, itself and for others that have not settled.
const LOOKS_TO_SETTLE: u32 = 3;
/// Looks until what was refused is tried again: twice as many each time, up to the second number.
const LOOKS_TO_RETRY: (u32, u32) = (4, 20);
/// Refusals for one and the same reason from one that is told to the next.
const TOLD_EVERY: u32 = 360;

/// The files of one configuration.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// As of the last load.
    taken: BTreeMap<PathBuf, Stamp>,
    /// As of the last look.
    seen: BTreeMap<PathBuf, Stamp>,
    /// Looks in a row for which each file has been seen changing.
    unsettled: BTreeMap<PathBuf, u32>,
    refused: Option<Refused>,
}

/// A load that came to nothing.
#[derive(Debug)]
struct Refused {
    files: Vec<PathBuf>,
    why: String,
    /// How often for this reason.
    times: u32,
    /// Looks from this refusal to the next load, and how many are left.
    wait: u32,
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

/// Is the same file longer or shorter than before, or there at last?
fn grows(before: Stamp, now: Stamp) -> bool {
    match (before, now) {
        (Some([dev, ino, size, ..]), Some([now_dev, now_ino, now_size, ..])) => {
            (dev, ino) == (now_dev, now_ino) && size != now_size
        }
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

impl Watch {
    /// Looks at these files as they are now. Called before they are read: what changes while they are
    /// read is seen as a change then.
    pub(super) fn of(files: &[&Path]) -> Self {
        let taken: BTreeMap<_, _> =
            files.iter().map(|path| (path.to_path_buf(), stamp(path))).collect();
        Self { seen: taken.clone(), taken, ..Self::default() }
    }

    /// Looks again. The files that have changed since the last load, once the change has settled or has
    /// had its time to; or those that were refused, once it is time to try again.
    pub(super) fn changed(&mut self) -> Vec<PathBuf> {
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
                let looks = unsettled.entry(path.clone()).or_default();
                *looks = looks.saturating_add(1);
                let in_time = *looks <= LOOKS_TO_SETTLE;
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

    /// What was refused, if it is time to try again.
    fn due(&mut self) -> Vec<PathBuf> {
        let Some(refused) = &mut self.refused else { return Vec::new() };
        refused.left = refused.left.saturating_sub(1);
        if refused.left == 0 { refused.files.clone() } else { Vec::new() }
    }

    /// Looks at the same files from now on, and remembers what was refused.
    pub(super) fn follow(&mut self, mut next: Self) {
        next.refused = self.refused.take();
        *self = next;
    }

    /// Nothing is refused any more. Was anything?
    pub(super) fn mended(&mut self) -> bool {
        self.refused.take().is_some()
    }

    /// A load because of these files was refused. Is that to be told? Of one reason, only now and then.
    pub(super) fn refuse(&mut self, files: Vec<PathBuf>, why: String) -> bool {
        let (first, last) = LOOKS_TO_RETRY;
        let (times, wait) = match &self.refused {
            Some(before) if before.why == why => {
                (before.times.saturating_add(1), before.wait.saturating_mul(2).min(last))
            }
            _ => (0, first),
        };
        self.refused = Some(Refused { files, why, times, wait, left: wait });
        times % TOLD_EVERY == 0
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
        let mut watch = Watch::of(&[&one, &two]);
        assert!(watch.changed().is_empty());
        std::fs::write(&one, "12").unwrap();
        assert!(watch.changed().is_empty());
        // Still being written.
        std::fs::write(&one, "123").unwrap();
        std::fs::write(&two, "new").unwrap();
        assert!(watch.changed().is_empty());
        assert_eq!(watch.changed(), [one, two.clone()]);
        assert!(watch.changed().is_empty());
        std::fs::remove_file(&two).unwrap();
        assert!(watch.changed().is_empty());
        assert_eq!(watch.changed(), [two]);
    }

    #[test]
    fn what_was_refused_is_tried_again_ever_less_often() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let mut watch = Watch::of(&[&one]);
        std::fs::write(&one, "1").unwrap();
        assert!(watch.changed().is_empty());
        assert_eq!(watch.changed().len(), 1);
        let looks_until_due = |watch: &mut Watch| {
            (1_u32..99).find(|_| !watch.changed().is_empty()).unwrap_or_default()
        };
        assert!(watch.refuse(vec![one.clone()], "no room".to_owned()));
        for wait in [4, 8, 16, 20, 20] {
            assert_eq!(looks_until_due(&mut watch), wait);
            assert!(!watch.refuse(vec![one.clone()], "no room".to_owned()), "told already");
        }
        assert!(watch.refuse(vec![one.clone()], "broken".to_owned()), "another reason");
        assert_eq!(looks_until_due(&mut watch), 4);
        // A change does not wait for that.
        assert!(!watch.refuse(vec![one.clone()], "broken".to_owned()));
        std::fs::write(&one, "12").unwrap();
        assert_eq!(looks_until_due(&mut watch), 2);
    }

    #[test]
    fn who_never_settles_holds_nobody_up_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let mut watch = Watch::of(&[&one, &two]);
        std::fs::write(&one, "1").unwrap();
        let taken = (1_usize..99).find_map(|look| {
            std::fs::write(&two, "x".repeat(look)).unwrap();
            Some((look, watch.changed())).filter(|(_, changed)| !changed.is_empty())
        });
        assert_eq!(taken, Some((4, vec![one])));
    }

    /// A list that is fetched more often than we look must count all the same.
    #[test]
    fn what_never_settles_is_read_all_the_same() {
        type Write = fn(&Path, usize);
        let renamed: Write = |path, look| {
            let next = path.with_extension("next");
            std::fs::write(&next, "x".repeat(look)).unwrap();
            std::fs::rename(next, path).unwrap();
        };
        let rewritten: Write = |path, look| {
            std::fs::write(path, (look % 10).to_string()).unwrap();
        };
        let folder = tempfile::tempdir().unwrap();
        for (number, write) in [renamed, rewritten].into_iter().enumerate() {
            let one = folder.path().join(number.to_string());
            std::fs::write(&one, "0").unwrap();
            let mut watch = Watch::of(&[&one]);
            for round in 0..3 {
                let read = (1_usize..99).find(|look| {
                    write(&one, *look);
                    !watch.changed().is_empty()
                });
                assert_eq!(read, Some(4), "{number}, {round}");
            }
        }
    }

    /// As long as it grows, it is not whole.
    #[test]
    fn what_still_grows_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let mut watch = Watch::of(&[&one]);
        for length in 1..30 {
            std::fs::write(&one, "x".repeat(length)).unwrap();
            assert!(watch.changed().is_empty(), "{length}");
        }
        assert_eq!(watch.changed(), [one]);
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
        let mut watch = Watch::of(&[&cert]);
        symlink("v2", folder.path().join("next")).unwrap();
        std::fs::rename(folder.path().join("next"), &data).unwrap();
        assert!(watch.changed().is_empty());
        assert_eq!(watch.changed(), [cert]);
    }

    #[test]
    fn what_changed_and_changed_back_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let one = folder.path().join("one");
        let mut watch = Watch::of(&[&one]);
        std::fs::write(&one, "1").unwrap();
        assert!(watch.changed().is_empty());
        std::fs::remove_file(&one).unwrap();
        assert!(watch.changed().is_empty());
        assert!(watch.changed().is_empty());
    }
}
