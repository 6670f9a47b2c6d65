//! One diagnostic as one line of the error log, as text or as JSON.
//!
//! In: level, message and fields. Out: a line that reads back to exactly these. Messages and values may
//! hold what a peer or a file says, so whatever could end a line, start a field or move a terminal's cursor
//! is escaped: no value can be read as another field or another line.
//!
//! Text is `TIME LEVEL message name=value ...`. A message with a `=` in it is quoted, and so is every value
//! that is not one word; inside quotes escapes are JSON's.

use std::fmt::{self, Write};

use ferrule_config::model::{ErrorFormat, Level, LogTarget};
use serde_json::{Number, Value};
use tracing::field::{Field, Visit};

use super::record::{PART, level_word};

/// How a diagnostic is written: `log.error.format`, and whether it goes away as a datagram.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct LineForm {
    pub(super) is_json: bool,
    /// As a record, see [`super::record`].
    pub(super) is_record: bool,
}

impl LineForm {
    /// That of diagnostics for this target.
    pub(super) fn of(target: &LogTarget, format: ErrorFormat) -> Self {
        Self {
            is_json: format == ErrorFormat::Json,
            is_record: matches!(target, LogTarget::Syslog(_) | LogTarget::Journald(_)),
        }
    }
}

/// A diagnostic that has not been written yet.
#[derive(Clone, Debug)]
pub(super) struct Diagnostic {
    level: Level,
    message: String,
    fields: Vec<DiagnosticField>,
}

#[derive(Clone, Debug)]
struct DiagnosticField {
    name: &'static str,
    value: FieldValue,
}

#[derive(Clone, Debug)]
enum FieldValue {
    /// A number or a truth value.
    Plain(Value),
    /// Text: in quotes, whatever it holds.
    Text(String),
    /// Something that has a text, as an address: in quotes if it needs them.
    Shown(String),
}

impl Diagnostic {
    /// A diagnostic without fields.
    pub(super) const fn new(level: Level, message: String) -> Self {
        Self { level, message, fields: Vec::new() }
    }

    /// What `tracing` tells of an event.
    pub(super) fn of(event: &tracing::Event<'_>) -> Self {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
        };
        let mut diagnostic = Self::new(level, String::new());
        event.record(&mut diagnostic);
        diagnostic
    }

    /// The line, with its line feed. `time` as `clock::utc` has it.
    pub(super) fn line(&self, form: LineForm, time: &str) -> String {
        if form.is_record {
            return self.record(form, time);
        }
        if form.is_json {
            return self.json(time);
        }
        let level = match self.level {
            Level::Error => "ERROR",
            Level::Warn => " WARN",
            Level::Info => " INFO",
            Level::Debug => "DEBUG",
        };
        let mut line = format!("{time} {level} ");
        self.put_text(&mut line);
        line.push('\n');
        line
    }

    /// Its parts, see [`super::record`]: the text is what the other forms have, without what the header of a
    /// datagram says.
    fn record(&self, form: LineForm, time: &str) -> String {
        let mut line = format!("{}{PART}{time}{PART}", level_word(self.level));
        if form.is_json {
            line.push_str(self.json(time).trim_end());
        } else {
            self.put_text(&mut line);
        }
        for DiagnosticField { name, value } in &self.fields {
            line.push(PART);
            line.push_str(name);
            line.push('=');
            match value {
                FieldValue::Plain(value) => line.push_str(&value.to_string()),
                FieldValue::Text(text) | FieldValue::Shown(text) => put_escaped(text, &mut line),
            }
        }
        line.push('\n');
        line
    }

    /// The message, and `name=value` for each field.
    fn put_text(&self, line: &mut String) {
        let message = &self.message;
        let is_quoted =
            message.contains('=') || message.starts_with('"') || message.contains(needs_escape);
        if is_quoted {
            put_quoted(message, line);
        } else {
            line.push_str(message);
        }
        for DiagnosticField { name, value } in &self.fields {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                FieldValue::Plain(value) => line.push_str(&value.to_string()),
                FieldValue::Shown(shown) if is_word(shown) => line.push_str(shown),
                FieldValue::Text(text) | FieldValue::Shown(text) => put_quoted(text, line),
            }
        }
    }

    fn json(&self, time: &str) -> String {
        let level = level_word(self.level);
        let mut line = format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"message\":");
        put_quoted(&self.message, &mut line);
        line.push_str(",\"fields\":{");
        for (at, DiagnosticField { name, value }) in self.fields.iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            put_quoted(name, &mut line);
            line.push(':');
            match value {
                FieldValue::Plain(value) => line.push_str(&value.to_string()),
                FieldValue::Text(text) | FieldValue::Shown(text) => put_quoted(text, &mut line),
            }
        }
        line.push_str("}}\n");
        line
    }

    fn add(&mut self, field: &Field, value: FieldValue) {
        match (field.name(), value) {
            ("message", FieldValue::Text(text) | FieldValue::Shown(text)) => self.message = text,
            (name, value) => self.fields.push(DiagnosticField { name, value }),
        }
    }
}

impl Visit for Diagnostic {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        self.add(field, FieldValue::Plain(number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, FieldValue::Plain(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, FieldValue::Plain(value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, FieldValue::Plain(value.into()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, FieldValue::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, FieldValue::Shown(format!("{value:?}")));
    }
}

/// Can it stand without quotes?
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text
            .contains(|one: char| one.is_whitespace() || "=\"\\".contains(one) || needs_escape(one))
}

/// Control characters, the other ends of lines, and marks that turn the direction of text around.
const fn needs_escape(one: char) -> bool {
    matches!(
        one,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

/// Text in quotes, escaped as in JSON (RFC 8259, section 7).
fn put_quoted(text: &str, out: &mut String) {
    out.push('"');
    for (at, piece) in text.split('"').enumerate() {
        if at > 0 {
            out.push_str("\\\"");
        }
        put_escaped(piece, out);
    }
    out.push('"');
}

/// Text escaped as in JSON, but for quotes.
fn put_escaped(text: &str, out: &mut String) {
    for one in text.chars() {
        match one {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String does not fail; every character that needs it has 16 bits.
            one if needs_escape(one) => drop(write!(out, "\\u{:04X}", u32::from(one))),
            one => out.push(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: LineForm = LineForm { is_json: false, is_record: false };
    const JSON: LineForm = LineForm { is_json: true, is_record: false };
    const TIME: &str = "2026-11-21T22:55:28.007Z";

    fn diagnostic(message: &str, value: FieldValue) -> Diagnostic {
        let field = DiagnosticField { name: "peer", value };
        Diagnostic { level: Level::Warn, message: message.to_owned(), fields: vec![field] }
    }

    /// Message and fields of a text line; the other half of [`Diagnostic::text`], written apart from it.
    fn parse(line: &str) -> Vec<(String, String)> {
        let mut rest = line.strip_prefix(TIME).unwrap().get(1..).unwrap().get(6..).unwrap();
        rest = rest.strip_suffix('\n').unwrap();
        assert!(!rest.contains('\n'), "{line:?}");
        let quoted = |text: &str| {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
            let value = values.next().unwrap().unwrap();
            (value, values.byte_offset())
        };
        let mut found = Vec::new();
        let len = if rest.starts_with('"') {
            let (message, len) = quoted(rest);
            found.push((String::new(), message));
            len
        } else {
            // A message without quotes holds no `=`: the first one belongs to the first field.
            let end =
                rest.split_once('=').map_or(rest.len(), |(before, _)| before.rfind(' ').unwrap());
            found.push((String::new(), rest.split_at(end).0.to_owned()));
            end
        };
        rest = rest.split_at(len).1;
        while !rest.is_empty() {
            let (name, value) = rest.strip_prefix(' ').unwrap().split_once('=').unwrap();
            let (value_text, len) = if value.starts_with('"') {
                quoted(value)
            } else {
                let len = value.find(' ').unwrap_or(value.len());
                (value.split_at(len).0.to_owned(), len)
            };
            found.push((name.to_owned(), value_text));
            rest = value.split_at(len).1;
        }
        found
    }

    fn assert_reads_back(message: &str, value: &str) {
        for field in [FieldValue::Text(value.to_owned()), FieldValue::Shown(value.to_owned())] {
            let mut diagnostic = diagnostic(message, field);
            let last = DiagnosticField { name: "last", value: FieldValue::Plain(7.into()) };
            diagnostic.fields.push(last);
            let text = diagnostic.line(TEXT, TIME);
            let wanted = [("", message), ("peer", value), ("last", "7")];
            let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(parse(&text), wanted, "{text:?}");
            let json = diagnostic.line(JSON, TIME);
            assert_eq!(json.matches('\n').count(), 1, "{json:?}");
            let read: Value = serde_json::from_str(&json).unwrap();
            let fields = serde_json::json!({ "peer": value, "last": 7 });
            let whole = serde_json::json!({
                "time": TIME, "level": "warn", "message": message, "fields": fields
            });
            assert_eq!(read, whole, "{json:?}");
            for line in [&text, &json] {
                assert!(!line.trim_end_matches('\n').contains(needs_escape), "{line:?}");
            }
        }
    }

    #[test]
    fn plain_values_stand_without_quotes() {
        let shown = |value: FieldValue| diagnostic("a b", value).line(TEXT, TIME);
        let wanted = |value: &str| format!("{TIME}  WARN a b peer={value}\n");
        assert_eq!(shown(FieldValue::Shown("127.0.0.1:9".to_owned())), wanted("127.0.0.1:9"));
        assert_eq!(shown(FieldValue::Shown("no room".to_owned())), wanted("\"no room\""));
        assert_eq!(shown(FieldValue::Text("x".to_owned())), wanted("\"x\""));
        assert_eq!(shown(FieldValue::Plain(true.into())), wanted("true"));
    }

    #[test]
    fn whatever_a_value_holds_it_is_one_value() {
        for hostile in [
            "",
            " ",
            "x reason=\"fine\"",
            "a\nERROR forged",
            "a\r\n2026-11-21T22:55:28.007Z  INFO forged a=b",
            "\" b=\"c",
            "\\",
            "\\\" x=1",
            "\u{1b}[2J",
            "\u{9b}2J\u{7f}\0",
            "a\u{2028}b\u{202e}c\u{feff}",
            "=",
            "a=b",
            "\u{e9} \u{2603} \u{1f600}",
            "\t",
        ] {
            assert_reads_back("a message", hostile);
            assert_reads_back(hostile, "value");
            assert_reads_back(hostile, hostile);
        }
    }

    /// The same of texts made of the characters that mean something.
    #[test]
    fn random_values_read_back() {
        let alphabet: Vec<char> =
            " =\"\\\n\r\t\0a:\u{e9}{}[],\u{1b}\u{85}\u{2028}\u{202e}\u{1f600}".chars().collect();
        let mut seed = 1_u32;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % below
        };
        for _ in 0..3_000 {
            let mut text =
                || (0..next(9)).map(|_| alphabet[next(alphabet.len())]).collect::<String>();
            let (message, value) = (text(), text());
            assert_reads_back(&message, &value);
        }
    }
}
