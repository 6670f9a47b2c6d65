//! Strings of the file: `${env:NAME}` is put in, secrets are masked, templates are read.
//!
//! What comes from the environment is text and nothing else: in a template it can hold no variable.

use toml::Spanned;
use toml::de::DeValue;

use crate::problem::Place;
use crate::raw::{Reader, Value};
use crate::template::Variable;
use crate::template::{self, Template, TemplateCause, TemplateError};
use crate::values::nearest;

const ENV: &str = "${env:";

/// What a string is for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Use {
    /// To be taken as it is.
    Plain,
    /// To be taken as it is, and never shown.
    Secret,
    /// To be read as a template.
    Template,
}

impl Reader<'_> {
    /// A string with the environment put in; `None` if it is none, or a variable is not set.
    pub(super) fn string(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        purpose: Use,
    ) -> Option<String> {
        let place = Place::of(value.span());
        if purpose == Use::Secret {
            self.problems.mask(place);
        }
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, field, "a string");
            return None;
        };
        if purpose == Use::Secret {
            let rest = text.split(ENV).skip(1).filter_map(|rest| rest.split_once('}'));
            let names: Vec<String> = rest.map(|(name, _)| format!("${{env:{name}}}")).collect();
            if !names.is_empty() {
                self.problems.name_secret_variables(place, names.join(" and "));
            }
        }
        self.substitute(text, place, field, purpose == Use::Template)
    }

    fn substitute(
        &mut self,
        text: &str,
        place: Place,
        field: &str,
        escape: bool,
    ) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut whole = true;
        while let Some((front, behind)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
            out.push_str(front);
            // Two dollars are one dollar, and the second one starts nothing.
            let taken = if behind.starts_with("$$") { 2 } else { 1 };
            let name = behind.strip_prefix(ENV).and_then(|inner| inner.split_once('}'));
            if let Some((name, after)) = name {
                match (self.env)(name) {
                    Some(value) if escape => out.push_str(&value.replace('$', "$$")),
                    Some(value) => out.push_str(&value),
                    None => {
                        whole = false;
                        let message = format!("the environment variable `{name}` is not set");
                        self.problems.push_at(place, field, message, None);
                    }
                }
                rest = after;
                continue;
            }
            let (dollars, after) = behind.split_at_checked(taken).unwrap_or((behind, ""));
            out.push_str(dollars);
            rest = after;
        }
        out.push_str(rest);
        whole.then_some(out)
    }

    pub(super) fn template(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
    ) -> Option<Template> {
        let text = self.string(value, field, Use::Template)?;
        match template::parse(&text) {
            Ok(template) => Some(template),
            Err(error) => {
                let place = self.inside(value, &text, error);
                let name = text.get(error.offset..error.offset + error.len).unwrap_or_default();
                let (message, help) = explain(error.cause, name);
                self.problems.push_at(place, field, message, Some(help));
                None
            }
        }
    }

    pub(super) fn template_value(&mut self, value: &Spanned<DeValue<'_>>, field: &str) -> Value {
        self.template(value, field).map_or(Value::Broken, Value::Template)
    }

    /// The place of an error in a string; of the whole string if it is not written as it reads.
    fn inside(&self, value: &Spanned<DeValue<'_>>, text: &str, error: TemplateError) -> Place {
        let span = value.span();
        let written = self.text.get(span.start + 1..span.end.saturating_sub(1));
        if written == Some(text) {
            let start = span.start + 1 + error.offset;
            Place::of(start..start + error.len)
        } else {
            Place::of(span)
        }
    }
}

fn explain(cause: TemplateCause, name: &str) -> (String, String) {
    match cause {
        TemplateCause::BareDollar => (cause.to_string(), "write `$$` for a dollar sign".to_owned()),
        TemplateCause::Unclosed => (cause.to_string(), "write `${name}`".to_owned()),
        TemplateCause::SessionId => (
            format!("{cause}: the TLS library has no accessor for it"),
            "`$ssl_session_reused` says whether a session was resumed".to_owned(),
        ),
        TemplateCause::UnknownVariable => {
            let bare = name.trim_matches(['$', '{', '}']);
            if let Some(attribute) = bare.strip_prefix("ssl_client_s_dn_") {
                let known = crate::attributes::SUBJECT_ATTRIBUTES;
                let help = match nearest(attribute, known.iter().copied()) {
                    Some(near) => format!("did you mean `$ssl_client_s_dn_{near}`?"),
                    None => {
                        "OpenSSL's short names in lower case: `cn`, `o`, `ou`, `c`, ...".to_owned()
                    }
                };
                return (format!("there is no attribute `{attribute}` of a subject"), help);
            }
            let names = Variable::ALL.iter().map(|listed| listed.name);
            let help = match nearest(bare, names.filter(|name| !name.ends_with('_'))) {
                Some(near) => format!("did you mean `${near}`?"),
                None => {
                    "write `$$` for a dollar sign; the reference lists every variable".to_owned()
                }
            };
            (format!("there is no variable `${bare}`"), help)
        }
    }
}
