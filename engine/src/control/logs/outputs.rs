//! The outputs of both logs, as the configuration names them.

use std::io;
use std::path::PathBuf;

use ferrule_config::model::{Log, LogTarget, SyslogServer};

use super::line::LineForm;
use super::output::LogOutput;
use super::record::LogKind;

/// Open outputs for both logs.
#[derive(Debug)]
pub struct LogOutputs {
    pub(super) error: LogOutput,
    pub(super) error_form: LineForm,
    pub(super) access: Option<LogOutput>,
}

impl LogOutputs {
    /// Opens the targets that the configuration names.
    ///
    /// # Errors
    /// The first target that cannot be opened.
    pub fn open(log: &Log) -> Result<Self, LogOpenError> {
        let open = |key, target: &LogTarget, kind| {
            LogOutput::open(target, kind).map_err(|error| {
                let path = match target {
                    LogTarget::File(path) | LogTarget::Journald(path) => path.clone(),
                    LogTarget::Syslog(syslog) => match &syslog.server {
                        SyslogServer::Socket(path) => path.clone(),
                        SyslogServer::Udp(address) => address.to_string().into(),
                    },
                    LogTarget::Stdout | LogTarget::Stderr => PathBuf::new(),
                };
                LogOpenError { key, path, error }
            })
        };
        let error = open("log.error.path", &log.error, LogKind::Error)?;
        let access = log.access.as_ref();
        let access = access.map(|access| open("log.access.path", &access.target, LogKind::Access));
        let error_form = LineForm::of(&log.error, log.error_format);
        Ok(Self { error, error_form, access: access.transpose()? })
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
