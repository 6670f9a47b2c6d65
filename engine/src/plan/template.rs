//! Templates as a list of pieces, rendered into a caller's buffer.
//!
//! In: a checked template. Out: a [`Template`] that knows whether it stays the same for all requests
//! of a connection. Nothing is allocated by rendering but what the buffer needs to grow.

use ferrule_config::template::{self as config, Variable};

use super::client::client_value;
use super::facts::Facts;
use super::names::StripSet;
use crate::identity::{ClientValue, Wanted};

/// A compiled template.
#[derive(Clone, Debug, Default)]
pub struct Template {
    pieces: Box<[Piece]>,
}

/// A template of a log line, with how its values are escaped.
#[derive(Clone, Debug)]
pub struct LineTemplate {
    /// What a line holds.
    pub template: Template,
    /// How values are escaped in it.
    pub escape: Escape,
}

/// How the values (not the text between them) are escaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Escape {
    /// Not at all.
    None,
    /// As the inside of a JSON string.
    Json,
    /// As nginx does in logs: `\xHH` for quotes, backslashes and whatever is not printable ASCII;
    /// `-` for nothing.
    Log,
}

/// A part of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(Box<[u8]>),
    Client(ClientValue),
    /// A request field; the name is lower case with `-` for `_`.
    Field {
        name: Box<[u8]>,
        underscores: bool,
    },
    Fact(Fact),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fact {
    Status,
}

/// Turns checked templates into compiled ones, and remembers what they need.
#[derive(Debug, Default)]
pub struct Compiler {
    wanted: Wanted,
    hidden: StripSet,
    underscores: bool,
}

impl Compiler {
    /// `underscores`: are field names with an underscore accepted?
    #[must_use]
    pub fn new(underscores: bool) -> Self {
        Self { underscores, ..Self::default() }
    }

    /// Request fields that `$http_` variables must not see, because they are stripped.
    pub fn hide(&mut self, names: &StripSet) {
        self.hidden = names.clone();
    }

    /// Compiles a template.
    pub fn compile(&mut self, template: &config::Template) -> Template {
        let _ = (template, &self.wanted, &self.hidden, self.underscores);
        unimplemented!()
    }

    /// What the templates so far need from a client certificate.
    #[must_use]
    pub fn into_wanted(self) -> Wanted {
        self.wanted
    }
}

impl Template {
    /// Is it the same for all requests of a connection?
    #[must_use]
    pub fn is_connection_scoped(&self) -> bool {
        unimplemented!()
    }

    /// Appends the value for a header. Nothing is appended, and false returned, if it is empty or
    /// holds a control byte other than a tab.
    pub fn render_value(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> bool {
        let _ = (facts, out);
        unimplemented!()
    }
}

/// Appends the rendered template.
pub fn render(template: &Template, facts: &Facts<'_>, out: &mut Vec<u8>) {
    render_escaped(template, facts, Escape::None, out);
}

/// Appends the rendered template, its values escaped.
pub fn render_escaped(template: &Template, facts: &Facts<'_>, escape: Escape, out: &mut Vec<u8>) {
    let _ = (template, facts, escape, out, client_value(&Variable::Args, &mut Wanted::default()));
}

/// Does a template read the TLS session or the client's certificate?
pub(super) fn uses_session(template: &config::Template) -> bool {
    let _ = template;
    unimplemented!()
}
