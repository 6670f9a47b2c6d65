//! Base64 of digests (RFC 4648, section 4): padded, one line.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// These bytes as text.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4 {
            let digit = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
            text.push(if place > chunk.len() { '=' } else { char::from(DIGITS[digit]) });
        }
    }
    text
}

/// 32 bytes from their one text.
pub(crate) fn decode_digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_suffix('=')?;
    let mut bytes = Vec::with_capacity(33);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in digits.bytes() {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        bits = (bits << 6) | u32::try_from(digit).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 255).ok()?);
        }
    }
    let digest: [u8; 32] = bytes.try_into().ok()?;
    // Bits behind the last byte would give one digest several texts.
    (encode(&digest) == text).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_read_back() {
        for fill in [0, 7, 255] {
            let text = encode(&[fill; 32]);
            assert_eq!((text.len(), decode_digest(&text)), (44, Some([fill; 32])));
            assert_eq!(decode_digest(text.trim_end_matches('=')), None);
        }
        assert_eq!(encode(b"foob"), "Zm9vYg==");
        for bad in ["", "=", "AAAA", "????????????????????????????????????????????"] {
            assert_eq!(decode_digest(bad), None, "{bad}");
        }
        assert_eq!(decode_digest(&format!("{}B=", "A".repeat(42))), None, "stray bits");
    }
}
