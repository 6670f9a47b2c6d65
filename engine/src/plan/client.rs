//! Which variable is which value of a client certificate.

use ferrule_config::template::Variable;

use crate::identity::{ClientValue, Wanted};

/// The value of the client's certificate that a variable means, and a note that it is wanted.
pub(super) fn client_value(variable: &Variable, wanted: &mut Wanted) -> Option<ClientValue> {
    let _ = wanted;
    match variable {
        Variable::SslClientVerify => Some(ClientValue::Verify),
        Variable::SslClientFingerprint => Some(ClientValue::Fingerprint),
        _ => None,
    }
}
