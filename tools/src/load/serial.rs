//! The serial number of a certificate.

use data_encoding::HEXUPPER;

/// The serial number of a certificate in DER, in upper-case hex.
#[must_use]
pub fn serial(der: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(der)?;
    let (_, fields, _) = element(certificate)?;
    let (tag, first, rest) = element(fields)?;
    // An explicit version stands in front of the serial of everything but v1.
    let value = if tag == 0xa0 { element(rest)?.1 } else { first };
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    Some(HEXUPPER.encode(value))
}

/// One DER element: its tag, its contents, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    if short < 0x80 {
        let (contents, rest) = rest.split_at_checked(usize::from(short))?;
        return Some((tag, contents, rest));
    }
    let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
    let length = long
        .iter()
        .try_fold(0_usize, |sum, byte| sum.checked_mul(256).map(|sum| sum + usize::from(*byte)))?;
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Authority;
    use crate::tls::certificates;

    #[test]
    fn the_serial_is_read_from_a_certificate() {
        let authority = Authority::new("ca");
        let key = authority.server(&["a.test"]).key_pem;
        let leaf = authority.server_with(&["a.test"], 0x00c0_ffee, &key);
        let der = certificates(&leaf.cert_pem).remove(0);
        assert_eq!(serial(&der).as_deref(), Some("C0FFEE"));
    }
}
