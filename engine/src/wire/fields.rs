//! The field table of a head: spans, with the names that decide something already known.
//!
//! In: names and values that `head` has checked. Out: the table, which is read by way of
//! [`FieldsView`](super::view::FieldsView); and the rules of RFC 9110 for names, values and lists.

use super::span::Span;

/// Field names that the proxy itself acts on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Known {
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Date`
    Date,
    /// `Expect`
    Expect,
    /// `Forwarded`
    Forwarded,
    /// `Host`
    Host,
    /// `Keep-Alive`
    KeepAlive,
    /// `Max-Forwards`
    MaxForwards,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Referer`
    Referer,
    /// `Server`
    Server,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// `User-Agent`
    UserAgent,
    /// `Via`
    Via,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Host`
    XForwardedHost,
    /// `X-Forwarded-Port`
    XForwardedPort,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// `X-Real-IP`
    XRealIp,
    /// Every other name.
    Other,
}

/// One field line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// The name as it came.
    pub name: Span,
    /// The value without surrounding white space.
    pub value: Span,
    /// What the name means to us.
    pub known: Known,
}

/// The fields of one head in their order; reused from head to head, so it allocates only to grow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields {
    list: Vec<Field>,
}

impl Fields {
    /// All of them, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Field] {
        &self.list
    }

    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Gives memory back that is not needed for so many fields. To be called without fields.
    pub fn shrink_to(&mut self, fields: usize) {
        self.list.shrink_to(fields);
    }

    /// Appends a field.
    pub fn push(&mut self, field: Field) {
        self.list.push(field);
    }
}

/// What a field name means to us, in any case.
#[must_use]
pub fn known(name: &[u8]) -> Known {
    // The length and the first letter leave one candidate, two at most; no hashing pays for that.
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    let (text, known): (&[u8], Known) = match (name.len(), first) {
        (2, b't') => (b"te", Known::Te),
        (3, b'v') => (b"via", Known::Via),
        (4, b'd') => (b"date", Known::Date),
        (4, b'h') => (b"host", Known::Host),
        (6, b'e') => (b"expect", Known::Expect),
        (6, b's') => (b"server", Known::Server),
        (7, b'r') => (b"referer", Known::Referer),
        (7, b't') => (b"trailer", Known::Trailer),
        (7, b'u') => (b"upgrade", Known::Upgrade),
        (9, b'f') => (b"forwarded", Known::Forwarded),
        (9, b'x') => (b"x-real-ip", Known::XRealIp),
        (10, b'c') => (b"connection", Known::Connection),
        (10, b'k') => (b"keep-alive", Known::KeepAlive),
        (10, b'u') => (b"user-agent", Known::UserAgent),
        (12, b'm') => (b"max-forwards", Known::MaxForwards),
        (14, b'c') => (b"content-length", Known::ContentLength),
        (15, b'x') => (b"x-forwarded-for", Known::XForwardedFor),
        (16, b'p') => (b"proxy-connection", Known::ProxyConnection),
        (16, b'x') => match name.last() {
            Some(b't' | b'T') if eq_ignore_case(name, b"x-forwarded-port") => {
                (name, Known::XForwardedPort)
            }
            _ => (b"x-forwarded-host", Known::XForwardedHost),
        },
        (17, b't') => (b"transfer-encoding", Known::TransferEncoding),
        (17, b'x') => (b"x-forwarded-proto", Known::XForwardedProto),
        _ => return Known::Other,
    };
    if eq_ignore_case(name, text) { known } else { Known::Other }
}

/// The elements of a comma-separated list without surrounding white space; empty ones are skipped
/// (RFC 9110, section 5.6.1.2). Quoted commas are not understood: no list we act on has them.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|item| !item.is_empty())
}

/// Without the spaces and tabs around it (OWS; RFC 9110, section 5.6.3).
#[must_use]
pub const fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The same letters, ASCII case aside.
#[must_use]
#[inline]
pub fn eq_ignore_case(left: &[u8], right: &[u8]) -> bool {
    // Most bytes are the same, so neither is brought to lower case first, as the standard library
    // does (`exchange/response`: -7 %).
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            left == right || (left ^ right == 0x20 && left.is_ascii_alphabetic())
        })
}

/// Is this a byte of a token (RFC 9110, section 5.6.2)?
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Is this a token: a legal method, field name or coding (RFC 9110, section 5.6.2)?
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// May this byte stand in a field value or a reason phrase: a tab, a space, a visible character or
/// one of 0x80 and above (RFC 9110, section 5.5)?
#[must_use]
pub const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Visible ASCII alone: what targets are made of?
#[must_use]
pub(super) fn is_visible(text: &[u8]) -> bool {
    // Without a way out, sixteen bytes are looked at in one.
    text.iter().fold(true, |visible, byte| visible & byte.is_ascii_graphic())
}

/// Is it a field value? Perhaps empty, and without white space at its ends: whoever reads the line drops
/// that, and so reads another value (RFC 9110, section 5.5).
#[must_use]
pub fn is_value(text: &[u8]) -> bool {
    let is_space = |end: Option<&u8>| matches!(end, Some(b' ' | b'\t'));
    // Without a way out, sixteen bytes are looked at in one (`exchange/3 identity headers`: -1 %).
    let clean = text.iter().fold(true, |clean, byte| clean & is_value_byte(*byte));
    clean && !is_space(text.first()) && !is_space(text.last())
}

/// Is it a reason phrase (RFC 9112, section 4)?
#[must_use]
pub fn is_reason(text: &[u8]) -> bool {
    text.iter().copied().all(is_value_byte)
}
