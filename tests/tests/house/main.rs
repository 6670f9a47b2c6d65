//! The house rules: a test that reads our own files.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

mod documents;
mod figures;
mod kit;
mod storeys;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ferrule_tests::source_dir;

/// Rooms of the engine by level, as in the map of `engine/src/lib.rs`.
const LEVELS: [(&str, u8); 11] = [
    ("wire", 1),
    ("identity", 1),
    ("plan", 2),
    ("exchange", 3),
    ("tls", 4),
    ("report", 4),
    ("health", 4),
    ("limits", 4),
    ("setup", 5),
    ("shell", 6),
    ("control", 6),
];

const CORE: [&str; 4] = ["wire", "identity", "plan", "exchange"];

const BANNED_NAMES: [&str; 6] = ["utils", "common", "helpers", "types", "traits", "misc"];

/// Every Rust file that is ours, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let top = source_dir();
    let mut found = Vec::new();
    for room in ["bench", "config", "engine", "import", "tests", "tools"] {
        walk(&top.join(room), &mut found);
    }
    let files = found.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    files
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file");
            (path.strip_prefix(&top).expect("below the top").to_path_buf(), text)
        })
        .collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "corpus", "artifacts", ".git"].contains(&name.as_str()) {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Fails with every finding, not only the first.
fn none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

/// The room of a file in `engine/src`.
fn room(path: &Path) -> Option<&'static str> {
    let inside = path.strip_prefix("engine/src").ok()?;
    let first = inside.iter().next()?.to_string_lossy().into_owned();
    let name = first.strip_suffix(".rs").unwrap_or(&first);
    LEVELS.iter().find(|(room, _)| *room == name).map(|(room, _)| *room)
}

fn level(room: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == room).map(|(_, level)| *level)
}

/// The lines that are neither comments nor behind `#[cfg(test)]`, counted from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = text.find("\n#[cfg(test)]\nmod ").unwrap_or(text.len());
    let lines = text.get(..tests).unwrap_or(text).lines();
    lines
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line))
}

/// Every room that a line names behind `crate::`, `crate::{a, b}` included.
fn rooms_named(line: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let words = rest.split(|mark: char| !(mark.is_alphanumeric() || mark == '_'));
        let group = rest.starts_with('{');
        for word in words.filter(|word| !word.is_empty()).take(if group { usize::MAX } else { 1 }) {
            found.extend(LEVELS.iter().filter(|(room, _)| *room == word).map(|(room, _)| *room));
        }
    }
    found
}

/// Nothing points upwards, and rooms on one level do not know each other.
#[test]
fn rooms_use_only_what_is_below_them() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let Some(own) = room(&path) else { continue };
        for (at, line) in code(&text) {
            for other in rooms_named(line) {
                if other != own && level(other) >= level(own) {
                    findings.push(format!("{}:{at}: {own} uses {other}", path.display()));
                }
            }
        }
    }
    none("arrows that point the wrong way", &findings);
}

/// What is read in one place alone: words, and the files that may use them.
struct Reading {
    what: &'static str,
    words: &'static [&'static str],
    may: &'static [&'static str],
}

const READINGS: [Reading; 6] = [
    // A FIFO, a device or a file without end must not hold the process up. The first opens a descriptor
    // to keep in reserve; the last reads the kernel's table of sockets, and of that only the beginning.
    Reading {
        what: "files: use ferrule_config::read_file",
        words: &[
            "fs::read(",
            "fs::read_to_string(",
            "File::open(",
            "OpenOptions",
            "load_native_certs",
        ],
        may: &[
            "engine/src/shell/state/load_shedding.rs",
            "config/src/file.rs",
            "engine/src/control/process/port_owners.rs",
        ],
    },
    Reading {
        what: "certificates: use identity::x509::certificate",
        words: &["x509_parser"],
        may: &["engine/src/identity/x509/certificate.rs"],
    },
    Reading {
        what: "PEM: use tls::pem, which drops nothing",
        words: &["PemObject", "pem_slice_iter", "from_pem"],
        may: &[],
    },
    Reading {
        what: "webpki's judgement: use identity::verify, which asks both",
        words: &[
            "EndEntityCert",
            "verify_for_usage",
            "WebPkiClientVerifier",
            "WebPkiServerVerifier",
        ],
        may: &["engine/src/identity/verify/webpki_check.rs"],
    },
    Reading {
        what: "heads: use wire::head, which is stricter",
        words: &["httparse::"],
        may: &["engine/src/wire/head.rs", "engine/src/wire/limits.rs"],
    },
    Reading {
        what: "paths: admit() reads them once, in every way",
        words: &["normalise_path(", "Readings::default"],
        // What a rewrite sends is another path, and is read as any that comes.
        may: &[
            "engine/src/wire/target.rs",
            "engine/src/exchange/request.rs",
            "engine/src/exchange/rewritten.rs",
        ],
    },
];

/// What decides who somebody is, where a request goes or what counts is read once, into one type: a second
/// reader of the same bytes is how doors are left open.
#[test]
fn what_decides_is_read_in_one_place() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let inside = ["config/src", "engine/src"].iter().any(|room| path.starts_with(room));
        if !inside || path.starts_with("engine/src/simulation") {
            continue;
        }
        for (at, line) in code(&text) {
            let second = READINGS.iter().filter(|reading| {
                reading.words.iter().any(|word| line.contains(word))
                    && !reading.may.iter().any(|may| path == Path::new(may))
            });
            findings.extend(second.map(|one| format!("{}:{at}: {}", path.display(), one.what)));
        }
    }
    none("second readers", &findings);
}

#[test]
fn rooms_are_found_in_every_spelling() {
    assert_eq!(rooms_named("use crate::wire::head::Head;"), ["wire"]);
    assert_eq!(rooms_named("use crate::{plan, wire::span};"), ["plan", "wire"]);
    assert_eq!(
        rooms_named("let x = crate::tls::thing(crate::report::other());"),
        ["tls", "report"]
    );
    assert!(rooms_named("use super::wire;").is_empty());
}

/// The map in `lib.rs` names every room, and every room is in the table here.
#[test]
fn the_map_is_complete() {
    let map = fs::read_to_string(source_dir().join("engine/src/lib.rs")).expect("the map");
    let missing: Vec<String> = LEVELS
        .iter()
        .filter(|(room, _)| !map.contains(&format!("`{room}`")))
        .map(|(room, _)| (*room).to_owned())
        .collect();
    none("rooms that the map does not name", &missing);
    let declared = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let unknown: Vec<String> =
        declared.filter(|room| level(room).is_none()).map(str::to_owned).collect();
    none("rooms without a level", &unknown);
}

/// The journey in `lib.rs` names files, and they are there.
#[test]
fn the_journey_leads_through_files_that_exist() {
    let top = source_dir().join("engine/src");
    let map = fs::read_to_string(top.join("lib.rs")).expect("the map");
    let docs = map.lines().filter(|line| line.starts_with("//!"));
    let named = docs.flat_map(|line| line.split('`').skip(1).step_by(2));
    let files: Vec<&str> = named.filter(|name| name.ends_with(".rs")).collect();
    assert!(files.len() >= 30, "the journey has {} files", files.len());
    let lost: Vec<String> =
        files.into_iter().filter(|file| !top.join(file).is_file()).map(str::to_owned).collect();
    none("files of the journey that are not there", &lost);
}

/// No clock, no file, no socket, no `async` from `wire` to `exchange`.
#[test]
fn the_core_is_pure() {
    const IMPURE: [&str; 9] = [
        "async fn",
        ".await",
        "monoio",
        "Instant::now",
        "SystemTime::now",
        "std::fs",
        "TcpStream",
        "TcpListener",
        "std::thread",
    ];
    let mut findings = Vec::new();
    for (path, text) in sources() {
        if !room(&path).is_some_and(|room| CORE.contains(&room)) {
            continue;
        }
        for (at, line) in code(&text) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                findings.push(format!("{}:{at}: {word}", path.display()));
            }
        }
    }
    none("impure lines in the core", &findings);
}

/// A request waits for no other core: no lock, and no atomic read-modify-write.
#[test]
fn nothing_is_locked_on_the_way_of_a_request() {
    const SHARED: [&str; 7] =
        ["Mutex", "RwLock", "Condvar", ".fetch_", "compare_exchange", "AtomicPtr", "LazyLock"];
    let mut findings = Vec::new();
    for (path, text) in sources() {
        if !room(&path).is_some_and(|room| CORE.contains(&room) || room == "shell") {
            continue;
        }
        for (at, line) in code(&text) {
            for word in SHARED.iter().filter(|word| line.contains(**word)) {
                findings.push(format!("{}:{at}: {word}", path.display()));
            }
        }
    }
    none("locks in the core or the shell", &findings);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > 500 {
            findings.push(format!("{}: {lines} lines", path.display()));
        }
        // A fuzz target begins with `#![no_main]`.
        if !text.lines().take(3).any(|line| line.starts_with("//!")) {
            findings.push(format!("{}: no module docs", path.display()));
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if BANNED_NAMES.contains(&name.as_str()) {
            findings.push(format!("{}: a name that says nothing", path.display()));
        }
    }
    none("files", &findings);
}

#[test]
fn nothing_is_left_behind() {
    // Put together here, so that this file does not find itself.
    let words = [
        ["db", "g!("],
        ["FIX", "ME"],
        ["XX", "X"],
        ["TO", "DO"],
        ["todo", "!("],
        ["unimplemented", "!("],
    ];
    let words: Vec<String> = words.iter().map(|halves| halves.concat()).collect();
    let mut findings = Vec::new();
    for (path, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                findings.push(format!("{}:{}: {word}", path.display(), at + 1));
            }
            if !line.is_ascii() || line.contains('\t') {
                findings.push(format!("{}:{}: not ASCII, or a tab", path.display(), at + 1));
            }
        }
    }
    none("leftovers", &findings);
}

/// `#[allow]` hides for ever; `#[expect]` with a reason does not.
#[test]
fn unsafe_code_is_where_it_may_be() {
    const MAY: [&str; 5] = [
        "engine/src/control/run/leaked_sockets.rs",
        "engine/src/control/run/reserved_signals.rs",
        "engine/src/shell/transport/buffers/buffer.rs",
        "engine/src/shell/transport/fd.rs",
        "tests/tests/no_alloc/counting.rs",
    ];
    let word = ["un", "safe "].concat();
    let mut findings = Vec::new();
    for (path, text) in sources() {
        if MAY.iter().any(|may| path == Path::new(may)) {
            continue;
        }
        for (at, line) in code(&text) {
            let start = line.trim_start();
            if start.starts_with(&word) || line.contains(&format!(" {word}{{")) {
                findings.push(format!("{}:{at}", path.display()));
            }
        }
    }
    none("unsafe code outside its five files", &findings);
}

#[test]
fn every_member_takes_the_lints_and_is_not_published() {
    let top = source_dir();
    let findings: Vec<String> = ["bench", "config", "engine", "import", "tests", "tools"]
        .iter()
        .filter(|room| {
            let text = fs::read_to_string(top.join(room).join("Cargo.toml")).expect("a manifest");
            !text.contains("[lints]\nworkspace = true")
                || !text.contains("publish.workspace = true")
        })
        .map(|room| (*room).to_owned())
        .collect();
    none("members without the workspace's lints, or with leave to publish", &findings);
}

#[test]
fn every_example_loads() {
    let mut count = 0;
    for entry in fs::read_dir(source_dir().join("config/examples")).expect("examples") {
        let path = entry.expect("a directory entry").path();
        let draft = ferrule_config::read(&path, &|_| Some(String::from("from-the-environment")));
        let draft = draft.unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        assert!(draft.problems.is_empty(), "{}:\n{}", path.display(), draft.problems);
        count += 1;
    }
    assert!(count >= 2, "both guides are examples");
}

/// What is generated is committed, so that it can be read without building anything.
#[test]
fn the_reference_is_up_to_date() {
    let docs = source_dir().join("docs");
    for (file, text) in [
        ("configuration.md", ferrule_config::reference()),
        ("configuration.schema.json", ferrule_config::schema()),
        ("metrics.md", ferrule_engine::control::metrics::catalogue::reference()),
    ] {
        let written = fs::read_to_string(docs.join(file)).unwrap_or_default();
        assert!(
            written == text,
            "docs/{file} is out of date; write it again with: cargo run -p ferrule-tools --bin docs"
        );
    }
}

/// A seed that only a fuzzer reads is a case that nobody checks.
#[test]
fn every_fuzz_seed_is_replayed_by_a_test() {
    let top = source_dir();
    let seeds = top.join("tests/fuzz/seeds");
    let Ok(targets) = fs::read_dir(&seeds) else { return };
    let tests: BTreeMap<PathBuf, String> =
        sources().into_iter().filter(|(path, _)| path.starts_with("tests/tests")).collect();
    let mut findings = Vec::new();
    for target in targets {
        let target = target.expect("a directory entry").path();
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let replays =
            |text: &String| text.contains("fuzz/seeds") && text.contains(&format!("\"{name}\""));
        if target.is_dir() && !tests.values().any(replays) {
            findings.push(name);
        }
    }
    none("seeds that no test replays", &findings);
}

/// The names of tests in the last column of a row, and all numbers of CVEs in the row, as in the
/// names of tests.
fn numbers_and_tests(row: &str) -> (Vec<String>, Vec<String>) {
    let words = row.split(|mark: char| mark.is_whitespace() || mark == ',' || mark == '|');
    let numbers = words.filter(|word| word.starts_with("CVE-"));
    let numbers = numbers.map(|word| word.to_lowercase().replace('-', "_")).collect();
    let last = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
    let tests = last.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    (numbers, tests)
}

/// What is written in `docs/cves.md` is tested, and what is tested under a number is written there.
#[test]
fn every_number_has_its_test() {
    let doc = fs::read_to_string(source_dir().join("docs/cves.md")).expect("the table");
    let mut tests = BTreeSet::new();
    for (_, text) in sources().iter().filter(|(path, _)| path.starts_with("tests/tests")) {
        for rest in text.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")) {
            let name: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            tests.insert(name);
        }
    }
    let mut findings = Vec::new();
    let mut written = Vec::new();
    for row in doc.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let (numbers, named) = numbers_and_tests(row);
        let unknown = named.iter().filter(|name| !tests.contains(*name));
        findings.extend(unknown.map(|name| format!("{name} is no test")));
        let lonely = numbers.iter().filter(|number| {
            !named
                .iter()
                .any(|name| name.strip_prefix(*number).is_some_and(|rest| rest.starts_with('_')))
        });
        findings.extend(lonely.map(|number| format!("{number} has no test of its name")));
        if named.is_empty() {
            findings.push(format!("no test in: {row}"));
        }
        written.extend(named);
    }
    for name in &tests {
        if name.starts_with("cve_") && !written.contains(name) {
            findings.push(format!("{name} is not in docs/cves.md"));
        }
    }
    none("numbers and tests that do not meet", &findings);
}
