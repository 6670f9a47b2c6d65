//! Which form of an answer does the client want?
//!
//! In: a request's `Accept` (RFC 9110, section 12.5.1). Out: a quality for each type that we have.
//! The most specific range that matches a type decides for it; the work is bounded by the number of
//! ranges that are looked at.

use ferrule_config::model::PageMedia;

use crate::wire::fields::eq_ignore_case;
use crate::wire::view::FieldsView;

/// Ranges that are looked at; browsers send up to ten.
const RANGES_MAX: usize = 32;

/// What the client thinks of each type, in thousandths; 0 is not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// By type, in the order of [`TYPES`].
    types: [Preference; 4],
}

/// What the client thinks of one type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Preference {
    /// How specific the range was that said so: 0 if none did.
    specificity: u8,
    /// In thousandths.
    quality: u16,
}

impl Preference {
    /// What no range has said yet.
    const fn unsaid(quality: u16) -> Self {
        Self { specificity: 0, quality }
    }
}

/// The types that we may have. Where a client likes two of them equally, the earlier wins: who does
/// not say gets JSON, as from APISIX, and `text/*` is a terminal rather than a browser.
const TYPES: [(PageMedia, &[u8], &[u8]); 4] = [
    (PageMedia::Json, b"application", b"json"),
    (PageMedia::Plain, b"text", b"plain"),
    (PageMedia::Html, b"text", b"html"),
    (PageMedia::Xml, b"application", b"xml"),
];

impl Default for Accepted {
    /// No `Accept` is `*/*`.
    fn default() -> Self {
        Self { types: [Preference::unsaid(1_000); 4] }
    }
}

impl Accepted {
    /// Reads all `Accept` fields of a head.
    #[must_use]
    pub fn of(fields: FieldsView<'_>) -> Self {
        let mut lines = fields.all_named(b"accept").peekable();
        if lines.peek().is_none() {
            return Self::default();
        }
        let mut accepted = Self { types: [Preference::unsaid(0); 4] };
        let mut empty = true;
        let mut left = RANGES_MAX;
        for line in lines {
            let mut rest = line.value();
            while !rest.is_empty() && left > 0 {
                let (range, behind) = split_outside_quotes(rest, b',');
                rest = behind;
                if !range.trim_ascii().is_empty() {
                    left -= 1;
                    empty = false;
                    accepted.take(range);
                }
            }
        }
        if empty { Self::default() } else { accepted }
    }

    /// One media range with its parameters; what is none is passed over.
    fn take(&mut self, range: &[u8]) {
        let (essence, mut parameters) = split_outside_quotes(range, b';');
        let Some(slash) = essence.iter().position(|byte| *byte == b'/') else { return };
        let (kind, subtype) = essence.split_at(slash);
        let (kind, subtype) =
            (kind.trim_ascii(), subtype.get(1..).unwrap_or_default().trim_ascii());
        let mut quality = 1_000;
        let mut particular = false;
        while !parameters.is_empty() {
            let (parameter, behind) = split_outside_quotes(parameters, b';');
            parameters = behind;
            let equals = parameter.iter().position(|byte| *byte == b'=');
            let (name, value) = parameter.split_at(equals.unwrap_or(parameter.len()));
            let (name, value) = (name.trim_ascii(), value.get(1..).unwrap_or_default());
            if eq_ignore_case(name, b"q") {
                let Some(parsed) = parse_quality(value.trim_ascii()) else { return };
                quality = parsed;
                // What follows are extensions of old, and no parameters of the type.
                break;
            }
            // Ours are UTF-8 whatever is asked for; a `level` or `profile` is another thing.
            particular |= !name.is_empty() && !eq_ignore_case(name, b"charset");
        }
        if particular {
            return;
        }
        for ((_, own_kind, own_subtype), preference) in TYPES.iter().zip(&mut self.types) {
            let specificity = match (kind, subtype) {
                (b"*", b"*") => 1,
                (kind, b"*") if eq_ignore_case(kind, own_kind) => 2,
                (kind, subtype)
                    if eq_ignore_case(kind, own_kind) && eq_ignore_case(subtype, own_subtype) =>
                {
                    3
                }
                _ => continue,
            };
            // Of two equal ranges the first one stands.
            if specificity > preference.specificity {
                *preference = Preference { specificity, quality };
            }
        }
    }

    /// The one of these types that is liked best; `None` if none is acceptable.
    #[must_use]
    pub fn best(&self, offered: impl Fn(PageMedia) -> bool) -> Option<PageMedia> {
        let mut best: Option<(PageMedia, u16)> = None;
        for ((media, ..), Preference { quality, .. }) in TYPES.iter().zip(self.types) {
            if quality > best.map_or(0, |(_, quality)| quality) && offered(*media) {
                best = Some((*media, quality));
            }
        }
        best.map(|(media, _)| media)
    }
}

/// What stands before the first separator that is in no quoted string, and what is behind it.
fn split_outside_quotes(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match (*byte, quoted) {
            _ if escaped => escaped = false,
            (b'\\', true) => escaped = true,
            (b'"', _) => quoted = !quoted,
            (byte, false) if byte == separator => {
                let (before, behind) = text.split_at(at);
                return (before, behind.get(1..).unwrap_or_default());
            }
            _ => {}
        }
    }
    (text, &[])
}

/// `0`, `1`, `0.5`, `0.125`, `1.000` (RFC 9110, section 12.4.2), in thousandths.
fn parse_quality(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole] => (*whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (*whole, decimals),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut quality = u16::from(whole - b'0');
    for at in 0..3 {
        let digit = decimals.get(at).map_or(0, |digit| u16::from(digit - b'0'));
        quality = quality * 10 + digit;
    }
    (quality <= 1_000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    fn best(lines: &[&str]) -> Option<PageMedia> {
        let mut text = "GET / HTTP/1.1\r\nHost: h\r\n".to_owned();
        for line in lines {
            text = format!("{text}Accept: {line}\r\n");
        }
        text.push_str("\r\n");
        let mut head = RequestHead::default();
        let limits = HeadLimits { head_bytes_max: 65_536, fields_max: 100 };
        parse_request(text.as_bytes(), text.len(), limits, &mut head).unwrap();
        let ours = |media| media != PageMedia::Xml;
        Accepted::of(head.view(text.as_bytes()).fields()).best(ours)
    }

    #[test]
    fn the_most_specific_range_decides() {
        let (json, plain, html) =
            (Some(PageMedia::Json), Some(PageMedia::Plain), Some(PageMedia::Html));
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (accept, wanted) in [
            (browser, html),
            ("*/*", json),
            ("", json),
            (" , ", json),
            ("text/*", plain),
            ("TEXT/HTML", html),
            ("text/plain, application/json", json),
            ("text/plain;q=0.9, application/json;q=0.8", plain),
            ("text/html;q=0.5, text/plain;q=0.501", plain),
            ("text/html;charset=utf-8", html),
            ("text/html;level=1", None),
            ("text/html;level=1, */*;q=0.1", json),
            ("application/json;q=0, */*", plain),
            ("*/*, application/json;q=0, text/plain;q=0.0", html),
            ("*/*;q=0", None),
            ("image/png", None),
            ("text/html;q=1.001, text/plain", plain),
            ("text/html;q=2, text/plain;q=x, application/json;q=", None),
            ("text/html;q=0.5;ext=1", html),
            ("a/b;x=\"text/html,text/html\", text/plain", plain),
            ("a/b;x=\"\\\",text/html", None),
            ("text/html;q=0.2, text/html;q=1, text/plain;q=0.5", plain),
            ("html, text", None),
            ("text/html ; q=0.4 , text/plain ; q=0.3", html),
        ] {
            assert_eq!(best(&[accept]), wanted, "{accept:?}");
        }
        assert_eq!(best(&[]), json);
        assert_eq!(best(&["text/html;q=0.1", "text/plain"]), plain, "two lines are one list");
    }

    #[test]
    fn the_work_is_bounded() {
        let many = "a/b,".repeat(RANGES_MAX);
        assert_eq!(best(&[&format!("{many}text/html")]), None);
        let fewer = "a/b,".repeat(RANGES_MAX - 1);
        assert_eq!(best(&[&format!("{fewer}text/html")]), Some(PageMedia::Html));
    }

    #[test]
    fn qualities_are_three_decimals() {
        for (text, wanted) in [
            ("1", Some(1_000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.125", Some(125)),
            ("1.000", Some(1_000)),
            ("1.1", None),
            ("0.1234", None),
            ("", None),
            (".5", None),
            ("-1", None),
        ] {
            assert_eq!(parse_quality(text.as_bytes()), wanted, "{text}");
        }
    }
}
