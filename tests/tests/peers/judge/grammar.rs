//! Lines by the letter of RFC 9110, 9112 and 3986: what the strict reading allows.

use super::message::{Kind, Message};

/// A first line by the letter.
pub(crate) fn strict_start(line: &[u8], kind: Kind) -> Result<Message, &'static str> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut word = || words.next().unwrap_or_default().to_vec();
    let (one, two, three) = (word(), word(), word());
    let old = |version: &[u8]| match version {
        b"HTTP/1.1" => Ok(false),
        b"HTTP/1.0" => Ok(true),
        _ => Err("another version"),
    };
    if kind == Kind::Request {
        if !is_token(&one) {
            return Err("the method");
        }
        strict_target(&one, &two)?;
        return Ok(Message { old: old(&three)?, first: one, target: two, ..Message::default() });
    }
    let old = old(&one)?;
    if !(two.len() == 3 && two.iter().all(u8::is_ascii_digit) && (b'1'..=b'5').contains(&two[0])) {
        return Err("the status");
    }
    if !is_value(&three) {
        return Err("the reason");
    }
    Ok(Message { first: two, old, ..Message::default() })
}

fn strict_target(method: &[u8], target: &[u8]) -> Result<(), &'static str> {
    let form = match target {
        _ if method == b"CONNECT" => is_host(target) && target.contains(&b':'),
        b"*" => method == b"OPTIONS",
        [b'/', ..] => true,
        _ => split_absolute(target).is_some_and(|(host, _)| !host.is_empty() && is_host(host)),
    };
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let escapes = path
        .split(|byte| *byte == b'%')
        .skip(1)
        .all(|part| part.get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    let legal = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if form && legal && escapes && !path.contains(&b'\\') { Ok(()) } else { Err("the target") }
}

/// Authority and path of an absolute target.
pub(crate) fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    })?;
    let rest = &target[len..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

/// A field line by the letter.
pub(crate) fn strict_field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("no colon")?;
    let (name, value) = (&line[..colon], blank(&line[colon + 1..]));
    if !is_token(name) {
        return Err("a field name");
    }
    if !is_value(value) {
        return Err("a field value");
    }
    Ok((name.to_vec(), value.to_vec()))
}

fn blank(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// May it be a method or a field name?
pub(crate) fn is_token(text: &[u8]) -> bool {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(legal)
}

/// May it be a field value?
pub(crate) fn is_value(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// May it be a Host (RFC 3986, section 3.2.2)? An empty one may.
pub(crate) fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !text[colon..].contains(&b']') => text.split_at(colon),
        _ => (text, &b""[..]),
    };
    let digits = port.get(1..).unwrap_or_default();
    let number = str::from_utf8(digits).ok().and_then(|text| text.parse::<u16>().ok());
    let port = digits.is_empty() || (digits.iter().all(u8::is_ascii_digit) && number.is_some());
    let inside = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(b);
    port && match inside {
        Some(inside) => {
            str::from_utf8(inside).is_ok_and(|t| t.parse::<std::net::Ipv6Addr>().is_ok())
        }
        None => host.iter().all(name),
    }
}
