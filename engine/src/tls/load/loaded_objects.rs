//! What files hold, object by object: taken anew, or kept as it was.
//!
//! In: how an object is loaded, and the objects in force. Out: the new one; or, where that is refused,
//! the one in force, and the refusal beside it. So a broken certificate does not keep the list beside it
//! from counting. At start and at a reload nothing is in force, and every refusal refuses the whole.
//! An object is known by the place in the configuration that names it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ferrule_config::model::CrlUrl;
use ferrule_config::{Place, Problem};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use crate::identity::x509::crl::Crl;
use crate::tls::resumption::ticket_secret::TicketSecret;

/// Certificates of one file.
pub(crate) type Ders = Arc<[CertificateDer<'static>]>;

/// Lists that were fetched, by where they came from: another directory, and another place in the configuration,
/// make no other list of one.
pub(crate) type FetchedCrls = BTreeMap<CrlUrl, Arc<[Arc<Crl>]>>;

/// Objects by their places.
#[derive(Debug, Default)]
pub struct LoadedObjects {
    pub(crate) authorities: BTreeMap<Place, Ders>,
    pub(crate) pairs: BTreeMap<Place, Arc<CertifiedKey>>,
    pub(crate) lists: BTreeMap<Place, Arc<[Arc<Crl>]>>,
    /// Lists that were fetched, of all tables that want them.
    pub(crate) fetched: FetchedCrls,
    pub(crate) responses: BTreeMap<Place, Arc<[u8]>>,
    pub(crate) tickets: BTreeMap<Place, Arc<[TicketSecret]>>,
}

/// An object that was refused, and kept as it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptObject {
    /// The files that it was to be read from.
    pub files: Vec<PathBuf>,
    /// Why it was refused.
    pub problems: Vec<Problem>,
}

/// A kind of object, and where it lies.
pub(crate) trait LoadedObject: Clone {
    fn map(objects: &LoadedObjects) -> &BTreeMap<Place, Self>;
    fn map_mut(objects: &mut LoadedObjects) -> &mut BTreeMap<Place, Self>;
}

macro_rules! loaded_object {
    ($($kind:ty => $map:ident),* $(,)?) => {$(
        impl LoadedObject for $kind {
            fn map(objects: &LoadedObjects) -> &BTreeMap<Place, Self> {
                &objects.$map
            }
            fn map_mut(objects: &mut LoadedObjects) -> &mut BTreeMap<Place, Self> {
                &mut objects.$map
            }
        }
    )*};
}

loaded_object! {
    Ders => authorities,
    Arc<CertifiedKey> => pairs,
    Arc<[Arc<Crl>]> => lists,
    Arc<[u8]> => responses,
    Arc<[TicketSecret]> => tickets,
}

impl LoadedObjects {
    /// The certificates that were taken from this place.
    #[must_use]
    pub fn certificates(&self, place: Place) -> &[CertificateDer<'static>] {
        match (self.pairs.get(&place), self.authorities.get(&place)) {
            (Some(pair), _) => &pair.cert,
            (None, Some(list)) => list,
            (None, None) => &[],
        }
    }

    /// A table has these lists of a URL; another one may have others, of its own authorities.
    pub(crate) fn add_fetched(&mut self, url: &CrlUrl, lists: &[Arc<Crl>]) {
        let of_url = self.fetched.entry(url.clone()).or_default();
        let mut all = of_url.to_vec();
        for list in lists {
            if !all.iter().any(|known| known.digest() == list.digest()) {
                all.push(Arc::clone(list));
            }
        }
        *of_url = all.into();
    }

    /// Puts what lies in each of these places into the place of the same position as well.
    pub(crate) fn share(&mut self, from: &[Place], to: &[Place]) {
        fn copy<T: LoadedObject>(objects: &mut LoadedObjects, from: Place, to: Place) {
            if let Some(object) = T::map(objects).get(&from).cloned() {
                T::map_mut(objects).insert(to, object);
            }
        }
        for (from, to) in from.iter().zip(to).filter(|(from, to)| from != to) {
            copy::<Ders>(self, *from, *to);
            copy::<Arc<CertifiedKey>>(self, *from, *to);
            copy::<Arc<[Arc<Crl>]>>(self, *from, *to);
        }
    }

    /// Do both hold the same?
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let keys = |objects: &Self| -> Vec<_> {
            objects.pairs.iter().map(|(place, pair)| (*place, pair.cert.clone())).collect()
        };
        let of = |lists: &Arc<[Arc<Crl>]>| lists.iter().map(|l| l.digest()).collect::<Vec<_>>();
        let digests = |objects: &Self| -> Vec<_> {
            objects.lists.iter().map(|(place, lists)| (*place, of(lists))).collect()
        };
        let fetched = |objects: &Self| -> Vec<_> {
            objects.fetched.iter().map(|(url, lists)| (url.clone(), of(lists))).collect()
        };
        self.authorities == other.authorities
            && keys(self) == keys(other)
            && digests(self) == digests(other)
            && fetched(self) == fetched(other)
            && self.responses == other.responses
            && self.tickets == other.tickets
    }
}
