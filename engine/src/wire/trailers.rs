//! The trailer section behind a last chunk, as field lines (RFC 9112, section 7.1.2).
//!
//! In: a whole section, its empty line included. Out: its names and values, or the first rule that
//! it breaks. It is read by the very state machine that finds its end in a body, so nothing is a
//! trailer here that was none there, and a trailer's syntax is as strict as a head's.

use super::chunked::ChunkedReader;
use super::error::WireError;
use super::fields::trim;
use super::limits::HeadLimits;

/// The field lines of a section that was found whole.
#[derive(Clone, Debug)]
pub struct Trailers<'a> {
    rest: &'a [u8],
}

/// Checks a section and hands out its lines.
///
/// # Errors
/// The first fault in the order of the bytes; [`WireError::MalformedHead`] if the section does not
/// end, or something follows its end.
pub fn parse_trailers(section: &[u8], limits: HeadLimits) -> Result<Trailers<'_>, WireError> {
    let mut reader = ChunkedReader::at_trailers(limits);
    let step = reader.step(section)?;
    if !step.done || step.consumed != section.len() {
        return Err(WireError::MalformedHead);
    }
    Ok(Trailers { rest: section })
}

impl<'a> Iterator for Trailers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr(b'\r', self.rest)?;
        let (line, behind) = self.rest.split_at_checked(end)?;
        self.rest = behind.strip_prefix(b"\r\n")?;
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name, trim(value.strip_prefix(b":")?)))
    }
}
