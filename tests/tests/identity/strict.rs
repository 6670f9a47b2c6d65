//! Bytes where no bytes belong: such a certificate is not read, whichever of the two readers minds.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

use ferrule_engine::identity::x509::certificate::Certificate;
use ferrule_tests::source_dir;
use ferrule_tests::zoo::asn1::element;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

fn certificate() -> Vec<u8> {
    let file = source_dir().join("bench/certificates/v3-p256.crt");
    CertificateDer::from_pem_file(file).expect("a certificate").to_vec()
}

/// Tag, content and what follows.
fn split(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (head, len) = match der[1] {
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        short => (2, usize::from(short)),
    };
    (der[0], &der[head..head + len], &der[head + len..])
}

/// The same elements with `05 00` at the end of one constructed element, the `wanted`th in the
/// order of the encoding; octet strings are entered where they hold a sequence.
fn with_surplus(mut der: &[u8], wanted: usize, seen: &mut usize) -> Vec<u8> {
    let mut out = Vec::new();
    while !der.is_empty() {
        let (tag, content, rest) = split(der);
        let constructed = tag & 0x20 != 0 || (tag == 4 && content.first() == Some(&0x30));
        let content = if constructed {
            let at = *seen;
            *seen += 1;
            let mut inner = with_surplus(content, wanted, seen);
            if at == wanted {
                inner.extend([5, 0]);
            }
            inner
        } else {
            content.to_vec()
        };
        out.extend(element(tag, &content));
        der = rest;
    }
    out
}

#[test]
fn surplus_bytes_are_an_error_in_every_place() {
    let der = certificate();
    assert!(Certificate::parse(&der).is_some());
    let mut count = 0;
    assert_eq!(with_surplus(&der, usize::MAX, &mut count), der);
    assert!(count > 30, "only {count} places");
    let read: Vec<usize> = (0..count)
        .filter(|wanted| Certificate::parse(&with_surplus(&der, *wanted, &mut 0)).is_some())
        .collect();
    assert!(read.is_empty(), "read with surplus bytes in {read:?} of {count}");
}

#[test]
fn no_part_of_a_certificate_is_one() {
    let der = certificate();
    for len in 0..der.len() {
        assert!(Certificate::parse(&der[..len]).is_none(), "{len} bytes");
    }
    assert!(Certificate::parse(&[&der[..], &[0]].concat()).is_none());
    // Whatever comes out of a changed byte, it comes out.
    for at in 0..der.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[at] ^= change;
            let _ = Certificate::parse(&changed);
        }
    }
}
