//! Files of revocation lists: read once in a load whoever names them, and held once while in use.
//!
//! In: what a configuration names. Out: the lists in it, or why not. Equal contents are the same lists,
//! under whatever name and in whatever generation: a large list under fifty names takes the memory and
//! the time of one, and a reload takes over what it has already.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ferrule_config::model::{Pem, PemSource};
use ferrule_config::{FileError, read_file, read_own_file};

use crate::identity::digest::sha256;
use crate::identity::x509::crl::{CRL_BYTES_MAX, Crl, CrlError};
use crate::tls::pem::{self, Contents, Object, PemError};

/// Bytes of one file: PEM takes a third more than DER.
pub(crate) const FILE_BYTES_MAX: u64 = CRL_BYTES_MAX as u64 / 2 * 3;

/// The texts whose lists are all in use, by somebody at least.
static IN_USE: Mutex<Vec<CrlTextInUse>> = Mutex::new(Vec::new());

/// A text that was read once.
#[derive(Debug)]
struct CrlTextInUse {
    /// SHA-256.
    digest: [u8; 32],
    /// Its lists, as long as somebody has them, with their lines.
    lists: Vec<CrlInUse>,
}

/// A list of such a text.
#[derive(Debug)]
struct CrlInUse {
    /// The line on which it begins; `None` if it is the whole file.
    line: Option<usize>,
    list: Weak<Crl>,
}

/// The files of one load.
#[derive(Debug, Default)]
pub(crate) struct CrlFiles {
    read: HashMap<PathBuf, Result<Arc<CrlFile>, Arc<FileError>>>,
}

/// What a text holds.
#[derive(Debug)]
pub(crate) enum CrlFile {
    /// These.
    Lists(Vec<CrlInFile>),
    /// It is no text of lists, but perhaps this.
    NotPem(Option<Object>, PemError),
    /// It is this, in DER.
    Other(Object),
    /// Not even text.
    Empty,
    /// No block, but perhaps this.
    Nothing(Option<Object>),
}

/// A list of a file.
#[derive(Debug)]
pub(crate) struct CrlInFile {
    /// Where it begins; `None` if it is the whole file.
    pub(crate) line: Option<usize>,
    /// It, or which rule it breaks.
    pub(crate) list: Result<Arc<Crl>, CrlError>,
}

impl CrlFiles {
    /// What is kept under this name, by this process or one before it.
    ///
    /// # Errors
    /// It cannot be read, or may be anybody's.
    pub(crate) fn kept(&mut self, path: &Path) -> Result<Arc<CrlFile>, Arc<FileError>> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let file = kept(path).map(Arc::new).map_err(Arc::new);
        self.read.insert(path.to_owned(), file.clone());
        file
    }

    /// What this names.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(crate) fn of(&mut self, pem: &Pem) -> Result<Arc<CrlFile>, Arc<FileError>> {
        let path = match &pem.source {
            PemSource::Inline(text) => return Ok(Arc::new(shared(Cow::Borrowed(text.as_bytes())))),
            PemSource::Path(path) => path,
        };
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let file = read_file(path, FILE_BYTES_MAX)
            .map(|file| Arc::new(shared(Cow::Owned(file.bytes))))
            .map_err(Arc::new);
        self.read.insert(path.clone(), file.clone());
        file
    }
}

/// What is kept under this name.
///
/// # Errors
/// It cannot be read, or may be anybody's.
pub(crate) fn kept(path: &Path) -> Result<CrlFile, FileError> {
    read_own_file(path, FILE_BYTES_MAX).map(|file| shared(Cow::Owned(file.bytes)))
}

/// How many blocks a text may hold at the most, before anybody has read it.
pub(crate) fn blocks(bytes: &[u8]) -> usize {
    if pem::is_der(bytes) { 1 } else { memchr::memmem::find_iter(bytes, "-----BEGIN").count() }
}

/// What a text holds that is no file yet.
pub(crate) fn of_bytes(bytes: &[u8]) -> CrlFile {
    shared(Cow::Borrowed(bytes))
}

/// What is in use of this text, or else what it holds.
fn shared(text: Cow<'_, [u8]>) -> CrlFile {
    let digest = sha256(&text);
    let in_use = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(lists) =
        in_use().iter().filter(|known| known.digest == digest).find_map(CrlTextInUse::lists)
    {
        return CrlFile::Lists(lists);
    }
    // Read without the lock: of two loads at one time both may do it, which costs only time.
    let file = CrlFile::read(text);
    let mut in_use = in_use();
    in_use.retain(|known| known.lists().is_some());
    in_use.extend(CrlTextInUse::of(digest, &file));
    file
}

impl CrlTextInUse {
    /// `None` unless all of it is good: why a text is refused is told anew each time.
    fn of(digest: [u8; 32], file: &CrlFile) -> Option<Self> {
        let CrlFile::Lists(lists) = file else { return None };
        let weak = |found: &CrlInFile| {
            let list = Arc::downgrade(found.list.as_ref().ok()?);
            Some(CrlInUse { line: found.line, list })
        };
        Some(Self { digest, lists: lists.iter().map(weak).collect::<Option<_>>()? })
    }

    /// Its lists, if all of them are still there.
    fn lists(&self) -> Option<Vec<CrlInFile>> {
        let found = |known: &CrlInUse| {
            Some(CrlInFile { line: known.line, list: Ok(known.list.upgrade()?) })
        };
        self.lists.iter().map(found).collect()
    }
}

impl CrlFile {
    /// Those of its lists that are sound, each once.
    pub(crate) fn sound(&self) -> Vec<Arc<Crl>> {
        let Self::Lists(lists) = self else { return Vec::new() };
        let mut known = HashSet::new();
        let sound = lists.iter().filter_map(|one| one.list.as_ref().ok());
        sound.filter(|list| known.insert(list.digest())).map(Arc::clone).collect()
    }

    fn read(text: Cow<'_, [u8]>) -> Self {
        let found = |line, der| CrlInFile { line, list: Crl::parse(der).map(Arc::new) };
        if pem::is_der(&text) {
            if let Some(object) = Object::of(&text).filter(|one| *one != Object::RevocationList) {
                return Self::Other(object);
            }
            return Self::Lists(vec![found(None, text.into_owned())]);
        }
        match pem::read(&text, Contents::Lists) {
            Err(error) => Self::NotPem(error.object(&text), error),
            Ok(_) if text.trim_ascii().is_empty() => Self::Empty,
            Ok(blocks) if blocks.is_empty() => Self::Nothing(Object::of(&text)),
            Ok(blocks) => {
                Self::Lists(blocks.into_iter().map(|one| found(Some(one.line), one.der)).collect())
            }
        }
    }
}
