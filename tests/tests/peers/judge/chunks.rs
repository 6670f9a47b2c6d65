//! Chunked bodies, as strictly or leniently as a reading says.

use super::grammar::{is_token, is_value, strict_field};
use super::ways::{Chunks, Reading, line};

/// The data, and where the body ends; `None` if it is not all there.
pub(crate) fn read(
    bytes: &[u8],
    mut at: usize,
    by: &Reading,
) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let mut data = Vec::new();
    loop {
        let Some((size, next)) = size_line(bytes, at, by)? else { return Ok(None) };
        at = next;
        if size == 0 {
            return Ok(trailer(bytes, at, by)?.map(|end| (data, end)));
        }
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
        let Some(piece) = end.and_then(|end| bytes.get(at..end)) else { return Ok(None) };
        data.extend_from_slice(piece);
        at += piece.len();
        let rest = &bytes[at..];
        at += match (by.chunks, rest) {
            (_, [b'\r', b'\n', ..]) => 2,
            (_, [] | [b'\r']) => return Ok(None),
            (Chunks::Strict, _) => return Err("the end of a chunk"),
            (Chunks::Blind, [_, _, ..]) => 2,
            (Chunks::Blind, _) => return Ok(None),
            (Chunks::BareLf, [b'\n', ..]) => 1,
            // Whatever it is, the next size starts there.
            _ => 0,
        };
    }
}

/// The size in the line at `at`, and where that line ends.
fn size_line(bytes: &[u8], at: usize, by: &Reading) -> Result<Option<(u64, usize)>, &'static str> {
    if by.chunks == Chunks::Strict {
        // What can become no size is a fault before its line has ended.
        if bytes.get(at).is_some_and(|byte| !byte.is_ascii_hexdigit()) {
            return Err("a chunk size");
        }
        let Some((text, next)) = line(bytes, at, by)? else { return Ok(None) };
        return strict_size(text).map(|size| Some((size, next)));
    }
    let rest = &bytes[at..];
    let mut quoted = false;
    let end = rest.iter().enumerate().position(|(place, byte)| {
        let slashes = rest[..place].iter().rev().take_while(|byte| **byte == b'\\').count();
        let escaped = quoted && slashes % 2 == 1;
        quoted ^= by.chunks == Chunks::Quotes && *byte == b'"' && !escaped;
        let lf = *byte == b'\n' && !quoted;
        lf && (by.chunks == Chunks::BareLf || (place > 0 && rest[place - 1] == b'\r'))
    });
    let Some(end) = end else { return Ok(None) };
    let text = rest[..end].trim_ascii();
    let text = text.strip_prefix(b"0x").unwrap_or(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let size = digits.fold(0_u64, |sum, digit| {
        let digit = char::from(*digit).to_digit(16).map_or(0, u64::from);
        sum.wrapping_mul(16).wrapping_add(digit)
    });
    let size = if by.chunks == Chunks::Wrap { size & 0xffff_ffff } else { size };
    Ok(Some((size, at + end + 1)))
}

/// `1*HEXDIG *( BWS ";" BWS name [ BWS "=" BWS value ] )`
fn strict_size(text: &[u8]) -> Result<u64, &'static str> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let number = str::from_utf8(&text[..digits]).ok().map(|text| text.trim_start_matches('0'));
    let size = match number {
        Some("") if digits > 0 => 0,
        Some(number) => {
            i64::from_str_radix(number, 16).map_err(|_| "a chunk size")?.cast_unsigned()
        }
        None => return Err("a chunk size"),
    };
    let mut rest = &text[digits..];
    while !rest.is_empty() {
        rest = blank(rest).strip_prefix(b";").ok_or("behind a chunk size")?;
        let (name, behind) = word(blank(rest));
        if !is_token(name) {
            return Err("a chunk extension");
        }
        rest = behind;
        if let Some(value) = blank(rest).strip_prefix(b"=") {
            rest = extension_value(blank(value)).ok_or("the value of a chunk extension")?;
        }
    }
    Ok(size)
}

/// What is behind a token or a quoted string.
fn extension_value(text: &[u8]) -> Option<&[u8]> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let (token, rest) = word(text);
        return is_token(token).then_some(rest);
    };
    loop {
        rest = match rest {
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', byte, behind @ ..] if is_value(&[*byte]) => behind,
            [b'\\', ..] | [] => return None,
            [byte, behind @ ..] if is_value(&[*byte]) => behind,
            _ => return None,
        };
    }
}

fn blank(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_token(&[*byte])).unwrap_or(text.len());
    text.split_at(end)
}

/// Where the trailer section ends.
fn trailer(bytes: &[u8], mut at: usize, by: &Reading) -> Result<Option<usize>, &'static str> {
    while let Some((text, next)) = line(bytes, at, by)? {
        at = next;
        if text.is_empty() {
            return Ok(Some(at));
        }
        if by.strict {
            strict_field(text)?;
        }
    }
    Ok(None)
}
