//! The Rust files that are ours, each with its place in the tree of modules and its syntax.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, File, Item, Meta};

/// The crates that are looked at, and where their sources are.
const CRATES: [(&str, &str); 3] =
    [("config", "config/src"), ("engine", "engine/src"), ("tools", "tools/src")];

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    /// Below the top of the project.
    pub path: PathBuf,
    /// The crate it belongs to: `engine`.
    pub krate: String,
    /// Its module: `["shell", "reader"]`; empty for `lib.rs`.
    pub module: Vec<String>,
    /// Its text.
    pub text: String,
    /// What it says, without its tests.
    pub syntax: File,
}

impl Source {
    /// The folder (or file) of its crate that it is in: `engine/shell`.
    #[must_use]
    pub(super) fn room(&self) -> String {
        let first = self.module.first().map_or("(top)", String::as_str);
        format!("{}/{first}", self.krate)
    }
}

/// Every test binary's files, by path; of each its module in the binary that its name begins with.
///
/// # Panics
/// A file cannot be read, or is no Rust.
#[must_use]
pub(super) fn test_sources(top: &Path) -> Vec<Source> {
    let mut found = files_of("tests/src", "tests/src", top);
    for mut source in files_of("tests/tests", "tests/tests", top) {
        if !source.module.is_empty() {
            source.krate = format!("tests/{}", source.module.remove(0));
        }
        found.push(source);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Every file of `config`, `engine` and `tools`, by path.
///
/// # Panics
/// A file cannot be read, or is no Rust.
#[must_use]
pub(super) fn sources(top: &Path) -> Vec<Source> {
    let mut found: Vec<Source> =
        CRATES.iter().flat_map(|(krate, dir)| files_of(krate, dir, top)).collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The files of one crate.
fn files_of(krate: &str, dir: &str, top: &Path) -> Vec<Source> {
    let root = top.join(dir);
    let mut files = Vec::new();
    walk(&root, &mut files);
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        let mut syntax = syn::parse_file(&text).expect("Rust");
        syntax.items.retain(|item| !is_test(item));
        Source {
            module: module(path.strip_prefix(&root).expect("below its crate")),
            path: path.strip_prefix(top).expect("below the top").to_path_buf(),
            krate: krate.to_owned(),
            text,
            syntax,
        }
    };
    files.into_iter().map(source).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn module(path: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        path.with_extension("").iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        names.pop();
    }
    names
}

fn is_test(item: &Item) -> bool {
    let Item::Mod(module) = item else { return false };
    module.attrs.iter().any(is_cfg_test)
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && list.tokens.to_string() == "test"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_module_of_its_path() {
        assert!(module(Path::new("lib.rs")).is_empty());
        assert_eq!(module(Path::new("shell/mod.rs")), ["shell"]);
        assert_eq!(module(Path::new("shell/reader.rs")), ["shell", "reader"]);
    }
}
