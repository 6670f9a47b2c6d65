//! Heads as spans: the only caller of httparse, and what we refuse that it accepts.
//!
//! In: a buffer that starts with a head. Out: its end ([`HeadScan`]), then its parts as spans.
//! httparse tokenises; behind it every byte of the head has to be accounted for: a part, a single
//! space, a colon, white space around a value, or CRLF (RFC 9112, sections 2 to 5). Nothing is
//! repaired. What is wrong with a refused head is looked up by `diagnose`, off the fast path.

use core::mem::MaybeUninit;

use super::diagnose;
use super::error::WireError;
use super::fields::{Field, Fields, is_token_byte, is_visible, known};
use super::limits::{FIELDS_MAX, HeadLimits, RESPONSE_FIELDS_MAX};
use super::span::Span;

/// The versions we speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// Request methods that decide something; the text is in [`RequestHead::method_text`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Method {
    /// CONNECT
    Connect,
    /// DELETE
    Delete,
    /// GET
    #[default]
    Get,
    /// HEAD
    Head,
    /// OPTIONS
    Options,
    /// PATCH
    Patch,
    /// POST
    Post,
    /// PURGE
    Purge,
    /// PUT
    Put,
    /// TRACE
    Trace,
    /// Any other token.
    Other,
}

impl Method {
    /// What a method's text means; it is case-sensitive (RFC 9110, section 9.1).
    #[must_use]
    pub const fn of(text: &[u8]) -> Self {
        match text {
            b"CONNECT" => Self::Connect,
            b"DELETE" => Self::Delete,
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"POST" => Self::Post,
            b"PURGE" => Self::Purge,
            b"PUT" => Self::Put,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Which other method may an application take it for? HEAD tells what GET would (RFC 9110, section
    /// 9.3.2), and a known one but for case means nothing by the letter, and that one to many.
    #[must_use]
    pub fn may_be_read_as(self, text: &[u8]) -> Option<Self> {
        match self {
            Self::Head => Some(Self::Get),
            Self::Other => {
                let mut upper = [0; 7];
                let upper = upper.get_mut(..text.len())?;
                upper.copy_from_slice(text);
                upper.make_ascii_uppercase();
                Some(Self::of(upper)).filter(|method| *method != Self::Other)
            }
            _ => None,
        }
    }
}

/// A request head as spans of the buffer it was parsed from. Reused from request to request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHead {
    /// What the method means to us.
    pub method: Method,
    /// The method as it came.
    pub method_text: Span,
    /// The request target as it came.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// Bytes of the head, its empty line included, and one before it if there was one.
    pub len: usize,
}

impl RequestHead {
    /// Nothing is known of the next request yet.
    pub fn clear(&mut self) {
        self.method = Method::default();
        self.method_text = Span::default();
        self.target = Span::default();
        self.version = Version::default();
        self.fields.clear();
    }
}

/// A response head as spans of the buffer it was parsed from. Reused from response to response.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHead {
    /// 100..=599
    pub status: u16,
    /// The reason phrase as it came; may be empty.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    /// Bytes of the head, its empty line included.
    pub len: usize,
}

/// Looks for the end of a head across reads, each byte once.
///
/// One empty line before the first one is stepped over, because some clients send a CRLF too many
/// behind a body (RFC 9112, section 2.2). It counts as part of the head, in the length and in the
/// limit; [`parse_request`] skips it, [`parse_response`] refuses it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    /// Bytes that need not be looked at again.
    scanned: usize,
    /// Where the line begins that `scanned` is in.
    line_start: usize,
    /// Where the first line begins: behind the empty one, if there was one.
    first_line: usize,
}

impl HeadScan {
    /// The length of the head that `buf` starts with, once it is all there. `buf` is the same bytes
    /// every time, with more behind them.
    ///
    /// # Errors
    /// [`WireError::HeadTooLarge`] (or `TargetTooLong` while still in the first line) when the
    /// limit is passed without an end; `NotHttp` and `BareLf` as soon as they are seen. The first
    /// fault in the order of the bytes, however they were cut.
    pub fn advance(&mut self, buf: &[u8], limits: HeadLimits) -> Result<Option<usize>, WireError> {
        let Some(&first) = buf.first() else { return Ok(None) };
        if !is_token_byte(first) && first != b'\r' {
            return Err(if first == b'\n' { WireError::BareLf } else { WireError::NotHttp });
        }
        let limit = limits.head_bytes_max as usize;
        let window = buf.get(..limit).unwrap_or(buf);
        let fresh = window.get(self.scanned..).unwrap_or_default();
        let (mut line_start, mut first_line) = (self.line_start, self.first_line);
        for found in memchr::memchr_iter(b'\n', fresh) {
            let at = self.scanned + found;
            if at.checked_sub(1).and_then(|before| window.get(before)) != Some(&b'\r') {
                return Err(WireError::BareLf);
            }
            if at == line_start + 1 {
                if line_start != 0 {
                    return Ok(Some(at + 1));
                }
                first_line = at + 1;
            }
            line_start = at + 1;
        }
        if buf.len() >= limit {
            let in_first_line = line_start == first_line;
            return Err(if in_first_line {
                WireError::TargetTooLong
            } else {
                WireError::HeadTooLarge
            });
        }
        *self = Self { scanned: window.len(), line_start, first_line };
        Ok(None)
    }
}

/// What httparse fills. Not cleared: 8 KiB per head would cost more than the parsing.
type Lines<'a, const MAX: usize> = [MaybeUninit<httparse::Header<'a>>; MAX];

/// Parses the request head in `buf[..len]`, `len` being what [`HeadScan::advance`] found. Allocates
/// only if the field table has to grow.
///
/// # Errors
/// The first rule that the head breaks; `head` has no fields then.
pub fn parse_request(
    buf: &[u8],
    len: usize,
    limits: HeadLimits,
    head: &mut RequestHead,
) -> Result<(), WireError> {
    head.fields.clear();
    let text = head_text(buf, len, limits)?;
    let start = if text.starts_with(b"\r\n") { 2 } else { 0 };
    let mut lines: Lines<'_, FIELDS_MAX> = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let lines_max = usize::from(limits.fields_max).min(FIELDS_MAX);
    let mut parsed = httparse::Request::new(&mut []);
    let complete = parsed.parse_with_uninit_headers(
        text.get(start..).unwrap_or_default(),
        lines.get_mut(..lines_max).unwrap_or_default(),
    );
    if complete.is_ok_and(|status| status.is_complete())
        && take_request(text, start, &parsed, head).is_some()
    {
        return Ok(());
    }
    head.fields.clear();
    Err(diagnose::request(text, lines_max).unwrap_or(WireError::MalformedHead))
}

/// Parses the response head in `buf[..len]`. Allocates only if the field table has to grow.
///
/// # Errors
/// The first rule that the head breaks; `head` has no fields then.
pub fn parse_response(
    buf: &[u8],
    len: usize,
    limits: HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), WireError> {
    head.fields.clear();
    let text = head_text(buf, len, limits)?;
    let lines_max = usize::from(limits.fields_max).min(RESPONSE_FIELDS_MAX);
    let taken = match take_response_of::<FIELDS_MAX>(text, lines_max, head) {
        Err(TooManyLines) => take_response_of_many_lines(text, lines_max, head),
        taken => taken,
    };
    if taken == Ok(true) {
        return Ok(());
    }
    head.fields.clear();
    Err(diagnose::response(text, lines_max).unwrap_or(WireError::MalformedHead))
}

/// The table is too small for the head, and the limits may allow a larger one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct TooManyLines;

/// With a table that most responses never need on the stack.
#[cold]
#[inline(never)]
fn take_response_of_many_lines(
    text: &[u8],
    lines_max: usize,
    head: &mut ResponseHead,
) -> Result<bool, TooManyLines> {
    take_response_of::<RESPONSE_FIELDS_MAX>(text, lines_max, head)
}

/// Takes over a response head of at most so many lines; false if it breaks a rule.
fn take_response_of<const MAX: usize>(
    text: &[u8],
    lines_max: usize,
    head: &mut ResponseHead,
) -> Result<bool, TooManyLines> {
    let mut lines: Lines<'_, MAX> = [const { MaybeUninit::uninit() }; MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let complete = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        text,
        lines.get_mut(..lines_max.min(MAX)).unwrap_or_default(),
    );
    match complete {
        Err(httparse::Error::TooManyHeaders) if lines_max > MAX => Err(TooManyLines),
        Ok(status) if status.is_complete() => Ok(take_response(text, &parsed, head).is_some()),
        _ => Ok(false),
    }
}

/// The head's own bytes, if the limits allow so many.
fn head_text(buf: &[u8], len: usize, limits: HeadLimits) -> Result<&[u8], WireError> {
    if len > limits.head_bytes_max as usize {
        return Err(WireError::HeadTooLarge);
    }
    buf.get(..len).ok_or(WireError::MalformedHead)
}

/// Takes over what httparse found, if the bytes between are what they have to be.
fn take_request(
    text: &[u8],
    start: usize,
    parsed: &httparse::Request<'_, '_>,
    head: &mut RequestHead,
) -> Option<()> {
    let method = parsed.method?.as_bytes();
    let method_end = start.checked_add(method.len())?;
    let method_text = Span::new(start, method_end)?;
    let target = parsed.path?.as_bytes();
    let target_start = method_end.checked_add(1)?;
    let target_end = target_start.checked_add(target.len())?;
    let in_place = offset(text, method) == start && offset(text, target) == target_start;
    if !in_place || !is_visible(target) {
        return None;
    }
    let rest = text.get(target_end..)?.strip_prefix(b" HTTP/1.")?;
    head.version = match rest {
        [b'1', b'\r', b'\n', ..] => Version::Http11,
        [b'0', b'\r', b'\n', ..] => Version::Http10,
        _ => return None,
    };
    head.method = Method::of(method);
    head.method_text = method_text;
    head.target = Span::new(target_start, target_end)?;
    head.len = text.len();
    take_fields(text, target_end.checked_add(11)?, parsed.headers, &mut head.fields)
}

/// The same for a response.
fn take_response(
    text: &[u8],
    parsed: &httparse::Response<'_, '_>,
    head: &mut ResponseHead,
) -> Option<()> {
    head.version = match text {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', ..] => Version::Http11,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b' ', ..] => Version::Http10,
        _ => return None,
    };
    head.status = parsed.code.filter(|code| (100..=599).contains(code))?;
    let line_end = memchr::memchr(b'\r', text)?;
    // Behind `HTTP/1.1 200` comes CRLF or a space; the space belongs to neither side. httparse has
    // checked the reason's bytes but hides one with obs-text, so the span is taken from the line.
    head.reason = Span::new(line_end.min(13), line_end)?;
    head.len = text.len();
    take_fields(text, line_end.checked_add(2)?, parsed.headers, &mut head.fields)
}

/// Takes over the field lines from `at` on, if they and the empty line fill the head to its end.
fn take_fields(
    text: &[u8],
    mut at: usize,
    lines: &[httparse::Header<'_>],
    fields: &mut Fields,
) -> Option<()> {
    for line in lines {
        let name_end = at.checked_add(line.name.len())?;
        let value_start = offset(text, line.value);
        let value_end = value_start.checked_add(line.value.len())?;
        if offset(text, line.name.as_bytes()) != at {
            return None;
        }
        let (b':', before) = text.get(name_end..value_start)?.split_first()? else {
            return None;
        };
        let mut behind = text.get(value_end..)?;
        let mut next = value_end.checked_add(2)?;
        while let [b' ' | b'\t', rest @ ..] = behind {
            behind = rest;
            next = next.checked_add(1)?;
        }
        if !before.iter().all(|byte| matches!(byte, b' ' | b'\t')) || !behind.starts_with(b"\r\n") {
            return None;
        }
        fields.push(Field {
            name: Span::new(at, name_end)?,
            value: Span::new(value_start, value_end)?,
            known: known(line.name.as_bytes()),
        });
        at = next;
    }
    (text.get(at..)? == b"\r\n").then_some(())
}

/// Where `part` lies in `text`; a number behind its end if it does not.
fn offset(text: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(text.as_ptr().addr())
}
