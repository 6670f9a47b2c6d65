//! Fields in which some gateway tells its applications who a client is.
//!
//! In: nothing. Out: names, with whose they are. No request brings them along, whatever the configuration
//! says: an application takes them for the word of whatever stands in front of it, and that is us now. A
//! name stands here if the application behind some product takes it for proof of a certificate, and if no
//! client sends it for another reason (`X-Client-Data` is Chrome's, `X-Forwarded-Ssl` is about the
//! scheme). `docs/access.md` lists the same names.

use super::names::StripSet;

/// Envoy's field.
pub const XFCC: &str = "X-Forwarded-Client-Cert";

/// A name that only a gateway may send.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// As its product spells it; every name that begins so if it ends in `-`, or says `*` at its end.
    pub name: &'static str,
    /// Whose it is.
    pub whose: &'static str,
}

const fn claim(name: &'static str, whose: &'static str) -> Claim {
    Claim { name, whose }
}

/// The names.
pub const CLAIMS: [Claim; 27] = [
    claim("$WSCC", "IBM's plug-in for WebSphere"),
    claim("CERT_CHAIN*", "Keycloak behind Apache and HAProxy"),
    claim("Cf-Cert-*", "Cloudflare's managed transform"),
    claim("Cf-Client-Cert-*", "Cloudflare"),
    claim("Client-Cert", "RFC 9440"),
    claim("Client-Cert-Chain", "RFC 9440"),
    claim(
        "SSL-Client-*",
        "ingress-nginx (`ssl-client-verify`), Apache, Tomcat and Keycloak (`SSL_CLIENT_CERT`)",
    ),
    claim("WL-Proxy-Client-Cert", "Oracle's plug-in for WebLogic"),
    claim("X-Amzn-Mtls-*", "AWS load balancers"),
    claim("X-ARR-ClientCert", "Azure App Service"),
    claim("X-Client-Cert*", "Google Cloud (`X-Client-Cert-Present`), Kong, Puppet"),
    claim("X-Client-CN", "guides for nginx and HAProxy"),
    claim("X-Client-DN", "Puppet, guides for nginx and HAProxy"),
    claim("X-Client-Fingerprint", "guides for nginx and HAProxy"),
    claim("X-Client-I-DN", "guides for nginx"),
    claim("X-Client-Issuer", "guides for nginx and HAProxy"),
    claim("X-Client-Issuer-DN", "guides for nginx and HAProxy"),
    claim("X-Client-S-DN", "guides for nginx"),
    claim("X-Client-SAN", "guides for nginx and HAProxy"),
    claim("X-Client-Serial", "guides for nginx and HAProxy"),
    claim("X-Client-Subject", "guides for nginx and HAProxy"),
    claim("X-Client-Subject-DN", "guides for nginx and HAProxy"),
    claim("X-Client-Verified", "guides for nginx and HAProxy"),
    claim("X-Client-Verify", "Puppet, guides for nginx and HAProxy"),
    claim(XFCC, "Envoy, Istio, Azure Container Apps"),
    claim("X-Forwarded-Tls-Client-Cert*", "Traefik"),
    claim(
        "X-SSL-*",
        "guides for nginx and HAProxy (`X-SSL-Client-Verify`, `X-SSL-Issuer`), OpenShift, F5",
    ),
];

/// All of them.
pub(super) fn strip_set() -> StripSet {
    let mut strip = StripSet::default();
    for Claim { name, .. } in CLAIMS {
        match name.strip_suffix('*') {
            Some(start) => strip.insert_prefix(start),
            None => strip.insert(name),
        }
    }
    strip
}
