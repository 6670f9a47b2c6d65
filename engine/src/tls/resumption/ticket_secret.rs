//! A secret from which the keys of session tickets are derived. Wiped when dropped, never printed.

use zeroize::Zeroize;

/// Bytes of a secret's name.
pub(crate) const NAME_LEN: usize = 16;

/// One secret.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct TicketSecret {
    /// Tells tickets of different secrets apart.
    pub(crate) name: [u8; NAME_LEN],
    /// What keys are derived from.
    pub(crate) bytes: [u8; 32],
    /// Unix seconds; the process's own secrets are replaced by age.
    pub(crate) born: i64,
}

impl Drop for TicketSecret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl std::fmt::Debug for TicketSecret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Secret").field("born", &self.born).finish_non_exhaustive()
    }
}
