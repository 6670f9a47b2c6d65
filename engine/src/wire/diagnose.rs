//! What is wrong with a head that was refused.
//!
//! In: a whole head. Out: the first fault in the order of the bytes, or nothing if there is none.
//! A second scanner of the same grammar, written for being read: slow, line by line, without
//! httparse. The tests hold both to the same verdict.

use super::error::WireError;
use super::fields::{is_reason, is_token, is_value_byte, is_visible};

/// The first fault of a request head (RFC 9112, section 3); one empty line before it is none.
pub(super) fn request(text: &[u8], fields_max: usize) -> Option<WireError> {
    let text = text.strip_prefix(b"\r\n").unwrap_or(text);
    message(text, fields_max, request_line).err()
}

/// The first fault of a response head (RFC 9112, section 4).
pub(super) fn response(text: &[u8], fields_max: usize) -> Option<WireError> {
    message(text, fields_max, status_line).err()
}

/// A start line, field lines, an empty line, and nothing behind it.
fn message(
    text: &[u8],
    fields_max: usize,
    start_line: fn(&[u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let (first, mut rest) = line(text)?;
    start_line(first)?;
    for count in 0_usize.. {
        let (next, behind) = line(rest)?;
        if next.is_empty() {
            return if behind.is_empty() { Ok(()) } else { Err(WireError::MalformedHead) };
        }
        if count >= fields_max {
            return Err(WireError::TooManyFields);
        }
        field_line(next)?;
        rest = behind;
    }
    Err(WireError::MalformedHead)
}

/// The first line without its CRLF, and what follows it.
fn line(text: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let end = memchr::memchr(b'\n', text).ok_or(WireError::MalformedHead)?;
    let (line, rest) = text.split_at_checked(end).ok_or(WireError::MalformedHead)?;
    let line = line.strip_suffix(b"\r").ok_or(WireError::BareLf)?;
    if line.contains(&b'\r') {
        return Err(WireError::BareCr);
    }
    Ok((line, rest.strip_prefix(b"\n").unwrap_or(rest)))
}

/// `method SP target SP version`
fn request_line(line: &[u8]) -> Result<(), WireError> {
    let (method, rest) = split_space(line)?;
    if method.is_empty() {
        return Err(WireError::MalformedRequestLine);
    }
    if !is_token(method) {
        return Err(WireError::InvalidMethod);
    }
    let (target, version) = split_space(rest)?;
    if target.is_empty() {
        return Err(WireError::MalformedRequestLine);
    }
    if !is_visible(target) {
        return Err(WireError::InvalidTarget);
    }
    version_text(version, WireError::MalformedRequestLine)
}

/// `version SP status [SP reason]`
fn status_line(line: &[u8]) -> Result<(), WireError> {
    let (version, rest) = split_space(line).map_err(|_| WireError::MalformedStatusLine)?;
    version_text(version, WireError::MalformedStatusLine)?;
    let (status, behind) = rest.split_at_checked(3).ok_or(WireError::MalformedStatusLine)?;
    if !status.iter().all(u8::is_ascii_digit) {
        return Err(WireError::MalformedStatusLine);
    }
    if !matches!(status, [b'1'..=b'5', ..]) {
        return Err(WireError::InvalidStatus);
    }
    match behind {
        [] => Ok(()),
        [b' ', reason @ ..] if is_reason(reason) => Ok(()),
        [b' ', ..] => Err(WireError::InvalidReason),
        _ => Err(WireError::MalformedStatusLine),
    }
}

/// `HTTP/1.0` or `HTTP/1.1`; another version is another cause than no version.
fn version_text(text: &[u8], malformed: WireError) -> Result<(), WireError> {
    match text {
        b"HTTP/1.0" | b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(WireError::UnsupportedVersion)
        }
        _ => Err(malformed),
    }
}

/// `name ":" OWS value OWS`
fn field_line(line: &[u8]) -> Result<(), WireError> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(WireError::ObsoleteFold);
    }
    let mut parts = line.splitn(2, |&byte| byte == b':');
    let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
        return Err(WireError::InvalidFieldName);
    };
    if !is_token(name) {
        let spaced = matches!(name, [.., b' ' | b'\t']) && is_token(super::fields::trim(name));
        return Err(if spaced { WireError::SpaceBeforeColon } else { WireError::InvalidFieldName });
    }
    if value.iter().copied().all(is_value_byte) {
        Ok(())
    } else {
        Err(WireError::InvalidFieldValue)
    }
}

/// What is before the first space, and what is behind it.
fn split_space(text: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut parts = text.splitn(2, |&byte| byte == b' ');
    match (parts.next(), parts.next()) {
        (Some(before), Some(behind)) => Ok((before, behind)),
        _ => Err(WireError::MalformedRequestLine),
    }
}
