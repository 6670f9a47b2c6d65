//! What files hold, object by object: taken anew, or kept as it was.
//!
//! In: how an object is loaded, and the objects in force. Out: the new one; or, where that is refused,
//! the one in force, and the refusal beside it. So a broken certificate does not keep the list beside it
//! from counting. At start and at a reload nothing is in force, and every refusal refuses the whole.
//! An object is known by the place in the configuration that names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrule_config::model::{KeyPair, Pem};
use ferrule_config::{Place, Problem};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::pem::Contents;
use super::system_roots::Store;
use super::tickets::Secret;
use super::{Findings, authorities, keys};
use crate::identity::anchors::Anchors;
use crate::identity::crl::Crl;
use crate::identity::purpose::Purpose;

/// Certificates of one file.
type Ders = Arc<[CertificateDer<'static>]>;

/// Objects by their places.
#[derive(Debug, Default)]
pub struct Shelf {
    pub(super) authorities: BTreeMap<Place, Ders>,
    pub(super) pairs: BTreeMap<Place, Arc<CertifiedKey>>,
    pub(super) lists: BTreeMap<Place, Arc<[Arc<Crl>]>>,
    pub(super) responses: BTreeMap<Place, Arc<[u8]>>,
    pub(super) tickets: BTreeMap<Place, Arc<[Secret]>>,
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
pub(super) trait Shelved: Clone {
    fn row(shelf: &Shelf) -> &BTreeMap<Place, Self>;
    fn row_mut(shelf: &mut Shelf) -> &mut BTreeMap<Place, Self>;
}

macro_rules! shelved {
    ($($kind:ty => $row:ident),* $(,)?) => {$(
        impl Shelved for $kind {
            fn row(shelf: &Shelf) -> &BTreeMap<Place, Self> {
                &shelf.$row
            }
            fn row_mut(shelf: &mut Shelf) -> &mut BTreeMap<Place, Self> {
                &mut shelf.$row
            }
        }
    )*};
}

shelved! {
    Ders => authorities,
    Arc<CertifiedKey> => pairs,
    Arc<[Arc<Crl>]> => lists,
    Arc<[u8]> => responses,
    Arc<[Secret]> => tickets,
}

impl Shelf {
    /// The certificates that were taken from this place.
    #[must_use]
    pub fn certificates(&self, place: Place) -> &[CertificateDer<'static>] {
        match (self.pairs.get(&place), self.authorities.get(&place)) {
            (Some(pair), _) => &pair.cert,
            (None, Some(list)) => list,
            (None, None) => &[],
        }
    }

    /// Do both hold the same?
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let keys = |shelf: &Self| -> Vec<_> {
            shelf.pairs.iter().map(|(place, pair)| (*place, pair.cert.clone())).collect()
        };
        let digests = |shelf: &Self| -> Vec<_> {
            let of = |lists: &Arc<[Arc<Crl>]>| lists.iter().map(|l| l.digest()).collect::<Vec<_>>();
            shelf.lists.iter().map(|(place, lists)| (*place, of(lists))).collect()
        };
        self.authorities == other.authorities
            && keys(self) == keys(other)
            && digests(self) == digests(other)
            && self.responses == other.responses
            && self.tickets == other.tickets
    }
}

impl Findings<'_> {
    /// What `load` makes; or why it makes nothing.
    pub(super) fn tried<T>(
        &mut self,
        load: impl FnOnce(&mut Findings<'_>) -> Option<T>,
    ) -> Result<T, Vec<Problem>> {
        let outer = std::mem::take(&mut self.refusals);
        let (warnings, crls, kept) = (self.warnings.len(), self.crls.len(), self.kept.len());
        let made = load(self);
        let refusals = std::mem::replace(&mut self.refusals, outer);
        match made {
            Some(made) if refusals.is_empty() => Ok(made),
            _ => {
                // Of what is not taken nothing else is told, unless that is all there will be.
                if self.before.is_some() {
                    self.warnings.truncate(warnings);
                    self.crls.truncate(crls);
                    self.kept.truncate(kept);
                }
                Err(refusals)
            }
        }
    }

    /// What `load` makes; where that is refused, what is in force in its place.
    pub(super) fn take_or_keep<T: Shelved>(
        &mut self,
        place: Place,
        files: &[&Path],
        load: impl FnOnce(&mut Findings<'_>) -> Option<T>,
    ) -> Option<T> {
        let made = match self.tried(load) {
            Ok(made) => made,
            Err(refusals) => {
                let old = self.in_force(place);
                self.refuse_or_keep(old.is_some(), files, refusals);
                old?
            }
        };
        T::row_mut(&mut self.shelf).insert(place, made.clone());
        Some(made)
    }

    /// The object in force in this place.
    pub(super) fn in_force<T: Shelved>(&self, place: Place) -> Option<T> {
        T::row(self.before?).get(&place).cloned()
    }

    /// Something was refused: either an older one stays, or everything is refused.
    pub(super) fn refuse_or_keep(&mut self, kept: bool, files: &[&Path], refusals: Vec<Problem>) {
        if kept {
            let files = files.iter().map(|path| path.to_path_buf()).collect();
            self.kept.push(KeptObject { files, problems: refusals });
        } else {
            self.refusals.extend(refusals);
        }
    }

    /// A chain and its key.
    pub(super) fn pair(
        &mut self,
        pair: &KeyPair,
        field: &str,
        provider: &CryptoProvider,
    ) -> Option<Arc<CertifiedKey>> {
        let files: Vec<&Path> = pair.files().collect();
        self.take_or_keep(pair.cert.place, &files, |found| keys::pair(pair, field, provider, found))
    }

    /// The operating system's roots, as they are at start and at a reload; they are not watched.
    pub(super) fn system(&mut self, place: Place, field: &str) -> Ders {
        let usable = |der: &[u8]| Anchors::new(&[der.to_vec()]).is_ok();
        let ders: Ders = self.in_force(place).unwrap_or_else(|| {
            let all = Store::find().load(place, field, self);
            all.into_iter().filter(|der| usable(der)).collect()
        });
        self.shelf.authorities.insert(place, Arc::clone(&ders));
        ders
    }

    /// What `build` makes of the authorities in these files. Where it refuses the new ones, because
    /// nothing that belongs to them fits, those in force stay.
    pub(super) fn with_authorities<T>(
        &mut self,
        pems: &[Pem],
        purpose: Purpose,
        field: &str,
        build: impl Fn(Vec<Vec<u8>>, &mut Findings<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut listed: Vec<(&Pem, Vec<u8>)> = Vec::new();
        for pem in pems {
            let files: Vec<&Path> = pem.file().into_iter().collect();
            let taken: Option<Ders> = self.take_or_keep(pem.place, &files, |found| {
                let list = keys::certificates(pem, Contents::Authorities, field, found);
                Some(Ders::from(list))
            });
            listed.extend(taken.iter().flat_map(|list| list.iter()).map(|der| (pem, der.to_vec())));
        }
        authorities::warn(&listed, purpose, field, self);
        let ders: Vec<Vec<u8>> = listed.into_iter().map(|(_, der)| der).collect();
        let places = pems.iter().map(|pem| pem.place);
        let old: Option<Vec<Ders>> = places.map(|place| self.in_force(place)).collect();
        let old = old.filter(|old| !old.is_empty());
        let old_ders = |old: &Vec<Ders>| -> Vec<Vec<u8>> {
            old.iter().flat_map(|list| list.iter()).map(|der| der.to_vec()).collect()
        };
        self.same_authorities = old.as_ref().is_some_and(|old| old_ders(old) == ders);
        let refusals = match self.tried(|found| build(ders, found)) {
            Ok(built) => return Some(built),
            Err(refusals) => refusals,
        };
        let Some(old) = old else {
            self.refusals.extend(refusals);
            return None;
        };
        let ders = old_ders(&old);
        let files: Vec<&Path> = pems.iter().filter_map(Pem::file).collect();
        self.refuse_or_keep(true, &files, refusals);
        for (pem, old) in pems.iter().zip(old) {
            self.shelf.authorities.insert(pem.place, old);
        }
        self.same_authorities = true;
        build(ders, self)
    }
}
