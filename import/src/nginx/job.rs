//! What all converters share: the source, where its relative paths count from, and what was said about it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::document::LIMITS;
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
    pub(super) upstreams: RefCell<MadeUpstreams>,
    /// Where in `http` each block of a name is, by the name of its directive and argument.
    pub(super) blocks: HashMap<String, &'a Directive>,
    /// Values that were made so far: what stands around a block, and each expression, is written into each route.
    pub(super) made: Cell<usize>,
    /// Expressions over the whole subject of those whom the route in the making refuses: attributes of theirs may be
    /// read in two ways.
    pub(super) doubts: RefCell<BTreeSet<String>>,
}

/// Upstreams that were made, in their order.
#[derive(Default)]
pub(super) struct MadeUpstreams {
    pub(super) list: Vec<MadeUpstream>,
    /// Their ids, by all that is said of them.
    pub(super) ids: HashMap<String, String>,
    pub(super) taken: HashSet<String>,
    /// The last number that a name got.
    pub(super) numbers: HashMap<String, usize>,
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

    /// Counts what is made; refused if it becomes too much, though its source is small.
    pub(super) fn spend(&self, directive: &Directive, values: usize) -> Result<(), Refused> {
        let made = self.made.get().saturating_add(values);
        if self.made.replace(made) <= LIMITS.nodes && made > LIMITS.nodes {
            let most = LIMITS.nodes;
            self.refuse(directive, format!(
                "the routes become more than {most} values: each location has a route for each expression, with all \
                 that is inherited"
            ));
        }
        if made > LIMITS.nodes { Err(Refused) } else { Ok(()) }
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
        self.blocks.get(&block_key(block, argument, name)).copied()
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

/// How many values a table holds.
pub(super) fn values(table: &toml::Table) -> usize {
    let of = |value: &toml::Value| match value {
        toml::Value::Table(inner) => values(inner),
        toml::Value::Array(list) => list.iter().map(|one| one.as_table().map_or(1, values)).sum(),
        _ => 1,
    };
    table.values().map(of).sum::<usize>().saturating_add(1)
}

fn block_key(block: &str, argument: usize, name: &str) -> String {
    format!("{block} {argument} {name}")
}

/// What of `http` others name, maps by the variable that they make; of two with one name the first.
pub(super) fn blocks(http: &[Directive]) -> HashMap<String, &Directive> {
    let mut all = HashMap::new();
    for one in http {
        let (at, names): (usize, Vec<String>) = match one.name.as_str() {
            "upstream" | "log_format" => (0, vec![one.arg(0).to_owned()]),
            "map" => {
                (1, one.arg(1).strip_prefix('$').map(str::to_ascii_lowercase).into_iter().collect())
            }
            "limit_req_zone" | "limit_conn_zone" => {
                let zones = one.texts().filter_map(|text| text.strip_prefix("zone="));
                (
                    1,
                    zones
                        .map(|zone| zone.split(':').next().unwrap_or_default().to_owned())
                        .collect(),
                )
            }
            _ => continue,
        };
        for name in names {
            all.entry(block_key(&one.name, at, &name)).or_insert(one);
        }
    }
    all
}

/// Where a table comes from.
pub(super) fn source(directive: &Directive) -> Source {
    Source {
        path: directive.path.clone(),
        file: directive.file.as_deref().map(str::to_owned),
        spot: directive.spot,
    }
}
