//! One direction of a body: how its pieces are framed on the way out, and when it is over.
//!
//! In: bytes of a body in whatever pieces they come. Out: which part is data and what goes before
//! and behind it. A piece is never split or held back, so the caller may pass slices on or copy them.

use core::ops::Range;

use super::trailers::{self, TrailerRules};
use crate::wire::body::BodyReader;
use crate::wire::error::WireError;
use crate::wire::framing::BodyLength;
use crate::wire::limits::HeadLimits;
use crate::wire::write;

/// How a body goes out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// As it is; its length was told before.
    Length(u64),
    /// In chunks.
    Chunked,
    /// As it is; the end of the connection ends it.
    Raw,
}

/// Why a body cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlowError {
    /// Its bytes are wrong.
    Malformed(WireError),
    /// It is longer than allowed.
    TooLarge,
}

/// What one step of a body is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FlowStep {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// The part of the input that goes out, within `..consumed`; may be empty.
    pub data: Range<usize>,
    /// What goes out before the data.
    pub before: SizeLine,
    /// What goes out behind the data.
    pub after: &'static [u8],
    /// The body is complete.
    pub done: bool,
}

/// A chunk's size line, on the stack.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SizeLine {
    bytes: [u8; 18],
    len: u8,
}

/// What [`Flow::copy`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// The body is complete.
    pub done: bool,
}

/// One direction of one body.
#[derive(Debug, Default)]
pub struct Flow<'a> {
    reader: BodyReader,
    framing: Framing,
    data_bytes: u64,
    data_bytes_max: Option<u64>,
    /// Why nothing more of it may be read: nobody knows where it ends.
    failed: Option<FlowError>,
    /// Bytes taken off the input, data and framing.
    bytes_in: u64,
    /// Bytes to go out, data and framing.
    bytes_out: u64,
    /// Which trailers pass; `None`: none of them.
    trailers: Option<TrailerRules<'a>>,
    /// What has come of the trailer section; bounded by the reader, and untouched where they do not
    /// pass.
    section: Vec<u8>,
}

const CHUNK_END_AND_LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

impl SizeLine {
    fn of(data_bytes: usize) -> Self {
        let mut line = Self::default();
        let mut push = |byte| {
            if let Some(place) = line.bytes.get_mut(usize::from(line.len)) {
                *place = byte;
                line.len += 1;
            }
        };
        let digits = (usize::BITS - data_bytes.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            push(b"0123456789abcdef"[data_bytes >> (digit * 4) & 0xf]);
        }
        push(b'\r');
        push(b'\n');
        line
    }

    /// Its bytes; none if there is no chunk.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl<'a> Flow<'a> {
    /// A body that comes in as `length` and goes out as `framing`; more than `data_bytes_max` bytes
    /// of it are refused.
    #[must_use]
    pub const fn new(length: BodyLength, framing: Framing, data_bytes_max: Option<u64>) -> Self {
        Self {
            reader: BodyReader::new(length),
            framing,
            data_bytes: 0,
            data_bytes_max,
            failed: None,
            bytes_in: 0,
            bytes_out: 0,
            trailers: None,
            section: Vec::new(),
        }
    }

    /// Its trailers pass, but for those that never do; only [`Self::copy`] hands them on, and only
    /// in chunks.
    #[must_use]
    pub fn with_trailers(self, trailers: Option<TrailerRules<'a>>) -> Self {
        Self { trailers, ..self }
    }

    /// Its trailers are bounded by these, and not as those of a request are.
    #[must_use]
    pub fn with_trailer_limits(self, limits: HeadLimits) -> Self {
        Self { reader: self.reader.with_trailer_limits(limits), ..self }
    }

    /// Takes the next piece off the input. Called again until it consumes nothing or is done.
    ///
    /// # Errors
    /// The body is broken or too long; nothing more of it may go out, it never becomes complete, and
    /// what follows it on its connection belongs to nobody.
    pub fn step(&mut self, input: &[u8]) -> Result<FlowStep, FlowError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let piece = self.step_on(input);
        match &piece {
            Ok(piece) => {
                let framing = piece.before.as_bytes().len() + piece.after.len();
                self.count(piece.consumed, piece.data.len() + framing);
            }
            Err(error) => self.failed = Some(*error),
        }
        piece
    }

    fn step_on(&mut self, input: &[u8]) -> Result<FlowStep, FlowError> {
        if self.reader.is_done() {
            return Ok(FlowStep { done: true, ..FlowStep::default() });
        }
        let step = self.reader.step(input).map_err(FlowError::Malformed)?;
        self.data_bytes = self.data_bytes.saturating_add(step.data.len() as u64);
        if self.trailers.is_some() && !step.trailers.is_empty() {
            let lines = input.get(step.trailers).unwrap_or_default();
            self.section.extend_from_slice(lines);
        }
        if self.data_bytes_max.is_some_and(|max| self.data_bytes > max) {
            return Err(FlowError::TooLarge);
        }
        let (before, after): (_, &[u8]) = match (self.framing, step.data.is_empty(), step.done) {
            (Framing::None | Framing::Length(_) | Framing::Raw, _, _)
            | (Framing::Chunked, true, false) => (SizeLine::default(), b""),
            (Framing::Chunked, true, true) => (SizeLine::default(), write::LAST_CHUNK),
            (Framing::Chunked, false, false) => (SizeLine::of(step.data.len()), write::CHUNK_END),
            (Framing::Chunked, false, true) => {
                (SizeLine::of(step.data.len()), CHUNK_END_AND_LAST_CHUNK)
            }
        };
        Ok(FlowStep { consumed: step.consumed, data: step.data, before, after, done: step.done })
    }

    /// Appends everything that the input holds of the body, framed.
    ///
    /// # Errors
    /// As [`Self::step`]; what was appended by then is good, but nothing may follow it.
    pub fn copy(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Copied, FlowError> {
        let mut copied = Copied { consumed: 0, done: self.is_done() };
        while !copied.done {
            let rest = input.get(copied.consumed..).unwrap_or_default();
            let piece = self.step(rest)?;
            out.extend_from_slice(piece.before.as_bytes());
            out.extend_from_slice(rest.get(piece.data).unwrap_or_default());
            out.extend_from_slice(piece.after);
            if piece.done {
                self.append_trailers(out);
            }
            copied.consumed = copied.consumed.saturating_add(piece.consumed);
            copied.done = piece.done;
            if piece.consumed == 0 {
                break;
            }
        }
        Ok(copied)
    }

    /// Puts the trailers before the empty line that ends the body.
    fn append_trailers(&mut self, out: &mut Vec<u8>) {
        let Some(rules) = self.trailers.filter(|_| self.framing == Framing::Chunked) else {
            return;
        };
        debug_assert!(out.ends_with(write::LAST_CHUNK));
        let before = out.len();
        out.truncate(before.saturating_sub(write::CRLF.len()));
        trailers::render(&self.section, rules, out);
        out.extend_from_slice(write::CRLF);
        self.count(0, out.len().saturating_sub(before));
    }

    /// The sender's connection ended. True if that is where this body ends, and then `out` got what
    /// has to go out last; false if it was cut off, and then the receiver must not take what it has
    /// for the whole: its connection ends without the last chunk.
    pub fn handle_end(&mut self, out: &mut Vec<u8>) -> bool {
        if self.failed.is_some() || !self.reader.may_end_here() {
            return false;
        }
        if !self.reader.is_done() {
            self.reader = BodyReader::default();
            if self.framing == Framing::Chunked {
                out.extend_from_slice(write::LAST_CHUNK);
                self.count(0, write::LAST_CHUNK.len());
            }
        }
        true
    }

    /// Do its pieces go out with nothing around them?
    #[must_use]
    pub const fn is_verbatim(&self) -> bool {
        !matches!(self.framing, Framing::Chunked)
    }

    /// Is the body complete? Never, once it has failed.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.failed.is_none() && self.reader.is_done()
    }

    /// Bytes of data so far, without framing.
    #[must_use]
    pub const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Bytes taken off the input so far, framing included.
    #[must_use]
    pub const fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Bytes made of it so far, framing included.
    #[must_use]
    pub const fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    fn count(&mut self, taken: usize, made: usize) {
        let (taken, made) = (taken as u64, made as u64);
        self.bytes_in = self.bytes_in.saturating_add(taken);
        self.bytes_out = self.bytes_out.saturating_add(made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(length: BodyLength, framing: Framing, input: &[u8], end: bool) -> (String, bool) {
        let mut flow = Flow::new(length, framing, None);
        let mut out = Vec::new();
        let copied = flow.copy(input, &mut out).unwrap();
        let done = if end { flow.handle_end(&mut out) } else { copied.done };
        assert!(!done || flow.is_done());
        let counted = (flow.bytes_in(), flow.bytes_out());
        assert_eq!(counted, (copied.consumed as u64, out.len() as u64));
        (String::from_utf8(out).unwrap(), done)
    }

    #[test]
    fn a_body_is_framed_anew() {
        let chunks = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\nnext";
        for (length, framing, input, wanted) in [
            (BodyLength::Length(5), Framing::Length(5), &b"abcdenext"[..], "abcde"),
            (BodyLength::Length(5), Framing::Chunked, b"abcdenext", "5\r\nabcde\r\n0\r\n\r\n"),
            (BodyLength::Chunked, Framing::Raw, chunks, "abcde"),
            (BodyLength::Chunked, Framing::Chunked, chunks, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            (BodyLength::Length(0), Framing::Length(0), b"next", ""),
            (BodyLength::None, Framing::None, b"next", ""),
        ] {
            assert_eq!(
                whole(length, framing, input, false),
                (wanted.to_owned(), true),
                "{length:?}"
            );
        }
    }

    #[test]
    fn the_end_of_the_connection_ends_only_what_it_delimits() {
        let until_close = BodyLength::UntilClose;
        assert_eq!(
            whole(until_close, Framing::Chunked, b"abc", true),
            ("3\r\nabc\r\n0\r\n\r\n".to_owned(), true)
        );
        assert_eq!(whole(until_close, Framing::Raw, b"abc", true), ("abc".to_owned(), true));
        // Cut off: no last chunk, so that nobody takes it for the whole.
        assert_eq!(
            whole(BodyLength::Length(9), Framing::Chunked, b"abc", true),
            ("3\r\nabc\r\n".to_owned(), false)
        );
        assert!(!whole(BodyLength::Chunked, Framing::Chunked, b"3\r\nabc\r\n", true).1);
    }

    #[test]
    fn every_split_of_the_input_gives_the_same_data() {
        let input = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for cut in 0..=input.len() {
            let mut flow = Flow::new(BodyLength::Chunked, Framing::Raw, None);
            let mut out = Vec::new();
            let mut at = 0;
            for end in [cut, input.len()] {
                at += flow.copy(&input[at..end], &mut out).unwrap().consumed;
            }
            assert_eq!((out.as_slice(), flow.is_done(), at), (&b"abcde"[..], true, input.len()));
            assert_eq!(flow.data_bytes(), 5);
        }
    }

    #[test]
    fn a_body_of_unknown_length_is_counted() {
        let mut flow = Flow::new(BodyLength::Chunked, Framing::Chunked, Some(4));
        let mut out = Vec::new();
        assert!(flow.copy(b"4\r\nabcd\r\n", &mut out).is_ok());
        assert_eq!(flow.copy(b"1\r\ne\r\n", &mut out), Err(FlowError::TooLarge));
    }

    /// The reader may have found an end that the failed step is not allowed to have.
    #[test]
    fn a_body_that_failed_is_never_complete() {
        let broken = FlowError::Malformed(WireError::InvalidChunkSize);
        for (length, before, input, wanted) in [
            (BodyLength::Length(5), &b""[..], &b"abcde"[..], FlowError::TooLarge),
            (BodyLength::Length(5), b"abc", b"de", FlowError::TooLarge),
            (BodyLength::Chunked, b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n", FlowError::TooLarge),
            (BodyLength::Chunked, b"3\r\nabc\r\n", b"zz", broken),
            (BodyLength::UntilClose, b"abc", b"de", FlowError::TooLarge),
        ] {
            for framing in [Framing::Chunked, Framing::Raw] {
                let mut flow = Flow::new(length, framing, Some(4));
                let mut out = Vec::new();
                assert!(flow.copy(before, &mut out).is_ok());
                assert_eq!(flow.copy(input, &mut out), Err(wanted));
                assert!(!flow.is_done(), "{length:?}");
                for rest in [&b""[..], b"0\r\n\r\n", b"1\r\nx\r\n0\r\n\r\n"] {
                    assert_eq!(flow.step(rest), Err(wanted));
                }
                assert!(!flow.handle_end(&mut out) && !flow.is_done(), "{length:?}");
            }
        }
    }

    #[test]
    fn a_size_line_is_hexadecimal() {
        assert_eq!(SizeLine::of(0xab_cdef).as_bytes(), b"abcdef\r\n");
        assert_eq!(SizeLine::of(usize::MAX).as_bytes().len(), 18);
        assert_eq!(SizeLine::default().as_bytes(), b"");
    }
}
