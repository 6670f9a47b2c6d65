//! `cors`: which pages of other origins may read what a route answers.

use crate::check::context::Check;
use crate::model::{Cors, CorsOrigins};
use crate::pattern::Pattern;
use crate::raw::{Raw, Text};
use crate::values::{Wrong, is_token};

/// What `**` stands for in `allow_methods`, as APISIX has it.
const EVERY_METHOD: &str = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE";
/// Which of two keys of origins, a list and expressions.
const ORIGINS: [&str; 2] = ["allow_origins", "allow_origins_by_regex"];
const TIMING: [&str; 2] = ["timing_allow_origins", "timing_allow_origins_by_regex"];

impl Check<'_> {
    /// `cors` of a route, a service or a global rule, if it has one.
    pub(super) fn cors(&mut self, holder: &Raw) -> Option<Cors> {
        let raw = holder.table("cors")?;
        let allow_credential = raw.flag("allow_credential");
        if allow_credential {
            self.no_stars(raw);
        }
        let allow_origins = self.origins(raw, ORIGINS).unwrap_or(CorsOrigins::Any);
        if allow_credential && allow_origins == CorsOrigins::Each {
            let message = "every page of every origin may act for whoever visits it";
            let (place, path) = (raw.at("allow_origins"), raw.path("allow_origins"));
            self.warn(
                place,
                path,
                message,
                "list the origins that `allow_credential` is meant for",
            );
        }
        let methods = raw.text("allow_methods").map(|text| text.text).unwrap_or_default();
        let headers = raw.text("allow_headers").map(|text| text.text).unwrap_or_default();
        for key in ["allow_methods", "allow_headers", "expose_headers"] {
            self.tokens(raw, key);
        }
        let exposed = raw.text("expose_headers").map(|text| text.text);
        Some(Cors {
            allow_origins,
            allow_methods: if methods == "**" { EVERY_METHOD.to_owned() } else { methods },
            allow_headers: Some(headers).filter(|headers| headers != "**"),
            expose_headers: exposed.filter(|exposed| !exposed.is_empty()),
            max_age: raw.int("max_age"),
            allow_credential,
            timing_allow_origins: self.origins(raw, TIMING),
            answer_options: raw.flag("answer_options"),
        })
    }

    /// The Fetch standard takes a `*` beside credentials for the name `*`.
    fn no_stars(&mut self, raw: &Raw) {
        let by_regex = raw.has("allow_origins_by_regex");
        for key in ["allow_origins", "allow_methods", "allow_headers", "expose_headers"] {
            let is_star = raw.text(key).is_some_and(|text| text.text == "*");
            if is_star && !(key == "allow_origins" && by_regex) {
                let message = format!("`{key} = \"*\"` beside `allow_credential`");
                let help = "browsers refuse it: list what is meant (`*` is the default)";
                self.problems.push_at(raw.at(key), raw.path(key), message, Some(help.to_owned()));
            }
        }
    }

    fn origins(&mut self, raw: &Raw, [listed, by_regex]: [&str; 2]) -> Option<CorsOrigins> {
        let patterns = raw.texts(by_regex);
        if raw.has(by_regex) {
            // As in APISIX, only these count then.
            let mut all = Vec::new();
            for (at, text) in patterns.iter().enumerate() {
                let path = format!("{}[{at}]", raw.path(by_regex));
                match Pattern::new(&text.expression(), false) {
                    Ok(pattern) => {
                        if !text.text.ends_with('$') {
                            let message = "this also matches origins that only begin like it, as \
                                           `https://good.test.evil.test`";
                            self.warn(text.place, path, message, "end it with `$`");
                        }
                        all.push(pattern);
                    }
                    Err(wrong) => self.wrong(text.place, path, wrong),
                }
            }
            return Some(CorsOrigins::Matching(all));
        }
        let text = raw.text(listed)?;
        match text.text.as_str() {
            "*" => return Some(CorsOrigins::Any),
            "**" => return Some(CorsOrigins::Each),
            _ => {}
        }
        let mut all = Vec::new();
        for origin in text.text.split(',').map(str::trim) {
            if is_origin(origin) {
                all.push(origin.to_owned());
            } else {
                self.no_origin(raw, listed, &text, origin);
            }
        }
        Some(CorsOrigins::Listed(all))
    }

    fn no_origin(&mut self, raw: &Raw, key: &str, text: &Text, origin: &str) {
        let wrong = Wrong::new(format!("`{origin}` is no origin"));
        let help = if origin.contains("://") {
            "scheme, host and perhaps a port, without a path or a `/` at the end, in lower case"
        } else {
            "as \"https://app.example.com\"; several with commas between them, `*` or `**`"
        };
        self.wrong(text.place, raw.path(key), wrong.help(help));
    }

    /// A list of names with commas, `*` or `**`; it may be empty.
    fn tokens(&mut self, raw: &Raw, key: &str) {
        let Some(text) = raw.text(key) else { return };
        let names = || text.text.split(',').map(str::trim);
        if !text.text.is_empty() && !names().all(is_token) {
            let wrong = Wrong::new(format!("`{}` is no list of names", text.text));
            self.wrong(text.place, raw.path(key), wrong.help("names with commas between them"));
        } else if text.text == "**" && key == "expose_headers" {
            let wrong = Wrong::new("`**` is for what a preflight asks for");
            self.wrong(text.place, raw.path(key), wrong.help("write `*`, or the names"));
        }
    }
}

/// As a browser writes it (RFC 6454, section 6.2).
fn is_origin(origin: &str) -> bool {
    if origin == "null" {
        return true;
    }
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let is_scheme =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let is_host =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    !scheme.is_empty()
        && scheme.bytes().all(is_scheme)
        && !rest.is_empty()
        && rest.bytes().all(is_host)
}
