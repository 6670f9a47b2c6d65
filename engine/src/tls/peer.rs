//! Whom a connection to an upstream leads to, and for how long that is proved.
//!
//! In: what a handshake ended with, and the settings by which it was judged. Out: a
//! [`UpstreamPeer`] that goes with the connection, into the pool and into tunnels. A handshake proves no
//! more than that moment; whoever uses the connection later asks whether it still stands.

use rustls::ProtocolVersion;
use rustls::pki_types::{CertificateDer, ServerName};

use super::client::UpstreamTls;
use super::upstream_failure::UpstreamFailure;
use crate::identity::TimeRange;

/// What a handshake with an upstream agreed on.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamHandshake<'a> {
    /// The chain it has shown, leaf first.
    pub chain: &'a [CertificateDer<'static>],
    /// Its session was resumed, so that nobody has looked at the chain.
    pub resumed: bool,
    /// The version that is spoken.
    pub version: Option<ProtocolVersion>,
}

/// An upstream as it was judged.
#[derive(Clone, Debug)]
pub struct UpstreamPeer {
    chain: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    version: Option<ProtocolVersion>,
    /// By which settings ([`UpstreamTls::pool_identity`]).
    settings: [u8; 32],
    /// The seconds in which no date passes that the verdict rests on.
    holds: TimeRange,
}

impl UpstreamPeer {
    /// Of a chain that has just been found good under `tls`.
    #[must_use]
    pub fn new(
        tls: &UpstreamTls,
        handshake: UpstreamHandshake<'_>,
        name: ServerName<'static>,
        now: i64,
    ) -> Self {
        Self {
            chain: handshake.chain.to_vec(),
            name,
            version: handshake.version,
            settings: tls.pool_identity(),
            holds: tls.holds(handshake.chain, now),
        }
    }

    /// The seconds in which [`UpstreamPeer::is_current`] is true.
    #[must_use]
    pub const fn holds(&self) -> TimeRange {
        self.holds
    }

    /// Has nothing ended since it was judged?
    #[must_use]
    pub const fn is_current(&self, now: i64) -> bool {
        self.holds.contains(now)
    }

    /// Is it good under the settings and the name of today, too? `None` are no settings any more: nobody
    /// vouches for it then. `name` is as [`UpstreamTls::server_name`] takes it.
    ///
    /// # Errors
    /// As a handshake would fail.
    pub fn recheck(
        &mut self,
        tls: Option<&UpstreamTls>,
        name: &str,
        now: i64,
    ) -> Result<(), UpstreamFailure> {
        let tls = tls.ok_or(UpstreamFailure::NotConfigured)?;
        let name = tls.server_name(name);
        if tls.pool_identity() == self.settings && name == self.name && self.is_current(now) {
            return Ok(());
        }
        if !self.version.is_some_and(|version| tls.speaks(version)) {
            return Err(UpstreamFailure::Version);
        }
        tls.examine(&self.chain, &name, now)?;
        self.name = name;
        self.settings = tls.pool_identity();
        self.holds = tls.holds(&self.chain, now);
        Ok(())
    }
}
