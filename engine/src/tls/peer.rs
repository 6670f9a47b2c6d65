//! Whom a connection to an upstream leads to, and for how long that is proved.
//!
//! In: the chain that a handshake ended with, and the settings by which it was judged. Out: a
//! [`UpstreamPeer`] that goes with the connection, into the pool and into tunnels. A handshake proves no
//! more than that moment; whoever uses the connection later asks whether it still stands.

use rustls::pki_types::{CertificateDer, ServerName};

use super::client::{UpstreamFailure, UpstreamTls};

/// An upstream as it was judged.
#[derive(Clone, Debug)]
pub struct UpstreamPeer {
    chain: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    /// By which settings ([`UpstreamTls::pool_identity`]).
    settings: [u8; 32],
    /// The seconds in which no date passes that the verdict rests on: from the first, up to the other.
    holds: (i64, i64),
}

impl UpstreamPeer {
    /// Of a chain that has just been found good under `tls`.
    #[must_use]
    pub fn met(
        tls: &UpstreamTls,
        (chain, name): (&[CertificateDer<'_>], ServerName<'static>),
        now: i64,
    ) -> Self {
        Self {
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            name,
            settings: tls.pool_identity(),
            holds: tls.holds(chain, now),
        }
    }

    /// As [`UpstreamPeer::holds`] says of it.
    #[must_use]
    pub const fn span(&self) -> (i64, i64) {
        self.holds
    }

    /// Has nothing ended since it was judged?
    #[must_use]
    pub fn holds(&self, now: i64) -> bool {
        (self.holds.0..self.holds.1).contains(&now)
    }

    /// Is it good under the settings of today, too? `None` are no settings any more: nobody vouches
    /// for it then.
    ///
    /// # Errors
    /// As a handshake would fail.
    pub fn judge_again(
        &mut self,
        tls: Option<&UpstreamTls>,
        now: i64,
    ) -> Result<(), UpstreamFailure> {
        let tls = tls.ok_or(UpstreamFailure::NotConfigured)?;
        if tls.pool_identity() == self.settings && self.holds(now) {
            return Ok(());
        }
        tls.examine(&self.chain, &self.name, now)?;
        self.settings = tls.pool_identity();
        self.holds = tls.holds(&self.chain, now);
        Ok(())
    }
}
