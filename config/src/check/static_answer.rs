//! `return`: the answer that a route gives by itself.

use std::collections::BTreeSet;

use data_encoding::BASE64;

use crate::check::context::Check;
use crate::check::headers::OURS;
use crate::model::{
    AnswerBody, BODY_BYTES_MAX, BodyFile, HeaderValue, StaticAnswer, may_have_body,
};
use crate::place::Place;
use crate::raw::{Raw, join};
use crate::template::Template;
use crate::values::{FIELD_NAME_BYTES_MAX, Wrong, folded, is_token};

const BODY_KEYS: [&str; 3] = ["body", "body_base64", "body_file"];

impl Check<'_> {
    /// The answer of a route or service, if it has one.
    pub(super) fn static_answer(&mut self, holder: &Raw) -> Option<StaticAnswer> {
        let raw = holder.table("return")?;
        let status = raw.int("status");
        let body = self.answer_body(raw, status);
        let content_type = self.content_type(raw, &body);
        let headers = self.response_fields(raw, "headers");
        for header in &headers {
            let (path, place) = (join(&raw.path("headers"), &header.name), header.place);
            if header.name.eq_ignore_ascii_case("content-type") {
                self.error(
                    place,
                    path,
                    "`Content-Type` has a key of its own",
                    "use `content_type`",
                );
            } else if header.name.eq_ignore_ascii_case("location") {
                let message = "`Location` sends a client elsewhere";
                self.error(
                    place,
                    path,
                    message,
                    "use `redirect`, which keeps it from being led astray",
                );
            }
        }
        Some(StaticAnswer { status, body, content_type, headers })
    }

    /// The body that one of three keys gives.
    pub(super) fn answer_body(&mut self, raw: &Raw, status: u16) -> AnswerBody {
        self.exclusive(raw, "body", "body_base64");
        self.exclusive(raw, "body", "body_file");
        self.exclusive(raw, "body_base64", "body_file");
        if let Some(key) = BODY_KEYS.into_iter().find(|key| raw.has(key))
            && !may_have_body(status)
        {
            let message = format!("an answer with {status} has no body");
            let help = Some("take it out, or set another `status`".to_owned());
            self.problems.push_at(raw.at(key), raw.path(key), message, help);
        }
        if let Some(template) = raw.template("body") {
            self.body_template(template, raw);
            return AnswerBody::Text(template.clone());
        }
        if let Some(text) = raw.text("body_base64") {
            let path = raw.path("body_base64");
            match BASE64.decode(text.text.as_bytes()) {
                Ok(bytes) if bytes.len() as u64 > BODY_BYTES_MAX => {
                    self.error(text.place, path, "this body is too large", "at most 1 MiB");
                }
                Ok(bytes) => return AnswerBody::Bytes(bytes),
                Err(_) => {
                    let help = "the standard alphabet, with `=` at its end, on one line";
                    self.error(text.place, path, "this is no base64", help);
                }
            }
        }
        if let Some(file) = self.file(raw, "body_file") {
            let field = raw.path("body_file");
            self.body_files.push(BodyFile { place: file.place, field, path: file.path });
            return AnswerBody::File(self.body_files.len() - 1);
        }
        AnswerBody::Unsaid
    }

    /// No client may write into a page of ours.
    fn body_template(&mut self, template: &Template, raw: &Raw) {
        let (place, path) = (raw.at("body"), raw.path("body"));
        for variable in template.variables() {
            if self.is_known(variable) {
                continue;
            }
            let wrong = Wrong::new(format!("`${}` is for the access log only", variable.name()));
            self.wrong(place, &*path, wrong.help("it is known only when the request is over"));
        }
    }

    /// What a body is. Only in what is shown as text, or in JSON, do variables have their place.
    pub(super) fn content_type(&mut self, raw: &Raw, body: &AnswerBody) -> String {
        let Some(text) = raw.text("content_type") else { return String::new() };
        let (place, path) = (text.place, raw.path("content_type"));
        let bytes = text.text.as_bytes();
        let is_one_line = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_one_line || text.text.trim() != text.text || !text.text.contains('/') {
            self.error(place, path, "this is no media type", "as \"text/plain; charset=utf-8\"");
        } else if matches!(body, AnswerBody::Text(template) if template.variables().next().is_some())
            && !is_safe_for_variables(&text.text)
        {
            let message = format!("variables in a body of type `{}`", text.text);
            let help = "clients choose their values: only `text/plain` and JSON take them";
            self.problems.push_at(raw.at("body"), raw.path("body"), message, Some(help.to_owned()));
        }
        text.text
    }

    /// Fields of a response, each name once; a list of values makes several lines.
    pub(super) fn response_fields(&mut self, raw: &Raw, key: &str) -> Vec<HeaderValue> {
        let mut names = BTreeSet::new();
        let mut fields = Vec::new();
        for field in raw.fields(key) {
            let path = join(&raw.path(key), &field.name);
            let named = self.response_name(&field.name, field.place, &path);
            if named && !names.insert(field.name.to_ascii_lowercase()) {
                let wrong = Wrong::new("this name stands here twice, but for case");
                self.wrong(field.place, &*path, wrong.help("write a list of values"));
            }
            for value in &field.values {
                self.header_value(&value.template, value.place, &path);
                let (name, value) = (field.name.clone(), value.template.clone());
                fields.push(HeaderValue { place: field.place, name, value });
            }
        }
        fields
    }

    /// A name that the fields of a response may have.
    pub(super) fn response_name(&mut self, name: &str, place: Place, path: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        let wrong = if !is_token(name) {
            Wrong::new(format!("{name:?} is not a header name"))
                .help("letters, digits and `-`; no spaces, no `:`")
        } else if name.len() > FIELD_NAME_BYTES_MAX {
            Wrong::new(format!("a header name of {} bytes is too long", name.len()))
                .help(format!("at most {FIELD_NAME_BYTES_MAX} bytes"))
        } else if lower == "date" || OURS.contains(&lower.as_str()) {
            Wrong::new(format!("`{name}` belongs to the gateway"))
                .help("it says where a message ends, is for one hop alone, or when it was sent")
        } else if self.identity_names.contains(&folded(name)) {
            Wrong::new(format!("`{name}` belongs to [identity_headers]"))
                .help("it tells upstreams who the client is; no client is told")
        } else {
            return true;
        };
        self.wrong(place, path, wrong);
        false
    }
}

/// Is it shown as text, or read as JSON (for which values are escaped)?
fn is_safe_for_variables(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("text/plain") || is_json(content_type)
}

/// Is this a type of JSON?
#[must_use]
pub(crate) fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}
