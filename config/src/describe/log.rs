//! `[log]`.

use super::key::{Fallback, Kind, Table, Words, flag, optional, required, with};
use crate::model::{ErrorFormat, Facility, Level, LogEscape, SyslogFormat};
use crate::words::Word;

pub(super) static LOG: Table = Table {
    name: "log",
    doc: "Where logs go. A path is a file, \"stderr\", \"stdout\", \"syslog\" or \"journald\".",
    keys: &[
        optional(
            "error",
            Kind::Short(&LOG_ERROR, "path"),
            "its defaults",
            "Diagnostics: a table, or its path alone.",
        ),
        optional(
            "access",
            Kind::Short(&LOG_ACCESS, "path"),
            "no access log",
            "One line for each request: a table, or its path alone.",
        ),
        flag("handshake_failures", true, "One line for each failed handshake, in the error log."),
        optional(
            "syslog",
            Kind::Table(&LOG_SYSLOG),
            "its defaults",
            "Who takes the lines of a log whose path is \"syslog\".",
        ),
        optional(
            "journald",
            Kind::Table(&LOG_JOURNALD),
            "its defaults",
            "Who takes the lines of a log whose path is \"journald\".",
        ),
    ],
    refused: &[],
};

static LEVEL: Words = Words { words: Level::WORDS, refused: &[] };
static ERROR_FORMAT: Words = Words { words: ErrorFormat::WORDS, refused: &[] };
static ESCAPE: Words = Words { words: LogEscape::WORDS, refused: &[] };

static LOG_ERROR: Table = Table {
    name: "log.error",
    doc: "Diagnostics.",
    keys: &[
        with("path", Kind::Text, Fallback::Text("stderr"), "Where the lines go."),
        with(
            "level",
            Kind::Word(&LEVEL),
            Fallback::Text("info"),
            "The lowest level that is written.",
        ),
        with(
            "format",
            Kind::Word(&ERROR_FORMAT),
            Fallback::Text("text"),
            "\"text\" (`TIME LEVEL message name=value ...`), or \"json\": one object for each line.",
        ),
    ],
    refused: &[],
};

static LOG_ACCESS: Table = Table {
    name: "log.access",
    doc: "One line for each request.",
    keys: &[
        required("path", Kind::Text, "Where the lines go."),
        with(
            "format",
            Kind::Template,
            Fallback::Text("combined"),
            "\"combined\" (the Combined Log Format, and identity), \"json\", or a text with \
                 `$variables`.",
        ),
        with(
            "escape",
            Kind::Word(&ESCAPE),
            Fallback::Text("default"),
            "How values are escaped in a `format` of your own, as in nginx. \"default\": `\\xHH` for \
                 quotes, backslashes and bytes that are not printable ASCII, `-` for an empty value. \
                 \"json\": the format is one JSON object, and every line is one; see \
                 [operations](operations.md#access-log). \"none\": as they come; only control \
                 characters are written `\\xHH`, so that no value ends a line.",
        ),
        optional(
            "routes",
            Kind::Texts,
            "requests of every route, and of none",
            "Ids of routes: only their requests are written.",
        ),
        optional(
            "statuses",
            Kind::Texts,
            "the status does not matter",
            "Requests with one of these statuses are written: \"404\", \"5xx\".",
        ),
        optional(
            "min_duration",
            Kind::Duration,
            "the time does not matter",
            "Requests that took at least this long, first byte of the head to last byte of the answer, are \
                 written.",
        ),
        optional(
            "sample",
            Kind::Decimal(0, 1_000),
            "1; 0 beside `statuses` or `min_duration`",
            "The share of the other requests that is written, chosen by chance: 0.01 is one of a hundred.",
        ),
    ],
    refused: &[],
};

static SYSLOG_FORMAT: Words = Words { words: SyslogFormat::WORDS, refused: &[] };
static FACILITY: Words = Words { words: Facility::WORDS, refused: &[] };

static LOG_SYSLOG: Table = Table {
    name: "log.syslog",
    doc: "Who takes the lines of a log whose path is \"syslog\": each is a datagram of its own, at most 8 KiB.",
    keys: &[
        with(
            "server",
            Kind::Text,
            Fallback::Text("/dev/log"),
            "The path of a Unix socket, or address and port for UDP: \"10.0.0.5:514\".",
        ),
        optional(
            "format",
            Kind::Word(&SYSLOG_FORMAT),
            "\"rfc3164\" for a Unix socket, \"rfc5424\" for UDP",
            "What stands before each line.",
        ),
        with(
            "facility",
            Kind::Word(&FACILITY),
            Fallback::Text("daemon"),
            "Which part of the system the lines come from.",
        ),
    ],
    refused: &[],
};

static LOG_JOURNALD: Table = Table {
    name: "log.journald",
    doc: "Who takes the lines of a log whose path is \"journald\": each is an entry with fields of its own.",
    keys: &[with(
        "socket",
        Kind::Text,
        Fallback::Text("/run/systemd/journal/socket"),
        "The journal's socket; that of a namespace is `/run/systemd/journal.NAME/socket`.",
    )],
    refused: &[],
};
