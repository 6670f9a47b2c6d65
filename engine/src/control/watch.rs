//! Files that change by themselves: certificates, keys, CRLs and what belongs to them.
//!
//! Polled, because renewals come by rename, by symlink swap and over network file systems, and each
//! of these looks the same to `stat`. A change counts once it has settled: two looks that agree.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file looks like from outside; `None` if it cannot be looked at.
type Stamp = Option<[i64; 6]>;

/// The files of one configuration.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// As of the last load.
    taken: BTreeMap<PathBuf, Stamp>,
    /// As of the last look.
    seen: BTreeMap<PathBuf, Stamp>,
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
            meta.ctime_nsec(),
        ]
    };
    std::fs::metadata(path).ok().map(of)
}

impl Watch {
    /// Looks at these files as they are now. Called before they are read: what changes while they are
    /// read is seen as a change then.
    pub(super) fn of(files: &[&Path]) -> Self {
        let taken: BTreeMap<_, _> =
            files.iter().map(|path| (path.to_path_buf(), stamp(path))).collect();
        Self { seen: taken.clone(), taken }
    }

    /// Looks again. The files that have changed since the last load, once the change has settled;
    /// they count as loaded then, whatever comes of it.
    pub(super) fn changed(&mut self) -> Vec<PathBuf> {
        let now: BTreeMap<_, _> =
            self.taken.keys().map(|path| (path.clone(), stamp(path))).collect();
        let before = std::mem::replace(&mut self.seen, now);
        if self.seen == self.taken || self.seen != before {
            return Vec::new();
        }
        let differs = |(path, stamp): &(&PathBuf, &Stamp)| self.taken.get(*path) != Some(*stamp);
        let changed = self.seen.iter().filter(differs).map(|(path, _)| path.clone()).collect();
        self.taken.clone_from(&self.seen);
        changed
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
