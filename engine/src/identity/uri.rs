//! URIs of certificates, held against those of lists, and the host in one.
//!
//! What `allow` names is compared as it is written. For `deny` everything counts that somebody behind us
//! may take the URI for.

use super::unicode;

/// A URI to compare with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UriPattern {
    /// Scheme and authority, in lower case.
    pub origin: Box<[u8]>,
    /// What follows.
    pub rest: PatternRest,
}

/// What follows a URI's authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PatternRest {
    /// These bytes.
    Exact(Box<[u8]>),
    /// A path of these segments.
    Path(Vec<PatternSegment>),
}

/// A segment of a URI's path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PatternSegment {
    /// These bytes.
    Exact(Box<[u8]>),
    /// Any one.
    One,
    /// The rest, which is at least one.
    More,
}

impl UriPattern {
    /// Is it this one?
    pub(crate) fn is(&self, found: &[u8]) -> bool {
        let Some((origin, rest)) = found.split_at_checked(self.origin.len()) else { return false };
        if !origin.eq_ignore_ascii_case(&self.origin) {
            return false;
        }
        match &self.rest {
            PatternRest::Exact(wanted) => rest == &**wanted,
            PatternRest::Path(segments) => {
                rest.strip_prefix(b"/").is_some_and(|path| is_path(segments, path, Reading::Plain))
            }
        }
    }

    /// Might somebody read this one of [`readings`] as it?
    pub(crate) fn may_be(&self, found: &[u8]) -> bool {
        let Some((origin, rest)) = found.split_at_checked(self.origin.len()) else { return false };
        origin.eq_ignore_ascii_case(&self.origin)
            && match &self.rest {
                PatternRest::Exact(wanted) => rest == &**wanted,
                PatternRest::Path(segments) => {
                    let path = rest.strip_prefix(b"/");
                    path.is_some_and(|path| is_path(segments, path, Reading::Any))
                }
            }
    }
}

/// How strictly a path is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    /// Wildcards stand for plain segments, and segments are their bytes.
    Plain,
    /// Wildcards stand for any segments, and segments may hold escapes.
    Any,
}

/// Are there readers who take it for another?
pub(crate) fn is_odd(uri: &[u8]) -> bool {
    let (_, path) = parts(uri);
    let mut segments = path.split(|byte| *byte == b'/').skip(1);
    uri.iter().any(|byte| b"%?#\\".contains(byte))
        || host_alone(uri).is_some_and(|other| other != uri)
        || segments.any(|segment| matches!(segment, b"" | b"." | b".."))
}

/// As what a URI may be read: with escapes resolved (once, or once more, and what they stand for in
/// plain letters where those look alike), without query and fragment, with dots and empty segments
/// resolved, with nothing but a host for its authority. Bounded, however it is made.
pub(crate) fn readings(uri: &[u8]) -> Vec<Vec<u8>> {
    let once = decoded(uri);
    let twice = decoded(&once);
    let plainer = [&once, &twice].map(|text| plainer(text));
    let mut found = Vec::new();
    for text in [uri.to_vec(), once, twice].into_iter().chain(plainer.into_iter().flatten()) {
        let end = memchr::memchr2(b'?', b'#', &text).unwrap_or(text.len());
        let bare = text.get(..end).unwrap_or_default().to_vec();
        if let Some(other) = host_alone(&bare) {
            found.extend([resolved(&other), other]);
        }
        found.extend([resolved(&bare), bare, text]);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The host of a URI (RFC 3986, section 3.2): what stands between `://` and the first of `/`, `?` and
/// `#`, without a port. `None` where there is no host name: no authority, user information, an
/// address in brackets or in dots (RFC 5280 has constraints refuse these), an escape, a port that is
/// no number.
pub(crate) fn host(uri: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = uri.split_at_checked(memchr::memchr(b':', uri)?)?;
    let in_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    if !scheme.first()?.is_ascii_alphabetic() || !scheme.iter().all(in_scheme) {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let (host, port) = match memchr::memchr(b':', authority) {
        Some(colon) => (authority.get(..colon)?, authority.get(colon + 1..)?),
        None => (authority, &[][..]),
    };
    let last = host.rsplit(|byte| *byte == b'.').next()?;
    let is_address = last.iter().all(u8::is_ascii_digit);
    let good = port.iter().all(u8::is_ascii_digit) && is_host_name(host) && !is_address;
    good.then_some(host)
}

/// Labels of letters, digits, `-`, `_` and `~`, none of them empty: nothing that one reader takes for
/// an escape or a delimiter and another one does not, and no dot at the end.
pub(crate) fn is_host_name(host: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_~".contains(byte);
    host.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(plain))
}

/// With a scheme, `://`, and of the authority the host alone: without user information, port and final
/// dots, and with as many slashes in front as there should be. `None` without a scheme.
fn host_alone(uri: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = uri.split_at_checked(memchr::memchr(b':', uri)?)?;
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let rest = rest.get(1..)?;
    let slashes = rest.iter().take_while(|byte| is_slash(byte)).count();
    let rest = rest.get(slashes..)?;
    let end = rest.iter().position(is_slash).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    let bracket = if host.starts_with(b"[") { memchr::memchr(b']', host).unwrap_or(0) } else { 0 };
    let port = memchr::memchr(b':', host.get(bracket..)?).map_or(host.len(), |at| bracket + at);
    let host = host.get(..port)?;
    let dots = host.iter().rev().take_while(|byte| **byte == b'.').count();
    Some([scheme, b"://", host.get(..host.len() - dots)?, path].concat())
}

/// Scheme and authority, and what follows.
fn parts(uri: &[u8]) -> (&[u8], &[u8]) {
    let authority = memchr::memmem::find(uri, b"://").map_or(0, |at| at + 3);
    let rest = uri.get(authority..).unwrap_or_default();
    let path = rest.iter().position(|byte| matches!(byte, b'/' | b'\\')).unwrap_or(rest.len());
    uri.split_at(authority + path)
}

/// Without dots and empty segments in its path.
fn resolved(uri: &[u8]) -> Vec<u8> {
    let (origin, path) = parts(uri);
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut out = origin.to_vec();
    for segment in kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    out
}

/// In other characters, as readers see it who take compatible ones for the same; `None` if those are its
/// own.
fn plainer(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok().filter(|text| !text.is_ascii())?;
    Some(unicode::decomposed(text).collect::<String>().into_bytes())
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escape = (*byte == b'%').then(|| digit(at + 1).zip(digit(at + 2))).flatten();
        match escape.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// Does a path (behind its first slash) have these segments? A wildcard stands for plain segments
/// only: not for an empty one, `.` or `..`, nor for what holds an escape, a query or a fragment.
fn is_path(segments: &[PatternSegment], path: &[u8], reading: Reading) -> bool {
    let any = reading == Reading::Any;
    let mut found = path.split(|byte| *byte == b'/');
    for segment in segments {
        let Some(next) = found.next() else { return false };
        let fits = match segment {
            PatternSegment::Exact(wanted) => {
                next == &**wanted || (any && next.contains(&b'%') && *decoded(next) == **wanted)
            }
            PatternSegment::One => any || is_plain(next),
            PatternSegment::More => return any || (is_plain(next) && found.all(is_plain)),
        };
        if !fits {
            return false;
        }
    }
    found.next().is_none()
}

fn is_plain(segment: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte);
    !matches!(segment, b"" | b"." | b"..") && segment.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(origin: &str, segments: &[&str]) -> UriPattern {
        let segments = segments.iter().map(|segment| match *segment {
            "*" => PatternSegment::One,
            "**" => PatternSegment::More,
            text => PatternSegment::Exact(text.as_bytes().into()),
        });
        UriPattern { origin: origin.as_bytes().into(), rest: PatternRest::Path(segments.collect()) }
    }

    #[test]
    fn a_host_ends_where_rfc_3986_ends_it() {
        for (uri, expected) in [
            ("spiffe://a.b/c", Some("a.b")),
            ("x://a.b", Some("a.b")),
            ("x://a.b?c.d/", Some("a.b")),
            ("x://a.b#c.d:1", Some("a.b")),
            ("x://a.b/c:1", Some("a.b")),
            ("x://a.b:80/c", Some("a.b")),
            ("x://a.b:/c", Some("a.b")),
            ("x://a.b:8a/c", None),
            ("x://a.b:80:80/c", None),
            ("x://u@a.b/c", None),
            ("x://a.b:1@c.d/", None),
            ("x://@a.b/", None),
            ("x://[::1]/c", None),
            ("x://10.0.0.1/c", None),
            ("x://a.b./c", None),
            ("x://a..b/c", None),
            ("x://.a/c", None),
            ("x://a%2eb/c", None),
            ("x://a\\b/c", None),
            ("x:///c", None),
            ("x://", None),
            ("x:/a.b", None),
            ("urn:x", None),
            ("//a.b", None),
            ("1x://a.b", None),
            ("a.b", None),
            ("", None),
        ] {
            assert_eq!(host(uri.as_bytes()), expected.map(str::as_bytes), "{uri}");
        }
    }

    #[test]
    fn a_wildcard_of_a_uri_is_a_plain_segment() {
        let one = uri("spiffe://example.com", &["ns", "pay", "*"]);
        for found in ["spiffe://example.com/ns/pay/sa", "SPIFFE://Example.COM/ns/pay/a-b_c.d"] {
            assert!(one.is(found.as_bytes()), "{found}");
        }
        for found in [
            "spiffe://example.com/ns/pay",
            "spiffe://example.com/ns/pay/",
            "spiffe://example.com/ns/pay/a/b",
            "spiffe://example.com/ns/PAY/a",
            "spiffe://example.com/ns/pay/..",
            "spiffe://example.com/ns/pay/.",
            "spiffe://example.com/ns/pay/a%2fb",
            "spiffe://example.com/ns/pay/a?b",
            "spiffe://example.com/ns/pay/a#b",
            "spiffe://example.com.evil/ns/pay/a",
            "spiffe://example.comns/pay/a",
            "https://example.com/ns/pay/a",
            "x",
        ] {
            assert!(!one.is(found.as_bytes()), "{found}");
        }
        let more = uri("spiffe://example.com", &["ns", "**"]);
        assert!(more.is(b"spiffe://example.com/ns/a") && more.is(b"spiffe://example.com/ns/a/b/c"));
        for found in ["/ns", "/ns/", "/ns/a/", "/ns//a", "/ns/a/../b", "/nsa/b"] {
            assert!(!more.is(format!("spiffe://example.com{found}").as_bytes()), "{found}");
        }
    }

    #[test]
    fn deny_names_what_others_may_read() {
        let may_be = |uri: &UriPattern, found: &str| {
            let odd = is_odd(found.as_bytes());
            odd && readings(found.as_bytes()).iter().any(|found| uri.may_be(found))
        };
        let pattern = uri("spiffe://x", &["ns", "bad", "*"]);
        for found in [
            "spiffe://x/ns/bad/a%2fb",
            "spiffe://x/ns/bad/x?y",
            "spiffe://x/ns/bad/x#y",
            "spiffe://x/ns/%62ad/a",
            "spiffe://x/ns/%2562ad/a",
            "spiffe://x/ns/%62ad/a%2Fb",
            "spiffe://x/ns//bad/a",
            "spiffe://x/ns/good/../bad/a",
            "spiffe://x/ns/good/%2e%2e/bad/a",
            "spiffe://x/ns/./bad/a",
            "spiffe://x/ns/bad/",
            "spiffe://x/ns/bad/a/",
            "spiffe://x\\ns\\bad\\a",
            "spiffe://%78/ns/bad/a",
        ] {
            assert!(may_be(&pattern, found), "{found}");
        }
        for found in [
            "spiffe://x/ns/bad/a",
            "spiffe://x/ns/good/a%2fb",
            "spiffe://x/ns/good/a?/ns/bad/a",
            "spiffe://y/ns/bad/a%2fb",
            "spiffe://x/ns/bad/../good/a%",
        ] {
            let plain = found == "spiffe://x/ns/bad/a";
            assert_eq!(pattern.is(found.as_bytes()), plain, "{found}");
            let may_be = may_be(&pattern, found);
            // Read as it is written, a wildcard stands for two dots as well.
            assert!(!may_be, "{found}");
        }
        let exact = UriPattern {
            origin: b"spiffe://x".as_slice().into(),
            rest: PatternRest::Exact(b"/a".as_slice().into()),
        };
        assert!(may_be(&exact, "spiffe://x/%61") && may_be(&exact, "spiffe://x/a?b"));
        assert!(may_be(&exact, "spiffe://x/b/../a/") && !may_be(&exact, "spiffe://x/b?a"));
        assert!(!is_odd(b"spiffe://x") && !is_odd(b"https://[::1]/a.b/c"));
        assert!(is_odd(b"https://x.y:1/a.b/c") && is_odd(b"https://[::1]:1/"));
    }
}
