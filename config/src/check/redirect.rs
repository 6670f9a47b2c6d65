//! `redirect`: where a client is sent, and that no client says where.

use crate::check::context::Check;
use crate::check::rewrite::is_path;
use crate::model::{Redirect, RedirectTarget};
use crate::place::Place;
use crate::raw::Raw;
use crate::template::Variable;
use crate::uri_template::{UriPiece, UriTemplate};
use crate::values::Wrong;

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// How a template of a `Location` begins.
#[derive(Clone, Copy, Eq, PartialEq)]
enum LocationStart {
    /// With a path.
    Path,
    /// With a scheme and a host, which something of the template ends.
    Host,
    /// With a scheme and a host, and nothing else.
    HostAlone,
}

impl Check<'_> {
    /// The redirect of a route or service, if it has one.
    pub(super) fn redirect(&mut self, holder: &Raw) -> Option<Redirect> {
        let raw = holder.table("redirect")?;
        self.exclusive(raw, "uri", "regex_uri");
        let to_https = raw.flag("http_to_https");
        for key in ["uri", "regex_uri", "status", "append_query_string", "encode_uri"] {
            if to_https && raw.has(key) {
                let message = format!("`{key}` and `http_to_https` exclude each other");
                let help = "the same is asked for by TLS, with 301 or 308";
                self.problems.push_at(raw.at(key), raw.path(key), message, Some(help.to_owned()));
            }
        }
        if raw.has("https_port") && !to_https {
            let help = "set `http_to_https = true`, or take it out";
            self.error(
                raw.at("https_port"),
                raw.path("https_port"),
                "the port of `http_to_https`",
                help,
            );
        }
        let status = raw.int("status");
        if !STATUSES.contains(&status) {
            let wrong = Wrong::new(format!("{status} sends nobody elsewhere"));
            self.wrong(
                raw.at("status"),
                raw.path("status"),
                wrong.help("301, 302, 303, 307 or 308"),
            );
        }
        let append_query = raw.flag("append_query_string");
        let to = if to_https {
            RedirectTarget::Https(raw.int_given("https_port").unwrap_or(self.https_port))
        } else if let Some(template) = raw.template("uri") {
            let template = UriTemplate::of(template);
            let (place, path) = (raw.at("uri"), raw.path("uri"));
            self.location(&template, append_query, place, &path);
            RedirectTarget::Uri(template)
        } else if raw.has("uri") {
            return None;
        } else if raw.has("regex_uri") {
            RedirectTarget::Rules(self.uri_rules(raw, |check, rule, place, path| {
                let start = check.location(&rule.to, append_query, place, path);
                if start == Some(LocationStart::HostAlone) {
                    let wrong = Wrong::new("what follows the match would belong to the host");
                    check.wrong(place, path, wrong.help("end the host with `/`"));
                }
            }))
        } else {
            let help = "set `uri`, `regex_uri` or `http_to_https`";
            self.error(raw.place, raw.field.clone(), "this redirect leads nowhere", help);
            return None;
        };
        Some(Redirect { to, status, append_query, encode_uri: raw.flag("encode_uri") })
    }

    /// A template of a `Location`: its host is the configuration's or the request's own.
    fn location(
        &mut self,
        template: &UriTemplate,
        append_query: bool,
        place: Place,
        path: &str,
    ) -> Option<LocationStart> {
        let text = |piece: &UriPiece| match piece {
            UriPiece::Text(text) => text.clone(),
            UriPiece::Variable(_) | UriPiece::Group(_) => String::new(),
        };
        let whole: String = template.pieces.iter().map(text).collect();
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
        let wrong = if !whole.bytes().all(is_plain) {
            Wrong::new("a reference holds visible ASCII without `\\`, `\"`, `<` and `>`")
                .help("escape it, as `%20`")
        } else if append_query && whole.contains('#') {
            Wrong::new("a query does not follow a `#`").help("take `append_query_string` out")
        } else {
            match start(template) {
                Ok(start) => {
                    self.request_variables(template, place, path);
                    return Some(start);
                }
                Err(wrong) => wrong,
            }
        };
        self.wrong(place, path, wrong);
        None
    }
}

/// How it begins, if no client has a say in the host.
fn start(template: &UriTemplate) -> Result<LocationStart, Wrong> {
    let mut pieces = template.pieces.iter();
    let after_scheme = match (pieces.next(), template.first_text()) {
        (Some(UriPiece::Variable(variable)), _) if is_path(variable) => {
            return Ok(LocationStart::Path);
        }
        (Some(UriPiece::Variable(Variable::Scheme)), _) => match pieces.next() {
            Some(UriPiece::Text(text)) => text.strip_prefix("://"),
            _ => None,
        },
        (_, first) if first.starts_with("//") => None,
        (_, first) if first.starts_with('/') => return Ok(LocationStart::Path),
        (_, first) => first.strip_prefix("https://").or_else(|| first.strip_prefix("http://")),
    };
    let Some(rest) = after_scheme else {
        let wrong = Wrong::new("where this leads is for others to say");
        return Err(wrong.help(
            "begin with one `/`, with `$uri` or `$request_uri`, or with `https://` and a host",
        ));
    };
    let is_host = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
    };
    let mut host = UriPiece::Text(rest.to_owned());
    let mut is_empty = true;
    loop {
        match &host {
            UriPiece::Text(text) => {
                let end = text.find(['/', '?', '#']);
                let front = end.map_or(text.as_str(), |end| text.get(..end).unwrap_or_default());
                if !is_host(front) {
                    return Err(Wrong::new(format!("`{front}` is no part of a host")));
                }
                is_empty &= front.is_empty();
                if end.is_some() {
                    break;
                }
            }
            UriPiece::Variable(Variable::Host | Variable::ServerPort) => is_empty = false,
            UriPiece::Variable(Variable::Http(name)) if name == "host" => is_empty = false,
            UriPiece::Variable(variable) if is_path(variable) && !is_empty => break,
            UriPiece::Variable(_) | UriPiece::Group(_) => {
                let wrong = Wrong::new("a client would choose the host it is sent to");
                return Err(wrong.help("only `$host`, `$http_host` and `$server_port` may stand there; end it with `/`"));
            }
        }
        let Some(next) = pieces.next() else {
            return if is_empty {
                Err(Wrong::new("there is no host"))
            } else {
                Ok(LocationStart::HostAlone)
            };
        };
        host = next.clone();
    }
    if is_empty { Err(Wrong::new("there is no host")) } else { Ok(LocationStart::Host) }
}
