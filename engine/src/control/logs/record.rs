//! Lines on their way to a syslog server or the journal, and the datagrams that they become.
//!
//! A diagnostic for such a place is a *record*: a line like any other, so that it waits, is counted and is cut
//! off like any other, with its parts between [`PART`]s. No part holds one, or a line feed: values are escaped
//! as in the error log. A line of the access log is its text alone. In: a line, and where it goes. Out: the
//! bytes of one datagram. Pure.

use std::borrow::Cow;

use ferrule_config::model::{Facility, Level, SyslogFormat};

use super::shorten::shortened;

/// Between the parts of a record: level, time, text, and `name=value` for each field. No value holds it.
pub(super) const PART: char = '\u{1f}';

/// Longer messages are shortened: what receivers are told to expect, and what rsyslog takes by default. What one
/// cuts for itself goes without a word.
const SYSLOG_BYTES_MAX: usize = 8 << 10;
/// Longer entries are shortened, far below what a socket takes.
const JOURNAL_BYTES_MAX: usize = 64 << 10;
/// Who writes.
const NAME: &str = "ferrule";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Which of the two logs a line belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LogKind {
    Error,
    Access,
}

/// What a datagram looks like.
#[derive(Clone, Debug)]
pub(super) enum DatagramFormat {
    /// As the configuration has it; the host's name stands where the receiver is another one.
    Syslog { format: SyslogFormat, facility: Facility, host: Option<String>, process: u32 },
    /// The journal's native protocol.
    Journal,
}

/// What is sent of a line.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    /// Not all of the line is in it.
    pub(super) is_cut: bool,
}

/// The parts of a line.
struct Record<'a> {
    severity: u8,
    /// RFC 3339, or empty.
    time: &'a str,
    text: &'a str,
    fields: Vec<&'a str>,
}

/// How syslog and the journal number a level (RFC 5424, section 6.2.1).
const fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

/// The word that a record begins with.
pub(super) const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

impl<'a> Record<'a> {
    /// Reads a line without its line feed.
    fn of(line: &'a str, kind: LogKind) -> Self {
        let plain =
            Self { severity: severity(Level::Info), time: "", text: line, fields: Vec::new() };
        if kind == LogKind::Access {
            return plain;
        }
        let mut parts = line.split(PART);
        let level = match parts.next() {
            Some("error") => Level::Error,
            Some("warn") => Level::Warn,
            Some("info") => Level::Info,
            Some("debug") => Level::Debug,
            _ => return plain,
        };
        let (Some(time), Some(text)) = (parts.next(), parts.next()) else { return plain };
        Self { severity: severity(level), time, text, fields: parts.collect() }
    }
}

impl DatagramFormat {
    /// The datagram of a line, which has no line feed. `now` is the time for a line without one, by RFC 3339.
    pub(super) fn datagram(&self, line: &[u8], kind: LogKind, now: &str) -> Datagram {
        let line = String::from_utf8_lossy(line);
        let record = Record::of(&line, kind);
        match self {
            Self::Syslog { format, facility, host, process } => {
                let priority = u16::from(*facility as u8) * 8 + u16::from(record.severity);
                let time = if record.time.is_empty() { now } else { record.time };
                let id = if kind == LogKind::Access { "access" } else { "error" };
                let host = host.as_deref();
                let header = match format {
                    SyslogFormat::Rfc5424 => {
                        let host = host.unwrap_or("-");
                        format!("<{priority}>1 {time} {host} {NAME} {process} {id} - ")
                    }
                    SyslogFormat::Rfc3164 => {
                        let host = host.map(|host| format!("{host} ")).unwrap_or_default();
                        format!("<{priority}>{} {host}{NAME}[{process}]: ", bsd_time(time))
                    }
                };
                let text = fitted(record.text, SYSLOG_BYTES_MAX.saturating_sub(header.len()));
                let is_cut = matches!(text, Cow::Owned(_));
                Datagram { bytes: [header.as_bytes(), text.as_bytes()].concat(), is_cut }
            }
            Self::Journal => record.journal_entry(kind),
        }
    }
}

impl Record<'_> {
    /// A field a line; none of the values holds a line feed.
    fn journal_entry(&self, kind: LogKind) -> Datagram {
        let log = if kind == LogKind::Access { "access" } else { "error" };
        let text = fitted(self.text, JOURNAL_BYTES_MAX);
        let mut is_cut = matches!(text, Cow::Owned(_));
        let mut entry = format!(
            "MESSAGE={text}\nPRIORITY={}\nSYSLOG_IDENTIFIER={NAME}\nFERRULE_LOG={log}\n",
            self.severity
        );
        for field in &self.fields {
            let Some((name, value)) = field.split_once('=') else { continue };
            if entry.len().saturating_add(field.len()) > JOURNAL_BYTES_MAX * 2 {
                is_cut = true;
                break;
            }
            // The journal takes capital letters, digits and `_`.
            let name = name.chars().map(|one| match one {
                one if one.is_ascii_alphanumeric() => one.to_ascii_uppercase(),
                _ => '_',
            });
            entry.push_str("FERRULE_");
            entry.extend(name);
            entry.push('=');
            entry.push_str(value);
            entry.push('\n');
        }
        Datagram { bytes: entry.into_bytes(), is_cut }
    }
}

/// The text, or a shorter one that has no more than so many bytes.
fn fitted(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most { Cow::Borrowed(text) } else { Cow::Owned(shortened(text, most)) }
}

/// `Nov 30 13:37:38` of `2026-11-30T13:37:38.000Z` (RFC 3164, section 4.1.2); in UTC, as everything else here.
fn bsd_time(rfc3339: &str) -> String {
    let part = |range: std::ops::Range<usize>| rfc3339.get(range).unwrap_or_default();
    let month: usize = part(5..7).parse().unwrap_or(1);
    let month = MONTHS.get(month.saturating_sub(1)).copied().unwrap_or("Jan");
    let day: u8 = part(8..10).parse().unwrap_or(1);
    format!("{month} {day:>2} {}", part(11..19))
}

/// A host's name as it may stand in a message: printable ASCII without spaces, at most 255 (RFC 5424, section 6.2.4).
pub(super) fn host_name(name: &[u8]) -> Option<String> {
    let name: String = name
        .iter()
        .filter(|byte| byte.is_ascii_graphic())
        .take(255)
        .map(|byte| char::from(*byte))
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-03T13:37:38.123Z";

    fn syslog(format: SyslogFormat, host: Option<&str>) -> DatagramFormat {
        let host = host.map(str::to_owned);
        DatagramFormat::Syslog { format, facility: Facility::Local0, host, process: 7 }
    }

    fn text(format: &DatagramFormat, line: &str, kind: LogKind) -> String {
        String::from_utf8(format.datagram(line.as_bytes(), kind, NOW).bytes).unwrap()
    }

    #[test]
    fn a_record_has_its_severity_its_time_and_its_fields() {
        let line =
            "warn\u{1f}2026-11-21T22:55:28.007Z\u{1f}a b peer=x\u{1f}peer=x\u{1f}odd.name=1=2";
        let newer = syslog(SyslogFormat::Rfc5424, Some("gw1"));
        let wanted = "<132>1 2026-11-21T22:55:28.007Z gw1 ferrule 7 error - a b peer=x";
        assert_eq!(text(&newer, line, LogKind::Error), wanted);
        let older = syslog(SyslogFormat::Rfc3164, None);
        let wanted = "<132>Nov 21 22:55:28 ferrule[7]: a b peer=x";
        assert_eq!(text(&older, line, LogKind::Error), wanted);
        let wanted = "MESSAGE=a b peer=x\nPRIORITY=4\nSYSLOG_IDENTIFIER=ferrule\nFERRULE_LOG=error\n\
                      FERRULE_PEER=x\nFERRULE_ODD_NAME=1=2\n";
        assert_eq!(text(&DatagramFormat::Journal, line, LogKind::Error), wanted);
    }

    #[test]
    fn a_line_of_the_access_log_is_its_text() {
        let newer = syslog(SyslogFormat::Rfc5424, None);
        let wanted = format!("<134>1 {NOW} - ferrule 7 access - error\u{1f}x");
        assert_eq!(text(&newer, "error\u{1f}x", LogKind::Access), wanted);
        let older = syslog(SyslogFormat::Rfc3164, Some("gw1"));
        let wanted = "<134>Nov  3 13:37:38 gw1 ferrule[7]: GET /";
        assert_eq!(text(&older, "GET /", LogKind::Access), wanted);
    }

    /// A line that is no record is still told, and nothing panics.
    #[test]
    fn odd_lines_are_text() {
        for line in ["", "loud\u{1f}x", "error", "error\u{1f}t", "\u{1f}\u{1f}\u{1f}"] {
            let entry = text(&DatagramFormat::Journal, line, LogKind::Error);
            assert!(entry.starts_with(&format!("MESSAGE={line}\n")), "{entry:?}");
        }
        assert!(bsd_time("").starts_with("Jan  1"));
        assert_eq!(bsd_time("9999-99-99T").trim(), "Jan 99");
    }

    #[test]
    fn long_lines_are_cut_between_characters_and_say_so() {
        let line = "\u{e9}".repeat(100_000);
        let message = text(&syslog(SyslogFormat::Rfc5424, None), &line, LogKind::Access);
        assert!((SYSLOG_BYTES_MAX - 3..=SYSLOG_BYTES_MAX).contains(&message.len()));
        assert!(message.contains(" [cut: this line had 200000 bytes] "), "{message}");
        let fields = format!("info\u{1f}{NOW}\u{1f}{line}\u{1f}a={line}\u{1f}b=1");
        assert!(
            text(&DatagramFormat::Journal, &fields, LogKind::Error).len() < 3 * JOURNAL_BYTES_MAX
        );
    }

    /// A client that makes its line long, by its path say, keeps none of what stands behind that from the reader.
    #[test]
    fn a_client_cannot_cut_off_the_end_of_its_line() {
        for (format, most) in [
            (syslog(SyslogFormat::Rfc5424, Some("gw1")), SYSLOG_BYTES_MAX),
            (syslog(SyslogFormat::Rfc3164, None), SYSLOG_BYTES_MAX),
            (DatagramFormat::Journal, JOURNAL_BYTES_MAX),
        ] {
            let long = "x".repeat(most);
            for (line, is_cut) in [
                (format!("GET /{long} 200 SUCCESS 0a0b"), true),
                (format!("{{\"uri\":\"/{long}\",\"ssl_client_fingerprint\":\"0a0b\"}}"), true),
                ("GET / 200 SUCCESS 0a0b".to_owned(), false),
            ] {
                let sent = format.datagram(line.as_bytes(), LogKind::Access, NOW);
                assert_eq!(sent.is_cut, is_cut);
                let text = String::from_utf8(sent.bytes).unwrap();
                assert!(text.len() <= most + 100 && text.contains("0a0b"), "{text}");
                if let Some(at) = text.find('{') {
                    let object = text.get(at..).unwrap().lines().next().unwrap();
                    let object: serde_json::Value = serde_json::from_str(object).unwrap();
                    assert_eq!(object["cut_from_bytes"], line.len());
                }
            }
        }
    }

    #[test]
    fn a_hosts_name_is_plain() {
        assert_eq!(host_name(b"gw 1\n"), Some("gw1".to_owned()));
        assert_eq!(host_name("\u{e9}".as_bytes()), None);
    }
}
