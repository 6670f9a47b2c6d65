//! A client's own `X-Forwarded-Client-Cert`, where it may pass (Envoy's forward modes).
//!
//! It was taken out with every other identity header; what passes is put back here, on one line, and
//! under its one spelling. Whoever else may write it says who it is: so in two of the three modes
//! the client must be verified, and the third is for a gateway behind a gateway.

use ferrule_config::model::XfccMode;

use super::hop::Nominations;
use crate::identity::{ClientValue, Verdict};
use crate::plan::headers::XFCC;
use crate::plan::{Facts, Plan};
use crate::wire::fields::Known;

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
    let Some(nominations) = Nominations::of(request.buf, &request.head.fields) else { return };
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
    for field in request.head.fields.as_slice() {
        let name = field.name.of(request.buf);
        if name.eq_ignore_ascii_case(XFCC.as_bytes()) && !nominations.contain(name, Known::Other) {
            element(field.value.of(request.buf));
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
