//! Paths and their patterns, as they are written in a file and compared with those of requests.
//!
//! In: text. Out: a pattern in the one form that is compared, or what is wrong with it: what no
//! request's path can be is refused. Escapes are decoded here and not by a library, because only
//! those are that do not change what a path means, and broken ones are refused.

use crate::model::{PARAMS_MAX, ParamPath, PathPiece, UriPattern};
use crate::values::Wrong;

/// `/path`, or `/path*` for everything that starts so; in the normal form that is compared.
pub(crate) fn uri_pattern(text: &str) -> Result<UriPattern, Wrong> {
    match text.strip_suffix('*') {
        Some(path) => normal_path(path, text).map(UriPattern::Prefix),
        None => normal_path(text, text).map(UriPattern::Exact),
    }
}

/// Such a path, in which a segment `:name` stands for any segment, and `*name` at the end for the rest.
pub(crate) fn param_pattern(text: &str) -> Result<UriPattern, Wrong> {
    let segments: Vec<&str> = text.split('/').collect();
    let is_param = |(at, segment): (usize, &&str)| {
        segment.starts_with(':')
            || (at + 1 == segments.len() && segment.starts_with('*') && segment.len() > 1)
    };
    if !segments.iter().enumerate().any(is_param) {
        return uri_pattern(text);
    }
    let mut pieces = vec![PathPiece::Text(String::new())];
    // With a name of no meaning in place of each parameter, it is a path like any other.
    let mut plain = String::new();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        if at > 0 {
            push_text(&mut pieces, "/");
            plain.push('/');
        }
        if let Some(name) = segment.strip_prefix(':') {
            pieces.push(PathPiece::Segment(param_name(name, text)?));
            plain.push('x');
        } else if let Some((front, name)) = segment.split_once('*').filter(|_| last) {
            if !name.is_empty() && !front.is_empty() {
                return Err(Wrong::new(format!("`{text}` has a `*` within a segment"))
                    .help("`*name` is a whole segment, and the last one"));
            }
            push_text(&mut pieces, &decoded_text(front, text)?);
            plain.push_str(front);
            plain.push('x');
            let name = if name.is_empty() { String::new() } else { param_name(name, text)? };
            pieces.push(PathPiece::Rest(name));
        } else {
            push_text(&mut pieces, &decoded_text(segment, text)?);
            plain.push_str(segment);
        }
    }
    normal_path(&plain, text)?;
    let params = pieces.iter().filter(|piece| !matches!(piece, PathPiece::Text(_))).count();
    if params > PARAMS_MAX {
        return Err(Wrong::new(format!("`{text}` has more than {PARAMS_MAX} parameters")));
    }
    let path = ParamPath { pieces };
    let mut names: Vec<&str> = path.names().collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
        return Err(Wrong::new(format!("`{text}` has two parameters `{}`", twice[0]))
            .help("give each a name of its own"));
    }
    Ok(UriPattern::Params(path))
}

/// A text joins the text before it.
fn push_text(pieces: &mut Vec<PathPiece>, text: &str) {
    match pieces.last_mut() {
        Some(PathPiece::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(PathPiece::Text(text.to_owned())),
    }
}

fn decoded_text(segment: &str, shown: &str) -> Result<String, Wrong> {
    decoded(segment).ok_or_else(|| {
        Wrong::new(format!("{shown:?} can match no request"))
            .help("a path holds no control characters, no `\\` and no broken escapes")
    })
}

fn param_name(name: &str, shown: &str) -> Result<String, Wrong> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.is_empty() && name.bytes().all(legal) {
        return Ok(name.to_owned());
    }
    Err(Wrong::new(format!("`{shown}` has a parameter without a good name")).help(
        "`:` and letters, digits and `_`; a segment that begins with a `:` of its own is written `%3A`",
    ))
}

/// A path pattern as [`uri_pattern`] and [`param_pattern`] read it.
pub(crate) fn uri_pattern_text(pattern: &UriPattern) -> String {
    let plain = |text: &str| text.replace('*', "%2A").replace("/:", "/%3A");
    match pattern {
        UriPattern::Exact(path) => plain(path),
        UriPattern::Prefix(path) => format!("{}*", plain(path)),
        UriPattern::Params(path) => {
            let piece = |piece: &PathPiece| match piece {
                PathPiece::Text(text) => plain(text),
                PathPiece::Segment(name) => format!(":{name}"),
                PathPiece::Rest(name) => format!("*{name}"),
            };
            path.pieces.iter().map(piece).collect()
        }
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
        assert_eq!(uri_pattern("/:a/*"), Ok(UriPattern::Prefix("/:a/".to_owned())));
        let star = UriPattern::Exact("/a*".to_owned());
        assert_eq!(uri_pattern(&uri_pattern_text(&star)), Ok(star));
        for (text, wanted) in [
            ("/a/:b", "T/a/ Sb"),
            ("/:bC", "T/ SbC"),
            ("/:b/", "T/ Sb T/"),
            ("/:b/c/:d1_/e", "T/ Sb T/c/ Sd1_ T/e"),
            ("/a/*rest", "T/a/ Rrest"),
            ("/:b/*rest", "T/ Sb T/ Rrest"),
            ("/:b/*", "T/ Sb T/ R"),
            ("/:b/c*", "T/ Sb T/c R"),
            ("/%61:c/:b", "T/a:c/ Sb"),
            ("/%3Ab/:c/%2A", "T/:b/ Sc T/*"),
        ] {
            let pattern = param_pattern(text).unwrap();
            let UriPattern::Params(path) = &pattern else { panic!("{text}") };
            let shown = path.pieces.iter().map(|piece| match piece {
                PathPiece::Text(text) => format!("T{text}"),
                PathPiece::Segment(name) => format!("S{name}"),
                PathPiece::Rest(name) => format!("R{name}"),
            });
            assert_eq!(shown.collect::<Vec<_>>().join(" "), wanted, "{text}");
            assert_eq!(param_pattern(&uri_pattern_text(&pattern)), Ok(pattern), "{text}");
        }
        for text in ["/a", "/a*", "/*", "/a:b", "/%3Ab", "/%2Ab", "/%3A/*"] {
            let pattern = param_pattern(text).unwrap();
            assert_eq!(Ok(&pattern), uri_pattern(text).as_ref(), "{text}");
            assert_eq!(param_pattern(&uri_pattern_text(&pattern)), Ok(pattern), "{text}");
        }
        for bad in [
            "/:",
            "/:a-b",
            "/:a/:a",
            "/:a/*a",
            "/*a/b",
            "/:a/b*c",
            "/:a/../b",
            "/:a//b",
            "/:a*",
            ":a",
            "/:a?b",
            "/:a/%zz",
            "/:a/.",
            "/:a/\u{7f}",
            "/%2e/:a",
        ] {
            assert!(param_pattern(bad).is_err(), "{bad}");
        }
        for broken in ["/%", "/%4", "/%4x", "/%ff", "/%00", "/a\\b"] {
            assert!(uri_pattern(broken).is_err(), "{broken}");
        }
    }
}
