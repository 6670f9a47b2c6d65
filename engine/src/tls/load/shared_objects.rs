//! What one load has made so far, for whoever names the same later.
//!
//! In: what decides what a load makes: its sources and settings, but not its place. Out: what the first
//! load of the same made. So a file that ten thousand server names share is read once, held once and
//! complained about once.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use ferrule_config::Place;
use ferrule_config::model::{
    self, ClientEku, CrlExpired, CrlMissing, CrlUrl, KeyPair, Pem, PemSource,
};
use rustls::DistinguishedName;
use rustls::sign::CertifiedKey;

use super::loaded_objects::Ders;
use crate::identity::verify::anchors::Anchors;
use crate::identity::verify::client_policy::ClientPolicy;
use crate::identity::verify::revocation::Revocation;

/// What was made, by what decides it.
#[derive(Debug, Default)]
pub(crate) struct SharedObjects {
    pub(crate) client_trusts: SharedLoads<ClientTrustSources, ClientTrust>,
    pub(crate) upstream_trusts: SharedLoads<UpstreamTrustSources, Arc<UpstreamTrust>>,
    pub(crate) pairs: SharedLoads<PairSources, Arc<CertifiedKey>>,
    pub(crate) authorities: SharedLoads<PemSource, Ders>,
}

/// What was made of one kind of object.
pub(crate) type SharedLoads<K, T> = HashMap<K, SharedLoad<T>>;

/// What one load has made.
#[derive(Clone, Debug)]
pub(crate) struct SharedLoad<T> {
    /// `None` if it was refused; the reason was told then.
    pub(crate) made: Option<T>,
    /// Where the configuration names what it was made from.
    pub(crate) places: Vec<Place>,
    /// Which of the texts of revocation lists of this load belong to it.
    pub(crate) crls: Range<usize>,
}

/// Which clients are trusted. Shared by all who trust the same.
#[derive(Clone, Debug)]
pub(crate) struct ClientTrust {
    pub(crate) policy: Arc<ClientPolicy>,
    /// The subjects of its anchors.
    pub(crate) ca_names: Arc<[DistinguishedName]>,
}

/// Whom an upstream is trusted by, and whom they have revoked. Shared by all upstreams that trust the same.
#[derive(Debug)]
pub(crate) struct UpstreamTrust {
    pub(crate) anchors: Anchors,
    pub(crate) revocation: Option<Revocation>,
    /// A digest of both.
    pub(crate) digest: [u8; 32],
}

/// The texts of revocation lists, and what they mean.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct CrlSources {
    crls: Vec<PemSource>,
    urls: Vec<CrlUrl>,
    distribution_points: bool,
    expired: CrlExpired,
    missing: CrlMissing,
}

/// Everything that decides which clients are trusted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ClientTrustSources {
    pub(crate) ca: Vec<PemSource>,
    pub(crate) crls: Option<CrlSources>,
    pub(crate) depth: u32,
    pub(crate) allow_v1: bool,
    pub(crate) eku: ClientEku,
    /// Seconds.
    pub(crate) skew: i64,
    /// May there be no authority at all?
    pub(crate) without_ca: bool,
}

/// Everything that decides which upstreams are trusted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct UpstreamTrustSources {
    /// `None` for the roots of the system.
    pub(crate) ca: Option<Vec<PemSource>>,
    pub(crate) crls: Option<CrlSources>,
    /// May there be no authority at all?
    pub(crate) without_ca: bool,
}

/// The texts of a certificate and its key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct PairSources {
    cert: PemSource,
    key: PemSource,
    password_file: Option<PathBuf>,
}

impl CrlSources {
    pub(crate) fn of(revocation: &model::Revocation) -> Self {
        let model::Revocation { place: _, crls, urls, distribution_points, expired, missing } =
            revocation;
        Self {
            crls: sources(crls),
            urls: urls.clone(),
            distribution_points: *distribution_points,
            expired: *expired,
            missing: *missing,
        }
    }
}

impl PairSources {
    pub(crate) fn of(pair: &KeyPair) -> Self {
        let KeyPair { cert, key, password_file } = pair;
        Self {
            cert: cert.source.clone(),
            key: key.source.clone(),
            password_file: password_file.as_ref().map(|file| file.path.clone()),
        }
    }
}

/// The sources of these texts.
pub(crate) fn sources(pems: &[Pem]) -> Vec<PemSource> {
    pems.iter().map(|pem| pem.source.clone()).collect()
}

/// The places of authorities and of the lists beside them.
pub(crate) fn places(ca: &[Pem], revocation: Option<&model::Revocation>) -> Vec<Place> {
    let lists = revocation.into_iter().flat_map(|lists| &lists.crls);
    ca.iter().chain(lists).map(|pem| pem.place).collect()
}
