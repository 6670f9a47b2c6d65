//! Files that the configuration file names with `include`: one file of several.
//!
//! In: the text of the main file. Out: the texts of all of them one behind the other, as if they were one, and
//! one table. Lists of tables (`[[routes]]`, `[[ssls]]`, ...) go on from file to file; every other key stands in
//! one file alone, because nobody could say which of two holds.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::describe::{Kind, ROOT};
use crate::place::Place;
use crate::problem::Problem;

/// More files are a mistake, such as a pattern that matches a whole disk.
pub(crate) const FILES_MAX: usize = 10_000;

/// The key.
const KEY: &str = "include";

/// A text of the key.
#[derive(Debug)]
pub(crate) struct IncludePattern {
    place: Place,
    field: String,
    text: String,
}

impl IncludePattern {
    /// What is wrong with it.
    pub(crate) fn problem(&self, message: String) -> Problem {
        const HELP: &str =
            "write the path of a file, or of a directory with a pattern: \"conf.d/*.toml\"";
        let (field, help) = (self.field.clone(), Some(HELP.to_owned()));
        Problem { place: self.place, field, message, help }
    }
}

/// What the main file includes, in its order. A value of another type is reported by whoever reads the table.
pub(crate) fn patterns(main: &DeTable<'_>) -> Vec<IncludePattern> {
    let Some(value) = main.get(KEY) else { return Vec::new() };
    let pattern = |value: &Spanned<DeValue<'_>>, field: String| {
        let text = value.get_ref().as_str()?.to_owned();
        Some(IncludePattern { place: Place::of(value.span()), field, text })
    };
    match value.get_ref() {
        DeValue::Array(list) => {
            let items = list.iter().enumerate();
            items.filter_map(|(at, item)| pattern(item, format!("{KEY}[{at}]"))).collect()
        }
        _ => pattern(value, KEY.to_owned()).into_iter().collect(),
    }
}

/// The files that a pattern means, by name. Only the last part of a path may hold `*`, `?` or `[`; no `*` matches
/// a name that begins with a dot.
///
/// # Errors
/// The path is none, or its directory cannot be read; in words.
pub(crate) fn files(pattern: &IncludePattern, main: &Path) -> Result<Vec<PathBuf>, String> {
    let text = pattern.text.as_str();
    if text.trim().is_empty() || text.contains("${env:") {
        return Err(format!("`{text}` is no path of a file"));
    }
    let written = Path::new(text);
    let name = written.file_name().and_then(|name| name.to_str());
    let (Some(name), Some(front)) = (name, written.parent()) else {
        return Err(format!("`{text}` is no path of a file"));
    };
    if front.to_string_lossy().contains(['*', '?', '[']) {
        return Err(format!("a directory in `{text}` is a pattern"));
    }
    // A name alone has an empty parent, which no system call takes.
    let base = main.parent().filter(|base| !base.as_os_str().is_empty());
    let directory = base.unwrap_or_else(|| Path::new(".")).join(front);
    let path = directory.join(name);
    if !name.contains(['*', '?', '[']) {
        return Ok(vec![path]);
    }
    let names = glob::Pattern::new(name)
        .map_err(|error| format!("`{text}` is no pattern: {}", error.msg))?;
    let cannot = |error: std::io::Error| {
        format!("the directory {} cannot be read: {error}", directory.display())
    };
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name();
        // A name that is not UTF-8 is compared as it would be shown, so that no file is passed over in silence.
        if names.matches_with(&name.to_string_lossy(), options) {
            found.push(entry.path());
        }
        if found.len() > FILES_MAX {
            return Err(format!("`{text}` matches more than {FILES_MAX} files"));
        }
    }
    found.sort();
    Ok(found)
}

/// Adds what stands in an included file, whose text begins at `offset` of all texts, to the table of those before
/// it. `at` says where a place is, in words.
pub(crate) fn merge<'i>(
    into: &mut DeTable<'i>,
    from: DeTable<'i>,
    offset: usize,
    at: &dyn Fn(Place) -> String,
) -> Vec<Problem> {
    let mut faults = Vec::new();
    for (name, value) in from {
        let (name, value) = (moved_name(name, offset), moved(value, offset));
        let key = name.get_ref().to_string();
        let fault = |message, help: &str| Problem {
            place: Place::of(name.span()),
            field: key.clone(),
            message,
            help: Some(help.to_owned()),
        };
        if key == KEY {
            let help = "name every file in the main one";
            faults.push(fault("an included file includes another".to_owned(), help));
            continue;
        }
        let Some(before) = into.get_mut(&*key) else {
            into.insert(name, value);
            continue;
        };
        let place = Place::of(before.span());
        let listed = ROOT.key(&key).is_some_and(|key| matches!(key.kind, Kind::Tables(_)));
        match (before.get_mut(), value.into_inner()) {
            (DeValue::Array(before), DeValue::Array(more)) if listed => {
                more.into_iter().for_each(|item| before.push(item));
            }
            _ => {
                let message = format!("`{key}` stands in {} already", at(place));
                faults
                    .push(fault(message, "lists of tables go on from file to file, others do not"));
            }
        }
    }
    faults
}

/// The same value at the place that it has in all texts together.
fn moved<'i>(value: Spanned<DeValue<'i>>, offset: usize) -> Spanned<DeValue<'i>> {
    let span = value.span();
    let inner = match value.into_inner() {
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|item| moved(item, offset)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(name, value)| (moved_name(name, offset), moved(value, offset)))
                .collect(),
        ),
        other => other,
    };
    Spanned::new(span.start + offset..span.end + offset, inner)
}

fn moved_name<T>(name: Spanned<T>, offset: usize) -> Spanned<T> {
    let span = name.span();
    Spanned::new(span.start + offset..span.end + offset, name.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests run in the directory of the crate.
    #[test]
    fn a_main_file_without_a_directory_is_in_the_current_one() {
        let text = "Cargo.t?ml".to_owned();
        let pattern = IncludePattern { place: Place::default(), field: String::new(), text };
        assert_eq!(files(&pattern, Path::new("ferrule.toml")), Ok(vec!["./Cargo.toml".into()]));
    }
}
