//! Revocation lists, written by hand.

use super::asn1::{bit_string, element, explicit, integer, sequence};
use super::draft::Digest;
use super::draft::Issuer;

/// A revocation list before it is signed.
#[derive(Clone, Debug)]
pub struct ListDraft {
    /// 1 or 2.
    pub version: u8,
    /// As a time.
    pub this_update: Vec<u8>,
    /// As a time; empty for none.
    pub next_update: Vec<u8>,
    /// Contents of serial numbers, each with whole entry extensions.
    pub revoked: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// Whole `Extension`s, in order.
    pub extensions: Vec<Vec<u8>>,
}

impl ListDraft {
    /// The list of this CA.
    #[must_use]
    pub fn sign(&self, issuer: &Issuer) -> Vec<u8> {
        self.sign_with(issuer, &[])
    }

    /// The same with these whole entries behind the others.
    #[must_use]
    pub fn sign_with(&self, issuer: &Issuer, more: &[u8]) -> Vec<u8> {
        let algorithm = issuer.key.algorithm(Digest::Sha256);
        let join = |list: &[Vec<u8>]| {
            let parts: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
            sequence(&parts)
        };
        let mut revoked = Vec::new();
        for (serial, extensions) in &self.revoked {
            let extensions = if extensions.is_empty() { Vec::new() } else { join(extensions) };
            let time = element(0x17, b"240101000000Z");
            revoked.extend(sequence(&[&integer(serial), &time, &extensions]));
        }
        revoked.extend_from_slice(more);
        let revoked = if revoked.is_empty() { revoked } else { element(0x30, &revoked) };
        let version = if self.version == 1 { Vec::new() } else { integer(&[1]) };
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            explicit(0, &join(&self.extensions))
        };
        let body = sequence(&[
            &version,
            &algorithm,
            &issuer.name,
            &self.this_update,
            &self.next_update,
            &revoked,
            &extensions,
        ]);
        let signature = issuer.key.sign(&body, Digest::Sha256);
        sequence(&[&body, &algorithm, &bit_string(0, &signature)])
    }
}
