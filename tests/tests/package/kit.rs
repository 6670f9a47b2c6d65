//! Programs, their output, and files of the tree.

use std::fs;
use std::path::Path;

use ferrule_tests::{shell, source_dir};
use ferrule_tools::process::ferrule_binary;

/// Runs a script at the top of the tree, with `$ferrule` the binary and `$scratch` a directory; panics with its
/// output if it fails.
pub(crate) fn run(scratch: &Path, script: &str) -> String {
    let ferrule = ferrule_binary();
    let head = format!(
        "PATH=$PATH:/usr/sbin:/sbin; ferrule={}; scratch={}\n",
        ferrule.display(),
        scratch.display()
    );
    shell(&source_dir(), &format!("{head}{script}"))
}

/// A file of the tree.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(source_dir().join(path)).expect("a file of the tree")
}
