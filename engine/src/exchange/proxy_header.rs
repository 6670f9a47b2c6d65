//! The PROXY protocol header that begins a connection to an upstream.
//!
//! In: both ends of the client's connection and what is known of its TLS session. Out: bytes. They
//! speak of one client, so a connection that began with them is never given to another one.

use ferrule_config::model::{ProxyProtocol, ProxyTlv};

use crate::identity::{ClientIdentity, Verdict};
use crate::plan::facts::SessionFacts;
use crate::wire::proxy::{Ends, HEADER_BYTES_MAX};
use crate::wire::proxy_write::{self as write, Version2};

/// What a header may tell of a client.
#[derive(Clone, Copy, Debug)]
pub struct ProxyFacts<'a> {
    /// Both ends of its connection.
    pub ends: &'a Ends,
    /// Its TLS session; `None` on plain HTTP.
    pub session: Option<&'a SessionFacts>,
    /// Who it is; `None` on plain HTTP.
    pub client: Option<&'a ClientIdentity>,
    /// The common name in its certificate; empty if there is none.
    pub common_name: &'a [u8],
    /// Its certificate, DER; empty if it showed none.
    pub certificate: &'a [u8],
    /// A name for its connection that no other one has.
    pub unique_id: &'a [u8],
}

/// The whole header. What does not fit into one is left out: only a certificate can be so large.
#[must_use]
pub fn proxy_header(protocol: &ProxyProtocol, facts: &ProxyFacts<'_>) -> Vec<u8> {
    match protocol {
        ProxyProtocol::V1 => {
            let mut line = Vec::new();
            write::version_1(facts.ends, &mut line);
            line
        }
        ProxyProtocol::V2(tlvs) => {
            let whole = version_2(tlvs, facts).finish();
            let whole = whole.filter(|header| header.len() <= HEADER_BYTES_MAX);
            whole.unwrap_or_else(|| {
                let without = ProxyFacts { certificate: b"", ..*facts };
                version_2(tlvs, &without).finish().unwrap_or_default()
            })
        }
    }
}

fn version_2(tlvs: &[ProxyTlv], facts: &ProxyFacts<'_>) -> Version2 {
    let mut header = Version2::new(facts.ends);
    let wants = |tlv| tlvs.contains(&tlv);
    if wants(ProxyTlv::Crc32c) {
        header.checksum();
    }
    if wants(ProxyTlv::UniqueId) {
        header.value(write::TYPE_UNIQUE_ID, facts.unique_id);
    }
    let Some(session) = facts.session else { return header };
    if wants(ProxyTlv::Alpn) && !session.alpn.is_empty() {
        header.value(write::TYPE_ALPN, session.alpn.as_bytes());
    }
    if wants(ProxyTlv::Authority) && !session.server_name.is_empty() {
        header.value(write::TYPE_AUTHORITY, session.server_name.as_bytes());
    }
    let parts = [ProxyTlv::Ssl, ProxyTlv::CertCn, ProxyTlv::SslCipher, ProxyTlv::ClientCert];
    if parts.into_iter().any(wants) {
        header.value(write::TYPE_SSL, &ssl(tlvs, session, facts));
    }
    header
}

/// Section 2.2.6 of the specification: flags, verdict, values.
fn ssl(tlvs: &[ProxyTlv], session: &SessionFacts, facts: &ProxyFacts<'_>) -> Vec<u8> {
    let verdict = facts.client.map_or(Verdict::None, |client| client.verdict);
    // "Non-zero" unless a certificate was shown and verified; OpenSSL's number for no good reason.
    let (flags, verify) = match verdict {
        Verdict::None => (0, 1_u32),
        Verdict::Success => (certificate_flags(session), 0),
        Verdict::Failed(_) => (certificate_flags(session), 1),
    };
    let mut value = vec![write::CLIENT_SSL | flags];
    value.extend_from_slice(&verify.to_be_bytes());
    write::put(write::TYPE_SSL_VERSION, session.protocol.as_bytes(), &mut value);
    let shown = verdict != Verdict::None;
    if tlvs.contains(&ProxyTlv::CertCn) && shown && !facts.common_name.is_empty() {
        write::put(write::TYPE_SSL_CN, facts.common_name, &mut value);
    }
    if tlvs.contains(&ProxyTlv::SslCipher) {
        write::put(write::TYPE_SSL_CIPHER, session.cipher.as_bytes(), &mut value);
    }
    if tlvs.contains(&ProxyTlv::ClientCert) && shown && !facts.certificate.is_empty() {
        write::put(write::TYPE_SSL_CLIENT_CERT, facts.certificate, &mut value);
    }
    value
}

const fn certificate_flags(session: &SessionFacts) -> u8 {
    if session.reused {
        write::CLIENT_CERT_SESS
    } else {
        write::CLIENT_CERT_SESS | write::CLIENT_CERT_CONN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{ClientValues, VerifyFailure};
    use crate::wire::proxy::parse_header;

    const ALL: [ProxyTlv; 8] = [
        ProxyTlv::Alpn,
        ProxyTlv::Authority,
        ProxyTlv::Crc32c,
        ProxyTlv::UniqueId,
        ProxyTlv::Ssl,
        ProxyTlv::CertCn,
        ProxyTlv::SslCipher,
        ProxyTlv::ClientCert,
    ];

    fn ends() -> Ends {
        Ends {
            source: "192.0.2.7:4711".parse().unwrap(),
            destination: "192.0.2.1:443".parse().unwrap(),
        }
    }

    fn values(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while let [kind, high, low, rest @ ..] = bytes {
            let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            all.push((*kind, value.to_vec()));
            bytes = rest;
        }
        all
    }

    fn header(tlvs: &[ProxyTlv], facts: &ProxyFacts<'_>) -> Vec<(u8, Vec<u8>)> {
        let bytes = proxy_header(&ProxyProtocol::V2(tlvs.to_vec()), facts);
        let read = parse_header(&bytes).unwrap().unwrap();
        assert_eq!((read.len, read.ends), (bytes.len(), Some(*facts.ends)));
        values(&bytes[28..])
    }

    #[test]
    fn a_client_without_tls_has_no_tls_values() {
        let ends = ends();
        let facts = ProxyFacts {
            ends: &ends,
            session: None,
            client: None,
            common_name: b"",
            certificate: b"",
            unique_id: b"7",
        };
        let found = header(&ALL, &facts);
        assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(header(&[], &facts), []);
        let line = proxy_header(&ProxyProtocol::V1, &facts);
        assert_eq!(line, b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n");
    }

    /// A socket for both families has IPv4 addresses in IPv6 spelling.
    #[test]
    fn ipv4_is_ipv4_whatever_socket_took_it() {
        let mapped = Ends {
            source: "[::ffff:192.0.2.7]:4711".parse().unwrap(),
            destination: "[::ffff:192.0.2.1]:443".parse().unwrap(),
        };
        assert_eq!(mapped.canonical(), ends());
        let six = Ends { source: "[2001:db8::1]:1".parse().unwrap(), ..ends() };
        assert_eq!(six.canonical(), six);
    }

    #[test]
    fn the_verdict_and_the_flags_say_what_a_certificate_was_worth() {
        let ends = ends();
        let client = |verdict| {
            let values = ClientValues::default();
            ClientIdentity {
                anchor: None,
                path: crate::identity::VerifiedPath::default(),
                skew: 0,
                holds: crate::identity::TimeRange::ALWAYS,
                kept: None,
                prospects: crate::identity::Prospects::default(),
                verdict,
                not_before: 0,
                not_after: 0,
                leaf_sha256: [0; 32],
                chain: Box::default(),
                access: Box::default(),
                values,
            }
        };
        for (verdict, reused, wanted) in [
            (Verdict::None, false, &[1, 0, 0, 0, 1][..]),
            (Verdict::Success, false, &[7, 0, 0, 0, 0]),
            (Verdict::Success, true, &[5, 0, 0, 0, 0]),
            (Verdict::Failed(VerifyFailure::Expired), false, &[7, 0, 0, 0, 1]),
        ] {
            let session = SessionFacts {
                protocol: "TLSv1.3",
                cipher: "TLS_AES_128_GCM_SHA256",
                alpn: "http/1.1",
                server_name: "a.test".to_owned(),
                reused,
                ..SessionFacts::default()
            };
            let client = client(verdict);
            let facts = ProxyFacts {
                ends: &ends,
                session: Some(&session),
                client: Some(&client),
                common_name: b"alice",
                certificate: b"der",
                unique_id: b"7",
            };
            let found = header(&ALL, &facts);
            let plain: Vec<_> =
                found.iter().filter(|(kind, _)| ![3, 0x20].contains(kind)).collect();
            let wanted_plain =
                [(5, b"7".to_vec()), (1, b"http/1.1".to_vec()), (2, b"a.test".to_vec())];
            assert_eq!(plain, wanted_plain.iter().collect::<Vec<_>>());
            let (_, ssl) = found.iter().find(|(kind, _)| *kind == 0x20).unwrap();
            assert_eq!(&ssl[..5], wanted);
            let mut inner = vec![(0x21, b"TLSv1.3".to_vec()), (0x22, b"alice".to_vec())];
            inner.push((0x23, b"TLS_AES_128_GCM_SHA256".to_vec()));
            inner.push((0x28, b"der".to_vec()));
            inner.retain(|(kind, _)| verdict != Verdict::None || ![0x22, 0x28].contains(kind));
            assert_eq!(values(&ssl[5..]), inner);
        }
    }

    #[test]
    fn a_certificate_that_does_not_fit_is_left_out() {
        let ends = ends();
        let session = SessionFacts { protocol: "TLSv1.3", ..SessionFacts::default() };
        let values = ClientValues::default();
        let verdict = Verdict::Success;
        let client = ClientIdentity {
            anchor: None,
            path: crate::identity::VerifiedPath::default(),
            skew: 0,
            holds: crate::identity::TimeRange::ALWAYS,
            kept: None,
            prospects: crate::identity::Prospects::default(),
            verdict,
            not_before: 0,
            not_after: 0,
            leaf_sha256: [0; 32],
            chain: Box::default(),
            access: Box::default(),
            values,
        };
        let huge = vec![7; HEADER_BYTES_MAX];
        let facts = ProxyFacts {
            ends: &ends,
            session: Some(&session),
            client: Some(&client),
            common_name: b"",
            certificate: &huge,
            unique_id: b"",
        };
        let bytes = proxy_header(&ProxyProtocol::V2(vec![ProxyTlv::ClientCert]), &facts);
        assert_eq!(parse_header(&bytes).unwrap().unwrap().len, bytes.len());
        assert!(bytes.len() < 100);
    }
}
