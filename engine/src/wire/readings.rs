//! What other decoders may make of a path.
//!
//! In: a path that came, and its normal form. Out: every further path that some usual decoder takes it
//! for, in any order of what those do: escapes decoded once or more often, `;` parameters cut, `\`
//! as `/`, `//` merged, kept or in front of an authority, the end at a decoded `?` or `#`, overlong UTF-8 as the byte it
//! stands for. A path in which one of them finds a dot segment or NUL, or that can be read in more
//! ways than we follow, is refused. Most paths can be read in one way, which costs one look.

use super::error::WireError;
use super::target::{append_unmerged, hex_digit};

/// Ways to read one path that we follow. A legal path with escaped slashes and parameters has four.
pub const READINGS_MAX: usize = 64;

/// Bytes of all of them.
pub const READING_BYTES_MAX: usize = 32 * 1024;

/// The ways to read one path; reused, so it allocates only to grow.
#[derive(Debug, Default)]
pub struct Readings {
    bytes: Vec<u8>,
    /// Where each one ends; the first is the normal form. Empty if there is only that.
    ends: Vec<usize>,
}

impl Readings {
    /// Forgets the path.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Reads a path that [`normalise_path`](super::target::normalise_path) has brought to this form.
    ///
    /// # Errors
    /// [`WireError::DotSegment`], [`WireError::ForbiddenEscape`] or [`WireError::AmbiguousPath`].
    pub fn read(&mut self, path: &[u8], normal: &[u8]) -> Result<(), WireError> {
        self.clear();
        // Without escapes the normal form differs only where slashes were merged.
        if memchr::memchr2(b'%', b';', path).is_none() && path.len() == normal.len() {
            return Ok(());
        }
        self.read_closely(path, normal)
    }

    /// The ways to read the path beside its normal form.
    pub fn others(&self) -> impl Iterator<Item = &[u8]> {
        (1..self.ends.len()).filter_map(|at| self.get(at))
    }

    fn read_closely(&mut self, path: &[u8], normal: &[u8]) -> Result<(), WireError> {
        self.bytes.extend_from_slice(normal);
        self.ends.push(normal.len());
        self.keep(|_, bytes| append_unmerged(path, bytes))?;
        let mut at = 0;
        while at < self.ends.len() {
            for decode in DECODERS {
                self.keep(|known, bytes| {
                    let from = start(known, at);
                    decode(bytes, from..known.get(at).copied().unwrap_or(from));
                    Ok(())
                })?;
            }
            at += 1;
        }
        Ok(())
    }

    /// Keeps what `append` has appended, if it is new.
    fn keep(
        &mut self,
        append: impl FnOnce(&[usize], &mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let from = self.bytes.len();
        append(&self.ends, &mut self.bytes)?;
        let new = self.bytes.get(from..).unwrap_or_default();
        if new.is_empty() || (0..self.ends.len()).any(|at| self.get(at) == Some(new)) {
            self.bytes.truncate(from);
            return Ok(());
        }
        if new.contains(&0) {
            return Err(WireError::ForbiddenEscape);
        }
        let mut segments = new.split(|byte| matches!(byte, b'/' | b'\\'));
        if segments.any(|segment| matches!(segment, b"." | b"..")) {
            return Err(WireError::DotSegment);
        }
        if self.ends.len() >= READINGS_MAX || self.bytes.len() > READING_BYTES_MAX {
            return Err(WireError::AmbiguousPath);
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn get(&self, at: usize) -> Option<&[u8]> {
        self.bytes.get(start(&self.ends, at)..*self.ends.get(at)?)
    }
}

fn start(ends: &[usize], at: usize) -> usize {
    at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0)
}

/// Appends what a decoder makes of a part of the same bytes; nothing where it changes nothing.
type Decoder = fn(&mut Vec<u8>, core::ops::Range<usize>);

const DECODERS: [Decoder; 7] = [
    decode_escapes,
    cut_parameters,
    turn_backslashes,
    merge_slashes,
    cut_authority,
    end_at_query,
    decode_overlong,
];

fn decode_escapes(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    if !holds(bytes, &part, b'%') {
        return;
    }
    let mut at = part.start;
    while at < part.end {
        let (byte, taken) = escape_at(bytes, at, part.end);
        bytes.push(byte);
        at += taken;
    }
}

/// The byte here, decoded if it is escaped, and how many it is written in. What is no escape stands
/// for itself.
fn escape_at(bytes: &[u8], at: usize, end: usize) -> (u8, usize) {
    match bytes.get(at..end) {
        Some([b'%', high, low, ..]) => match (hex_digit(*high), hex_digit(*low)) {
            (Ok(high), Ok(low)) => ((high << 4) | low, 3),
            _ => (b'%', 1),
        },
        Some([byte, ..]) => (*byte, 1),
        _ => (0, 1),
    }
}

/// Of each segment, from its `;` on.
fn cut_parameters(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    if !holds(bytes, &part, b';') {
        return;
    }
    let mut cutting = false;
    for at in part {
        let Some(&byte) = bytes.get(at) else { return };
        cutting = byte != b'/' && (cutting || byte == b';');
        if !cutting {
            bytes.push(byte);
        }
    }
}

fn turn_backslashes(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    if !holds(bytes, &part, b'\\') {
        return;
    }
    for at in part {
        let Some(&byte) = bytes.get(at) else { return };
        bytes.push(if byte == b'\\' { b'/' } else { byte });
    }
}

fn merge_slashes(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    let mut before = 0;
    for at in part {
        let Some(&byte) = bytes.get(at) else { return };
        if (before, byte) != (b'/', b'/') {
            bytes.push(byte);
        }
        before = byte;
    }
}

/// A path that begins with `//` is a reference with an authority to those that read URI references
/// (RFC 3986, section 4.2), behind any number of slashes to those that read URLs (WHATWG).
fn cut_authority(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    let text = bytes.get(part.clone()).unwrap_or_default();
    let slashes = text.iter().take_while(|byte| **byte == b'/').count();
    if slashes < 2 {
        return;
    }
    match memchr::memchr(b'/', text.get(slashes..).unwrap_or_default()) {
        Some(len) => bytes.extend_from_within(part.start + slashes + len..part.end),
        None => bytes.push(b'/'),
    }
}

/// Some decode before they look for the query.
fn end_at_query(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    let text = bytes.get(part.clone()).unwrap_or_default();
    if let Some(len) = memchr::memchr2(b'?', b'#', text) {
        bytes.extend_from_within(part.start..part.start + len);
    }
}

/// ASCII in two, three or four bytes, which UTF-8 forbids (RFC 3629, section 3), and some take.
fn decode_overlong(bytes: &mut Vec<u8>, part: core::ops::Range<usize>) {
    let from = bytes.len();
    let (mut at, mut found) = (part.start, false);
    while at < part.end {
        let (byte, taken) = match bytes.get(at..part.end) {
            Some([high @ (0xc0 | 0xc1), low @ 0x80..=0xbf, ..]) => (ascii(*high, *low), 2),
            Some([0xe0, high @ (0x80 | 0x81), low @ 0x80..=0xbf, ..]) => (ascii(*high, *low), 3),
            Some([0xf0, 0x80, high @ (0x80 | 0x81), low @ 0x80..=0xbf, ..]) => {
                (ascii(*high, *low), 4)
            }
            Some([byte, ..]) => (*byte, 1),
            _ => break,
        };
        found |= taken > 1;
        bytes.push(byte);
        at += taken;
    }
    if !found {
        bytes.truncate(from);
    }
}

/// The seven bits in the last two bytes of an overlong form.
const fn ascii(high: u8, low: u8) -> u8 {
    ((high & 1) << 6) | (low & 0x3f)
}

fn holds(bytes: &[u8], part: &core::ops::Range<usize>, byte: u8) -> bool {
    memchr::memchr(byte, bytes.get(part.clone()).unwrap_or_default()).is_some()
}
