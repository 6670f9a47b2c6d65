//! Bytes of a certificate as text: hexadecimal, base64, PEM, percent coding, serial numbers.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(super) const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";
/// Base64 characters on a line of PEM.
const PEM_LINE: usize = 64;

/// Two digits per byte, upper case, `-` in front of a negative number (`i2a_ASN1_INTEGER`), but
/// never OpenSSL's line break, which no header could carry.
pub(super) fn serial(content: &[u8], out: &mut Vec<u8>) {
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
        Some(digits) => hex(digits, UPPER, out),
    }
}

/// `-----BEGIN CERTIFICATE-----` and so on, with a line feed at the end.
pub(super) fn pem(der: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(der.len().div_ceil(3) * 4);
    base64(der, &mut body);
    let mut out = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in body.chunks(PEM_LINE) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(b"-----END CERTIFICATE-----\n");
    out
}

/// nginx's `$ssl_client_cert`: a tab in front of every line but the first, no line feed at the end.
pub(super) fn folded(pem: &[u8], out: &mut Vec<u8>) {
    for byte in pem.strip_suffix(b"\n").unwrap_or(pem) {
        out.push(*byte);
        if *byte == b'\n' {
            out.push(b'\t');
        }
    }
}

/// Everything but unreserved characters in hexadecimal.
pub(super) fn percent(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(*byte),
            _ => {
                out.push(b'%');
                hex(&[*byte], UPPER, out);
            }
        }
    }
}

/// A byte sequence of RFC 9651 (as RFC 9440 section 2.2 wants it).
pub(super) fn byte_sequence(der: &[u8], out: &mut Vec<u8>) {
    out.push(b':');
    base64(der, out);
    out.push(b':');
}

pub(super) fn hex(bytes: &[u8], digits: &[u8; 16], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(digits[usize::from(byte >> 4)]);
        out.push(digits[usize::from(byte & 15)]);
    }
}

pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4 {
            let digit = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
            out.push(if place > chunk.len() { b'=' } else { BASE64[digit] });
        }
    }
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
            assert_eq!(written(|out| base64(bytes.as_bytes(), out)), expected);
        }
        assert_eq!(written(|out| percent(b"a+/=\n~", out)), "a%2B%2F%3D%0A~");
    }
}
