//! Who issued the certificates of a PEM text: enough of X.509 to tell a root from an intermediate authority.

use data_encoding::BASE64;

/// One certificate's names, as their DER.
pub(crate) struct Names {
    issuer: Vec<u8>,
    subject: Vec<u8>,
}

impl Names {
    /// Did another authority issue it?
    pub(crate) fn is_intermediate(&self) -> bool {
        self.issuer != self.subject
    }
}

/// The names of each certificate of a PEM text; what cannot be read is left out, as `ferrule check` reads them all.
pub(crate) fn names(pem: &str) -> Vec<Names> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks.filter_map(|block| of_block(block.split_once("-----END")?.0)).collect()
}

fn of_block(base64: &str) -> Option<Names> {
    let text: String = base64.chars().filter(|mark| !mark.is_whitespace()).collect();
    let der = BASE64.decode(text.as_bytes()).ok()?;
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version OPTIONAL, serialNumber, signature, issuer,
    // validity, subject, ... } ... } (RFC 5280, section 4.1)
    let certificate = value(&der)?.inside;
    let mut rest = value(certificate)?.inside;
    if rest.first() == Some(&0xa0) {
        rest = value(rest)?.behind;
    }
    let serial = value(rest)?;
    let signature = value(serial.behind)?;
    let issuer = value(signature.behind)?;
    let validity = value(issuer.behind)?;
    let subject = value(validity.behind)?;
    Some(Names { issuer: issuer.inside.to_vec(), subject: subject.inside.to_vec() })
}

/// One value, and what follows it.
struct Der<'a> {
    inside: &'a [u8],
    behind: &'a [u8],
}

fn value(bytes: &[u8]) -> Option<Der<'_>> {
    let first = usize::from(*bytes.get(1)?);
    let (length, start) = if first < 0x80 {
        (first, 2_usize)
    } else {
        let count = first & 0x7f;
        if !(1..=3).contains(&count) {
            return None;
        }
        let start = count.checked_add(2)?;
        let length = bytes.get(2..start)?;
        (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), start)
    };
    let end = start.checked_add(length)?;
    Some(Der { inside: bytes.get(start..end)?, behind: bytes.get(end..)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, inside: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match u8::try_from(inside.len()) {
            Ok(short) if short < 0x80 => out.push(short),
            Ok(long) => out.extend([0x81, long]),
            Err(_) => panic!("this is too long for a test"),
        }
        out.extend(inside);
        out
    }

    fn pem(issuer: &[u8], subject: &[u8], version: bool) -> String {
        let mut inside = if version { der(0xa0, &der(2, &[2])) } else { Vec::new() };
        inside.extend(der(2, &[1]));
        inside.extend(der(0x30, &[]));
        inside.extend(der(0x30, issuer));
        inside.extend(der(0x30, &[7; 30]));
        inside.extend(der(0x30, subject));
        let all = der(0x30, &der(0x30, &inside));
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(&all))
    }

    #[test]
    fn a_root_issues_itself() {
        for version in [false, true] {
            let both = pem(b"root", b"root", version) + &pem(b"root", b"below", version);
            let found: Vec<bool> = names(&both).iter().map(Names::is_intermediate).collect();
            assert_eq!(found, [false, true]);
        }
    }

    #[test]
    fn any_bytes_are_answered() {
        let whole = pem(b"root", b"below", true);
        for end in 0..whole.len() {
            let _ = names(whole.get(..end).unwrap_or_default());
        }
        for bytes in
            [vec![], vec![0x30], vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], vec![0x30, 0x80]]
        {
            assert!(value(&bytes).is_none());
        }
    }
}
