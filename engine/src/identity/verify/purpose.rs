//! What a certificate may be used for: as a TLS client, as a TLS server, as a CA of these.
//!
//! In: a certificate's extensions. Out: OpenSSL's answer (`X509_check_ca`, `X509_check_purpose`), with
//! the few exceptions that are named here.

use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::extensions::NetscapeCertType;

/// What a leaf must be good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Present itself to us.
    Client,
    /// The same, whatever `extKeyUsage` and `nsCertType` say: OpenSSL's `X509_PURPOSE_ANY`, but a key that may not
    /// sign is refused (RFC 8446, section 4.4.2.2).
    AnyClient,
    /// Be connected to by us.
    Server,
}

/// May it issue, as OpenSSL's `X509_check_ca` sees it?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ca {
    /// It says so.
    Stated,
    /// It says nothing, but is old or its key usage implies it.
    Tolerated,
    /// It may not.
    No,
}

/// Whether a certificate may issue others. What is listed may leave more unsaid.
pub(crate) fn ca_kind(certificate: &Certificate<'_>, anchor: bool) -> Ca {
    let extensions = &certificate.extensions;
    if extensions.key_usage.is_some_and(|usage| !usage.key_cert_sign()) {
        return Ca::No;
    }
    match &extensions.basic {
        Some(basic) if basic.ca => Ca::Stated,
        Some(_) => Ca::No,
        None if extensions.key_usage.is_some() => Ca::Tolerated,
        // OpenSSL takes a v1 root. The same commands give a v3 root without a word about CAs from
        // OpenSSL 3.2 on; we take it too, but only where it is listed as an anchor.
        None if certificate.self_signed() && (certificate.version == 1 || anchor) => Ca::Tolerated,
        None if extensions.netscape.is_some_and(|kind| kind.any_ca()) => Ca::Tolerated,
        None => Ca::No,
    }
}

/// `issuer` says what kind of CA it is, if it has to be one.
pub(crate) fn fits_purpose(
    certificate: &Certificate<'_>,
    purpose: Purpose,
    issuer: Option<Ca>,
) -> bool {
    let extensions = &certificate.extensions;
    let extended_fits = extensions.extended.as_ref().is_none_or(|usage| match purpose {
        Purpose::Client => usage.client_auth,
        Purpose::AnyClient => true,
        Purpose::Server => usage.server_auth,
    });
    if !extended_fits {
        return false;
    }
    let netscape = extensions.netscape.as_ref().filter(|_| purpose != Purpose::AnyClient);
    if let Some(kind) = issuer {
        return match kind {
            Ca::No => false,
            Ca::Stated => true,
            Ca::Tolerated => {
                extensions.key_usage.is_some() || netscape.is_none_or(NetscapeCertType::ssl_ca)
            }
        };
    }
    match purpose {
        Purpose::Client | Purpose::AnyClient => {
            netscape.is_none_or(NetscapeCertType::ssl_client)
                && extensions
                    .key_usage
                    .is_none_or(|usage| usage.digital_signature() || usage.key_agreement())
        }
        // Every handshake of ours is signed with the key (RFC 8446, section 4.4.2.2). OpenSSL would
        // take a key for encipherment or agreement alone, with which nothing of ours can be done.
        Purpose::Server => {
            netscape.is_none_or(NetscapeCertType::ssl_server)
                && extensions.key_usage.is_none_or(|usage| usage.digital_signature())
        }
    }
}
