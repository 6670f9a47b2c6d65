//! A fetched list becomes a file: whole or not at all, and for its owner alone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Puts these bytes in the place of what the file held. Writers at one time have different numbers.
///
/// # Errors
/// The file system's; the file is as it was then.
pub(super) fn write(path: &Path, number: u64, bytes: &[u8]) -> io::Result<()> {
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
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_replaced_as_a_whole_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        for text in ["one", "another"] {
            write(&path, 1, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
        assert!(write(&folder.path().join("no/list"), 1, b"").is_err());
    }
}
