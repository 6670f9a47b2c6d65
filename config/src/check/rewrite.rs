//! `rewrite`: what is sent upstream in the place of what the client asked for.

use crate::capture_pattern::CapturePattern;
use crate::check::context::Check;
use crate::check::upstreams::authority;
use crate::model::{Rewrite, UriRule};
use crate::place::Place;
use crate::raw::Raw;
use crate::template::Variable;
use crate::uri_template::{UriPiece, UriTemplate};
use crate::values::{Wrong, nearest};

/// APISIX's, but for TRACE, which shows headers that others have added.
const METHODS: [&str; 14] = [
    "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "PURGE", "MKCOL", "COPY", "MOVE",
    "PROPFIND", "LOCK", "UNLOCK",
];

impl Check<'_> {
    /// The rewrite of a route or service, if it has one.
    pub(super) fn rewrite(&mut self, holder: &Raw) -> Option<Rewrite> {
        let raw = holder.table("rewrite")?;
        self.exclusive(raw, "uri", "regex_uri");
        let uri = raw.template("uri").map(UriTemplate::of);
        if let Some(uri) = &uri {
            self.path_template(uri, raw.at("uri"), &raw.path("uri"));
        }
        let regex_uri = self.uri_rules(raw, |check, rule, place, path| {
            // Elsewhere the text before the match is the start of the path.
            if rule.pattern.as_str().starts_with('^') {
                check.path_template(&rule.to, place, path);
            } else {
                check.path_text(&rule.to, place, path);
            }
        });
        let host = raw.text("host").map(|host| {
            if let Err(wrong) = authority(&host.text) {
                self.wrong(host.place, raw.path("host"), wrong);
            }
            host.text
        });
        let method = raw.text("method").map(|method| {
            if !METHODS.contains(&method.text.as_str()) {
                let wrong = Wrong::new(format!("`{}` is no method to send", method.text));
                let near = nearest(&method.text, METHODS.into_iter());
                let help =
                    near.map_or_else(|| METHODS.join(", "), |near| format!("did you mean {near}?"));
                self.wrong(method.place, raw.path("method"), wrong.help(help));
            }
            method.text
        });
        let rewrite = Rewrite { uri, regex_uri, host, method };
        if rewrite == Rewrite::default()
            && ["uri", "regex_uri", "host", "method"].iter().all(|key| !raw.has(key))
        {
            let help = "set `uri`, `regex_uri`, `host` or `method`, or take it out";
            self.error(raw.place, raw.field.clone(), "this rewrites nothing", help);
        }
        Some(rewrite)
    }

    /// `regex_uri`: expressions, and behind each what stands in the place of its match.
    pub(super) fn uri_rules(
        &mut self,
        raw: &Raw,
        mut to: impl FnMut(&mut Self, &UriRule, Place, &str),
    ) -> Vec<UriRule> {
        let texts = raw.texts("regex_uri");
        let (place, path) = (raw.at("regex_uri"), raw.path("regex_uri"));
        if !texts.len().is_multiple_of(2)
            || (texts.is_empty() && raw.has("regex_uri") && !raw.is_broken("regex_uri"))
        {
            let wrong = Wrong::new("an expression without what stands in its place");
            self.wrong(
                place,
                path,
                wrong.help("as [\"^/a/(.*)$\", \"/b/$1\"], or several such pairs"),
            );
            return Vec::new();
        }
        let mut rules = Vec::new();
        for (at, pair) in texts.chunks_exact(2).enumerate() {
            let [expression, replacement] = pair else { continue };
            let pattern = match CapturePattern::new(&expression.expression()) {
                Ok(pattern) => pattern,
                Err(wrong) => {
                    self.wrong(expression.place, format!("{path}[{}]", at * 2), wrong);
                    continue;
                }
            };
            let path = format!("{path}[{}]", at * 2 + 1);
            match UriTemplate::parse(&replacement.text, &pattern) {
                Ok(template) => {
                    let rule = UriRule { pattern, to: template };
                    to(self, &rule, replacement.place, &path);
                    rules.push(rule);
                }
                Err(wrong) => self.wrong(replacement.place, path, wrong),
            }
        }
        rules
    }

    /// A template of a path, which begins with one.
    fn path_template(&mut self, template: &UriTemplate, place: Place, path: &str) {
        let first = template.first_text();
        let from_client = matches!(
            template.pieces.first(),
            Some(UriPiece::Variable(variable)) if is_path(variable)
        ) || matches!(template.pieces.first(), Some(UriPiece::Group(_)));
        if !from_client && (!first.starts_with('/') || first.starts_with("//")) {
            let wrong = Wrong::new("a path begins with one `/`");
            self.wrong(place, path, wrong.help("as \"/new$uri\" or \"/new/$arg_name\""));
            return;
        }
        self.path_text(template, place, path);
    }

    /// What stands between the variables of a path and its query.
    pub(super) fn path_text(&mut self, template: &UriTemplate, place: Place, path: &str) {
        let mut whole = String::new();
        for piece in &template.pieces {
            match piece {
                UriPiece::Text(text) => whole.push_str(text),
                UriPiece::Variable(_) | UriPiece::Group(_) => whole.push('x'),
            }
        }
        let bytes = whole.as_bytes();
        let before_query = whole.split('?').next().unwrap_or_default();
        let wrong =
            if !bytes.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\')) {
                Wrong::new("a path holds visible ASCII without `#` and `\\`")
                    .help("escape it, as `%20`")
            } else if has_dot_segment(before_query) {
                Wrong::new("a path with `.` or `..` as one of its parts")
                    .help("write where it leads")
            } else if has_broken_escape(before_query) {
                Wrong::new("a `%` that starts no escape").help("write `%25` for a `%`")
            } else {
                return self.request_variables(template, place, path);
            };
        self.wrong(place, path, wrong);
    }

    /// What is known only when a request is over has no place in it.
    pub(super) fn request_variables(&mut self, template: &UriTemplate, place: Place, path: &str) {
        for piece in &template.pieces {
            let UriPiece::Variable(variable) = piece else { continue };
            if !variable.allowed_in_headers() {
                let wrong =
                    Wrong::new(format!("`${}` is for the access log only", variable.name()));
                self.wrong(place, path, wrong.help("it is known only when the request is over"));
            } else if matches!(variable, Variable::Rewrite(_)) {
                let wrong = Wrong::new(format!("`${}` is for what comes later", variable.name()));
                self.wrong(place, path, wrong.help("in `regex_uri` a group is `$1` or `$NAME`"));
            }
        }
    }
}

/// Does its value begin with a `/`, whatever the client sends?
pub(super) const fn is_path(variable: &Variable) -> bool {
    matches!(variable, Variable::Uri | Variable::RequestUri)
}

fn has_dot_segment(path: &str) -> bool {
    let dots = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    dots.split(['/', ';']).any(|part| matches!(part, "." | ".."))
}

fn has_broken_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_none_or(|digits| !digits.iter().all(u8::is_ascii_hexdigit) || digits == b"00")
    })
}
