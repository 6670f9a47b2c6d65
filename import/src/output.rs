//! What an import hands over, and the folder that it becomes.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::report::{Outcome, Report};

/// The name of the configuration in the folder.
const CONFIGURATION: &str = "ferrule.toml";

/// What came of an import.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// What became of each object.
    pub report: Report,
    /// The configuration; empty if something is refused.
    pub configuration: String,
    /// The files that it names, by name.
    pub files: BTreeMap<String, String>,
}

/// Why a folder was not written. Nothing of it is there then.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something is refused, so there is nothing to write.
    #[error("something is refused, and nothing is written")]
    Refused,
    /// The folder is there already.
    #[error("{} is there already: name a folder that is not", .0.display())]
    Exists(PathBuf),
    /// The system said no.
    #[error("{} cannot be written: {error}", path.display())]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Import {
    /// Writes the folder: the configuration and its files, readable by their owner alone. It is made beside its place
    /// and put there at once, so that it appears whole or not at all.
    ///
    /// # Errors
    /// Something is refused, the folder exists, or it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), OutputError> {
        if self.report.outcome() == Outcome::Refused {
            return Err(OutputError::Refused);
        }
        if fs::symlink_metadata(folder).is_ok() {
            return Err(OutputError::Exists(folder.to_owned()));
        }
        let failed = |error| OutputError::Io { path: folder.to_owned(), error };
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        let fresh = tempfile::Builder::new().prefix(".ferrule-import").tempdir_in(parent);
        let fresh = fresh.map_err(failed)?;
        for (name, text) in &self.files {
            write_file(&fresh.path().join(name), text).map_err(failed)?;
        }
        write_file(&fresh.path().join(CONFIGURATION), &self.configuration).map_err(failed)?;
        fs::set_permissions(fresh.path(), Permissions::from_mode(0o700)).map_err(failed)?;
        // Fails where a folder with something in it came between: it is never replaced.
        fs::rename(fresh.path(), folder).map_err(failed)?;
        // It is no longer where it was, so there is nothing to remove.
        let _ = fresh.keep();
        Ok(())
    }
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
