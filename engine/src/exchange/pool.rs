//! Idle upstream connections of one core, keyed by everything that makes them different.

use core::net::SocketAddr;
use std::path::Path;

use ferrule_config::model::KeepalivePool;

/// Everything that must agree before a connection may serve another request (contract: an identity
/// that is missing here is an identity that leaks).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Identity<'a> {
    /// The upstream's id; connections are not shared between upstreams.
    pub upstream: &'a str,
    /// Where it leads.
    pub address: Address<'a>,
    /// TLS: what it was made with; `None` is plain HTTP.
    pub tls: Option<TlsIdentity<'a>>,
}

/// An address to connect to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Address<'a> {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(&'a Path),
}

/// What a TLS connection was made with.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TlsIdentity<'a> {
    /// The name sent and checked, lower case.
    pub name: &'a [u8],
    /// A digest of the settings: own certificate, trust, verification, versions. By content, so
    /// that connections survive a reload that changes nothing of it.
    pub settings: [u8; 32],
}

/// An identity that the pool knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PoolKey {
    at: u32,
    /// Keys that are not needed any more are given to other identities.
    generation: u32,
}

/// A connection between two requests.
#[derive(Debug)]
pub struct Idle<C> {
    /// The connection.
    pub connection: C,
    /// Requests it has served.
    pub requests: u32,
}

/// The idle connections of one core.
#[derive(Debug)]
pub struct Pool<C> {
    idle: Vec<Idle<C>>,
}

impl<C> Pool<C> {
    /// An empty pool.
    #[must_use]
    pub const fn new() -> Self {
        Self { idle: Vec::new() }
    }

    /// The key of an identity; allocates only for one that was not there before. Their number is
    /// bounded: an idle one is forgotten for a new one.
    pub fn key(&mut self, identity: &Identity<'_>) -> PoolKey {
        let _ = identity;
        unimplemented!()
    }

    /// The connection that was put back last.
    pub fn take(&mut self, key: PoolKey) -> Option<Idle<C>> {
        let _ = (key, &mut self.idle);
        unimplemented!()
    }

    /// Puts a connection (back) in. What comes out has to be closed: the upstream's oldest one if
    /// it has too many, or the very same one if it may not be kept.
    pub fn put(
        &mut self,
        key: PoolKey,
        idle: Idle<C>,
        limits: &KeepalivePool,
        now_ms: u64,
    ) -> Option<C> {
        let _ = (key, limits, now_ms);
        Some(idle.connection)
    }

    /// Takes out every connection whose idle time is over.
    pub fn expire(&mut self, now_ms: u64, close: impl FnMut(C)) {
        let _ = (now_ms, close);
        unimplemented!()
    }

    /// Takes out every connection.
    pub fn clear(&mut self, mut close: impl FnMut(C)) {
        self.idle.drain(..).for_each(|idle| close(idle.connection));
    }

    /// Connections in it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.idle.len()
    }

    /// Is it empty?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self::new()
    }
}
