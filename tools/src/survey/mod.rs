//! Figures of the house: how large files and functions are, who uses whom, and what
//! is named or written twice.
//!
//! It reads the syntax of `config`, `engine`, `tools` and `tests`; tests at the end of a file do not count. The
//! house test holds what must be none.

mod items;
mod passages;
mod picture;
mod source;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

pub use self::items::Found;
use self::items::{Items, items};
pub use self::passages::Passage;
use self::passages::passages;
pub use self::picture::picture;
use self::source::{Source, sources, test_sources};
use self::uses::{circles, uses};

/// Functions of more lines are counted.
const LONG: usize = 40;
/// Functions of more lines are too long.
const TOO_LONG: usize = 70;

/// The longest file of a room.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct LongestFile {
    /// Its lines.
    pub lines: usize,
    /// Its path.
    pub file: String,
}

/// Figures of one room: a folder or file of a crate's sources.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// How many files it has.
    pub files: usize,
    /// The longest one, its tests included.
    pub longest: LongestFile,
    /// Functions of more than 40 lines.
    pub long: usize,
    /// Functions of more than 70 lines.
    pub too_long: usize,
    /// Items, methods and fields that are `pub`.
    pub public: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By crate and room: `engine/shell`.
    pub rooms: BTreeMap<String, Room>,
    /// Sets of files that use each other: `engine: shell/a, shell/b`.
    pub circles: Vec<String>,
    /// Functions of more than 70 lines.
    pub too_long: Vec<Found>,
    /// Passages that stand in the sources twice.
    pub passages: Vec<Passage>,
    /// Parameters that are tuples.
    pub tuple_parameters: Vec<Found>,
    /// Fields that hold tuples.
    pub tuple_fields: Vec<Found>,
    /// Types whose name exists twice in their crate.
    pub twice: Vec<Found>,
}

/// Looks at the sources below `top`.
///
/// # Panics
/// A file cannot be read, or is no Rust.
#[must_use]
pub fn survey(top: &Path) -> Survey {
    let sources = sources(top);
    let mut survey = Survey::default();
    let mut types: BTreeMap<(&str, String), Vec<Found>> = BTreeMap::new();
    for source in &sources {
        let items = items(source);
        note_room(survey.rooms.entry(source.room()).or_default(), source, &items);
        let too_long = items.functions.into_iter().filter(|it| it.lines > TOO_LONG);
        survey.too_long.extend(too_long.map(|it| it.found));
        survey.tuple_parameters.extend(items.tuple_parameters);
        survey.tuple_fields.extend(items.tuple_fields);
        for found in items.types {
            types.entry((&source.krate, found.name.clone())).or_default().push(found);
        }
    }
    survey.twice = types.into_values().filter(|same| same.len() > 1).flatten().collect();
    let all: Vec<Source> = sources.into_iter().chain(test_sources(top)).collect();
    let crates: BTreeSet<&str> = all.iter().map(|source| source.krate.as_str()).collect();
    for krate in crates {
        let own: Vec<&Source> = all.iter().filter(|source| source.krate == krate).collect();
        for circle in circles(&uses(&own)) {
            let names: Vec<String> = circle.iter().map(|module| module.join("/")).collect();
            survey.circles.push(format!("{krate}: {}", names.join(", ")));
        }
    }
    survey.passages = passages(&all);
    survey
}

fn note_room(room: &mut Room, source: &Source, items: &Items) {
    room.files += 1;
    let (lines, file) = (source.text.lines().count(), source.path.display().to_string());
    room.longest = room.longest.clone().max(LongestFile { lines, file });
    room.long += items.functions.iter().filter(|it| it.lines > LONG).count();
    room.too_long += items.functions.iter().filter(|it| it.lines > TOO_LONG).count();
    room.public += items.public;
}

impl fmt::Display for Survey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "| room | files | longest file | functions > {LONG} | > {TOO_LONG} | `pub` |"
        )?;
        writeln!(out, "| --- | --: | --- | --: | --: | --: |")?;
        for (name, room) in &self.rooms {
            let LongestFile { lines, file } = &room.longest;
            let Room { files, long, too_long, public, .. } = room;
            writeln!(
                out,
                "| {name} | {files} | {file}: {lines} | {long} | {too_long} | {public} |"
            )?;
        }
        writeln!(out, "\n## Circles of files: {}\n", self.circles.len())?;
        self.circles.iter().try_for_each(|circle| writeln!(out, "* {circle}"))?;
        writeln!(out, "\n## Passages that stand here twice: {}\n", self.passages.len())?;
        self.passages.iter().try_for_each(|passage| writeln!(out, "* {passage}"))?;
        for (what, found) in [
            ("Functions of more than 70 lines", &self.too_long),
            ("Parameters that are tuples", &self.tuple_parameters),
            ("Fields that hold tuples", &self.tuple_fields),
            ("Types whose name exists twice in a crate", &self.twice),
        ] {
            writeln!(out, "\n## {what}: {}\n", found.len())?;
            found.iter().try_for_each(|found| writeln!(out, "* {found}"))?;
        }
        Ok(())
    }
}
