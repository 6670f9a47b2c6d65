//! `[log]`: where lines go, and what they hold.

use std::path::PathBuf;

use strum::{IntoStaticStr, VariantArray, VariantNames};

use crate::json_template::JsonTemplate;
use crate::place::Place;
use crate::template::Template;

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Diagnostics.
    pub error: LogTarget,
    /// Where `log.error.path` stands.
    pub error_place: Place,
    /// The lowest level that is written.
    pub level: Level,
    /// How a diagnostic is written.
    pub error_format: ErrorFormat,
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

/// `log.error.format`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorFormat {
    /// Time, level, message, and `name=value` for each field.
    Text,
    /// One JSON object a line.
    Json,
}

/// `log.access`
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// Where `log.access.path` stands.
    pub place: Place,
    /// What a line holds.
    pub format: AccessFormat,
    /// Where `log.access.format` stands.
    pub format_place: Place,
}

/// `log.access.format`
#[derive(Clone, Debug)]
pub enum AccessFormat {
    /// The Combined Log Format, plus identity.
    Combined,
    /// One JSON object a line.
    Json,
    /// Own text with `$variables`, whose values are escaped as nginx does by default.
    Text(Template),
    /// Own text with `$variables`, whose values are not escaped (control characters are).
    Unescaped(Template),
    /// Own JSON with `$variables`.
    JsonTemplate(JsonTemplate),
}

/// `log.access.escape`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum LogEscape {
    /// `\xHH`, as in [`AccessFormat::Text`].
    Default,
    /// As in [`AccessFormat::JsonTemplate`].
    Json,
    /// As in [`AccessFormat::Unescaped`].
    None,
}

impl AccessFormat {
    /// The format of the file, if it is an own one, and how its values are escaped.
    #[must_use]
    pub const fn own(&self) -> Option<OwnFormat<'_>> {
        match self {
            Self::Combined | Self::Json => None,
            Self::Text(template) => Some(OwnFormat { template, escape: LogEscape::Default }),
            Self::Unescaped(template) => Some(OwnFormat { template, escape: LogEscape::None }),
            Self::JsonTemplate(json) => {
                Some(OwnFormat { template: json.source(), escape: LogEscape::Json })
            }
        }
    }
}

/// An own format, as the file has it.
#[derive(Clone, Copy, Debug)]
pub struct OwnFormat<'a> {
    /// `log.access.format`
    pub template: &'a Template,
    /// `log.access.escape`
    pub escape: LogEscape,
}
