//! Paths and their patterns, as they are written in a file and compared with those of requests.
//!
//! In: text. Out: a pattern in the one form that is compared, or what is wrong with it: what no
//! request's path can be is refused. Escapes are decoded here and not by a library, because only
//! those are that do not change what a path means, and broken ones are refused.

use crate::model::UriPattern;
use crate::values::Wrong;

/// `/path`, or `/path*` for everything that starts so; in the normal form that is compared.
pub(crate) fn uri_pattern(text: &str) -> Result<UriPattern, Wrong> {
    match text.strip_suffix('*') {
        Some(path) => normal_path(path, text).map(UriPattern::Prefix),
        None => normal_path(text, text).map(UriPattern::Exact),
    }
}

/// A path pattern as [`uri_pattern`] reads it.
pub(crate) fn uri_pattern_text(pattern: &UriPattern) -> String {
    match pattern {
        UriPattern::Exact(path) => path.replace('*', "%2A"),
        UriPattern::Prefix(path) => format!("{}*", path.replace('*', "%2A")),
    }
}

/// The normal form of a path: escapes are decoded once, but for those that would change what the
/// path means. What no request's path can be equal to, or start with, is refused.
pub(crate) fn normal_path(path: &str, shown: &str) -> Result<String, Wrong> {
    if !path.starts_with('/') {
        return Err(Wrong::new(format!("`{shown}` does not start with `/`"))
            .help(format!("write \"/{}\"", shown.trim_start_matches('/'))));
    }
    if path.contains('*') {
        return Err(Wrong::new(format!("`{shown}` has a `*` that is not at its end")).help(
            "a `*` at the end matches everything that starts so; there is no other wildcard",
        ));
    }
    if path.contains('?') || path.contains('#') {
        return Err(Wrong::new(format!("`{shown}` is more than a path"))
            .help("leave the query out: it is never compared"));
    }
    let normal = decoded(path).ok_or_else(|| {
        Wrong::new(format!("{shown:?} can match no request"))
            .help("a path holds no control characters, no `\\` and no broken escapes")
    })?;
    // The last segment of a prefix goes on: a dot may start a name there.
    let whole = if shown.ends_with('*') {
        normal.rsplit_once('/').map_or("", |(dir, _)| dir)
    } else {
        &normal
    };
    let dots = whole.split('/').any(|segment| matches!(segment, "." | ".."));
    if dots || normal.contains("//") {
        return Err(Wrong::new(format!("`{shown}` can match no request"))
            .help("requests with `.` or `..` segments are refused, and doubled slashes are one"));
    }
    Ok(normal)
}

/// Decodes the escapes that are decoded before paths are compared.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            if byte.is_ascii_control() || byte == b'\\' {
                return None;
            }
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let code = digit(rest.next())? << 4 | digit(rest.next())?;
        let byte = u8::try_from(code).ok()?;
        match byte {
            0 | b'\r' | b'\n' => return None,
            b'/' | b'\\' | b'%' | b';' | b'?' | b'#' | ..=0x1f | 0x7f => {
                bytes.extend(format!("%{byte:02X}").into_bytes());
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        assert_eq!(uri_pattern("/a"), Ok(UriPattern::Exact("/a".to_owned())));
        assert_eq!(uri_pattern("/a*"), Ok(UriPattern::Prefix("/a".to_owned())));
        assert_eq!(uri_pattern("/*"), Ok(UriPattern::Prefix("/".to_owned())));
        assert_eq!(uri_pattern("/.*"), Ok(UriPattern::Prefix("/.".to_owned())));
        assert_eq!(uri_pattern("/%41%2f%C3%A4"), Ok(UriPattern::Exact("/A%2F\u{e4}".to_owned())));
        for bad in ["", "a", "*", "/a*b", "/a?b", "/a#", "/a\n", "/a/../b", "/%2E", "/a//b", "/%0a"]
        {
            assert!(uri_pattern(bad).is_err(), "{bad}");
        }
        let star = UriPattern::Exact("/a*".to_owned());
        assert_eq!(uri_pattern(&uri_pattern_text(&star)), Ok(star));
        for broken in ["/%", "/%4", "/%4x", "/%ff", "/%00", "/a\\b"] {
            assert!(uri_pattern(broken).is_err(), "{broken}");
        }
    }
}
