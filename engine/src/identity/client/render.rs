//! Bytes of a certificate as text: hexadecimal, base64, PEM, percent coding, serial numbers.

use data_encoding::{BASE64, Encoding, HEXUPPER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What is not unreserved (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Base64 characters on a line of PEM.
const PEM_LINE: usize = 64;

/// Two digits per byte, upper case, `-` in front of a negative number (`i2a_ASN1_INTEGER`), but
/// never OpenSSL's line break, which no header could carry.
pub(crate) fn serial(content: &[u8], out: &mut Vec<u8>) {
    let negative = content.first().is_some_and(|first| first & 0x80 != 0);
    let mut digits = content.to_vec();
    if negative {
        out.push(b'-');
        let mut carry = true;
        for byte in digits.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let leading = digits.iter().take_while(|byte| **byte == 0).count();
    match digits.get(leading..) {
        None | Some([]) => out.extend_from_slice(b"00"),
        Some(digits) => encode(digits, &HEXUPPER, out),
    }
}

/// `-----BEGIN CERTIFICATE-----` and so on, with a line feed at the end.
pub(crate) fn pem(der: &[u8]) -> Vec<u8> {
    let body = BASE64.encode(der);
    let mut out = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in body.as_bytes().chunks(PEM_LINE) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(b"-----END CERTIFICATE-----\n");
    out
}

/// nginx's `$ssl_client_cert`: a tab in front of every line but the first, no line feed at the end.
pub(crate) fn folded(pem: &[u8], out: &mut Vec<u8>) {
    for byte in pem.strip_suffix(b"\n").unwrap_or(pem) {
        out.push(*byte);
        if *byte == b'\n' {
            out.push(b'\t');
        }
    }
}

/// Everything but unreserved characters in hexadecimal.
pub(crate) fn percent(text: &[u8], out: &mut Vec<u8>) {
    for piece in percent_encode(text, RESERVED) {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// A byte sequence of RFC 9651 (as RFC 9440 section 2.2 wants it).
pub(crate) fn byte_sequence(der: &[u8], out: &mut Vec<u8>) {
    out.push(b':');
    encode(der, &BASE64, out);
    out.push(b':');
}

/// Appends the bytes in this encoding.
pub(crate) fn encode(bytes: &[u8], encoding: &Encoding, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + encoding.encode_len(bytes.len()), 0);
    encoding.encode_mut(bytes, out.get_mut(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn serials_are_openssls() {
        let table: [(&[u8], &str); 7] = [
            (&[0x00], "00"),
            (&[0x01], "01"),
            (&[0x00, 0xff], "FF"),
            (&[0x00, 0xa1, 0x00], "A100"),
            (&[0xe1], "-1F"),
            (&[0xff, 0x00], "-0100"),
            (&[0x80], "-80"),
        ];
        for (content, expected) in table {
            assert_eq!(written(|out| serial(content, out)), expected, "{content:?}");
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(written(|out| encode(bytes.as_bytes(), &BASE64, out)), expected);
        }
        assert_eq!(written(|out| percent(b"a+/=\n~", out)), "a%2B%2F%3D%0A~");
    }
}
