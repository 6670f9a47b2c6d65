//! Chunked coding (RFC 9112, section 7.1): our own strict state machine, fed in any split.
//!
//! In: the bytes behind a head, in whatever pieces they come. Out: where the data is, and where the
//! body ends. Sizes are hexadecimal digits alone, lines end with CRLF alone, and everything that is
//! not data is bounded (`limits`). Extensions are checked and dropped: a recipient may ignore them
//! (section 7.1.1). Trailers are checked and pointed at, for who wants them (section 7.1.2). Data is
//! never looked at.

use core::ops::Range;

use super::body_step::BodyStep;
use super::error::WireError;
use super::extension::Extension;
use super::fields::{is_token_byte, is_value_byte};
use super::limits::{
    BODY_BYTES_MAX, CHUNK_EXTENSION_BYTES_MAX, CHUNK_EXTENSIONS_TOTAL_MAX, CHUNK_SIZE_DIGITS_MAX,
    HeadLimits, TRAILER_LIMITS,
};

/// Reads one chunked body.
#[derive(Clone, Copy, Debug)]
pub struct ChunkedReader {
    state: ChunkedState,
    /// The size read so far, then the bytes of data still to come.
    remaining: u64,
    /// Digits of this size.
    digits: u8,
    /// Where in its grammar the extension is.
    extension: Extension,
    /// Bytes of this chunk's extensions, the white space before them included.
    extension_bytes: u16,
    /// Bytes of all extensions.
    extensions_total: u32,
    trailer_bytes: u32,
    trailer_fields: u16,
    /// What the trailer section may cost.
    trailer_limits: HeadLimits,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum ChunkedState {
    #[default]
    Size,
    /// White space behind the size; only an extension may follow it.
    ExtensionGap,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The start of a line behind the last chunk: a trailer field or the end.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl Default for ChunkedReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedReader {
    /// A reader at the start of a body.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: ChunkedState::Size,
            remaining: 0,
            digits: 0,
            extension: Extension::BeforeName,
            extension_bytes: 0,
            extensions_total: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
            trailer_limits: TRAILER_LIMITS,
        }
    }

    /// A reader behind the last chunk's size line.
    #[must_use]
    pub const fn at_trailers(limits: HeadLimits) -> Self {
        let mut reader = Self::new().with_trailer_limits(limits);
        reader.state = ChunkedState::TrailerStart;
        reader
    }

    /// With other bounds for the trailer section than [`TRAILER_LIMITS`].
    #[must_use]
    pub const fn with_trailer_limits(self, limits: HeadLimits) -> Self {
        Self { trailer_limits: limits, ..self }
    }

    /// Has the last chunk with its trailer section been read?
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, ChunkedState::Done)
    }

    /// Reads on: past framing, over one piece of data, and past the framing behind that.
    ///
    /// # Errors
    /// The first byte that breaks a rule. Where data comes before it in the same input, the data is
    /// handed out first and the error comes with the next step, so the cut of the input never
    /// decides how much data there was.
    pub fn step(&mut self, input: &[u8]) -> Result<BodyStep, WireError> {
        let (start, trailers) = self.skip_framing(input)?;
        if self.state != ChunkedState::Data {
            let done = self.is_done();
            return Ok(BodyStep { consumed: start, data: start..start, trailers, done });
        }
        let rest = input.get(start..).unwrap_or_default();
        let take = usize::try_from(self.remaining).map_or(rest.len(), |n| n.min(rest.len()));
        self.remaining = self.remaining.saturating_sub(take as u64);
        let mut end = start.saturating_add(take);
        let mut trailers = 0..0;
        let data = start..end;
        if self.remaining == 0 {
            self.state = ChunkedState::DataCr;
            let mut ahead = *self;
            if let Ok((framing, found)) = ahead.skip_framing(input.get(end..).unwrap_or_default()) {
                *self = ahead;
                trailers = end.saturating_add(found.start)..end.saturating_add(found.end);
                end = end.saturating_add(framing);
            }
        }
        Ok(BodyStep { consumed: end, data, trailers, done: self.is_done() })
    }

    /// Reads up to the next byte of data, the end of the body or the end of the input; returns how
    /// many bytes that were, and which of them are trailers.
    fn skip_framing(&mut self, input: &[u8]) -> Result<(usize, Range<usize>), WireError> {
        let mut trailers = self.is_in_trailers().then_some(0);
        let mut end = input.len();
        for (at, &byte) in input.iter().enumerate() {
            if matches!(self.state, ChunkedState::Data | ChunkedState::Done) {
                end = at;
                break;
            }
            self.state = self.handle_byte(byte)?;
            if trailers.is_none() && self.state == ChunkedState::TrailerStart {
                trailers = Some(at + 1);
            }
        }
        Ok((end, trailers.map_or(0..0, |start| start.min(end)..end)))
    }

    const fn is_in_trailers(&self) -> bool {
        match self.state {
            ChunkedState::TrailerStart
            | ChunkedState::TrailerName
            | ChunkedState::TrailerValue
            | ChunkedState::TrailerLf
            | ChunkedState::EndLf => true,
            ChunkedState::Size
            | ChunkedState::ExtensionGap
            | ChunkedState::Extension
            | ChunkedState::SizeLf
            | ChunkedState::Data
            | ChunkedState::DataCr
            | ChunkedState::DataLf
            | ChunkedState::Done => false,
        }
    }

    /// One byte of framing; returns the state behind it.
    fn handle_byte(&mut self, byte: u8) -> Result<ChunkedState, WireError> {
        match self.state {
            ChunkedState::Size => self.handle_size(byte),
            ChunkedState::ExtensionGap | ChunkedState::Extension => self.handle_extension(byte),
            ChunkedState::SizeLf => {
                line_feed(byte)?;
                self.digits = 0;
                self.extension_bytes = 0;
                Ok(if self.remaining == 0 {
                    ChunkedState::TrailerStart
                } else {
                    ChunkedState::Data
                })
            }
            ChunkedState::DataCr => match byte {
                b'\r' => Ok(ChunkedState::DataLf),
                b'\n' => Err(WireError::BareLf),
                _ => Err(WireError::MissingChunkEnd),
            },
            ChunkedState::DataLf => line_feed(byte).map(|()| ChunkedState::Size),
            ChunkedState::TrailerStart
            | ChunkedState::TrailerName
            | ChunkedState::TrailerValue
            | ChunkedState::TrailerLf
            | ChunkedState::EndLf => self.handle_trailer(byte),
            // The callers stop at these.
            ChunkedState::Data | ChunkedState::Done => Ok(self.state),
        }
    }

    /// A digit of the size, or what may follow it.
    fn handle_size(&mut self, byte: u8) -> Result<ChunkedState, WireError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\n' => return Err(WireError::BareLf),
            _ if self.digits == 0 => return Err(WireError::InvalidChunkSize),
            b'\r' => return Ok(ChunkedState::SizeLf),
            b';' | b' ' | b'\t' => return self.handle_extension(byte),
            _ => return Err(WireError::InvalidChunkSize),
        };
        self.digits = self.digits.saturating_add(1);
        // At most 64 bits of digits, so nothing is shifted out (asserted in `limits`).
        self.remaining = (self.remaining << 4) | u64::from(digit);
        if self.digits > CHUNK_SIZE_DIGITS_MAX || self.remaining > BODY_BYTES_MAX {
            return Err(WireError::ChunkSizeTooLarge);
        }
        Ok(ChunkedState::Size)
    }

    /// A byte between the size and its CRLF.
    fn handle_extension(&mut self, byte: u8) -> Result<ChunkedState, WireError> {
        let next = match (self.state, byte) {
            (ChunkedState::Extension, b'\r') if self.extension.may_end() => {
                return Ok(ChunkedState::SizeLf);
            }
            (_, b'\n') => return Err(WireError::BareLf),
            (ChunkedState::Extension, _) => {
                let behind = self.extension.behind(byte);
                self.extension = behind.ok_or(WireError::InvalidChunkExtension)?;
                ChunkedState::Extension
            }
            (_, b';') => {
                self.extension = Extension::BeforeName;
                ChunkedState::Extension
            }
            (_, b' ' | b'\t') => ChunkedState::ExtensionGap,
            // White space with nothing behind it is no extension, and no part of a size.
            _ => return Err(WireError::InvalidChunkSize),
        };
        self.extension_bytes = self.extension_bytes.saturating_add(1);
        self.extensions_total = self.extensions_total.saturating_add(1);
        if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX
            || self.extensions_total > CHUNK_EXTENSIONS_TOTAL_MAX
        {
            return Err(WireError::ChunkExtensionsTooLong);
        }
        Ok(next)
    }

    /// A byte behind the last chunk.
    fn handle_trailer(&mut self, byte: u8) -> Result<ChunkedState, WireError> {
        let next = match (self.state, byte) {
            (ChunkedState::EndLf, _) => return line_feed(byte).map(|()| ChunkedState::Done),
            (ChunkedState::TrailerStart, b'\r') => return Ok(ChunkedState::EndLf),
            (ChunkedState::TrailerLf, _) => line_feed(byte).map(|()| ChunkedState::TrailerStart)?,
            (_, b'\n') => return Err(WireError::BareLf),
            (ChunkedState::TrailerStart, b' ' | b'\t') => return Err(WireError::ObsoleteFold),
            (ChunkedState::TrailerStart, _) if is_token_byte(byte) => {
                self.trailer_fields = self.trailer_fields.saturating_add(1);
                ChunkedState::TrailerName
            }
            (ChunkedState::TrailerName, _) if is_token_byte(byte) => ChunkedState::TrailerName,
            (ChunkedState::TrailerName, b':') => ChunkedState::TrailerValue,
            (ChunkedState::TrailerName, b' ' | b'\t') => return Err(WireError::SpaceBeforeColon),
            (ChunkedState::TrailerValue, b'\r') => ChunkedState::TrailerLf,
            (ChunkedState::TrailerValue, _) if is_value_byte(byte) => ChunkedState::TrailerValue,
            (ChunkedState::TrailerValue, _) => return Err(WireError::InvalidFieldValue),
            _ => return Err(WireError::InvalidFieldName),
        };
        self.trailer_bytes = self.trailer_bytes.saturating_add(1);
        let HeadLimits { head_bytes_max, fields_max } = self.trailer_limits;
        if self.trailer_bytes > head_bytes_max || self.trailer_fields > fields_max {
            return Err(WireError::TrailersTooLarge);
        }
        Ok(next)
    }
}

/// What has to follow a CR.
const fn line_feed(byte: u8) -> Result<(), WireError> {
    if byte == b'\n' { Ok(()) } else { Err(WireError::BareCr) }
}
