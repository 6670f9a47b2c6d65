//! The operating system's roots (`ca = "system"`).
//!
//! In: what the environment names, or the places where systems keep them. Out: certificates; problems are
//! pushed. Read by the one reader of files and the one of PEM, so nothing that lies there can hold us up,
//! and no block is passed over in silence. A file that was named by hand has to be readable; of a
//! directory each file stands for itself, as with OpenSSL.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrule_config::{Place, read_file};
use rustls::pki_types::CertificateDer;

use super::findings::Findings;
use super::keys::PEM_BYTES_MAX;
use super::loaded_objects::Ders;
use crate::identity::verify::anchors::Anchors;
use crate::tls::pem::{self, Contents};

/// Where systems keep all roots in one file; the first that is there counts.
const BUNDLES: [&str; 5] = [
    // Debian, Alpine, Arch
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    // Alpine without its package of roots
    "/etc/ssl/cert.pem",
];
/// Where they keep one in each file.
const DIRECTORY: &str = "/etc/ssl/certs";
/// Files of one directory that are looked at; systems have a few hundred.
const FILES_MAX: usize = 10_000;

/// The operating system's roots, as they are at start and at a reload; they are not watched.
pub(crate) fn load(place: Place, field: &str, found: &mut Findings<'_>) -> Ders {
    let usable = |der: &[u8]| Anchors::new(&[der.to_vec()]).is_ok();
    let ders: Ders = found.in_force(place).unwrap_or_else(|| {
        let all = Store::find().load(place, field, found);
        all.into_iter().filter(|der| usable(der)).collect()
    });
    found.objects.authorities.insert(place, Arc::clone(&ders));
    ders
}

/// Where roots are.
#[derive(Debug, Default)]
struct Store {
    file: Option<PathBuf>,
    directories: Vec<PathBuf>,
    /// By the environment.
    named: bool,
}

impl Store {
    /// What OpenSSL's variables name; without any, where systems keep them. Either variable stands for
    /// all: who names roots of his own does not mean the system's beside them.
    fn find() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let (file, directories) = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"));
        if file.is_some() || directories.is_some() {
            let directories = directories.iter().flat_map(env::split_paths);
            return Self {
                file: file.map(PathBuf::from),
                directories: directories.filter(|path| !path.as_os_str().is_empty()).collect(),
                named: true,
            };
        }
        let bundle = BUNDLES.into_iter().map(PathBuf::from).find(|path| path.exists());
        let directory = Some(PathBuf::from(DIRECTORY)).filter(|path| path.exists());
        Self { file: bundle, directories: directory.into_iter().collect(), named: false }
    }

    /// The certificates in it; problems are pushed.
    fn load(
        &self,
        place: Place,
        field: &str,
        found: &mut Findings<'_>,
    ) -> Vec<CertificateDer<'static>> {
        let mut all = Vec::new();
        if let Some(file) = &self.file {
            match certificates(file) {
                Ok(list) if list.is_empty() => {
                    self.tell(
                        format!("there is no certificate in {}", file.display()),
                        place,
                        field,
                        found,
                    );
                }
                Ok(list) => all.extend(list),
                Err(why) => self.tell(why, place, field, found),
            }
        }
        // Links lead to one file by several names.
        let mut seen: BTreeSet<PathBuf> = self.file.iter().filter_map(|file| real(file)).collect();
        for directory in &self.directories {
            let entries = match fs::read_dir(directory) {
                Ok(entries) => entries,
                Err(error) => {
                    let why = format!("cannot read {}: {error}", directory.display());
                    self.tell(why, place, field, found);
                    continue;
                }
            };
            let entries = entries.take(FILES_MAX).flatten();
            let mut files: Vec<PathBuf> = entries.filter_map(|entry| real(&entry.path())).collect();
            files.sort_unstable();
            for file in files {
                if !seen.insert(file.clone()) {
                    continue;
                }
                match certificates(&file) {
                    Ok(list) => all.extend(list),
                    Err(why) => found.warning(place, field, format!("{why}; it is passed over")),
                }
            }
        }
        let mut once = BTreeSet::new();
        all.retain(|der: &CertificateDer<'static>| once.insert(der.to_vec()));
        all
    }

    /// What was named by hand is meant; of what was found, the rest may do.
    fn tell(&self, why: String, place: Place, field: &str, found: &mut Findings<'_>) {
        if self.named {
            let help = "the environment names it, in SSL_CERT_FILE or SSL_CERT_DIR";
            found.error(place, field, why, Some(help));
        } else {
            found.warning(place, field, why);
        }
    }
}

/// The regular file behind a name, if there is one. Links that lead nowhere are usual.
fn real(path: &Path) -> Option<PathBuf> {
    let path = fs::canonicalize(path).ok()?;
    fs::metadata(&path).is_ok_and(|found| found.is_file()).then_some(path)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = path.display();
    let file = read_file(path, PEM_BYTES_MAX).map_err(|error| error.about(&name))?;
    let blocks = pem::read(&file.bytes, Contents::Authorities)
        .map_err(|error| format!("{name}, {error}"))?;
    Ok(blocks.into_iter().map(|block| CertificateDer::from(block.der)).collect())
}
