//! What a finished handshake agreed on, in OpenSSL's words: the `$ssl_*` values that do not come
//! from the certificate.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use super::handshake::hello::Hello;
use super::handshake::notes::HandshakeNotes;
use super::openssl_names;
use crate::plan::facts::{Offered, SessionFacts};

/// The facts of a connection whose handshake is over; made once. Takes the
/// hello's lists.
#[must_use]
pub fn session(
    connection: &CommonState,
    hello: &mut Hello,
    notes: &HandshakeNotes,
) -> SessionFacts {
    let group = connection.negotiated_key_exchange_group();
    let reused = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    // A resumed TLS 1.2 session exchanges no keys: nginx knows no groups there, and neither do we.
    let keyless = reused && connection.protocol_version() == Some(ProtocolVersion::TLSv1_2);
    let curves = if keyless { Vec::new() } else { std::mem::take(&mut hello.curves) };
    SessionFacts {
        protocol: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "",
        },
        cipher: connection
            .negotiated_cipher_suite()
            .and_then(|suite| openssl_names::cipher(suite.suite().into()))
            .unwrap_or_default(),
        curve: group
            .and_then(|group| openssl_names::curve(group.name().into()))
            .unwrap_or_default(),
        alpn: match connection.alpn_protocol() {
            Some(b"http/1.1") => "http/1.1",
            _ => "",
        },
        server_name: hello.sni.clone().unwrap_or_default(),
        reused,
        ciphers: Offered {
            numbers: std::mem::take(&mut hello.ciphers),
            name: openssl_names::cipher,
        },
        curves: Offered { numbers: curves, name: openssl_names::curve },
        client_sigalg: notes.client_sigalg(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(numbers: &[u16], name: fn(u16) -> Option<&'static str>) -> String {
        let mut out = Vec::new();
        let offered = Offered { numbers: numbers.to_vec(), name };
        offered.each_piece(|piece| out.extend_from_slice(piece));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn unknown_numbers_are_hexadecimal() {
        let ciphers = [0x0a0a, 0x1301, 0xc02b, 0x00ff];
        assert_eq!(
            list(&ciphers, openssl_names::cipher),
            "0x0a0a:TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
        );
        let groups = [0x11ec, 0x6399, 29, 23];
        let names = "X25519MLKEM768:0x6399:X25519:prime256v1";
        assert_eq!(list(&groups, openssl_names::curve), names);
    }
}
