//! Templates as a list of pieces, rendered into a caller's buffer.
//!
//! In: a checked template. Out: a [`Template`] that knows whether it stays the same for all requests
//! of a connection. Nothing is allocated by rendering but what the buffer needs to grow. Values from
//! peers are as they came (or escaped, for logs); [`Template::render_value`] keeps those that would
//! break a field line out of it.

use ferrule_config::model::NamedCapture;
use ferrule_config::template::{self as config, Variable};

use super::arguments::{put_argument, put_cookie};
use super::client::{client_value, is_of_session};
use super::fact::Fact;
use super::facts::Facts;
use super::field::{FieldName, FieldRules, put_field};
use super::value_writer::{Escape, ValueWriter};
use super::values::put_fact;
use crate::identity::{ClientValue, IdentityPlan};
use crate::wire::fields::is_value;

/// A compiled template.
#[derive(Clone, Debug, Default)]
pub struct Template {
    pub(super) pieces: Box<[TemplatePiece]>,
}

/// A part of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum TemplatePiece {
    /// Text, copied as it is.
    Text(Box<[u8]>),
    /// A value of the client's certificate, rendered once per connection.
    Client(ClientValue),
    /// A request field.
    Field(FieldName),
    /// The first query parameter of this name; with `true` unescaped.
    Argument(Box<[u8]>, bool),
    /// The first cookie of this name.
    Cookie(Box<[u8]>),
    /// A value of the connection, the TLS session, the request or its log.
    Fact(Fact),
    /// What the route has found under this name.
    Captured(Box<[u8]>),
    /// A variable that never has a value.
    Empty,
}

/// Turns checked templates into compiled ones, and remembers what they need.
#[derive(Debug, Default)]
pub struct Compiler {
    wanted: IdentityPlan,
    fields: FieldRules,
    unescape: bool,
}

impl Compiler {
    /// `fields`: what variables may read of request fields.
    pub(super) fn new(fields: FieldRules) -> Self {
        Self { fields, ..Self::default() }
    }

    /// What is wanted of a client certificate so far.
    pub(super) const fn wanted(&mut self) -> &mut IdentityPlan {
        &mut self.wanted
    }

    /// Compiles a template whose query parameters are read as applications read them.
    pub(super) fn compile_unescaped(&mut self, template: &config::Template) -> Template {
        self.unescape = true;
        let compiled = self.compile(template);
        self.unescape = false;
        compiled
    }

    /// Compiles a template.
    pub fn compile(&mut self, template: &config::Template) -> Template {
        let mut pieces: Vec<TemplatePiece> = Vec::with_capacity(template.pieces.len());
        for piece in &template.pieces {
            match piece {
                config::Piece::Text(text) => {
                    pieces.push(TemplatePiece::Text(text.as_bytes().into()));
                }
                config::Piece::Variable(variable) => pieces.push(self.variable(variable)),
            }
        }
        Template { pieces: pieces.into() }
    }

    pub(super) fn variable(&mut self, variable: &Variable) -> TemplatePiece {
        if let Some(value) = client_value(variable, &mut self.wanted) {
            return TemplatePiece::Client(value);
        }
        match variable {
            Variable::Arg(name) => TemplatePiece::Argument(name.as_bytes().into(), self.unescape),
            Variable::Cookie(_) if self.fields.empty_reason("cookie").is_some() => {
                TemplatePiece::Empty
            }
            Variable::Cookie(name) => TemplatePiece::Cookie(name.as_bytes().into()),
            // That of the target, where it has one: nobody else reads another.
            Variable::Http(name) if name == "host" => TemplatePiece::Fact(Fact::Authority),
            Variable::Http(name) => {
                self.fields.field(name).map_or(TemplatePiece::Empty, TemplatePiece::Field)
            }
            Variable::Capture(_) | Variable::Rewrite(_) | Variable::UriParam(_) => {
                TemplatePiece::Captured(variable.name().into_bytes().into())
            }
            _ => Fact::of(variable).map_or(TemplatePiece::Empty, TemplatePiece::Fact),
        }
    }

    /// What the templates so far need from a client certificate.
    #[must_use]
    pub fn into_wanted(self) -> IdentityPlan {
        self.wanted
    }
}

impl Template {
    /// The value of the client's certificate that this is, and nothing else.
    pub(super) const fn client_value(&self) -> Option<ClientValue> {
        match *self.pieces {
            [TemplatePiece::Client(value)] => Some(value),
            _ => None,
        }
    }

    /// Is it the same for all requests of a connection?
    #[must_use]
    pub fn is_connection_scoped(&self) -> bool {
        self.pieces.iter().all(TemplatePiece::is_connection_scoped)
    }

    /// Appends the value for a header. Nothing is appended, and false returned, if it is empty or no
    /// field value: it holds a control byte, or begins or ends with white space, without which the upstream
    /// would read another one.
    pub fn render_value(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        render(self, facts, out);
        let value = out.get(start..).unwrap_or_default();
        let fit = !value.is_empty() && is_value(value);
        if !fit {
            out.truncate(start);
        }
        fit
    }
}

/// Appends the rendered template.
pub fn render(template: &Template, facts: &Facts<'_>, out: &mut Vec<u8>) {
    render_escaped(template, facts, Escape::None, out);
}

/// Appends the rendered template, its values escaped.
pub fn render_escaped(template: &Template, facts: &Facts<'_>, escape: Escape, out: &mut Vec<u8>) {
    for piece in &template.pieces {
        piece.render(facts, escape, out);
    }
}

/// Does a template read the TLS session or the client's certificate, itself or through a part of a value that
/// its route names?
pub(super) fn uses_session(template: &config::Template, captures: &[NamedCapture]) -> bool {
    let named = |name: &str| {
        let mut of_session = captures.iter().filter(|capture| is_of_session(&capture.variable));
        of_session.any(|capture| capture.names.iter().any(|captured| captured.name == name))
    };
    template.pieces.iter().any(|piece| match piece {
        config::Piece::Text(_) => false,
        config::Piece::Variable(Variable::Capture(name)) => named(name),
        config::Piece::Variable(variable) => is_of_session(variable),
    })
}

impl TemplatePiece {
    /// Appends the text, or the value, escaped like this.
    pub(super) fn render(&self, facts: &Facts<'_>, escape: Escape, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text),
            value => value.render_value(facts, escape, out),
        }
    }

    /// A value alone: every second piece is a text, which does without the large frame that this needs.
    #[inline(never)]
    fn render_value(&self, facts: &Facts<'_>, escape: Escape, out: &mut Vec<u8>) {
        let mut sink = ValueWriter::new(escape, out);
        match self {
            // Never escaped.
            Self::Text(text) => return out.extend_from_slice(text),
            Self::Client(value) => {
                sink.put(facts.client.map(|client| client.values.get(*value)).unwrap_or_default());
            }
            Self::Field(name) => put_field(name, facts, &mut sink),
            Self::Argument(name, unescape) => {
                put_argument(name, *unescape, facts, &mut sink);
            }
            Self::Cookie(name) => put_cookie(name, facts, &mut sink),
            Self::Fact(fact) => put_fact(*fact, facts, &mut sink),
            Self::Captured(name) => {
                let captures = facts.request.and_then(|request| request.captures);
                sink.put(captures.map(|captures| captures.get(name)).unwrap_or_default());
            }
            // Logs still get their `-`.
            Self::Empty => {}
        }
        sink.end_value();
    }

    /// Is it the same for all requests of a connection?
    pub(super) const fn is_connection_scoped(&self) -> bool {
        match self {
            Self::Text(_) | Self::Client(_) | Self::Empty => true,
            Self::Field(_) | Self::Argument(..) | Self::Cookie(_) | Self::Captured(_) => false,
            Self::Fact(fact) => fact.is_connection_scoped(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A variable that [`Fact::of`] forgets would be empty for ever, and no error would say so.
    #[test]
    fn every_variable_is_mapped() {
        let families = |name: &str| name.ends_with('_');
        for listed in Variable::ALL.iter().filter(|listed| !families(listed.name)) {
            let empty =
                matches!(Compiler::default().variable(&listed.variable), TemplatePiece::Empty);
            assert_eq!(empty, listed.variable == Variable::SslEarlyData, "${}", listed.name);
        }
    }
}
