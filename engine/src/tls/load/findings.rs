//! What is found while files are loaded: problems, warnings, and the objects that were taken.
//!
//! An object that is refused is either kept as it is in force, or its problems refuse the whole.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;
use std::hash::Hash;
use std::path::{Path, PathBuf};

use ferrule_config::model::Pem;
use ferrule_config::{Place, Problem};

use super::crl_files::CrlFiles;
use super::loaded_crl::CrlText;
use super::loaded_objects::{FetchedCrls, KeptObject, LoadedObject, LoadedObjects};
use super::shared_objects::{SharedLoad, SharedLoads, SharedObjects};
use crate::tls::pem::Object;

/// What is found while loading.
#[derive(Default)]
pub(crate) struct Findings<'p> {
    /// What refuses the object that is being loaded.
    pub(crate) refusals: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// What was warned about once for all, and which warning that is.
    pub(crate) warned: HashMap<WarningKey, usize>,
    /// The texts of revocation lists in use.
    pub(crate) crls: Vec<CrlText>,
    pub(crate) crl_files: CrlFiles,
    /// Where fetched lists are kept; `None` if none is fetched.
    pub(crate) crl_directory: Option<PathBuf>,
    pub(crate) objects: LoadedObjects,
    pub(crate) shared: SharedObjects,
    pub(crate) kept: Vec<KeptObject>,
    /// The authorities of the lists that are being loaded are those in force: lists in force fit.
    pub(crate) same_authorities: bool,
    /// What is in force, for those whose files are refused.
    pub(crate) before: Option<&'p LoadedObjects>,
    /// Lists that were fetched and are in force, at a reload, too.
    pub(crate) fetched_before: Option<&'p FetchedCrls>,
    pub(crate) now: i64,
}

/// What a warning is about.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct WarningKey {
    /// A digest of it; zeros for a file that the words name.
    about: [u8; 32],
    words: String,
}

/// Something in a text, by the place that names the text.
#[derive(Clone, Copy)]
pub(crate) struct NamedPem<'m> {
    pub(crate) pem: &'m Pem,
    /// The field that names the text.
    pub(crate) field: &'m str,
    /// How a message calls it.
    pub(crate) name: &'m str,
}

impl Findings<'_> {
    /// Refuses the file.
    pub(crate) fn error(&mut self, place: Place, field: &str, message: String, help: Option<&str>) {
        let help = help.map(ToOwned::to_owned);
        self.refusals.push(Problem { place, field: field.to_owned(), message, help });
    }

    /// Refuses a text without what is wanted there; `what` and what would be right.
    pub(crate) fn nothing(&mut self, pem: &Pem, text: &[u8], field: &str, what: &str, help: &str) {
        if text.trim_ascii().is_empty() {
            let help =
                format!("the command that was to write it may have failed; wanted is {help}");
            self.error(pem.place, field, format!("{} is empty", pem.name()), Some(&help));
            return;
        }
        let instead = Object::of(text).map(|object| format!(": it is {}", object.text()));
        let message =
            format!("there is no {what} in {}{}", pem.name(), instead.unwrap_or_default());
        self.error(pem.place, field, message, Some(help));
    }

    /// Does not refuse it.
    pub(crate) fn warning(&mut self, place: Place, field: &str, message: String) {
        self.warnings.push(Problem { place, field: field.to_owned(), message, help: None });
    }

    /// Warns once about what `about` (a digest) is of, whoever names it, and in whatever file it is: these
    /// words follow what the message calls it.
    pub(crate) fn warn_once(&mut self, about: [u8; 32], at: NamedPem<'_>, words: &str) {
        let NamedPem { pem, field, name } = at;
        let key = WarningKey { about, words: words.to_owned() };
        if let Entry::Vacant(free) = self.warned.entry(key) {
            free.insert(self.warnings.len());
            self.warning(pem.place, field, format!("{name} {words}"));
        }
    }

    /// Warns once about a file that the message names, whoever names it.
    pub(crate) fn warn_of_file(&mut self, place: Place, field: &str, message: String) {
        let key = WarningKey { about: [0; 32], words: message.clone() };
        if let Entry::Vacant(free) = self.warned.entry(key) {
            free.insert(self.warnings.len());
            self.warning(place, field, message);
        }
    }

    /// Warns about a secret to whose file others can do this.
    pub(crate) fn warn_if_open(
        &mut self,
        open: Option<&str>,
        name: &dyn Display,
        place: Place,
        field: &str,
    ) {
        if let Some(what) = open {
            let message = format!("{name} can be {what} by others than its owner");
            self.warn_of_file(place, field, message);
        }
    }
}

impl Findings<'_> {
    /// What `load` makes; or why it makes nothing.
    pub(crate) fn tried<T>(
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
                    self.warned.retain(|_, at| *at < warnings);
                    self.crls.truncate(crls);
                    self.kept.truncate(kept);
                }
                Err(refusals)
            }
        }
    }

    /// What `load` makes; where that is refused, what is in force in its place.
    pub(crate) fn take_or_keep<T: LoadedObject>(
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
        T::map_mut(&mut self.objects).insert(place, made.clone());
        Some(made)
    }

    /// The object in force in this place.
    pub(crate) fn in_force<T: LoadedObject>(&self, place: Place) -> Option<T> {
        T::map(self.before?).get(&place).cloned()
    }

    /// Something was refused: either an older one stays, or everything is refused.
    pub(crate) fn refuse_or_keep(&mut self, kept: bool, files: &[&Path], refusals: Vec<Problem>) {
        if kept {
            let files = files.iter().map(|path| path.to_path_buf()).collect();
            self.kept.push(KeptObject { files, problems: refusals });
        } else {
            self.refusals.extend(refusals);
        }
    }
}

impl Findings<'_> {
    /// What `load` makes; or what it made when the same was named before. Nothing that it found is told
    /// again. `places` are in the same order whoever names them; `crl` is the key that names lists.
    pub(crate) fn load_once<K: Eq + Hash, T: Clone>(
        &mut self,
        kind: fn(&mut SharedObjects) -> &mut SharedLoads<K, T>,
        sources: K,
        places: Vec<Place>,
        crl: &str,
        load: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if let Some(known) = kind(&mut self.shared).get(&sources).cloned() {
            self.objects.share(&known.places, &places);
            let lists = self.crls.get_mut(known.crls).unwrap_or_default();
            lists.iter_mut().for_each(|list| list.keys.add(&crl));
            return known.made;
        }
        let before = self.crls.len();
        let made = load(self);
        let known = SharedLoad { made: made.clone(), places, crls: before..self.crls.len() };
        kind(&mut self.shared).insert(sources, known);
        made
    }
}
