//! What Ferrule refuses although it is grammatically legal: every reason by name. The same list is
//! in `docs/strictness.md`.

use std::net::Ipv4Addr;

use super::line::HOST;
use super::message::Message;

/// The policy that refuses one of these messages with this status, if one does.
pub(crate) fn of(messages: &[Message], bytes: &[u8], status: u16) -> Option<&'static str> {
    let any = |holds: &dyn Fn(&Message) -> bool| messages.iter().any(holds);
    let foreign = |m: &Message| !m.host.eq_ignore_ascii_case(HOST.as_bytes());
    match status {
        400 if any(&|m| !is_plain_host(m.field("host").unwrap_or(&m.host))) => {
            Some("hosts are DNS names or addresses")
        }
        400 if any(&|m| {
            is_misspelt_address(m.field("host").unwrap_or_default()) || is_misspelt_address(&m.host)
        }) =>
        {
            Some("hosts of numbers alone are IPv4 addresses in four decimal parts")
        }
        400 if any(&|m| dots(&m.target)) => Some("dot segments are refused, not resolved"),
        400 if any(&|m| forbidden_escape(&m.target)) => Some("no encoded NUL, CR or LF"),
        400 if any(&|m| m.target.starts_with(b"?")) => Some("a query wants a path before it"),
        400 if many_digits(bytes) => Some("chunk sizes have at most 16 digits"),
        404 if any(&|m| m.target == b"*") => Some("no route for the asterisk"),
        405 if any(&|m| m.first == b"CONNECT" || m.first == b"TRACE") => {
            Some("no CONNECT, no TRACE")
        }
        417 if any(&|m| m.field("expect").is_some()) => Some("only 100-continue is expected"),
        421 if any(&foreign) => Some("the Host belongs to the server name"),
        501 if any(&|m| m.field("transfer-encoding").is_some()) => {
            Some("no transfer coding but chunked")
        }
        _ => None,
    }
}

/// Is there a number with more leading zeros than chunk sizes may have?
pub(crate) fn many_digits(bytes: &[u8]) -> bool {
    let padded = |digits: &[u8]| {
        digits.last().is_some_and(u8::is_ascii_hexdigit) && digits.starts_with(&[b'0'; 16])
    };
    bytes.windows(17).any(padded)
}

fn is_plain_host(host: &[u8]) -> bool {
    let name = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(b);
    let labels = host.split(|byte| *byte == b':').next().unwrap_or_default();
    let labels = labels.strip_suffix(b".").unwrap_or(labels);
    let full = labels.split(|byte| *byte == b'.').all(|label| !label.is_empty());
    host.iter().all(name) && (full || host.starts_with(b"["))
}

/// Numbers alone, decimal, octal or hex, and not four decimal ones as everybody writes them.
fn is_misspelt_address(host: &[u8]) -> bool {
    let text = String::from_utf8_lossy(host).to_lowercase();
    let labels = text.split(':').next().unwrap_or_default();
    let labels = labels.strip_suffix('.').unwrap_or(labels);
    let is_number = |label: &str| match label.strip_prefix("0x") {
        Some(hex) => hex.chars().all(|digit| digit.is_ascii_hexdigit()),
        None => label.chars().all(|digit| digit.is_ascii_digit()),
    };
    !labels.is_empty() && labels.split('.').all(is_number) && labels.parse::<Ipv4Addr>().is_err()
}

fn decoded(target: &[u8]) -> Vec<u8> {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut text = String::from_utf8_lossy(path).to_lowercase();
    // Some decode more than once.
    while text.contains("%25") {
        text = text.replace("%25", "%");
    }
    let text = text.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    text.replace("%3b", ";").into_bytes()
}

fn dots(target: &[u8]) -> bool {
    decoded(target).split(|byte| *byte == b'/').any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    })
}

fn forbidden_escape(target: &[u8]) -> bool {
    let text = decoded(target);
    [b"%00", b"%0d", b"%0a"].iter().any(|escape| text.windows(3).any(|part| part == *escape))
}
