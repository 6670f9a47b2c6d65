//! The storeys of the shell and of control: each folder knows only those below it.

use std::path::Path;

use super::{code, none, rooms_named, sources};

/// A room whose folders stand above each other.
struct House {
    room: &'static str,
    /// From the bottom; the files beside these folders may use all of them.
    storeys: &'static [&'static str],
}

const HOUSES: [House; 2] = [
    House { room: "shell", storeys: &["transport", "state", "client", "request"] },
    House {
        room: "control",
        storeys: &[
            "process",
            "logs",
            "names",
            "checks",
            "crl_fetch",
            "stores",
            "state",
            "metrics",
            "upgrade",
            "endpoints",
            "reload",
            "run",
            "cli",
        ],
    },
];

/// Rooms that the lowest storey of the shell does not know: it moves bytes, whatever they mean.
const NOT_IN_TRANSPORT: [&str; 3] = ["wire", "identity", "exchange"];

impl House {
    /// The storey of a file, counted from the bottom. `None` if it is not in one.
    fn storey(&self, path: &Path) -> Option<usize> {
        let inside = path.strip_prefix("engine/src").ok()?.strip_prefix(self.room).ok()?;
        let first = inside.iter().next()?;
        self.storeys.iter().position(|storey| first == *storey)
    }

    /// Whatever a line names of this room above the storey `own`.
    fn named_above<'l>(&self, line: &'l str, own: usize) -> Vec<&'l str> {
        let start = format!("crate::{}::", self.room);
        let names = line.split(&start).skip(1).filter_map(|rest| {
            rest.split(|mark: char| !(mark.is_alphanumeric() || mark == '_')).next()
        });
        let below = |name: &str| self.storeys.iter().take(own + 1).any(|storey| *storey == name);
        names.filter(|name| !below(name)).collect()
    }
}

#[test]
fn a_storey_uses_only_those_below_it() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        for house in &HOUSES {
            let Some(own) = house.storey(&path) else { continue };
            for (at, line) in code(&text) {
                for name in house.named_above(line, own) {
                    findings.push(format!("{}:{at}: uses {name}", path.display()));
                }
            }
        }
    }
    none("storeys that know what is above them", &findings);
}

#[test]
fn what_moves_bytes_knows_nothing_of_http() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        if !path.starts_with("engine/src/shell/transport") {
            continue;
        }
        for (at, line) in code(&text) {
            if rooms_named(line).iter().any(|room| NOT_IN_TRANSPORT.contains(room)) {
                findings.push(format!("{}:{at}: {}", path.display(), line.trim()));
            }
        }
    }
    none("HTTP in the storey of bytes", &findings);
}
