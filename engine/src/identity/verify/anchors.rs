//! Trust anchors: listed CA certificates, found by their subject.

use hashbrown::HashMap;
use rustls::pki_types::CertificateDer;

use super::revocation::Revocation;
use crate::identity::digest::sha256_parts;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::name;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::time::TimeBounds;

/// Trust anchors, found by their subject.
#[derive(Debug)]
pub struct Anchors {
    list: Vec<Vec<u8>>,
    /// By [`name::key`]: one that is spelt in another way (another string type, other spaces) is meant
    /// all the same.
    by_subject: HashMap<Vec<u8>, Vec<usize>, foldhash::fast::RandomState>,
    /// The dates of each: a verdict may change at any of them.
    pub(crate) time_bounds: Vec<TimeBounds>,
}

/// Why a list of trust anchors cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnchorError {
    /// The anchor at this position is not a certificate.
    NotACertificate(usize),
}

impl Anchors {
    /// Keeps these certificates, once each.
    ///
    /// # Errors
    /// If one is not a certificate.
    pub fn new(ders: &[Vec<u8>]) -> Result<Self, AnchorError> {
        let mut anchors =
            Self { list: Vec::new(), by_subject: HashMap::default(), time_bounds: Vec::new() };
        for (at, der) in ders.iter().enumerate() {
            let certificate = Certificate::parse(der).ok_or(AnchorError::NotACertificate(at))?;
            if webpki::anchor_from_trusted_cert(&CertificateDer::from(der.as_slice())).is_err() {
                return Err(AnchorError::NotACertificate(at));
            }
            if anchors.list.contains(der) {
                continue;
            }
            let (subject, place) = (certificate.raw.subject, anchors.list.len());
            anchors.by_subject.entry(name::key(subject)).or_default().push(place);
            anchors.time_bounds.push(TimeBounds {
                start: Some(certificate.not_before),
                end: Some(certificate.not_after),
            });
            anchors.list.push(der.clone());
        }
        Ok(anchors)
    }

    /// The DER of each.
    #[must_use]
    pub fn ders(&self) -> &[Vec<u8>] {
        &self.list
    }

    /// The DER of the anchors with this subject (tag and length included).
    #[must_use]
    pub fn named(&self, subject: &[u8]) -> Vec<&[u8]> {
        let places = self.by_subject.get(&name::key(subject)).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|at| self.list.get(*at)).map(Vec::as_slice).collect()
    }

    /// Tells of each list which of these certificates signed it, so that of two CAs of one name each
    /// has its own.
    pub fn claim(&self, revocation: &Revocation) {
        for list in revocation.lists() {
            let named = self.named(list.issuer()).into_iter().filter_map(Certificate::parse);
            // The first that did is remembered by the list itself.
            let _ = named.into_iter().any(|anchor| list.check_signature(&anchor).is_ok());
        }
    }

    /// The names of those that a list may be about, and of those below them, by [`name::key`].
    pub(crate) fn fallen(&self, revocation: &Revocation) -> Vec<Vec<u8>> {
        let all: Vec<RawCertificate<'_>> =
            self.list.iter().filter_map(|der| RawCertificate::read(der)).collect();
        let mut fallen: Vec<Vec<u8>> = Vec::new();
        // Each round adds a name at least, and there are no more names than anchors.
        loop {
            let next = all.iter().find(|anchor| {
                let is = |name: &[u8]| fallen.contains(&name::key(name));
                !is(anchor.subject) && (revocation.may_revoke(anchor) || is(anchor.issuer))
            });
            let Some(next) = next else { return fallen };
            fallen.push(name::key(next.subject));
        }
    }

    /// A digest of the set, whatever its order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digests: Vec<[u8; 32]> = self.list.iter().map(|der| sha256_parts(&[der])).collect();
        digests.sort_unstable();
        let parts: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
        sha256_parts(&parts)
    }

    /// Which of [`Self::ders`] this is.
    pub(crate) fn place(&self, der: &[u8]) -> Option<u32> {
        self.list.iter().position(|one| one == der).and_then(|at| u32::try_from(at).ok())
    }
}
