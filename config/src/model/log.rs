//! `[log]`: where lines go, and what they hold.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

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
    /// A syslog server: a datagram for each line.
    Syslog(Syslog),
    /// The journal's native protocol at this socket: a datagram for each line.
    Journald(PathBuf),
}

/// `log.syslog`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Syslog {
    /// Who takes the lines.
    pub server: SyslogServer,
    /// What stands before each.
    pub format: SyslogFormat,
    /// Which part of the system they come from.
    pub facility: Facility,
}

/// `log.syslog.server`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SyslogServer {
    /// A Unix socket for datagrams.
    Socket(PathBuf),
    /// UDP (RFC 5426).
    Udp(SocketAddr),
}

/// `log.syslog.format`
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum SyslogFormat {
    /// The newer one, with a time that has a year and a zone.
    Rfc5424,
    /// The one of BSD, which every local daemon reads.
    Rfc3164,
}

/// `log.syslog.facility`, in the order of their numbers (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    Authpriv = 10,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
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
    /// Which requests get a line.
    pub filter: LogFilter,
}

/// `routes`, `statuses`, `min_duration` and `sample` of `log.access`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFilter {
    /// Indices into [`Config::routes`](super::Config::routes); empty: requests of every route, and of none.
    pub routes: Vec<usize>,
    /// Answers with one of these statuses are written.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// Requests that took at least this long are written.
    pub min_duration: Option<Duration>,
    /// How many of a thousand of the others are written.
    pub sample: u16,
}

impl LogFilter {
    /// How many of a thousand requests `sample` stands for at most.
    pub const ALL: u16 = 1_000;

    /// Is every request written, whatever it is?
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.routes.is_empty() && self.sample >= Self::ALL
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { routes: Vec::new(), statuses: Vec::new(), min_duration: None, sample: Self::ALL }
    }
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
