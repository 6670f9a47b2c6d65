//! What of a client's chain is shown in variables and held against access lists.

use super::prospects::Prospects;
use crate::identity::digest::sha256;
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::general_name::GeneralName;
use crate::identity::x509::name::{self, Selector};
use crate::identity::x509::raw_certificate::RawCertificate;

/// A client's leaf certificate, read once for all its values and for all access lists.
#[derive(Debug)]
pub(crate) struct LeafView<'a> {
    /// The leaf.
    pub(crate) leaf: RawCertificate<'a>,
    /// Could it be read to the end?
    pub(crate) is_whole: bool,
    /// Its alternative names; none if it could not be read to the end.
    pub(crate) alt_names: Vec<GeneralName<'a>>,
    /// What is known of its successor.
    pub(crate) prospects: Prospects,
    /// The verified issuers that the client has sent, each the issuer of the certificate before it.
    pub(crate) issuers: &'a [&'a [u8]],
    /// SHA-256 of the leaf.
    pub(crate) leaf_sha256: [u8; 32],
    /// The URIs of the certificate that we presented to the client.
    pub(crate) own_uris: &'a [Box<[u8]>],
}

impl<'a> LeafView<'a> {
    /// Reads a leaf (DER); `None` if not even its pieces can be told apart.
    pub(crate) fn read(
        leaf_der: &'a [u8],
        issuers: &'a [&'a [u8]],
        own_uris: &'a [Box<[u8]>],
    ) -> Option<Self> {
        let certificate = Certificate::parse(leaf_der);
        let is_whole = certificate.is_some();
        let leaf = RawCertificate::read(leaf_der)?;
        Some(Self {
            leaf,
            is_whole,
            prospects: certificate.as_ref().map(Prospects::of).unwrap_or_default(),
            alt_names: certificate.and_then(|leaf| leaf.extensions.alt_names).unwrap_or_default(),
            issuers,
            leaf_sha256: sha256(leaf_der),
            own_uris,
        })
    }

    /// Appends the first value of a subject attribute.
    pub(crate) fn write_attribute(&self, selector: &Selector, out: &mut Vec<u8>) {
        name::attribute(self.leaf.subject, selector, out);
    }

    /// Every value of a subject attribute; `None` stands for one that cannot be handed out.
    pub(crate) fn attribute_values(&self, selector: &Selector) -> Vec<Option<String>> {
        name::values_of(self.leaf.subject, selector)
    }

    /// The leaf, and its verified issuers.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.leaf.der).chain(self.issuers.iter().copied())
    }
}
