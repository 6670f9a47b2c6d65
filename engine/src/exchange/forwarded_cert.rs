//! A client's own `X-Forwarded-Client-Cert`, where it may pass (Envoy's forward modes).
//!
//! It was taken out with every other identity header; what passes is put back here, on one line, and
//! under its one spelling. Whoever else may write it says who it is: so in two of the three modes
//! the client must be verified, and the third is for a gateway behind a gateway. A value with an open
//! quotation would swallow what stands behind it, our own element too: it is refused.

use ferrule_config::model::XfccMode;

use super::hop::Nominations;
use super::refusal::Refusal;
use crate::identity::{ClientValue, Verdict};
use crate::plan::claims::XFCC;
use crate::plan::{Facts, Plan};
use crate::wire::error::WireError;
use crate::wire::fields::Known;
use crate::wire::view::{FieldView, FieldsView};

/// Can everybody tell where the elements of a field that passes begin and end?
///
/// # Errors
/// A quotation is not closed within its line.
pub(super) fn check(plan: &Plan, fields: FieldsView<'_>) -> Result<(), Refusal> {
    let passes = match plan.identity.xfcc {
        XfccMode::Sanitize | XfccMode::SanitizeSet => false,
        XfccMode::ForwardOnly | XfccMode::AppendForward | XfccMode::AlwaysForwardOnly => true,
    };
    let open = |field: FieldView<'_>| {
        field.name().eq_ignore_ascii_case(XFCC.as_bytes()) && is_open(field.value())
    };
    if passes && fields.iter().any(open) {
        return Err(Refusal::Malformed(WireError::InvalidFieldValue));
    }
    Ok(())
}

/// Does a quotation go on behind its end, or an escape?
fn is_open(value: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    quoted
}

/// Appends the field, if the mode and the client let it pass.
pub(super) fn append(plan: &Plan, facts: &Facts<'_>, out: &mut Vec<u8>) {
    let mode = plan.identity.xfcc;
    let verified = facts.client.filter(|client| client.verdict == Verdict::Success);
    let passes = match mode {
        // The second is an identity header like any other.
        XfccMode::Sanitize | XfccMode::SanitizeSet => false,
        XfccMode::ForwardOnly | XfccMode::AppendForward => verified.is_some(),
        XfccMode::AlwaysForwardOnly => true,
    };
    let Some(request) = facts.request.filter(|_| passes) else { return };
    let Some(nominations) = Nominations::of(request.head.fields()) else { return };
    let start = out.len();
    out.extend_from_slice(XFCC.as_bytes());
    out.extend_from_slice(b": ");
    let values = out.len();
    let mut element = |value: &[u8]| {
        if !value.is_empty() {
            if out.len() > values {
                out.push(b',');
            }
            out.extend_from_slice(value);
        }
    };
    for field in request.head.fields().iter() {
        let name = field.name();
        if name.eq_ignore_ascii_case(XFCC.as_bytes()) && !nominations.contain(name, Known::Other) {
            element(field.value());
        }
    }
    if let (XfccMode::AppendForward, Some(client)) = (mode, verified) {
        element(client.values.get(ClientValue::Xfcc));
    }
    if out.len() > values {
        out.extend_from_slice(b"\r\n");
    } else {
        out.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_closed_within_its_line() {
        for (value, open) in [
            ("Hash=1;Subject=\"CN=a,O=b\";URI=x", false),
            ("Subject=\"a\\\"b\"", false),
            ("Subject=\"\"", false),
            ("Hash=1", false),
            ("", false),
            // Outside of a quotation a backslash is one.
            ("Hash=\\,Subject=\"a\"", false),
            ("Hash=11;Subject=\"", true),
            ("Subject=\"a\\\"", true),
            ("Subject=\"a\\", true),
            ("Subject=\"a\";URI=\"", true),
        ] {
            assert_eq!(is_open(value.as_bytes()), open, "{value}");
        }
    }
}
