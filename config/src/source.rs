//! The text of the configuration file, for showing where a problem is.
//!
//! In: the file's name and text, and the places of its secrets. Out: lines and columns, and lines
//! that are safe to show: private keys are masked by their PEM markers, and what stands behind the name
//! of a header that holds credentials, even where nothing else is known about the text (in a file that is
//! not TOML, or under a key that does not exist).

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::place::Place;

/// What stands in front of the type of every PEM block.
const BEGIN: &str = "-----BEGIN ";
/// What stands in front of the type of every PEM block's last line.
const END: &str = "-----END ";

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

/// A file and its text.
#[derive(Clone, Debug)]
pub(crate) struct FileText {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A file of the configuration.
#[derive(Clone, Debug)]
struct SourceFile {
    path: PathBuf,
    /// Where its text begins.
    start: usize,
    /// Its first private key.
    private_key: Option<Place>,
}

/// The names of the files, and their texts one behind the other with every secret masked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// In the order of their texts; the main one first.
    files: Vec<SourceFile>,
    masked: String,
    /// Where each line starts. Masking moves none of them.
    line_starts: Vec<usize>,
}

/// Some whole lines of the file.
pub(crate) struct SourceLines<'s> {
    /// The number of the first one in its file, from 1.
    pub(crate) first: usize,
    /// Where it starts.
    pub(crate) start: usize,
    pub(crate) text: &'s str,
}

impl Source {
    pub(crate) fn new(file: &Path, text: &str) -> Self {
        Self::of(&[&FileText { path: file.to_owned(), text: text.to_owned() }])
    }

    /// Of the main file and those that it includes.
    pub(crate) fn of(texts: &[&FileText]) -> Self {
        let masked = joined(texts).into_owned();
        let line_ends = masked.match_indices('\n').map(|(at, _)| at);
        let line_starts = [0].into_iter().chain(line_ends.map(|at| at + 1)).collect();
        let (mut files, mut start) = (Vec::with_capacity(texts.len()), 0);
        for file in texts {
            files.push(SourceFile { path: file.path.clone(), start, private_key: None });
            start += len_of(file);
        }
        let mut source = Self { files, masked, line_starts };
        for place in private_keys(&joined(texts)) {
            let number = source.file_number(place);
            if let Some(file) = source.files.get_mut(number) {
                file.private_key.get_or_insert(place);
            }
            source.mask(place);
        }
        source.mask_lines(credentials_from);
        source
    }

    /// Replaces what is there by stars, byte for byte, so that places and lines stay.
    pub(crate) fn mask(&mut self, place: Place) {
        let range = place.start as usize..place.end as usize;
        let Some(secret) = self.masked.get(range.clone()) else { return };
        let stars =
            secret.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { byte } else { b'*' });
        let stars: String = stars.map(char::from).collect();
        self.masked.replace_range(range, &stars);
    }

    /// Was this masked, or a part of it?
    pub(crate) fn is_masked(&self, place: Place, written: &str) -> bool {
        self.masked.get(place.start as usize..place.end as usize) != Some(written)
    }

    /// Masks what may be a secret in a text that nobody can read: whatever stands behind a
    /// name that sounds secret on its line, and what looks like DER in base64.
    pub(crate) fn mask_unread(&mut self) {
        self.mask_lines(secret_from);
    }

    /// Masks each line from where `secret` says.
    fn mask_lines(&mut self, secret: fn(&str) -> Option<usize>) {
        let (mut start, mut places) = (0, Vec::new());
        for line in self.masked.split_inclusive('\n') {
            places.extend(secret(line).map(|at| Place::of(start + at..start + line.len())));
            start += line.len();
        }
        places.into_iter().for_each(|place| self.mask(place));
    }

    /// The file that a place is in.
    pub(crate) fn file_of(&self, place: Place) -> &Path {
        self.files.get(self.file_number(place)).map_or_else(|| Path::new(""), |file| &file.path)
    }

    /// Its number: the main one is 0.
    pub(crate) fn file_number(&self, place: Place) -> usize {
        self.files.partition_point(|file| file.start <= place.start as usize).saturating_sub(1)
    }

    /// The first private key that stands in a file.
    pub(crate) fn private_key(&self, file_number: usize) -> Option<Place> {
        self.files.get(file_number)?.private_key
    }

    /// The number of the first line of the file that this byte is in, less one.
    fn lines_before(&self, byte: usize) -> usize {
        let file = self.files.iter().rev().find(|file| file.start <= byte);
        file.map_or(0, |file| self.line_number(file.start) - 1)
    }

    /// The text; every secret that was made known is masked.
    pub(crate) fn masked(&self) -> &str {
        &self.masked
    }

    /// Where the place starts.
    pub(crate) fn position(&self, place: Place) -> Position {
        let front = self.front(place);
        let line = self.line_number(front.len());
        Position {
            line: line - self.lines_before(place.start as usize),
            column: front.get(self.line_start(line)..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The line the place starts in.
    pub(crate) fn line(&self, place: Place) -> &str {
        let start = self.front(place).rfind('\n').map_or(0, |feed| feed + 1);
        let line = self.masked.get(start..).unwrap_or_default();
        line.lines().next().unwrap_or_default()
    }

    /// The number, from 1, of the line of all texts that this byte is in.
    fn line_number(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte).max(1)
    }

    fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line - 1).copied().unwrap_or_default()
    }

    /// The lines that these bytes are in.
    pub(crate) fn lines_of(&self, bytes: &Range<usize>) -> SourceLines<'_> {
        let first = self.line_number(bytes.start);
        let start = self.line_start(first);
        let rest = self.masked.get(bytes.end.max(start)..).unwrap_or_default();
        let end = self.masked.len() - rest.len() + rest.find('\n').unwrap_or(rest.len());
        let first = first - self.lines_before(bytes.start);
        SourceLines { first, start, text: self.masked.get(start..end).unwrap_or_default() }
    }

    fn front(&self, place: Place) -> &str {
        let end = self.masked.floor_char_boundary(place.start as usize);
        self.masked.get(..end).unwrap_or(&self.masked)
    }
}

/// The texts as one. Each begins a line.
pub(crate) fn joined<'t>(texts: &[&'t FileText]) -> Cow<'t, str> {
    if let [one] = texts {
        return Cow::Borrowed(&one.text);
    }
    let mut all = String::with_capacity(texts.iter().map(|file| len_of(file)).sum());
    for file in texts {
        all.push_str(&file.text);
        all.push('\n');
    }
    Cow::Owned(all)
}

/// How long a text is among several: a line feed follows it, whether it ends in one or not.
pub(crate) const fn len_of(file: &FileText) -> usize {
    file.text.len() + 1
}

/// Is it a path, and surely no secret? In doubt it is none: a path begins as one, or is one name with the
/// extension of a certificate, a key or a list.
pub(crate) fn is_path(text: &str) -> bool {
    const STARTS: [&str; 4] = ["/", "./", "../", "~/"];
    const EXTENSIONS: [&str; 14] = [
        "cer", "cert", "conf", "crl", "crt", "csr", "der", "json", "key", "p8", "pem", "pub",
        "toml", "txt",
    ];
    const LEN_MAX: usize = 255;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-@~".contains(&byte);
    let extension = text.rsplit_once('.').filter(|(name, _)| !name.is_empty());
    let named = extension.is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
    let begins = STARTS.iter().any(|start| text.starts_with(start));
    text.len() <= LEN_MAX
        && text.bytes().all(legal)
        && (named || (begins && !text.split('/').any(is_random)))
}

/// Is the value of a key that sounds secret the path of the secret? A password may look like a path, too; a
/// key that is named for a file or a key holds one.
pub(crate) fn names_path(name: &str, text: &str) -> bool {
    const PARTS: [&str; 3] = ["file", "key", "path"];
    let lower = name.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part)) && is_path(text)
}

/// Letters and digits as chance gives them: a token, or a part of one in base64.
fn is_random(part: &str) -> bool {
    const BYTES_MIN: usize = 12;
    part.len() >= BYTES_MIN
        && part.bytes().any(|byte| byte.is_ascii_uppercase())
        && part.bytes().any(|byte| byte.is_ascii_digit())
}

/// Does the name of a key or of a header say that its value is nobody's business?
pub(crate) fn sounds_secret(name: &str) -> bool {
    const PARTS: [&str; 11] = [
        "auth",
        "bearer",
        "cookie",
        "credential",
        "key",
        "pass",
        "private",
        "psk",
        "pwd",
        "secret",
        "token",
    ];
    // Part of other words, too.
    const WORDS: [&str; 1] = ["pin"];
    let lower = name.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
        || lower
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| WORDS.contains(&word))
}

/// Where the credentials of a header may begin in this line, however they are written there: behind
/// `Authorization` and `Cookie` whatever follows, and behind other names of headers what is given to them.
fn credentials_from(line: &str) -> Option<usize> {
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$' | b'.');
    // Each of these names has a hyphen, or a letter that is seldom: most lines end here.
    if !line.bytes().any(|byte| matches!(byte, b'-' | b'k' | b'K' | b'z' | b'Z')) {
        return None;
    }
    let mut start = 0;
    line.as_bytes().split(|byte| !is_name(*byte)).find_map(|token| {
        let from = start;
        start += token.len() + 1;
        // Keys and variables have an underscore; what has a dot is a path of keys, or a host.
        let text = str::from_utf8(token).ok().filter(|text| !text.contains(['_', '$']))?;
        let (at, name) =
            text.rsplit_once('.').map_or((0, text), |(_, name)| (text.len() - name.len(), name));
        let end = from + at + name.len();
        let known = ["authorization", "cookie"].iter().any(|known| {
            let start = name.len().checked_sub(known.len());
            let last = start.and_then(|start| name.get(start..));
            last.is_some_and(|last| last.eq_ignore_ascii_case(known))
        });
        let given = || {
            let behind = line.get(end..).unwrap_or_default();
            behind.trim_start_matches(['"', '\'', ' ', '\t']).starts_with([':', '='])
        };
        (known || (name.contains('-') && given() && sounds_secret(name))).then_some(end)
    })
}

/// Where a secret may begin in this line.
fn secret_from(line: &str) -> Option<usize> {
    const DER_BYTES_MIN: usize = 24;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let behind_name = line.match_indices('=').find_map(|(at, _)| {
        let front = line.get(..at)?.trim_end().trim_end_matches(['"', '\'']);
        let start = front.bytes().rposition(|byte| !is_name(byte)).map_or(0, |at| at + 1);
        let (name, text) = (front.get(start..)?, first_text(line.get(at + 1..)?));
        let secret = sounds_secret(name) && !names_path(name, text);
        secret.then_some(at + 1)
    });
    let in_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let der = line.match_indices('M').map(|(at, _)| at).find(|at| {
        let rest = line.as_bytes().get(*at..).unwrap_or_default();
        rest.iter().take_while(|byte| in_base64(byte)).count() >= DER_BYTES_MIN
    });
    behind_name.into_iter().chain(der).min()
}

/// The first text behind an equals sign, without its quotes; one that does not end is everything.
fn first_text(behind: &str) -> &str {
    let behind = behind.trim();
    let Some(quote) = behind.chars().next().filter(|letter| matches!(letter, '"' | '\'')) else {
        return behind;
    };
    let inner = behind.trim_start_matches(quote);
    inner.split_once(quote).map_or(behind, |(text, _)| text)
}

/// Where PEM blocks of private keys are. One without an end reaches to the end of the text.
pub(crate) fn private_keys(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut offset = 0;
    while let Some(begin) = text.get(offset..).and_then(|rest| rest.find(BEGIN)) {
        let start = offset + begin;
        let rest = text.get(start + BEGIN.len()..).unwrap_or_default();
        let kind = rest.split("-----").next().unwrap_or_default();
        let len = rest.find(END).map_or(rest.len(), |end| end);
        if kind.contains("PRIVATE KEY") {
            places.push(Place::of(start + BEGIN.len()..start + BEGIN.len() + len));
        }
        offset = start + BEGIN.len() + len.min(kind.len());
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_and_in_characters() {
        let source = Source::new(Path::new("f"), "ab\n\u{e4}\u{f6}x = 1\n");
        let at = |start| source.position(Place { start, end: start + 1 });
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(3), Position { line: 2, column: 1 });
        assert_eq!(at(7), Position { line: 2, column: 3 });
        assert_eq!(at(999), Position { line: 3, column: 1 });
        assert_eq!(source.line(Place { start: 7, end: 8 }), "\u{e4}\u{f6}x = 1");
    }

    #[test]
    fn paths_are_told_from_secrets() {
        for path in [
            "/etc/ferrule/server.key",
            "server.key",
            "./a",
            "../keys/API-2026.pem",
            "/run/secrets/tls_key",
            "~/ca.key",
        ] {
            assert!(is_path(path), "{path}");
        }
        for secret in [
            "",
            "k",
            "hunter2",
            "TOPSECRET",
            ".key",
            "q83vEjRWeJq83v/jRWeJASNFZ4kKs=",
            "/q83vEjRWeJq83v/jRWeJASNFZ4kKs",
            "/etc/x.key TOPSECRET",
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
            "-----BEGIN PRIVATE KEY-----",
            "/a\nTOPSECRET",
        ] {
            assert!(!is_path(secret), "{secret}");
        }
    }

    #[test]
    fn private_keys_are_masked_and_certificates_are_not() {
        let text = "a\n-----BEGIN CERTIFICATE-----\nPUB\n-----END CERTIFICATE-----\n\
                    -----BEGIN EC PRIVATE KEY-----\nSECRET\n-----END EC PRIVATE KEY-----\nb";
        let source = Source::new(Path::new("f"), text);
        assert!(source.masked().contains("PUB") && source.masked().ends_with("\nb"));
        assert!(!source.masked().contains("SECRET"));
        assert_eq!(source.masked().len(), text.len());
        let cut = Source::new(Path::new("f"), "k = '-----BEGIN PRIVATE KEY-----\nSECRET");
        assert!(!cut.masked().contains("SECRET"));
    }
}
