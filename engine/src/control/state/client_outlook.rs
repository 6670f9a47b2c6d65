//! What becomes of a client whose next certificate lacks `clientAuth`.
//!
//! In: the configuration in force, and the server name that the client uses. Out: what it will be told, in the words
//! that it will be told in.

use ferrule_config::model::{ClientEku, Reject};
use rustls::AlertDescription;

use crate::exchange::refusal::Refusal;
use crate::identity::{Verdict, VerifyFailure};
use crate::plan::{Gate, HostBuf};
use crate::setup::Generation;
use crate::tls::server::alert;

/// The TLS alert or the response that a client is refused with.
pub(crate) fn told(reject: Reject, refusal: Refusal) -> String {
    if reject == Reject::Handshake {
        let alert = match refusal {
            Refusal::NoCertificate => AlertDescription::CertificateRequired,
            Refusal::BadCertificate(failure) => alert(failure),
            _ => alert(VerifyFailure::Application),
        };
        return format!("the TLS alert {alert:?}");
    }
    let reason = refusal.reason().unwrap_or_else(|| refusal.word());
    format!("{} {reason}", refusal.status())
}

/// What a client gets at this server name with a certificate that lacks `clientAuth`, and is good otherwise.
pub(crate) fn without_client_auth(generation: &Generation, server_name: &str) -> String {
    let mut name = HostBuf::default();
    let server = generation.plan.sni.resolve(name.read(server_name.as_bytes()));
    let server = server.and_then(|id| generation.config.servers.get(id.0 as usize));
    let Some(server) = server else { return "the server name is not served any more".to_owned() };
    let Some(client) = &server.client else {
        return "let in: no certificate is asked for".to_owned();
    };
    if client.eku == ClientEku::Any {
        return format!("let in: `client.eku` of [[ssls]] {} is \"any\"", server.id);
    }
    let verdict = Verdict::Failed(VerifyFailure::Purpose);
    match Gate::of(client.verify, verdict) {
        Gate::BadCertificate(failure) => told(client.reject, Refusal::BadCertificate(failure)),
        Gate::NoCertificate => told(client.reject, Refusal::NoCertificate),
        Gate::Pass => "let in: its certificate is not verified".to_owned(),
    }
}
