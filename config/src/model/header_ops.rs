//! Changes of header fields.

use crate::place::Place;
use crate::template::Template;

/// `headers`: applied in the order add, set, remove.
#[derive(Clone, Debug, Default)]
pub struct HeaderOps {
    /// Added behind what is there.
    pub add: Vec<HeaderValue>,
    /// Replaces what is there; an empty value sends nothing.
    pub set: Vec<HeaderValue>,
    /// Names taken out.
    pub remove: Vec<String>,
}

/// A field name and the template of its value.
#[derive(Clone, Debug)]
pub struct HeaderValue {
    /// Where in the file.
    pub place: Place,
    /// The name as written; a valid token.
    pub name: String,
    /// The value.
    pub value: Template,
}
