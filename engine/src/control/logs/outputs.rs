//! The outputs of both logs, as the configuration names them.

use std::io;
use std::path::PathBuf;

use ferrule_config::model::{ErrorFormat, Log, LogTarget};

use super::output::LogOutput;

/// Open outputs for both logs.
#[derive(Debug)]
pub struct LogOutputs {
    pub(super) error: LogOutput,
    pub(super) error_format: ErrorFormat,
    pub(super) access: Option<LogOutput>,
}

impl LogOutputs {
    /// Opens the targets that the configuration names.
    ///
    /// # Errors
    /// The first target that cannot be opened.
    pub fn open(log: &Log) -> Result<Self, LogOpenError> {
        let open = |key, target: &LogTarget| {
            LogOutput::open(target).map_err(|error| {
                let path = match target {
                    LogTarget::File(path) => path.clone(),
                    LogTarget::Stdout | LogTarget::Stderr => PathBuf::new(),
                };
                LogOpenError { key, path, error }
            })
        };
        let error = open("log.error.path", &log.error)?;
        let access = log.access.as_ref().map(|access| open("log.access.path", &access.target));
        Ok(Self { error, error_format: log.error_format, access: access.transpose()? })
    }
}

/// A log target that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {} cannot be opened: {error}", path.display())]
pub struct LogOpenError {
    /// The key of the target in the configuration file.
    pub key: &'static str,
    /// The file that it names.
    pub path: PathBuf,
    /// Why it cannot be opened.
    pub error: io::Error,
}
