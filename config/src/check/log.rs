//! `[log]`.

use crate::check::context::Check;
use crate::check::log_targets::LogPlaces;
use crate::check::process::with_table;
use crate::json_template::{JsonTemplate, JsonTemplateError};
use crate::model::{AccessFormat, AccessLog, ErrorFormat, Level, Log, LogEscape, LogTarget, Route};
use crate::raw::{Raw, Text};
use crate::template::{Piece, Template};

impl Check<'_> {
    pub(super) fn log(&mut self, root: &Raw, routes: &[Route]) -> Log {
        with_table(root, "log", |log| {
            let places = LogPlaces {
                syslog: with_table(log, "syslog", |raw| self.syslog(raw)),
                journald: with_table(log, "journald", |raw| self.journald(raw)),
            };
            let log_of = |check: &mut Self, raw: &Raw| {
                let error = raw.text("path").and_then(|path| check.log_target(raw, &path, &places));
                let access = log.table("access");
                Log {
                    error: error.unwrap_or(LogTarget::Stderr),
                    error_place: raw.at("path"),
                    level: raw.word("level").unwrap_or(Level::Info),
                    error_format: raw.word("format").unwrap_or(ErrorFormat::Text),
                    access: access.and_then(|raw| check.access_log(raw, &places, routes)),
                    handshake_failures: log.flag("handshake_failures"),
                }
            };
            let found = with_table(log, "error", |raw| log_of(self, raw));
            self.log_tables_are_used(log, &found);
            found
        })
    }

    fn access_log(&mut self, raw: &Raw, places: &LogPlaces, routes: &[Route]) -> Option<AccessLog> {
        let format = self.access_format(raw);
        let filter = self.log_filter(raw, routes);
        let path = raw.text("path")?;
        Some(AccessLog {
            target: self.log_target(raw, &path, places)?,
            place: path.place,
            format: format?,
            format_place: raw.at("format"),
            filter,
        })
    }

    fn access_format(&mut self, raw: &Raw) -> Option<AccessFormat> {
        let named = match raw.template("format") {
            // A format that is broken has been told of.
            None if raw.has("format") => return None,
            None => AccessFormat::Combined,
            Some(template) => match template.pieces.as_slice() {
                [Piece::Text(word)] if word == "combined" => AccessFormat::Combined,
                [Piece::Text(word)] if word == "json" => AccessFormat::Json,
                _ => return self.own_format(raw, template),
            },
        };
        if raw.has("escape") {
            let message = "`escape` is for a `format` of your own";
            let help = "\"combined\" and \"json\" are escaped as their kind of line needs";
            self.error(raw.at("escape"), raw.path("escape"), message, help);
        }
        Some(named)
    }

    fn own_format(&mut self, raw: &Raw, template: &Template) -> Option<AccessFormat> {
        let field = raw.path("format");
        if template.variables().next().is_none() {
            let message = "this format has no variable: every line would be the same";
            let help = "\"combined\", \"json\", or a text with `$variables`";
            self.error(raw.at("format"), field, message, help);
            return None;
        }
        let escape = raw.word("escape").unwrap_or(LogEscape::Default);
        if escape == LogEscape::Json {
            let proven = JsonTemplate::new(template);
            let told = proven.map_err(|JsonTemplateError { message, behind }| {
                let message = format!("this format is not JSON: {message}, behind `{behind}`");
                let help = "one object, as '{\"status\":$status,\"agent\":\"$http_user_agent\"}'; a \
                            variable stands inside of quotes, or for a whole value";
                self.error(raw.at("format"), field, &message, help);
            });
            return told.ok().map(AccessFormat::JsonTemplate);
        }
        let ends_lines =
            |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(['\n', '\r']));
        if template.pieces.iter().any(ends_lines) {
            let message = "this format holds a line feed: one request would be several lines";
            let help =
                "write it as one line; only a format with `escape = \"json\"` may have several";
            self.error(raw.at("format"), field, message, help);
            return None;
        }
        Some(match escape {
            LogEscape::None => AccessFormat::Unescaped(template.clone()),
            LogEscape::Default | LogEscape::Json => AccessFormat::Text(template.clone()),
        })
    }

    fn log_target(&mut self, raw: &Raw, path: &Text, places: &LogPlaces) -> Option<LogTarget> {
        match path.text.as_str() {
            "stderr" => Some(LogTarget::Stderr),
            "stdout" => Some(LogTarget::Stdout),
            "syslog" => places.syslog.clone().map(LogTarget::Syslog),
            "journald" => places.journald.clone().map(LogTarget::Journald),
            "" => {
                let help = "write a path, \"stderr\", \"stdout\", \"syslog\" or \"journald\"";
                self.error(path.place, raw.path("path"), "this is empty", help);
                None
            }
            file => Some(LogTarget::File(self.path(file))),
        }
    }
}
