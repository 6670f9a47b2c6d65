//! What a description of the file is made of: tables, their keys, what each takes and what holds without it.

use std::time::Duration;

use super::refused::Refused;

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its path without indices, as `ssls.client`: unique.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) doc: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
    /// Keys that are known, and refused.
    pub(crate) refused: &'static [Refused],
}

impl Table {
    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Must it be there, and what holds if it is not?
    pub(crate) need: Need,
    /// What it means.
    pub(crate) doc: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Text that stands for itself.
    Text,
    /// Text, or a list of texts.
    Texts,
    /// Likewise; a list without one says the same as no list, and gives nobody more.
    TextsOrNone,
    /// Text that is never shown: a private key.
    Secret,
    /// A list of such texts.
    Secrets,
    /// Text with `$variables`.
    Template,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Int(i64, i64),
    /// A list of such numbers.
    Ints(i64, i64),
    /// Such a number, or `"auto"`.
    AutoInt(i64, i64),
    /// A number with at most three digits behind its point, from the first to the second in thousandths.
    Decimal(u64, u64),
    /// A duration as text, more than nothing.
    Duration,
    /// A duration as text, perhaps nothing, and at most a day.
    Skew,
    /// A duration as text, or a number of seconds; more than nothing.
    Seconds,
    /// A size as text or a number of bytes, from the first to the second.
    Size(u64, u64),
    /// One of these words.
    Word(&'static Words),
    /// Some of these words.
    Words(&'static Words),
    /// A short name or a number.
    Id,
    /// A table.
    Table(&'static Table),
    /// A table, or text for its key of this name.
    Short(&'static Table, &'static str),
    /// A list of tables.
    Tables(&'static Table),
    /// A table, or a list of tables.
    TableOrTables(&'static Table),
    /// A table of free names and texts.
    Labels,
    /// A table of free names, each with a text or a list of texts.
    Lists,
    /// A table of field names and templates; with `true`, a template may be a list of them.
    Fields(bool),
    /// A table of these keys, and of field names and templates beside them.
    Identity(&'static Table),
    /// A list of client matches: a text, or a list of texts that must all hold.
    Matches,
    /// A list of conditions, nested.
    Conditions,
    /// A table `"host:port" = weight`, or a list of tables.
    Nodes(&'static Table),
}

/// The words a key takes, and those it is known not to take.
#[derive(Debug)]
pub(crate) struct Words {
    /// The words.
    pub(crate) words: &'static [&'static str],
    /// Words that are known, and refused.
    pub(crate) refused: &'static [Refused],
}

/// Must a key be there?
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// Yes.
    Required,
    /// No. The text says what holds without it.
    Optional(&'static str),
    /// No; this holds without it.
    Default(Fallback),
}

/// A default value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fallback {
    /// Of a flag.
    Flag(bool),
    /// Of a number.
    Int(i64),
    /// Of a duration.
    Duration(Duration),
    /// Of a size.
    Size(u64),
    /// Of a word or a text.
    Text(&'static str),
}

pub(super) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, need: Need::Required, doc }
}

pub(super) const fn optional(
    name: &'static str,
    kind: Kind,
    without: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, need: Need::Optional(without), doc }
}

pub(super) const fn flag(name: &'static str, default: bool, doc: &'static str) -> Key {
    Key { name, kind: Kind::Flag, need: Need::Default(Fallback::Flag(default)), doc }
}

pub(super) const fn duration(name: &'static str, default: Duration, doc: &'static str) -> Key {
    Key { name, kind: Kind::Duration, need: Need::Default(Fallback::Duration(default)), doc }
}

pub(super) const fn seconds(name: &'static str, default: Duration, doc: &'static str) -> Key {
    Key { name, kind: Kind::Seconds, need: Need::Default(Fallback::Duration(default)), doc }
}

pub(super) const fn with(
    name: &'static str,
    kind: Kind,
    default: Fallback,
    doc: &'static str,
) -> Key {
    Key { name, kind, need: Need::Default(default), doc }
}
