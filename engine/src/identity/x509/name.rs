//! Distinguished names as text, byte for byte as OpenSSL writes them.
//!
//! In: the DER of a `Name`. Out: RFC 2253 (`X509_NAME_print_ex`), the old one-line form
//! (`X509_NAME_oneline`), or one attribute's value. Control bytes leave escaped or not at all.

use data_encoding::HEXUPPER;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::short_names::{is_short_name, short_name};
use crate::identity::der::{self, Element, Reader, tag};
use crate::identity::unicode;

/// One attribute of a name.
#[derive(Clone, Copy, Debug)]
struct Attribute<'a> {
    oid: &'a [u8],
    value: Element<'a>,
    /// Stands in the same relative name as the attribute before it.
    joined: bool,
}

/// Which attribute is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selector {
    /// By OpenSSL's short name, in lower case.
    Short(Box<str>),
    /// By its object identifier in dotted numbers.
    Dotted(Box<str>),
}

impl Selector {
    /// A short name in lower case, or dotted numbers; `None` if there is no such attribute.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        if is_short_name(name) {
            return Some(Self::Short(name.into()));
        }
        let numbers = name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        (numbers && name.contains('.')).then(|| Self::Dotted(name.into()))
    }

    fn is(&self, oid: &[u8]) -> bool {
        match self {
            Self::Short(wanted) => {
                short_name(oid).is_some_and(|name| name.eq_ignore_ascii_case(wanted))
            }
            Self::Dotted(wanted) => der::dotted(oid).is_some_and(|oid| *oid == **wanted),
        }
    }
}

/// Attributes of one name; a certificate with more in its subject or issuer is refused.
pub const ATTRIBUTES_MAX: usize = 128;

/// The attributes of one name, read once to be asked for often.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    held: HashMap<Box<str>, Values, RandomState>,
    /// Some text among them has no safe form.
    unclear: bool,
}

/// The values of one attribute.
#[derive(Debug, Default)]
struct Values {
    /// Those that have a safe form.
    safe: HashSet<String, RandomState>,
    /// The same without case and surplus white space.
    folded: HashSet<String, RandomState>,
    /// There are others.
    unclear: bool,
}

impl Attributes {
    pub(crate) fn of(name: &[u8]) -> Self {
        let Some(attributes) = attributes(name) else {
            return Self { held: HashMap::default(), unclear: true };
        };
        let mut all = Self::default();
        for attribute in attributes {
            let value = safe_text(attribute.value);
            // What is no text is printed as what it is: as a whole it can be told from others.
            all.unclear |= value.is_none() && width(attribute.value.tag).is_some();
            let short = short_name(attribute.oid).map(|name| name.to_ascii_lowercase().into());
            let dotted = der::dotted(attribute.oid).map(String::into_boxed_str);
            for key in [short, dotted].into_iter().flatten() {
                let held = all.held.entry(key).or_default();
                held.unclear |= value.is_none();
                if let Some(value) = &value {
                    held.folded.insert(unicode::folded(value));
                    held.safe.insert(value.clone());
                }
            }
        }
        all
    }

    /// Is there this attribute with exactly this value?
    pub(crate) fn has(&self, selector: &Selector, value: &str) -> bool {
        self.values(selector).is_some_and(|values| values.safe.contains(value))
    }

    /// May somebody read one of its values as this one?
    pub(crate) fn may_have(&self, selector: &Selector, value: &str) -> bool {
        self.values(selector)
            .is_some_and(|values| values.unclear || values.folded.contains(&unicode::folded(value)))
    }

    /// Is there text that some reader may take for other text?
    pub(crate) const fn are_unclear(&self) -> bool {
        self.unclear
    }

    fn values(&self, selector: &Selector) -> Option<&Values> {
        let (Selector::Short(key) | Selector::Dotted(key)) = selector;
        self.held.get(key)
    }
}

/// Has the name more attributes than anybody needs?
#[must_use]
pub fn is_overlong(name: &[u8]) -> bool {
    attributes(name).is_some_and(|list| list.len() > ATTRIBUTES_MAX)
}

/// How many bytes one character of a string type takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Width {
    /// UTF-8, passed on as it is.
    Utf8,
    One,
    Two,
    Four,
}

/// Appends the name as `X509_NAME_print_ex(XN_FLAG_RFC2253)` does: last attribute first.
/// Appends nothing if the name is broken.
pub fn rfc2253(name: &[u8], out: &mut Vec<u8>) {
    let Some(attributes) = attributes(name) else { return };
    let mut separator: &[u8] = b"";
    for attribute in attributes.iter().rev() {
        out.extend_from_slice(separator);
        let known = short_name(attribute.oid);
        type_name(attribute.oid, out);
        out.push(b'=');
        match width(attribute.value.tag) {
            Some(width) if known.is_some() => escaped(attribute.value.content, width, out),
            _ => {
                out.push(b'#');
                for byte in attribute.value.whole {
                    push_hex(*byte, out);
                }
            }
        }
        separator = if attribute.joined { b"+" } else { b"," };
    }
}

/// Appends the name as `X509_NAME_oneline` does. Appends nothing if the name is broken.
pub fn one_line(name: &[u8], out: &mut Vec<u8>) {
    let Some(attributes) = attributes(name) else { return };
    for attribute in attributes {
        out.push(if attribute.joined { b'+' } else { b'/' });
        type_name(attribute.oid, out);
        out.push(b'=');
        let content = match attribute.value {
            // Without the count of unused bits, as OpenSSL holds it.
            Element { tag: tag::BIT_STRING, content, .. } => content.get(1..).unwrap_or_default(),
            Element { content, .. } => content,
        };
        for byte in content {
            match byte {
                b'/' | b'+' => out.extend([b'\\', *byte]),
                b' '..=b'~' => out.push(*byte),
                _ => {
                    out.extend_from_slice(b"\\x");
                    push_hex(*byte, out);
                }
            }
        }
    }
}

/// Appends the first value of this attribute, as UTF-8. A value with a control character (NUL above
/// all) or with white space at its ends is passed over in silence: it has no safe form.
pub fn attribute(name: &[u8], selector: &Selector, out: &mut Vec<u8>) {
    let Some(attributes) = attributes(name) else { return };
    let wanted = attributes.iter().find(|attribute| selector.is(attribute.oid));
    if let Some(value) = wanted.and_then(|wanted| safe_text(wanted.value)) {
        out.extend_from_slice(value.as_bytes());
    }
}

/// Every value of this attribute, in the order of the encoding; `None` stands for one without a safe form.
pub(crate) fn values_of(name: &[u8], selector: &Selector) -> Vec<Option<String>> {
    let list = attributes(name).unwrap_or_default();
    let wanted = list.iter().filter(|attribute| selector.is(attribute.oid));
    wanted.map(|attribute| safe_text(attribute.value)).collect()
}

/// Every value of this attribute that has a safe form, in the order of the encoding.
#[must_use]
pub fn safe_values(name: &[u8], selector: &Selector) -> Vec<String> {
    values_of(name, selector).into_iter().flatten().collect()
}

/// A value as text, if it is one that can be handed out.
fn safe_text(value: Element<'_>) -> Option<String> {
    let text = String::from_utf8(text(value)?).ok()?;
    unicode::is_plain_text(&text).then_some(text)
}

/// Characters of an attribute's type in dotted form; OpenSSL prints no more, and what is cut off could
/// be anything.
const DOTTED_MAX: usize = 79;

/// Can OpenSSL read the name, and print it? Its values are of the types that names are made of, and
/// those with a character set keep to it.
#[must_use]
pub fn is_valid(name: &[u8]) -> bool {
    attributes(name).is_some_and(|list| {
        let printed = |one: &Attribute<'_>| {
            short_name(one.oid).is_some()
                || der::dotted(one.oid).is_some_and(|text| text.len() <= DOTTED_MAX)
        };
        list.iter().all(printed)
            && list.iter().all(|Attribute { value, .. }| match value.tag {
                tag::BIT_STRING => Reader::new(value.whole).bits().is_some(),
                tag::SEQUENCE => true,
                12 => str::from_utf8(value.content).is_ok(),
                18..=20 | 22 => true,
                28 => each_character(value.content, Width::Four, |_, _, _| {}),
                30 => each_character(value.content, Width::Two, |_, _, _| {}),
                _ => false,
            })
    })
}

/// Every attribute's encoded type and value; `None` if the name is broken.
pub(crate) fn values(name: &[u8]) -> Option<Vec<(&[u8], Element<'_>)>> {
    Some(attributes(name)?.into_iter().map(|Attribute { oid, value, .. }| (oid, value)).collect())
}

/// A value as UTF-8; `None` if it is not text.
pub(crate) fn text(value: Element<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let clean = each_character(value.content, width(value.tag)?, |bytes, _, _| {
        out.extend_from_slice(bytes);
    });
    clean.then_some(out)
}

/// The relative names in OpenSSL's canonical spelling, by which it compares them: text as UTF-8,
/// ASCII in lower case, no space around it and single ones in it; the attributes in one order.
fn canonical(name: &[u8]) -> Option<Vec<Vec<Vec<u8>>>> {
    let mut relative_names: Vec<Vec<Vec<u8>>> = Vec::new();
    for Attribute { oid, value, joined } in attributes(name)? {
        let mut out = vec![u8::try_from(oid.len()).ok()?];
        out.extend_from_slice(oid);
        // A number stays what it is.
        match (value.tag, text(value)) {
            (18, _) | (_, None) => out.extend_from_slice(value.whole),
            (_, Some(text)) => {
                out.push(12);
                let space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
                let words = text.split(space).filter(|word| !word.is_empty());
                for (at, word) in words.enumerate() {
                    if at > 0 {
                        out.push(b' ');
                    }
                    out.extend(word.iter().map(u8::to_ascii_lowercase));
                }
            }
        }
        match relative_names.last_mut() {
            Some(last) if joined => last.push(out),
            _ => relative_names.push(vec![out]),
        }
    }
    relative_names.iter_mut().for_each(|attributes| attributes.sort_unstable());
    Some(relative_names)
}

/// A name in canonical spelling, so that one within another begins with it: each relative name with
/// the number of its attributes in front, and each of these with its length.
pub(crate) fn canonical_bytes(name: &[u8]) -> Option<Vec<u8>> {
    let length = |count: usize| u32::try_from(count).ok().map(u32::to_be_bytes);
    let mut out = Vec::new();
    for attributes in canonical(name)? {
        out.extend_from_slice(&length(attributes.len())?);
        for attribute in attributes {
            out.extend_from_slice(&length(attribute.len())?);
            out.extend_from_slice(&attribute);
        }
    }
    Some(out)
}

/// The same bytes for all that OpenSSL takes for one name; for a broken name itself.
#[must_use]
pub fn key(name: &[u8]) -> Vec<u8> {
    canonical_bytes(name).unwrap_or_else(|| name.to_vec())
}

/// Are both one name to OpenSSL? Who issued whom, who is self-issued and which anchor is meant is
/// asked here, or by [`key`].
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one == other || key(one) == key(other)
}

/// The attributes in the order of the encoding; `None` if the name is broken.
fn attributes(name: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut list = Vec::new();
    let mut relative_names = Reader::new(der::only(name, tag::SEQUENCE)?.content);
    while !relative_names.is_empty() {
        let mut set = relative_names.enter(tag::SET)?;
        let mut joined = false;
        while !set.is_empty() {
            let mut pair = set.enter(tag::SEQUENCE)?;
            let oid = pair.oid()?;
            let value = pair.any()?;
            if !pair.is_empty() {
                return None;
            }
            list.push(Attribute { oid, value, joined });
            joined = true;
        }
    }
    Some(list)
}

fn type_name(oid: &[u8], out: &mut Vec<u8>) {
    match short_name(oid) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => out.extend_from_slice(der::dotted(oid).unwrap_or_default().as_bytes()),
    }
}

/// `None` is a type that is dumped in hexadecimal.
const fn width(tag: u8) -> Option<Width> {
    match tag {
        12 => Some(Width::Utf8),
        // Numeric, printable, T61 (read as Latin-1, as OpenSSL does) and IA5.
        18..=20 | 22 => Some(Width::One),
        28 => Some(Width::Four),
        30 => Some(Width::Two),
        _ => None,
    }
}

/// Calls back with the UTF-8 bytes of each character, and whether it is the first or the last.
/// False if the content is not of this type.
fn each_character(content: &[u8], width: Width, mut each: impl FnMut(&[u8], bool, bool)) -> bool {
    let step = match width {
        Width::Utf8 | Width::One => 1,
        Width::Two => 2,
        Width::Four => 4,
    };
    if !content.len().is_multiple_of(step) {
        return false;
    }
    let count = content.len() / step;
    for (at, piece) in content.chunks_exact(step).enumerate() {
        let (first, last) = (at == 0, at + 1 == count);
        if width == Width::Utf8 {
            each(piece, first, last);
            continue;
        }
        let code = piece.iter().fold(0_u32, |code, byte| (code << 8) | u32::from(*byte));
        let Some(character) = char::from_u32(code) else { return false };
        each(character.encode_utf8(&mut [0; 4]).as_bytes(), first, last);
    }
    true
}

/// RFC 2253 with control characters and everything beyond ASCII in hexadecimal.
fn escaped(content: &[u8], width: Width, out: &mut Vec<u8>) {
    each_character(content, width, |bytes, first, last| {
        for byte in bytes {
            match byte {
                0..=0x1f | 0x7f.. => {
                    out.push(b'\\');
                    push_hex(*byte, out);
                }
                b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => out.extend([b'\\', *byte]),
                b' ' if first || last => out.extend(b"\\ "),
                b'#' if first && !last => out.extend(b"\\#"),
                _ => out.push(*byte),
            }
        }
    });
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    let mut digits = [0; 2];
    HEXUPPER.encode_mut(&[byte], &mut digits);
    out.extend_from_slice(&digits);
}
