//! Parses PEM text into blocks (RFC 7468, as OpenSSL writes and reads it).
//!
//! In: the bytes of a file or of a value, and the kind of block that is expected. Out: every block of that
//! kind, in order, with its line number; or the first error, with its line number. Everything that begins or
//! looks like a block is either returned or an error. Text outside of blocks is a comment. Blocks of another
//! kind are skipped only where users commonly keep them in the same file ([`Contents`]).

mod base64;
mod flaw;
mod kind;
mod object;

use std::fmt;

use memchr::memmem;

use crate::identity::der;
use crate::identity::der::tag;

use base64::{Base64, sextet};
pub use flaw::{Flaw, PemError};
pub use kind::{BlockKind, Contents};
pub use object::Object;

const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";
const DASHES: &[u8] = b"-----";
/// UTF-8's byte-order mark: OpenSSL passes over it at the beginning of a file, and nowhere else.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Letters of a line that is the base64 of DER and no word.
const BASE64_LINE_MIN: usize = 40;
/// What follows `BEGIN` in the labels that anybody uses, without blanks.
const LABEL_WORDS: [&[u8]; 18] = [
    b"ANYPRIVATE",
    b"ATTRIBUTECERT",
    b"CERTIFICATE",
    b"CMS",
    b"CRL",
    b"DHPARAM",
    b"DSAP",
    b"ECP",
    b"ENCRYPTEDPRIVATE",
    b"NEWCERT",
    b"OCSP",
    b"OPENSSHPRIVATE",
    b"PKCS",
    b"PRIVATEKEY",
    b"PUBLICKEY",
    b"RSAP",
    b"TRUSTEDCERT",
    b"X509",
];

/// One block.
#[derive(Clone, Eq, PartialEq)]
pub struct Block<'t> {
    /// What its label says it is.
    pub kind: BlockKind,
    /// Its label.
    pub label: &'t str,
    /// The lines in front of an empty line: how a key is encrypted in OpenSSL's old format.
    pub headers: Vec<&'t str>,
    /// Its content.
    pub der: Vec<u8>,
    /// The line of its `-----BEGIN`, from 1.
    pub line: usize,
}

/// The blocks of `text` that are wanted.
///
/// # Errors
/// The first thing in it that is not understood, or has no place there.
pub fn read(text: &[u8], wanted: Contents) -> Result<Vec<Block<'_>>, PemError> {
    let mut all = blocks(text)?;
    for block in &all {
        if !wanted.takes(block.kind) && !wanted.passes(block.kind) {
            let flaw = Flaw::Unwanted(wanted, block.kind);
            return Err(PemError { line: block.line, flaw, label: block.label.to_owned() });
        }
    }
    all.retain(|block| wanted.takes(block.kind));
    Ok(all)
}

/// Every block of `text`.
///
/// # Errors
/// The first thing in it that is not understood.
pub fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, PemError> {
    if is_der(text) {
        return Err(PemError::at(1, Flaw::Der));
    }
    if let Some(at) = memchr::memchr(0, text) {
        let before = text.get(..at).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        return Err(PemError::at(line, Flaw::Nul));
    }
    let rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut lines = TextLines { rest, number: 0 };
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        match Edge::of(line) {
            Edge::Begin(label) => found.push(block(label, &mut lines)?),
            Edge::End(_) => return Err(PemError::at(lines.number, Flaw::StrayEnd)),
            Edge::Broken(flaw) => return Err(PemError::at(lines.number, flaw)),
            Edge::None if is_bare(line) => return Err(PemError::at(lines.number, Flaw::Bare)),
            Edge::None => {}
        }
    }
    Ok(found)
}

/// Is this one element of DER, and not text?
#[must_use]
pub fn is_der(bytes: &[u8]) -> bool {
    let [tag::SEQUENCE, length, ..] = bytes else { return false };
    // `0` in text may be followed by anything but a length that is written in several bytes.
    *length > 0x80 && *length < 0x85 || der::only(bytes, tag::SEQUENCE).is_some()
}

/// The block that has begun on the line before.
fn block<'t>(label: &'t str, lines: &mut TextLines<'t>) -> Result<Block<'t>, PemError> {
    let line = lines.number;
    let wrong = |line, flaw| PemError { line, flaw, label: label.to_owned() };
    let len = memmem::find(lines.rest, END).unwrap_or(lines.rest.len());
    let mut content = Base64::with_capacity(len / 4 * 3);
    let kind = BlockKind::of(label);
    let headers = headers(lines).ok_or_else(|| wrong(line, Flaw::Headers))?;
    if !headers.is_empty() && !kind.is_key() {
        return Err(wrong(line, Flaw::Headers));
    }
    loop {
        let Some(text) = lines.next() else { return Err(wrong(line, Flaw::NoEnd)) };
        let Err(flaw) = content.push(text) else { continue };
        // A dash is no base64, so every edge comes by here.
        match Edge::of(text) {
            Edge::End(end) if end == label => break,
            Edge::End(_) => return Err(wrong(lines.number, Flaw::OtherEnd)),
            Edge::Begin(_) => return Err(wrong(lines.number, Flaw::Nested)),
            Edge::Broken(flaw) => return Err(wrong(lines.number, flaw)),
            Edge::None => return Err(wrong(lines.number, flaw)),
        }
    }
    let der = content.finish().map_err(|flaw| wrong(line, flaw))?;
    Ok(Block { kind, label, headers, der, line })
}

/// The headers of a block, if it has any (RFC 1421): lines up to an empty one. `None` if they are
/// not those of an encrypted key.
fn headers<'t>(lines: &mut TextLines<'t>) -> Option<Vec<&'t str>> {
    let mut found = Vec::new();
    let mut ahead = *lines;
    let first = ahead.next().unwrap_or_default();
    if !first.contains(&b':') || memmem::find(first, DASHES).is_some() {
        return Some(found);
    }
    let encrypted = first.strip_prefix(b"Proc-Type:").map(<[u8]>::trim_ascii);
    if encrypted != Some(b"4,ENCRYPTED") {
        return None;
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            return Some(found);
        }
        if memmem::find(line, DASHES).is_some() {
            return None;
        }
        found.push(std::str::from_utf8(line).ok()?);
    }
    None
}

/// TextLines, without what is white at their ends.
#[derive(Clone, Copy)]
struct TextLines<'t> {
    rest: &'t [u8],
    /// Of the line that was read last.
    number: usize,
}

impl<'t> TextLines<'t> {
    fn next(&mut self) -> Option<&'t [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        self.number += 1;
        // As OpenSSL does: blanks, tabs and control characters.
        let len = line.iter().rposition(|byte| *byte > b' ').map_or(0, |last| last + 1);
        line.get(..len)
    }
}

/// What a line is to blocks.
enum Edge<'t> {
    /// Nothing.
    None,
    /// A block with this label begins.
    Begin(&'t str),
    /// A block with this label ends.
    End(&'t str),
    /// It is meant to be one of both.
    Broken(Flaw),
}

impl<'t> Edge<'t> {
    fn of(line: &'t [u8]) -> Self {
        if !line.contains(&b'-') && line.is_ascii() {
            return Self::None;
        }
        let between = |start: &[u8]| {
            let label = line.strip_prefix(start)?.strip_prefix(b" ")?.strip_suffix(DASHES)?;
            let legal = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
            let legal = label.iter().all(legal) && memmem::find(label, b"--").is_none();
            std::str::from_utf8(label).ok().filter(|_| legal)
        };
        if let Some(label) = between(BEGIN) {
            return Self::Begin(label);
        }
        if let Some(label) = between(END) {
            return Self::End(label);
        }
        broken(line).map_or(Self::None, Self::Broken)
    }
}

/// Why a line that is no edge looks like one, if it does.
fn broken(line: &[u8]) -> Option<Flaw> {
    let begins = memmem::find_iter(line, BEGIN);
    let mut places: Vec<usize> = begins.chain(memmem::find_iter(line, END)).take(3).collect();
    places.sort_unstable();
    let Some(first) = places.first() else {
        return is_misspelt(line).then_some(Flaw::Misspelt);
    };
    let before = line.get(..*first).unwrap_or_default();
    let bare = before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before);
    Some(if line.contains(&b'\r') {
        Flaw::CarriageReturns
    } else if !bare.trim_ascii().is_empty() || places.len() > 1 {
        Flaw::Joined
    } else if !before.is_empty() {
        Flaw::Indented
    } else {
        Flaw::Misspelt
    })
}

/// Do dashes of any kind and number, `BEGIN` or `END` in any case and a label follow each other, as
/// somebody sees it? Or is it framed in dashes, with letters that are none of the label's?
fn is_misspelt(line: &[u8]) -> bool {
    let seen = seen(line);
    let words = [&b"BEGIN"[..], b"END"];
    let is_label = |text: &[u8]| LABEL_WORDS.iter().any(|label| text.starts_with(label));
    let is_edge = words.into_iter().any(|word| {
        memmem::find_iter(&seen, word).any(|at| {
            let (before, behind) = (seen.get(..at), seen.get(at + word.len()..));
            before.is_some_and(|text| text.ends_with(b"--")) && behind.is_some_and(is_label)
        })
    });
    let is_framed = seen.starts_with(b"----") && seen.ends_with(b"----");
    is_edge
        || (!line.is_ascii()
            && is_framed
            && (0..seen.len()).any(|at| seen.get(at..).is_some_and(is_label)))
}

/// A line as it is seen: capitals without blanks and whatever else is not ASCII, where every other dash is
/// two, and letters of full width are letters.
fn seen(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for letter in String::from_utf8_lossy(line).chars() {
        match letter {
            '\u{ad}'
            | '\u{2010}'..='\u{2015}'
            | '\u{2043}'
            | '\u{2212}'
            | '\u{2500}'
            | '\u{2501}'
            | '\u{2e3a}'
            | '\u{2e3b}'
            | '\u{fe58}'
            | '\u{fe63}'
            | '\u{ff0d}' => {
                out.extend_from_slice(b"--");
            }
            '\u{ff01}'..='\u{ff5e}' => {
                let plain = u8::try_from(u32::from(letter) - 0xfee0).unwrap_or(b'?');
                out.push(plain.to_ascii_uppercase());
            }
            _ if letter.is_ascii_graphic() => {
                out.extend(u8::try_from(letter.to_ascii_uppercase()).ok());
            }
            _ => {}
        }
    }
    out
}

/// Is it DER in base64, without a block around it?
fn is_bare(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.len() >= BASE64_LINE_MIN
        && line.first() == Some(&b'M')
        && line.iter().all(|byte| sextet(*byte).is_some() || *byte == b'=')
}

/// Never shows what it holds: that may be a key.
impl fmt::Debug for Block<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Block({}, line {}, {} bytes)", self.label, self.line, self.der.len())
    }
}
