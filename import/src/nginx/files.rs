//! The files that a configuration includes, and nginx's patterns for them.

use std::path::{Component, Path, PathBuf};

use crate::document::LIMITS;

/// Where included files, and the authorities that are counted, are read.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// It cannot be read, or is too large; in words.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The names in a folder, in any order; none if it cannot be read.
    fn names(&self, folder: &Path) -> Vec<String>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let limit = u64::try_from(LIMITS.bytes).unwrap_or(u64::MAX);
        let file = ferrule_config::read_file(path, limit);
        file.map(|file| file.bytes).map_err(|error| error.to_string())
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

/// Is it a pattern, and not the name of one file?
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The files that a pattern names, sorted by name, as `glob(3)` does.
pub(super) fn matching(pattern: &Path, files: &dyn Files) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !matches!(part, Component::Normal(_)) || !is_pattern(&text) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for folder in &found {
            let mut names = files.names(folder);
            names.sort();
            let fits = |name: &String| {
                (!name.starts_with('.') || text.starts_with('.')) && fits(&text, name)
            };
            next.extend(names.into_iter().filter(fits).map(|name| folder.join(name)));
        }
        found = next;
    }
    found
}

/// Does a name fit a pattern of `*`, `?` and `[...]`?
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // Where the last `*` stands, and how much of the name it has taken: only that one is ever tried again.
    let (mut at, mut read) = (0_usize, 0_usize);
    let mut star: Option<Star> = None;
    while let Some(mark) = name.get(read) {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some(Star { behind: at.saturating_add(1), taken: read });
                at = at.saturating_add(1);
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(pattern.get(at..).unwrap_or_default(), *mark),
            Some('\\') => (pattern.get(at.saturating_add(1)) == Some(mark)).then_some(2),
            Some(other) => (other == mark).then_some(1),
            None => None,
        };
        match (step, &mut star) {
            (Some(step), _) => {
                at = at.saturating_add(step);
                read = read.saturating_add(1);
            }
            (None, Some(star)) => {
                star.taken = star.taken.saturating_add(1);
                (at, read) = (star.behind, star.taken);
            }
            (None, None) => return false,
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|mark| *mark == '*')
}

/// A `*` and what it has taken.
struct Star {
    behind: usize,
    taken: usize,
}

/// The length of the class at the front, if it holds this character.
fn class(pattern: &[char], mark: char) -> Option<usize> {
    let inner = pattern.get(1..)?;
    let negated = matches!(inner.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    // A `]` right at the front is one of the class.
    let length = inner.iter().skip(begin.saturating_add(1)).position(|mark| *mark == ']')?;
    let end = begin.saturating_add(1).saturating_add(length);
    let members = inner.get(begin..end)?;
    let mut holds = false;
    let mut at = 0_usize;
    while let Some(low) = members.get(at) {
        let high = members.get(at.saturating_add(2));
        if members.get(at.saturating_add(1)) == Some(&'-')
            && let Some(high) = high
        {
            holds |= (*low..=*high).contains(&mark);
            at = at.saturating_add(3);
        } else {
            holds |= *low == mark;
            at = at.saturating_add(1);
        }
    }
    (holds != negated).then_some(end.saturating_add(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_glob() {
        for (pattern, name, wanted) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("?.conf", "ab.conf", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[!a-c]x", "dx", true),
            ("[]a]x", "]x", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
