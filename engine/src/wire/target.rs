//! The request target and the authority: the four forms (RFC 9112, section 3.2), what is a legal
//! host, and the path that routing looks at.
//!
//! **One fixed path policy.** The bytes that came are sent upstream; routing looks at the normal
//! form of the path. Where the two could name different resources to a next hop, the request is
//! refused, because a route's rules would be checked for one path and the other one be served:
//! * `.` and `..` segments, also as `%2e`, behind `%2f` or `%5c`, or with `;parameters`, are refused
//!   rather than resolved: clients resolve them before they send, attackers do not;
//! * `%00`, `%0d`, `%0a`, broken escapes, `\` and `#` are refused;
//! * `%2F`, `%5C`, `%25`, `%3B`, `%3F`, `%23` and encoded control bytes stay encoded, in upper case;
//!   all other escapes are decoded, once; `//` counts as `/`; `;` is an ordinary byte. What else a
//!   decoder may make of them is [`readings`](super::readings)' business.
//!
//! The query is opaque: visible ASCII without `#`, forwarded as it came and never looked into.

use core::net::Ipv6Addr;

use super::error::WireError;
use super::fields::{Known, is_visible};
use super::head::{Method, Version};
use super::hex;
use super::plain::{is_name, is_normal};
use super::span::Span;
use super::view::{FieldView, RequestView};

/// A request target, taken apart. Spans are of the buffer that holds the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// Which of the four forms.
    pub form: Form,
    /// Host and port of the absolute or authority form; empty otherwise.
    pub authority: Span,
    /// The path as it came, starting with `/` (also where the absolute form has none); `*` for the
    /// asterisk form, empty for the authority form.
    pub path: Span,
    /// The query without its `?`; empty if there is none.
    pub query: Span,
    /// Path, `?` and query as they came: what is sent upstream.
    pub path_and_query: Span,
}

/// RFC 9112, section 3.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, CONNECT only
    Authority,
    /// `*`, OPTIONS only
    Asterisk,
}

/// Takes a target apart. Escapes and dot segments are [`normalise_path`]'s business, which every
/// path has to pass.
///
/// # Errors
/// Control or non-ASCII bytes, a fragment, userinfo, an illegal host, or a form that the method
/// does not allow. A query right behind the authority (`http://host?query`) is refused as well:
/// there is no path in it that could be sent on.
pub fn parse_target(buf: &[u8], method: Method, target: Span) -> Result<Target, WireError> {
    let text = target.of(buf);
    if !is_visible(text) {
        return Err(WireError::InvalidTarget);
    }
    if text.contains(&b'#') {
        return Err(WireError::FragmentInTarget);
    }
    let none = Span { start: target.end, end: target.end };
    let whole =
        |form| Target { form, authority: none, path: none, query: none, path_and_query: none };
    match text {
        _ if method == Method::Connect => {
            let (_, Some(_)) = parse_authority(text)? else {
                return Err(WireError::InvalidAuthority);
            };
            Ok(Target { authority: target, ..whole(Form::Authority) })
        }
        [b'/', ..] => Ok(with_path(text, target, whole(Form::Origin))),
        b"*" if method == Method::Options => {
            Ok(Target { path: target, path_and_query: target, ..whole(Form::Asterisk) })
        }
        _ => absolute(text, target, whole(Form::Absolute)),
    }
}

/// `scheme "://" authority [path] ["?" query]`; `text` is what `span` holds.
fn absolute(text: &[u8], span: Span, target: Target) -> Result<Target, WireError> {
    const SCHEMES: [&[u8]; 2] = [b"https://", b"http://"];
    let scheme = SCHEMES
        .iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme)))
        .ok_or(WireError::InvalidTarget)?;
    let behind = text.get(scheme.len()..).unwrap_or_default();
    let len = behind.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(behind.len());
    let (authority, rest) = behind.split_at_checked(len).ok_or(WireError::InvalidTarget)?;
    parse_authority(authority)?;
    let authority = shift(span, scheme.len(), scheme.len().saturating_add(len))?;
    let target = Target { authority, ..target };
    match rest {
        // An empty path means `/` (RFC 9110, section 4.2.3); the scheme's last byte is one.
        [] => {
            let slash = shift(span, scheme.len().saturating_sub(1), scheme.len())?;
            Ok(Target { path: slash, path_and_query: slash, ..target })
        }
        [b'/', ..] => Ok(with_path(rest, Span { start: authority.end, ..span }, target)),
        _ => Err(WireError::InvalidTarget),
    }
}

/// Fills in path and query; `text` is what `span` holds, and starts with the path.
fn with_path(text: &[u8], span: Span, target: Target) -> Target {
    let path_len = memchr::memchr(b'?', text).unwrap_or(text.len());
    // Both offsets are within a span of 32 bits.
    let path_end = u32::try_from(path_len).map_or(span.end, |len| span.start.saturating_add(len));
    let query_start = path_end.saturating_add(1).min(span.end);
    Target {
        path: Span { start: span.start, end: path_end },
        query: Span { start: query_start, end: span.end },
        path_and_query: span,
        ..target
    }
}

/// The part of `span` from its byte `start` to before its byte `end`.
fn shift(span: Span, start: usize, end: usize) -> Result<Span, WireError> {
    let base = span.start as usize;
    Span::new(base.saturating_add(start), base.saturating_add(end)).ok_or(WireError::InvalidTarget)
}

/// Takes a request's target apart, as [`parse_target`] does.
///
/// # Errors
/// Those of [`parse_target`].
#[inline]
pub fn request_target(request: RequestView<'_>) -> Result<Target, WireError> {
    parse_target(request.buf(), request.method(), request.target_span())
}

/// The authority that a request is for: its target's, else its Host value; nothing only for an
/// HTTP/1.0 request without Host. It has passed [`parse_authority`].
///
/// # Errors
/// RFC 9112, section 3.2: no Host in HTTP/1.1, more than one, or one that is no host, an empty one
/// included. This also where the target has an authority of its own, which then replaces it
/// (section 3.2.2).
pub fn request_authority(
    request: RequestView<'_>,
    target: &Target,
) -> Result<Option<Span>, WireError> {
    let mut hosts = request.fields().all(Known::Host);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(WireError::SeveralHosts);
    }
    match host {
        Some(field) => drop(parse_authority(field.value()).map_err(|error| match error {
            WireError::UserinfoInAuthority => error,
            _ => WireError::InvalidHost,
        })?),
        None if request.version() == Version::Http11 => return Err(WireError::MissingHost),
        None => {}
    }
    let host = host.map(FieldView::value_span);
    Ok(if target.authority.is_empty() { host } else { Some(target.authority) })
}

/// Checks a Host value or authority and splits it: host without port (as it came, an IPv6 address
/// in its brackets), and the port. A colon without digits behind it means no port (RFC 3986,
/// section 3.2.3).
///
/// # Errors
/// Anything RFC 3986 does not allow as `host [":" port]`, userinfo, an empty host, and registered
/// names that are no DNS names with letters, digits, `-`, `_` and single dots.
pub fn parse_authority(authority: &[u8]) -> Result<(&[u8], Option<u16>), WireError> {
    // What most clients send: a name, and no port.
    if is_name(authority) {
        return Ok((authority, None));
    }
    if authority.contains(&b'@') {
        return Err(WireError::UserinfoInAuthority);
    }
    let host_len = match authority {
        [b'[', rest @ ..] => {
            let len = rest.iter().position(|&byte| byte == b']');
            len.and_then(|len| len.checked_add(2)).ok_or(WireError::InvalidAuthority)?
        }
        _ => authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len()),
    };
    let (host, behind) = authority.split_at_checked(host_len).ok_or(WireError::InvalidAuthority)?;
    let legal = match host {
        [b'[', address @ .., b']'] => is_ipv6(address),
        _ => is_name(host),
    };
    if !legal {
        return Err(WireError::InvalidAuthority);
    }
    match behind {
        [] | [b':'] => Ok((host, None)),
        [b':', digits @ ..] => Ok((host, Some(port(digits)?))),
        _ => Err(WireError::InvalidAuthority),
    }
}

/// An address as RFC 3986, section 3.2.2, writes it; without a zone, which means nothing elsewhere.
fn is_ipv6(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// One to five digits, at most 65535.
fn port(digits: &[u8]) -> Result<u16, WireError> {
    let legal = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    let value = digits.iter().fold(0_u32, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
    });
    u16::try_from(value).ok().filter(|_| legal).ok_or(WireError::InvalidAuthority)
}

/// Appends the path that routing looks at: percent-decoded once where that is unambiguous, slashes
/// merged, as the module says. The `*` of the asterisk form stays what it is. Normalising twice
/// changes nothing more.
///
/// # Errors
/// A path that does not start with `/`, or holds what the policy refuses; `out` is as it was then.
pub fn normalise_path(path: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    let result = append_normal(path, true, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// [`normalise_path`], but slashes stay as many as they are.
pub(super) fn append_unmerged(path: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    append_normal(path, false, out)
}

/// [`normalise_path`] without the clearing up.
fn append_normal(path: &[u8], merge: bool, out: &mut Vec<u8>) -> Result<(), WireError> {
    if is_normal(path) {
        out.extend_from_slice(path);
        return Ok(());
    }
    append_decoded(path, merge, out)
}

/// [`append_normal`], byte for byte.
pub(super) fn append_decoded(path: &[u8], merge: bool, out: &mut Vec<u8>) -> Result<(), WireError> {
    if path == b"*" {
        out.push(b'*');
        return Ok(());
    }
    if path.first() != Some(&b'/') {
        return Err(WireError::InvalidTarget);
    }
    let mut segment = Segment::Dots(0);
    let mut after_slash = false;
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        let (byte, escaped) = match (first, behind) {
            (b'%', [high, low, tail @ ..]) => {
                rest = tail;
                ((hex_digit(*high)? << 4) | hex_digit(*low)?, true)
            }
            (b'%', _) => return Err(WireError::BrokenEscape),
            _ => {
                rest = behind;
                (*first, false)
            }
        };
        segment = segment.handle(byte)?;
        match (byte, escaped) {
            (0 | b'\r' | b'\n', _) => return Err(WireError::ForbiddenEscape),
            (b'\\', false) => return Err(WireError::BackslashInPath),
            (b'#', false) => return Err(WireError::FragmentInTarget),
            (b'/', false) if after_slash && merge => {}
            (b'/' | b'\\' | b'%' | b';' | b'?' | b'#' | ..=0x1f | 0x7f, true) => escape(byte, out),
            _ => out.push(byte),
        }
        after_slash = (byte, escaped) == (b'/', false);
    }
    segment.handle(b'/').map(drop)
}

/// A path segment in the most suspicious reading: slashes and backslashes end it, encoded or not,
/// and `;` begins parameters that some servers cut off before they resolve dots.
#[derive(Clone, Copy, Debug)]
enum Segment {
    /// So many dots and nothing else.
    Dots(u8),
    /// A name.
    Name,
}

impl Segment {
    fn handle(self, byte: u8) -> Result<Self, WireError> {
        match (self, byte) {
            (Self::Dots(1 | 2), b'/' | b'\\' | b';') => Err(WireError::DotSegment),
            (_, b'/' | b'\\') => Ok(Self::Dots(0)),
            (Self::Dots(count @ 0..=1), b'.') => Ok(Self::Dots(count + 1)),
            _ => Ok(Self::Name),
        }
    }
}

/// Appends `%XX`.
fn escape(byte: u8, out: &mut Vec<u8>) {
    let [high, low] = hex::pair(byte, hex::UPPER);
    out.extend_from_slice(&[b'%', high, low]);
}

/// The value of a hexadecimal digit.
pub(super) const fn hex_digit(digit: u8) -> Result<u8, WireError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(WireError::BrokenEscape),
    }
}
