//! The values that come from a client's certificate, by name.
//!
//! Only [`ClientValue::Cert`] and [`ClientValue::RawCert`] hold line feeds (they are for logs);
//! every other value is free of control bytes.

/// A value that comes from the client's certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ClientValue {
    /// `$ssl_client_verify`
    Verify,
    /// `$ssl_client_fingerprint`: SHA-1 of the DER, lower-case hexadecimal
    Fingerprint,
    /// `$ssl_client_fingerprint_sha256`: SHA-256 of the DER, lower-case hexadecimal
    FingerprintSha256,
    /// `$ssl_client_serial`: on one line, however long
    Serial,
    /// `$ssl_client_s_dn`
    SDn,
    /// `$ssl_client_i_dn`
    IDn,
    /// `$ssl_client_s_dn_legacy`
    SDnLegacy,
    /// `$ssl_client_i_dn_legacy`
    IDnLegacy,
    /// `$ssl_client_v_start`
    VStart,
    /// `$ssl_client_v_end`
    VEnd,
    /// `$ssl_client_escaped_cert`
    EscapedCert,
    /// `$ssl_client_raw_cert`: log only
    RawCert,
    /// `$ssl_client_cert`: log only
    Cert,
    /// `$ssl_client_spki_sha256`: SHA-256 of the public key info, base64 as in pins
    SpkiSha256,
    /// `$ssl_client_x5t_s256`: SHA-256 of the DER, base64url without padding (RFC 8705, section 3.1)
    X5tS256,
    /// `$ssl_client_san`: `DNS:a,URI:b,IP:c,email:d`
    San,
    /// `$ssl_client_san_dns`
    SanDns,
    /// `$ssl_client_san_uri`
    SanUri,
    /// `$ssl_client_san_email`
    SanEmail,
    /// `$ssl_client_san_ip`
    SanIp,
    /// `$ssl_client_spiffe_id`: of a verified client only
    SpiffeId,
    /// `$ssl_client_cert_rfc9440`: of a verified client only
    CertRfc9440,
    /// `$ssl_client_chain_rfc9440`: of a verified client only, what it sent of the verified path
    ChainRfc9440,
    /// `$ssl_client_xfcc`: of a verified client only
    Xfcc,
    /// `$ssl_client_cert_traefik`: of a verified client only
    TraefikCert,
    /// `$ssl_client_info_traefik`: of a verified client only
    TraefikInfo,
    /// `$ssl_client_s_dn_NAME`: by position, see `Wanted::attribute`
    Attribute(u16),
}

impl ClientValue {
    /// Every value but the attributes, in the order of their positions.
    pub const ALL: [Self; 26] = [
        Self::Verify,
        Self::Fingerprint,
        Self::FingerprintSha256,
        Self::Serial,
        Self::SDn,
        Self::IDn,
        Self::SDnLegacy,
        Self::IDnLegacy,
        Self::VStart,
        Self::VEnd,
        Self::EscapedCert,
        Self::RawCert,
        Self::Cert,
        Self::SpkiSha256,
        Self::San,
        Self::SanDns,
        Self::SanUri,
        Self::SanEmail,
        Self::SanIp,
        Self::SpiffeId,
        Self::CertRfc9440,
        Self::ChainRfc9440,
        Self::Xfcc,
        Self::TraefikCert,
        Self::TraefikInfo,
        Self::X5tS256,
    ];

    /// Its place among all values, the attributes last.
    pub(crate) fn position(self) -> usize {
        match self {
            Self::Attribute(index) => Self::ALL.len() + usize::from(index),
            Self::Verify => 0,
            Self::Fingerprint => 1,
            Self::FingerprintSha256 => 2,
            Self::Serial => 3,
            Self::SDn => 4,
            Self::IDn => 5,
            Self::SDnLegacy => 6,
            Self::IDnLegacy => 7,
            Self::VStart => 8,
            Self::VEnd => 9,
            Self::EscapedCert => 10,
            Self::RawCert => 11,
            Self::Cert => 12,
            Self::SpkiSha256 => 13,
            Self::San => 14,
            Self::SanDns => 15,
            Self::SanUri => 16,
            Self::SanEmail => 17,
            Self::SanIp => 18,
            Self::SpiffeId => 19,
            Self::CertRfc9440 => 20,
            Self::ChainRfc9440 => 21,
            Self::Xfcc => 22,
            Self::TraefikCert => 23,
            Self::TraefikInfo => 24,
            Self::X5tS256 => 25,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_own_position() {
        for (at, value) in ClientValue::ALL.into_iter().enumerate() {
            assert_eq!(value.position(), at);
        }
    }
}
