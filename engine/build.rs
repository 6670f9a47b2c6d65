//! Tells the binary which TLS libraries it holds: their versions as the lock file has them.

use std::path::Path;

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    for (package, variable) in [("rustls", "FERRULE_RUSTLS"), ("ring", "FERRULE_RING")] {
        let version = version_of(&text, package).unwrap_or("unknown");
        println!("cargo::rustc-env={variable}={version}");
    }
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");
}

/// The version in the lock file's entry of this name.
fn version_of<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}
