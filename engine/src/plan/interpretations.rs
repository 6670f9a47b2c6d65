//! The other values that an upstream may read where we read one.
//!
//! In: a variable of a condition, and a request. Out: every value that some usual upstream reads where
//! we read one: another of several parameters, cookies or lines of a name, a name in another case or
//! spelling, a cookie in quotation marks or escapes, a field that `Connection` takes away, a method in
//! another case. A route that a condition guards is held to what each of them would lead to.

use super::arguments::{cookies, parameters, unescape};
use super::fact::Fact;
use super::facts::Facts;
use super::template::{Template, TemplatePiece};
use crate::wire::fields::Known;

/// May a value of this be read in several ways?
pub(super) fn is_ambiguous(template: &Template) -> bool {
    template.pieces.iter().any(|piece| match piece {
        TemplatePiece::Argument(..) | TemplatePiece::Cookie(_) | TemplatePiece::Field(_) => true,
        TemplatePiece::Fact(fact) => *fact == Fact::RequestMethod,
        TemplatePiece::Text(_)
        | TemplatePiece::Client(_)
        | TemplatePiece::Captured(_)
        | TemplatePiece::Empty => false,
    })
}

/// Calls `each` with every other interpretation of the value; `value` is scratch space.
pub(super) fn each_interpretation(
    template: &Template,
    facts: &Facts<'_>,
    value: &mut Vec<u8>,
    each: &mut dyn FnMut(&[u8]),
) {
    let Some(request) = &facts.request else { return };
    let [piece] = &*template.pieces else { return };
    match piece {
        TemplatePiece::Argument(name, _) => {
            let query = request.target.map(|target| request.head.text(target.query));
            // Some cut at `;` as well.
            for cut in [&b"&"[..], b"&;"] {
                for (found, text) in parameters(query.unwrap_or_default(), cut) {
                    value.clear();
                    unescape(found, value);
                    if value.eq_ignore_ascii_case(name) {
                        value.clear();
                        unescape(text, value);
                        each(value);
                    }
                }
            }
        }
        TemplatePiece::Cookie(name) => {
            for (found, text) in cookies(request) {
                value.clear();
                unescape(found, value);
                if value.eq_ignore_ascii_case(name) {
                    each(text);
                    let bare = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
                    value.clear();
                    unescape(bare.unwrap_or(text), value);
                    each(value);
                }
            }
        }
        TemplatePiece::Field(name) => {
            let fields = request.head.fields();
            for field in name.alike(facts) {
                each(field.value());
                // As if it were not there: here it is, and the upstream does not get it.
                if fields.has_item(Known::Connection, field.name()) {
                    each(b"");
                }
            }
        }
        TemplatePiece::Fact(Fact::RequestMethod) => {
            let text = request.head.method_text();
            value.clear();
            value.extend(text.iter().map(u8::to_ascii_uppercase));
            each(value);
            if value == b"HEAD" {
                each(b"GET");
            }
        }
        TemplatePiece::Text(_)
        | TemplatePiece::Client(_)
        | TemplatePiece::Captured(_)
        | TemplatePiece::Fact(_)
        | TemplatePiece::Empty => {}
    }
}
