//! The storeys of the shell: each knows only those below it.

use std::path::Path;

use super::{code, none, rooms_named, sources};

/// From the bottom; the files beside these folders (accept, worker) may use all of them.
const STOREYS: [&str; 4] = ["transport", "state", "client", "request"];

/// Rooms that the lowest storey does not know: it moves bytes, whatever they mean.
const NOT_IN_TRANSPORT: [&str; 3] = ["wire", "identity", "exchange"];

/// The storey of a file, counted from the bottom.
fn storey(path: &Path) -> Option<usize> {
    let inside = path.strip_prefix("engine/src/shell").ok()?;
    let first = inside.iter().next()?;
    Some(STOREYS.iter().position(|storey| first == *storey).unwrap_or(STOREYS.len()))
}

/// What a line names right behind `shell::`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::shell::")
        .skip(1)
        .filter_map(|rest| rest.split(|mark: char| !(mark.is_alphanumeric() || mark == '_')).next())
}

#[test]
fn a_storey_of_the_shell_uses_only_those_below_it() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let Some(own) = storey(&path).filter(|own| *own < STOREYS.len()) else { continue };
        for (at, line) in code(&text) {
            for name in named(line) {
                let other = STOREYS.iter().position(|storey| *storey == name);
                if other.is_none_or(|other| other > own) {
                    findings.push(format!("{}:{at}: uses {name}", path.display()));
                }
            }
            if own == 0 && rooms_named(line).iter().any(|room| NOT_IN_TRANSPORT.contains(room)) {
                findings.push(format!("{}:{at}: {}", path.display(), line.trim()));
            }
        }
    }
    none("storeys that know what is above them", &findings);
}
