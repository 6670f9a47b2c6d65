//! Reads the files that are bodies of answers.
//!
//! In: the paths of a checked configuration. Out: their bytes, and a problem for every one that is missing or
//! too large. Read at load and at every reload, and kept in memory, as error pages are.

use std::sync::Arc;

use ferrule_config::model::BODY_BYTES_MAX;
use ferrule_config::{Config, FileError, Problems, read_file};

/// Reads all of them.
pub(super) fn load(config: &Config, problems: &mut Problems) -> Arc<[Box<[u8]>]> {
    let mut bodies = Vec::new();
    for wanted in &config.body_files {
        let read = read_file(&wanted.path, BODY_BYTES_MAX);
        let bytes = read.map_or_else(
            |error| {
                let help = match error {
                    FileError::TooLarge(max) => format!("at most {max} bytes"),
                    FileError::Io(_) | FileError::NotRegular(_) => {
                        "a file that the gateway may read; relative to this file".to_owned()
                    }
                };
                let message = error.about(&wanted.path.display());
                problems.push_at(wanted.place, wanted.field.clone(), message, Some(help));
                Vec::new()
            },
            |read| read.bytes,
        );
        bodies.push(bytes.into());
    }
    bodies.into()
}
