//! ProxyFiles that the configuration names: certificates, and the names that they are for.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Value as Toml;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem as PemBlock;
use x509_parser::prelude::X509Certificate;

use crate::fields::plain;
use crate::work::Work;

use super::words::ConfigLine;

/// Bytes of one file, and files of one folder.
pub(super) const BYTES_MAX: u64 = 4 << 20;
const FILES_MAX: usize = 10_000;

/// Where files are looked for.
#[derive(Debug, Default)]
pub(super) struct ProxyFiles {
    /// Where relative paths count from: `-C` of HAProxy.
    pub(super) base: PathBuf,
    pub(super) ca_base: Option<PathBuf>,
    pub(super) crt_base: Option<PathBuf>,
}

/// A certificate that is shown to clients or servers.
#[derive(Debug)]
pub(super) struct CertificateFile {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    /// Host names among its names, in their order.
    pub(super) names: Vec<String>,
}

impl ProxyFiles {
    pub(super) fn certificate(&self, text: &str) -> PathBuf {
        self.base.join(self.crt_base.as_deref().unwrap_or_else(|| Path::new(""))).join(text)
    }

    /// The path of authorities or of revocation lists.
    pub(super) fn authority(&self, text: &str) -> Toml {
        if text == "@system-ca" {
            return plain("system");
        }
        let path =
            self.base.join(self.ca_base.as_deref().unwrap_or_else(|| Path::new(""))).join(text);
        plain(&path.to_string_lossy())
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// Folders become the certificates in them, in alphabetical order, as HAProxy reads them.
    pub(super) fn expand(paths: &[PathBuf], line: &ConfigLine, work: &Work) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for path in paths {
            if !path.is_dir() {
                all.push(path.clone());
                continue;
            }
            let Ok(entries) = fs::read_dir(path) else {
                line.refuse(work, 0, format!("{} cannot be read", path.display()));
                continue;
            };
            let mut inside: Vec<PathBuf> = entries
                .flatten()
                .take(FILES_MAX)
                .map(|entry| entry.path())
                .filter(|path| path.is_file() && is_certificate(path))
                .collect();
            inside.sort();
            if inside.is_empty() {
                line.refuse(work, 0, format!("{} holds no certificate", path.display()));
            }
            all.extend(inside);
        }
        all
    }

    /// Reads a certificate, for its names and its key; nothing of either is ever shown.
    ///
    /// # Errors
    /// It cannot be read, or has no key.
    pub(super) fn open(path: &Path) -> Result<CertificateFile, String> {
        let shown = path.display();
        let file = ferrule_config::read_file(path, BYTES_MAX)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        let mut leaf = None;
        let mut has_key = false;
        for block in PemBlock::iter_from_buffer(&file.bytes) {
            let block = block.map_err(|_| format!("{shown} is no PEM"))?;
            if block.label.ends_with("PRIVATE KEY") {
                has_key = true;
            } else if block.label == "CERTIFICATE" && leaf.is_none() {
                leaf = Some(block);
            }
        }
        let leaf = leaf.ok_or_else(|| format!("{shown} holds no certificate"))?;
        let leaf = leaf.parse_x509().map_err(|_| format!("{shown}: its certificate is broken"))?;
        let key = if has_key { path.to_owned() } else { key_beside(path) };
        if !has_key && !key.is_file() {
            return Err(format!("{shown} holds no private key, and there is no {}", key.display()));
        }
        Ok(CertificateFile { cert: path.to_owned(), key, names: names(&leaf) })
    }
}

fn is_certificate(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let end = path.extension().map(|end| end.to_string_lossy().into_owned()).unwrap_or_default();
    !name.starts_with('.') && !matches!(end.as_str(), "key" | "ocsp" | "sctl" | "issuer" | "dh")
}

/// HAProxy looks for `site.pem.key`.
fn key_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Its DNS names, and its common names, as HAProxy takes them; those that are no host names are left out.
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let mut push = |name: &str| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if is_host(&name) && !all.contains(&name) {
            all.push(name);
        }
    };
    if let Ok(Some(extension)) = leaf.subject_alternative_name() {
        for name in &extension.value.general_names {
            if let GeneralName::DNSName(name) = name {
                push(name);
            }
        }
    }
    for name in leaf.subject().iter_common_name() {
        if let Ok(name) = name.as_str() {
            push(name);
        }
    }
    all
}

pub(super) fn is_host(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    rest.len() < 254
        && rest.split('.').all(label)
        // An address is no name.
        && !rest.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}
