//! `[log]`: where lines go, and what they hold.

use std::path::PathBuf;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::template::Template;

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Diagnostics.
    pub error: LogTarget,
    /// The lowest level that is written.
    pub level: Level,
    /// One line per request; `None` writes none.
    pub access: Option<AccessLog>,
    /// One line per failed handshake, in the error log.
    pub handshake_failures: bool,
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogTarget {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, opened for appending.
    File(PathBuf),
}

/// `log.error.level`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Only what stops something from working.
    Error,
    /// And what will.
    Warn,
    /// And what an operator wants to know.
    Info,
    /// And what a developer wants to know.
    Debug,
}

/// `log.access`
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// What a line holds.
    pub format: AccessFormat,
}

/// `log.access.format`
#[derive(Clone, Debug)]
pub enum AccessFormat {
    /// The Combined Log Format, plus identity.
    Combined,
    /// One JSON object a line.
    Json,
    /// Own text with `$variables`.
    Text(Template),
}
