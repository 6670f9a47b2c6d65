//! Which certificates of a chain stand on the path that was verified.
//!
//! In: a good path, and the chain as the client sent it. Out: places in that chain, in the order of the
//! path. A client may send anything beside its path (RFC 8446, section 4.4.2, has it ignored), and nobody
//! has looked at that: it is told to no upstream (RFC 9440, section 2.3: the chain that was used).

use crate::identity::x509::certificate::Certificate;

/// Certificates of one chain; a longer one is refused unread.
pub(crate) const CHAIN_CERTIFICATES_MAX: usize = 10;

/// Positions in a chain after the leaf: each certificate there issued the one before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VerifiedPath {
    places: [u8; CHAIN_CERTIFICATES_MAX],
    count: u8,
}

impl VerifiedPath {
    /// The certificates of this path that were sent, up to the first that was not: what is above that
    /// would not follow on what is below. A root that was sent, and that the path ends at, is among them.
    pub(crate) fn of(path: &[Certificate<'_>], chain: &[&[u8]]) -> Self {
        let place = |certificate: &Certificate<'_>| {
            let at = chain.iter().position(|der| *der == certificate.raw.der)?;
            u8::try_from(at).ok()
        };
        let mut found = Self::default();
        for (slot, at) in found.places.iter_mut().zip(path.iter().skip(1).map_while(place)) {
            *slot = at;
            found.count += 1;
        }
        found
    }

    /// The certificates after the leaf, out of the chain that the path was found in.
    pub(crate) fn after_leaf<'a>(self, chain: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let places = self.places.into_iter().take(usize::from(self.count));
        places.filter_map(|at| chain.get(usize::from(at)).copied()).collect()
    }
}
