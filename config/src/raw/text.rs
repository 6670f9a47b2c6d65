//! Strings of the file: `${env:NAME}` is put in, secrets are masked, templates are read.
//!
//! What comes from the environment is text and nothing else: in a template it can hold no variable.

use toml::Spanned;
use toml::de::DeValue;

use crate::place::Place;
use crate::raw::reader::{Reader, Use};
use crate::raw::table::{Text, Value};
use crate::source::is_path;
use crate::template::Variable;
use crate::template::{self, Template, TemplateCause, TemplateError};
use crate::values::nearest;

const ENV: &str = "${env:";

impl Reader<'_> {
    /// A string with the environment put in; `None` if it is none, or a variable is not set.
    pub(super) fn string(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        purpose: Use,
    ) -> Option<String> {
        self.text_of(value, field, purpose).map(|text| text.text)
    }

    /// Likewise, with what came from the environment.
    pub(super) fn text_of(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        field: &str,
        purpose: Use,
    ) -> Option<Text> {
        let place = Place::of(value.span());
        if purpose == Use::Secret && !value.get_ref().as_str().is_some_and(names_secret) {
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
        self.substitute(text, place, field, purpose)
    }

    fn substitute(&mut self, text: &str, place: Place, field: &str, purpose: Use) -> Option<Text> {
        let mut out = String::with_capacity(text.len());
        let mut literal = Vec::new();
        let mut rest = text;
        let mut whole = true;
        while let Some((front, behind)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
            out.push_str(front);
            let name = behind.strip_prefix(ENV).and_then(|inner| inner.split_once('}'));
            if let Some((name, after)) = name {
                let start = out.len();
                match (self.env)(name) {
                    Some(value) if purpose == Use::Template => {
                        out.push_str(&value.replace('$', "$$"));
                    }
                    Some(value) => out.push_str(&value),
                    None => {
                        whole = false;
                        let message = format!("the environment variable `{name}` is not set");
                        self.problems.push_at(place, field, message, None);
                    }
                }
                literal.push(start..out.len());
                rest = after;
                continue;
            }
            let (kept, taken) = dollars(behind, purpose);
            if kept == 0 {
                whole = false;
                let message = "this text holds a `${` that starts no `${env:NAME}`".to_owned();
                let help = "write `$${` for a dollar sign and a brace".to_owned();
                self.problems.push_at(place, field, message, Some(help));
            }
            out.extend(std::iter::repeat_n('$', kept));
            rest = behind.get(taken..).unwrap_or_default();
        }
        out.push_str(rest);
        // What comes as a whole is as if it stood in the file.
        literal.retain(|range| *range != (0..out.len()));
        whole.then_some(Text { place, text: out, literal })
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
                let written = self.text.get(value.span()).unwrap_or_default();
                let (message, help) = match error.cause {
                    // A password with a dollar sign in it is no name of a variable.
                    cause if self.problems.is_masked(Place::of(value.span()), written) => {
                        (cause.to_string(), "write `$$` for a dollar sign".to_owned())
                    }
                    cause => explain(cause, name),
                };
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

/// Does it say where a secret is, and nothing of the secret itself: a path, or a variable of the environment?
fn names_secret(text: &str) -> bool {
    let behind = text.strip_prefix(ENV).and_then(|rest| rest.split_once('}'));
    is_path(text) || behind.is_some_and(|(_, rest)| rest.is_empty())
}

/// How many dollars the text begins with, and how many of them stand for themselves. In a template two are
/// one, which its own reader sees to. In plain text one is taken away in front of a brace, where it
/// says that nothing starts there; where it stands alone, something should.
fn dollars(text: &str, purpose: Use) -> (usize, usize) {
    let run = text.bytes().take_while(|byte| *byte == b'$').count();
    if purpose == Use::Template {
        return (run.min(2), run.min(2));
    }
    let brace = text.as_bytes().get(run) == Some(&b'{');
    (run - usize::from(brace), run)
}

/// Plain text as [`Reader`] reads it back.
pub(crate) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
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
                    Some(near) => {
                        let near = near.to_ascii_lowercase();
                        format!("did you mean `$ssl_client_s_dn_{near}`?")
                    }
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
