//! Files that the configuration names: PEM text with or without a file, certificates with their keys.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::place::Place;

/// PEM text, and where the file names it.
#[derive(Clone, Debug)]
pub struct Pem {
    /// Where in the configuration file.
    pub place: Place,
    /// Where the text is.
    pub source: PemSource,
    /// What is shown in place of a path that must not be: it came from these variables of the
    /// environment, and may be no path at all.
    pub shown: Option<String>,
}

/// Where PEM text is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PemSource {
    /// In the configuration file itself.
    Inline(String),
    /// In this file.
    Path(PathBuf),
}

/// A file that is no PEM text, and where the configuration names it.
#[derive(Clone, Debug)]
pub struct FileAt {
    /// Where in the configuration file.
    pub place: Place,
    /// The file, absolute.
    pub path: PathBuf,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The leaf first.
    pub cert: Pem,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: Pem,
    /// A file of pass phrases, one a line, tried in turn where the key is encrypted.
    pub password_file: Option<FileAt>,
}

impl Pem {
    /// How messages name it.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match (&self.source, &self.shown) {
            (PemSource::Inline(_), _) => Cow::Borrowed("the text given here"),
            (PemSource::Path(_), Some(shown)) => Cow::Borrowed(shown),
            (PemSource::Path(path), None) => path.to_string_lossy(),
        }
    }

    /// The file, if the text is not inline.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            PemSource::Inline(_) => None,
            PemSource::Path(path) => Some(path),
        }
    }
}

impl KeyPair {
    /// The files it is read from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let password = self.password_file.iter().map(|file| file.path.as_path());
        [&self.cert, &self.key].into_iter().filter_map(|pem| pem.file()).chain(password)
    }
}
