//! What all converters share: the source, where its relative paths count from, and what was said about it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::proof::Source;
use crate::report::Kind;
use crate::work::Work;

use super::files::Files;
use super::scope::Scope;
use super::tree::Directive;

/// One import.
pub(super) struct Job<'a> {
    pub(super) work: &'a Work,
    pub(super) files: &'a dyn Files,
    /// Where files of certificates and includes count from: the folder of the configuration.
    pub(super) folder: &'a Path,
    /// Where logs and pages count from: nginx's `-p`.
    pub(super) prefix: Option<&'a Path>,
    /// Locations that serve files are left out.
    pub(super) skips_files: bool,
    /// The file as a whole, and its `http` block.
    pub(super) http: Scope<'a>,
    /// `[[upstreams]]` that were made so far.
    pub(super) upstreams: RefCell<Vec<MadeUpstream>>,
}

/// An upstream, and what it was made of.
pub(super) struct MadeUpstream {
    pub(super) id: String,
    pub(super) table: toml::Table,
    pub(super) source: Source,
}

/// A configuration that cannot be converted: the reason is in the log.
pub(super) struct Refused;

impl<'a> Job<'a> {
    pub(super) fn say(&self, kind: Kind, directive: &Directive, message: impl Into<String>) {
        let file = directive.file.as_deref();
        self.work.log.add_in(kind, file, directive.spot, &directive.path, message);
    }

    pub(super) fn refuse(&self, directive: &Directive, message: impl Into<String>) {
        self.say(Kind::Refused, directive, message);
    }

    pub(super) fn changed(&self, directive: &Directive, message: impl Into<String>) {
        self.say(Kind::Changed, directive, message);
    }

    /// Says what the source let through.
    pub(super) fn let_through(&self, directive: &Directive, message: impl Into<String>) {
        self.say(Kind::Security, directive, message);
    }

    /// A block of this name with this argument, in `http`.
    pub(super) fn named(&self, block: &str, argument: usize, name: &str) -> Option<&'a Directive> {
        let mut own = self.http.own().iter();
        own.find(|directive| directive.name == block && directive.arg(argument) == name)
    }

    /// The absolute path of a file of certificates or keys, as nginx resolves it.
    pub(super) fn file(&self, directive: &Directive, text: &str) -> Option<String> {
        if text.contains('$') || text.starts_with("data:") {
            self.refuse(directive, "a file whose name holds variables is not converted");
            return None;
        }
        if text.starts_with("engine:") || text.starts_with("store:") {
            self.refuse(directive, "keys of engines and stores cannot be read here: name a file");
            return None;
        }
        Some(self.folder.join(text).display().to_string())
    }

    /// The absolute path of a log or page.
    pub(super) fn prefixed(&self, directive: &Directive, text: &str) -> PathBuf {
        if Path::new(text).is_absolute() {
            return PathBuf::from(text);
        }
        let prefix = self.prefix.unwrap_or_else(|| {
            self.changed(
                directive,
                "this path is relative to nginx's prefix, and counts from the folder of the file here: `--prefix DIR` \
                 names another one",
            );
            self.folder
        });
        prefix.join(text)
    }

    /// How many blocks of PEM of this kind a file has; none if it cannot be read.
    pub(super) fn blocks(&self, path: &str, kind: &str) -> Option<usize> {
        let bytes = self.files.read(Path::new(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.matches(&format!("-----BEGIN {kind}-----")).count())
    }
}

/// Where a table comes from.
pub(super) fn source(directive: &Directive) -> Source {
    Source {
        path: directive.path.clone(),
        file: directive.file.as_deref().map(str::to_owned),
        spot: directive.spot,
    }
}
