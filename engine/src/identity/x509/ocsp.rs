//! An OCSP response as facts (RFC 6960, section 4.2.1): of which certificate, good or not, and when.
//!
//! In: DER that an operator's tool fetched. Out: what decides whether it may be stapled. Its signature
//! is the client's to check: what a tampered response can do, no response does as well.

use super::time::CertTime;
use crate::identity::der::{Reader, only, tag};

/// `id-pkix-ocsp-basic`, 1.3.6.1.5.5.7.48.1.1
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// `[0]`, constructed.
const CONTEXT_0: u8 = 0xa0;
/// Single responses that are looked at.
const RESPONSES_MAX: usize = 64;

/// What a response says of one certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OcspStatus {
    /// Not revoked, as far as the responder knows.
    pub good: bool,
    /// Unix seconds from which it holds.
    pub this_update: i64,
    /// Unix seconds up to which it holds; `None` if newer information is always there.
    pub next_update: Option<i64>,
}

impl OcspStatus {
    /// May it be shown at this time?
    #[must_use]
    pub fn is_current(&self, now: i64) -> bool {
        self.this_update <= now && self.next_update.is_none_or(|next| now < next)
    }
}

/// What `der` says of the certificate with this serial number (content octets); `None` if it is no
/// successful basic response, or does not speak of that certificate.
#[must_use]
pub fn status_of(der: &[u8], serial: &[u8]) -> Option<OcspStatus> {
    let mut response = Reader::new(only(der, tag::SEQUENCE)?.content);
    if response.content(tag::ENUMERATED)? != [0] {
        return None;
    }
    let mut bytes = response.enter(CONTEXT_0)?.enter(tag::SEQUENCE)?;
    if bytes.content(tag::OID)? != BASIC {
        return None;
    }
    let basic = only(bytes.content(tag::OCTET_STRING)?, tag::SEQUENCE)?;
    let mut data = Reader::new(basic.content).enter(tag::SEQUENCE)?;
    data.optional(CONTEXT_0)?;
    // Who answered, and when: not what we are asked.
    data.any()?;
    data.content(tag::GENERALIZED_TIME)?;
    let mut singles = data.enter(tag::SEQUENCE)?;
    for _ in 0..RESPONSES_MAX {
        if singles.is_empty() {
            break;
        }
        let mut single = singles.enter(tag::SEQUENCE)?;
        let mut id = single.enter(tag::SEQUENCE)?;
        // The hash's algorithm and both hashes; an operator who names the file vouches for the issuer.
        id.element(tag::SEQUENCE)?;
        id.content(tag::OCTET_STRING)?;
        id.content(tag::OCTET_STRING)?;
        if id.content(tag::INTEGER)? != serial {
            continue;
        }
        // good [0] IMPLICIT NULL, revoked [1], unknown [2]
        let good = single.any()?.tag == 0x80;
        let this_update = CertTime::new(single.element(tag::GENERALIZED_TIME)?)?.seconds()?;
        let next_update = match single.optional(CONTEXT_0)? {
            Some(next) => {
                Some(CertTime::new(only(next.content, tag::GENERALIZED_TIME)?)?.seconds()?)
            }
            None => None,
        };
        return Some(OcspStatus { good, this_update, next_update });
    }
    None
}
