//! Which variable is which value of a client certificate.

use ferrule_config::Config;
use ferrule_config::template::{Piece, Template, Variable};
use ferrule_config::{Place, Problem, Problems};

use crate::identity::{ClientValue, IdentityPlan};

/// The value of the client's certificate that a variable means, and a note that it is wanted.
pub(super) fn client_value(variable: &Variable, wanted: &mut IdentityPlan) -> Option<ClientValue> {
    let value = match variable {
        Variable::SslClientCert => ClientValue::Cert,
        Variable::SslClientCertRfc9440 => ClientValue::CertRfc9440,
        Variable::SslClientCertTraefik => ClientValue::TraefikCert,
        Variable::SslClientChainRfc9440 => ClientValue::ChainRfc9440,
        Variable::SslClientEscapedCert => ClientValue::EscapedCert,
        Variable::SslClientFingerprint => ClientValue::Fingerprint,
        Variable::SslClientFingerprintSha256 => ClientValue::FingerprintSha256,
        Variable::SslClientIDn => ClientValue::IDn,
        Variable::SslClientIDnLegacy => ClientValue::IDnLegacy,
        Variable::SslClientInfoTraefik => ClientValue::TraefikInfo,
        Variable::SslClientRawCert => ClientValue::RawCert,
        Variable::SslClientSDn => ClientValue::SDn,
        Variable::SslClientSDnAttribute(name) => return wanted.attribute(name),
        Variable::SslClientSDnLegacy => ClientValue::SDnLegacy,
        Variable::SslClientSan => ClientValue::San,
        Variable::SslClientSanDns => ClientValue::SanDns,
        Variable::SslClientSanEmail => ClientValue::SanEmail,
        Variable::SslClientSanIp => ClientValue::SanIp,
        Variable::SslClientSanUri => ClientValue::SanUri,
        Variable::SslClientSerial => ClientValue::Serial,
        Variable::SslClientSpiffeId => ClientValue::SpiffeId,
        Variable::SslClientSpkiSha256 => ClientValue::SpkiSha256,
        Variable::SslClientVEnd => ClientValue::VEnd,
        Variable::SslClientVStart => ClientValue::VStart,
        Variable::SslClientVerify => ClientValue::Verify,
        Variable::SslClientX5tS256 => ClientValue::X5tS256,
        Variable::SslClientXfcc => ClientValue::Xfcc,
        _ => return None,
    };
    wanted.add(value);
    Some(value)
}

/// Does a variable come from the client's certificate or from its TLS session?
pub(super) fn is_of_session(variable: &Variable) -> bool {
    client_value(variable, &mut IdentityPlan::default()).is_some()
        || matches!(
            variable,
            Variable::SslAlpnProtocol
                | Variable::SslCipher
                | Variable::SslCiphers
                | Variable::SslClientSigalg
                | Variable::SslClientVRemain
                | Variable::SslCurve
                | Variable::SslCurves
                | Variable::SslEarlyData
                | Variable::SslProtocol
                | Variable::SslServerName
                | Variable::SslSessionReused
        )
}

/// Reports the subject attributes (`$ssl_client_s_dn_NAME`) that do not exist: which ones do, only
/// the room that reads certificates knows.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let rules = config.routes.iter().flat_map(|route| &route.headers);
    let set = rules.flat_map(|ops| ops.add.iter().chain(&ops.set));
    for field in config.identity_headers.iter().chain(set) {
        check_template(&field.value, field.place, &field.name, problems);
    }
    if let Some(log) = &config.log.access
        && let Some(own) = log.format.own()
    {
        check_template(own.template, log.format_place, "log.access.format", problems);
    }
}

fn check_template(template: &Template, place: Place, field: &str, problems: &mut Problems) {
    for piece in &template.pieces {
        if let Piece::Variable(Variable::SslClientSDnAttribute(name)) = piece
            && IdentityPlan::default().attribute(name).is_none()
        {
            problems.push(Problem {
                place,
                field: field.to_owned(),
                message: format!("`$ssl_client_s_dn_{name}`: no subject attribute is called so"),
                help: Some("OpenSSL's short names in lower case: `cn`, `o`, `ou`, `c`, ...".into()),
            });
        }
    }
}
