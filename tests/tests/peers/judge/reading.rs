//! Bytes as messages: one strict reading, and the lenient ones that real servers are known for.
//!
//! Nothing in here comes from the engine, so a fault of its parsers is not repeated. Where any two
//! readings find another number of messages, another body, target or host in the same bytes, those
//! bytes can be read in two ways.

use super::chunks;
use super::grammar::{is_host, is_token, split_absolute, strict_field, strict_start};
use super::message::{Kind, Message};
use super::ways::{BASE, Cl, Fold, LENIENT, Pick, Reading, STRICT, Te, Trim, line};

/// What is behind the last whole message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rest {
    /// Nothing.
    Clean,
    /// Bytes that nobody reads any more: the message before them was the last.
    Closed,
    /// A message that goes on.
    Partial,
    /// A broken rule.
    Broken(&'static str),
}

/// What bytes are as messages.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) messages: Vec<Message>,
    pub(crate) rest: Rest,
}

/// Takes the first message; `None` if it is not all there.
pub(crate) fn one(
    bytes: &[u8],
    kind: Kind,
    by: &Reading,
) -> Result<Option<(Message, usize)>, &'static str> {
    let Some((head, at)) = head(bytes, kind, by)? else { return Ok(None) };
    let mut message = start(&head, kind, by)?;
    message.fields = fields(&head[1..], by)?;
    if kind == Kind::Request {
        host(&mut message, by)?;
    }
    body(bytes, at, (kind, by), message)
}

/// Reads them all; `kinds` says what each is, and the last one goes for the rest.
pub(crate) fn all(bytes: &[u8], kinds: &[Kind], by: &Reading) -> Found {
    let (mut messages, mut at) = (Vec::new(), 0);
    let mut final_ones = 0;
    let rest = loop {
        if at >= bytes.len() {
            break Rest::Clean;
        }
        let kind = *kinds.get(final_ones).or_else(|| kinds.last()).unwrap_or(&Kind::Request);
        match one(&bytes[at..], kind, by) {
            Err(fault) => break Rest::Broken(fault),
            Ok(None) => break Rest::Partial,
            Ok(Some((message, len))) => {
                at += len;
                let interim = matches!(message.status(), 100..=199);
                let last = message.closes() && !interim;
                final_ones += usize::from(!interim);
                messages.push(message);
                if last {
                    break if at < bytes.len() { Rest::Closed } else { Rest::Clean };
                }
            }
        }
    };
    Found { messages, rest }
}

/// The first reading that differs from the others, by name.
pub(crate) fn ambiguity(bytes: &[u8], kinds: &[Kind]) -> Option<String> {
    let strict = all(bytes, kinds, &STRICT);
    let broken = matches!(strict.rest, Rest::Broken(_));
    let base = if broken { all(bytes, kinds, &BASE) } else { strict };
    let meaning = |found: &Found| {
        found.messages.iter().map(|m| m.meaning().map(<[u8]>::to_vec)).collect::<Vec<_>>()
    };
    let wanted = meaning(&base);
    LENIENT.iter().find(|by| meaning(&all(bytes, kinds, by)) != wanted).map(|by| by.name.to_owned())
}

type Head<'a> = (Vec<&'a [u8]>, usize);

/// The lines of the head without its empty one, and where it ends.
fn head<'a>(bytes: &'a [u8], kind: Kind, by: &Reading) -> Result<Option<Head<'a>>, &'static str> {
    let (mut lines, mut at, mut empty) = (Vec::new(), 0, 0);
    while let Some((line, next)) = line(bytes, at, by)? {
        at = next;
        if !line.is_empty() {
            lines.push(line);
            continue;
        }
        if !lines.is_empty() {
            return Ok(Some((lines, at)));
        }
        empty += 1;
        if by.strict && (empty > 1 || kind != Kind::Request) {
            return Err("empty lines before a message");
        }
    }
    Ok(None)
}

fn start(lines: &[&[u8]], kind: Kind, by: &Reading) -> Result<Message, &'static str> {
    let mut line = lines.first().copied().unwrap_or_default();
    if by.trim == Trim::Nul {
        line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    }
    if by.strict {
        return strict_start(line, kind);
    }
    let words = line.split(|byte| matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r'));
    let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
    let word = |at: usize| words.get(at).copied().unwrap_or_default().to_vec();
    if kind == Kind::Request {
        let old = words.len() > 2 && words.last().is_some_and(|last| last.ends_with(b"1.0"));
        return Ok(Message { first: word(0), target: word(1), old, ..Message::default() });
    }
    Ok(Message { first: word(1), old: word(0).ends_with(b"1.0"), ..Message::default() })
}

/// A name and a value.
type Field = (Vec<u8>, Vec<u8>);

fn fields(lines: &[&[u8]], by: &Reading) -> Result<Vec<Field>, &'static str> {
    let mut found: Vec<Field> = Vec::new();
    for line in lines {
        let folded = matches!(line, [b' ' | b'\t', ..]);
        if by.strict {
            found.push(strict_field(line)?);
            continue;
        }
        if folded && by.fold == Fold::Skip {
            continue;
        }
        if let (true, Fold::Join, Some((_, value))) = (folded, by.fold, found.last_mut()) {
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        found
            .push((trimmed(name, by.trim, true).to_vec(), trimmed(value, by.trim, false).to_vec()));
    }
    Ok(found)
}

fn trimmed(text: &[u8], trim: Trim, name: bool) -> &[u8] {
    let cut = |blank: fn(u8) -> bool| {
        let start = text.iter().position(|byte| !blank(*byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !blank(*byte)).map_or(start, |last| last + 1);
        &text[start..end]
    };
    match trim {
        Trim::Values if name => text,
        Trim::Values | Trim::Names => cut(|byte| matches!(byte, b' ' | b'\t')),
        Trim::Controls => cut(|byte| byte <= b' ' || byte == 0x7f),
        Trim::Nul => {
            let text = cut(|byte| matches!(byte, b' ' | b'\t'));
            text.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii()
        }
    }
}

/// Whom a request is for; its target without that.
fn host(message: &mut Message, by: &Reading) -> Result<(), &'static str> {
    let hosts: Vec<Vec<u8>> = message.all("host").map(<[u8]>::to_vec).collect();
    if by.strict {
        if hosts.len() > 1 || (hosts.is_empty() && !message.old) {
            return Err("not one Host");
        }
        if !hosts.iter().all(|host| is_host(host)) {
            return Err("the Host");
        }
    }
    let field = if by.host == Pick::Last { hosts.last() } else { hosts.first() };
    message.host = field.cloned().unwrap_or_default();
    let Some((authority, path)) = split_absolute(&message.target) else { return Ok(()) };
    let (authority, path) = (authority.to_vec(), path.to_vec());
    if by.host != Pick::Other || hosts.is_empty() {
        message.host = authority;
    }
    message.target = if path.is_empty() { b"/".to_vec() } else { path };
    Ok(())
}

/// Reads the body behind a head that ends at `at`.
fn body(
    bytes: &[u8],
    at: usize,
    (kind, by): (Kind, &Reading),
    mut message: Message,
) -> Result<Option<(Message, usize)>, &'static str> {
    let chunked = codings(&message, by)?;
    let length = length(&message, by)?;
    let status = message.status();
    let none = match kind {
        Kind::Request => false,
        // A 205 has no content (RFC 9110, section 15.3.6), even where no length says so.
        Kind::Response { head, .. } => {
            let reset = by.strict && status == 205 && !chunked && length.is_none();
            head || reset || matches!(status, 100..=199 | 204 | 304)
        }
    };
    if by.strict {
        if length.is_some() && message.field("transfer-encoding").is_some() {
            return Err("two lengths");
        }
        let forbidden = chunked || length.is_some_and(|length| length > 0);
        let reset = status == 205 && forbidden;
        if (matches!(status, 100..=199 | 204) && forbidden) || (reset && !none) {
            return Err("a body where none may be");
        }
    }
    if none {
        return Ok(Some((message, at)));
    }
    if chunked && !(by.length_wins && length.is_some()) {
        let Some((data, end)) = chunks::read(bytes, at, by)? else { return Ok(None) };
        message.body = data;
        return Ok(Some((message, end)));
    }
    let end = match (length, kind) {
        (Some(length), _) => usize::try_from(length).ok().and_then(|n| at.checked_add(n)),
        (None, Kind::Request) => Some(at),
        (None, Kind::Response { ended, .. }) => {
            message.until_close = true;
            ended.then_some(bytes.len())
        }
    };
    let Some(end) = end.filter(|end| *end <= bytes.len()) else { return Ok(None) };
    message.body = bytes[at..end].to_vec();
    Ok(Some((message, end)))
}

/// Is the body in chunks?
fn codings(message: &Message, by: &Reading) -> Result<bool, &'static str> {
    let values: Vec<&[u8]> = message.all("transfer-encoding").collect();
    if values.is_empty() {
        return Ok(false);
    }
    let items: Vec<&[u8]> =
        values.iter().flat_map(|v| v.split(|b| *b == b',')).map(<[u8]>::trim_ascii).collect();
    let is = |item: &[u8]| item.eq_ignore_ascii_case(b"chunked");
    if by.strict {
        let once = items.iter().filter(|item| is(item)).count() == 1;
        let legal = items.iter().all(|item| is_token(item));
        if message.old || !legal || !once || !items.last().is_some_and(|item| is(item)) {
            return Err("the transfer coding");
        }
    }
    let any = |word: &[u8]| {
        values.iter().any(|v| v.to_ascii_lowercase().windows(7).any(|part| part == word))
    };
    Ok(match by.te {
        Te::LastElement => items.last().is_some_and(|item| is(item)),
        Te::FirstElement => items.first().is_some_and(|item| is(item)),
        Te::Substring => any(b"chunked"),
        Te::WholeValue => values.len() == 1 && is(values[0]),
        Te::Http11Only => !message.old && items.last().is_some_and(|item| is(item)),
    })
}

fn length(message: &Message, by: &Reading) -> Result<Option<u64>, &'static str> {
    let values: Vec<&[u8]> = message.all("content-length").collect();
    let picked = if by.cl == Cl::Last { values.last() } else { values.first() };
    let Some(value) = picked else { return Ok(None) };
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = |text: &[u8]| str::from_utf8(text).ok().and_then(|t| t.parse::<u64>().ok());
    let whole = !value.is_empty() && digits(value) == value.len();
    if by.strict {
        let number = number(value).filter(|n| whole && i64::try_from(*n).is_ok());
        return number.filter(|_| values.len() == 1).map(Some).ok_or("the length");
    }
    let plain = value.strip_prefix(b"+").unwrap_or(value);
    let prefix = |text: &[u8]| number(&text[..digits(text)]);
    Ok(match by.cl {
        Cl::DigitsOnly => number(value).filter(|_| whole),
        Cl::Base0 if plain.starts_with(b"0x") || plain.starts_with(b"0X") => {
            let text = str::from_utf8(&plain[2..]).unwrap_or_default();
            u64::from_str_radix(text, 16).ok()
        }
        Cl::Base0 if plain.starts_with(b"0") && plain.len() > 1 && !whole => prefix(&plain[1..]),
        Cl::Last => {
            let last = plain.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            prefix(last.trim_ascii())
        }
        Cl::First | Cl::Base0 => prefix(plain),
    })
}
