//! The documentation against the tree: links lead somewhere, paths exist, examples load.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ferrule_tests::source_dir;

use super::none;

/// The Markdown files for readers, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let top = source_dir();
    let mut found = Vec::new();
    for dir in ["", "docs", "docs/guides", "tests"] {
        for entry in fs::read_dir(top.join(dir)).expect("a directory") {
            let path = entry.expect("a directory entry").path();
            if path.extension().is_some_and(|end| end == "md") {
                let text = fs::read_to_string(&path).expect("text");
                found.push((path.strip_prefix(&top).expect("below the top").to_path_buf(), text));
            }
        }
    }
    found.sort();
    found
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The anchor that a heading gets: lower case, words joined by `-`, no other marks.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().chars().filter_map(|mark| match mark {
        ' ' => Some('-'),
        mark if mark.is_alphanumeric() || mark == '-' || mark == '_' => Some(mark),
        _ => None,
    });
    letters.collect::<String>().to_lowercase()
}

fn anchors(text: &str) -> BTreeSet<String> {
    prose(text).filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// The targets of links and pictures.
fn targets(text: &str) -> Vec<&str> {
    let rests = prose(text).flat_map(|line| line.split("](").skip(1));
    rests.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn links_lead_somewhere() {
    let top = source_dir();
    let mut findings = Vec::new();
    for (path, text) in documents() {
        let dir = path.parent().unwrap_or_else(|| Path::new(""));
        for target in targets(&text).into_iter().filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let found = if file.is_empty() { top.join(&path) } else { top.join(dir).join(file) };
            let there = found.exists()
                && (heading.is_empty()
                    || fs::read_to_string(&found)
                        .is_ok_and(|text| anchors(&text).contains(heading)));
            if !there {
                findings.push(format!("{}: {target}", path.display()));
            }
        }
    }
    none("links that lead nowhere", &findings);
}

/// A path in backticks that begins with one of our directories is a file or a directory, or what a
/// glob stands for.
#[test]
fn paths_that_are_named_exist() {
    let top = source_dir();
    let mut findings = Vec::new();
    for (path, text) in documents() {
        for named in prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let room = named.split('/').next().unwrap_or_default();
            let ours = ["bench", "config", "docs", "engine", "tests", "tools"].contains(&room);
            let is_path = named.contains('/') && !named.contains([' ', '*']);
            if ours && is_path && !top.join(named).exists() {
                findings.push(format!("{}: {named}", path.display()));
            }
        }
    }
    none("paths that do not exist", &findings);
}

/// Every `--test` and `--bin` of a command is one of ours.
#[test]
fn targets_that_are_named_exist() {
    let top = source_dir();
    let exists = |dir: &str, name: &str| {
        top.join(dir).join(name).exists() || top.join(dir).join(format!("{name}.rs")).exists()
    };
    let binary = |name: &str| {
        name == "ferrule" || exists("tools/src/bin", name) || exists("bench/src/bin", name)
    };
    let mut findings = Vec::new();
    for (path, text) in documents() {
        let words: Vec<&str> = text.split([' ', '\n', '`']).collect();
        for pair in words.windows(2) {
            let [option, name] = pair else { continue };
            let there = match *option {
                "--test" => exists("tests/tests", name),
                "--bin" => binary(name),
                _ => true,
            };
            if !there {
                findings.push(format!("{}: {option} {name}", path.display()));
            }
        }
    }
    none("targets that do not exist", &findings);
}

/// What a newcomer pastes works: every configuration with a listener in the documentation, but for the
/// files that it names.
#[test]
fn whole_configurations_load() {
    let mut findings = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        let blocks = text.split("```").skip(1).step_by(2);
        let whole = blocks.filter_map(|block| {
            let begin = block.find("'TOML'\n").map(|at| at + 7);
            let begin = begin.or_else(|| block.starts_with("toml\n").then_some(5))?;
            let body = block.get(begin..)?;
            Some(body.split("\nTOML\n").next().unwrap_or(body))
        });
        for body in whole.filter(|body| body.contains("[[listen]]") && body.contains("[[routes]]"))
        {
            count += 1;
            let draft = ferrule_config::read_text(
                &source_dir().join("docs/example.toml"),
                body.to_owned(),
                &|_| None,
            );
            match draft {
                Ok(draft) if draft.problems.is_empty() => {}
                Ok(draft) => findings.push(format!("{}:\n{}", path.display(), draft.problems)),
                Err(problems) => findings.push(format!("{}:\n{problems}", path.display())),
            }
        }
    }
    none("configurations that do not load", &findings);
    assert!(count >= 2, "the README and the first hour have one each");
}
