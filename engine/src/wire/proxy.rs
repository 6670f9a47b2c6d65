//! The header of the PROXY protocol, versions 1 and 2: whom a connection is carried for.
//!
//! In: the first bytes of a connection, as many as there are. Out: how long the header is and what
//! it says, or that more is needed, or that this is none. Nothing behind the header is looked at,
//! and no header is guessed: what is not exactly one ends the connection. The length is bounded
//! before anything is kept.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc32c::crc32c;

/// The longest line of version 1 with its CRLF (section 2.1 of the specification).
const LINE_BYTES_MAX: usize = 107;

/// How long a header of version 2 may be: addresses, and values such as a whole certificate.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// What a header of version 2 begins with.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

const PREFIX_V1: &[u8] = b"PROXY ";

/// Bytes of version 2 in front of the addresses.
const FIXED_BYTES: usize = 16;

/// The type of the checksum.
pub const TYPE_CRC32C: u8 = 0x03;

/// A whole header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProxyHeader {
    /// Its bytes; what follows belongs to the connection.
    pub len: usize,
    /// The client and the address it reached. `None` if the sender speaks for itself (`LOCAL`), or for
    /// somebody without an address that we know (`UNKNOWN`, `UNSPEC`, Unix sockets, datagrams): then
    /// the connection's own addresses hold.
    pub ends: Option<Ends>,
}

/// Both ends of the connection that is carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

impl Ends {
    /// Both ends in one spelling: IPv4 is IPv4, also where a socket for IPv6 took it.
    #[must_use]
    pub fn canonical(self) -> Self {
        let spell = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { source: spell(self.source), destination: spell(self.destination) }
    }
}

/// Why this is no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyError {
    /// The first bytes are of something else.
    NoHeader,
    /// A line of version 1 that is not one.
    BadLine,
    /// Another version than 2, or an unknown command, family or transport.
    Unknown,
    /// The announced length is too small for the addresses, or larger than we take.
    BadLength,
    /// The values behind the addresses are not laid out as such.
    BadValues,
    /// The checksum is wrong.
    BadChecksum,
}

impl ProxyError {
    /// A few words for the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoHeader => "it sent no header",
            Self::BadLine => "its version 1 line is malformed",
            Self::Unknown => "its header has an unknown version, command, family or transport",
            Self::BadLength => "its header has an impossible length",
            Self::BadValues => "the values in its header are malformed",
            Self::BadChecksum => "the checksum of its header is wrong",
        }
    }
}

/// Reads the header at the front of `bytes`; `None` if more of it has to come.
///
/// # Errors
/// There will never be one.
pub fn parse_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    if begins(bytes, PREFIX_V1) {
        line(bytes)
    } else if begins(bytes, SIGNATURE) {
        binary(bytes)
    } else {
        Err(ProxyError::NoHeader)
    }
}

/// May these bytes, or those that follow, begin so?
fn begins(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

/// Version 1: one line of text.
fn line(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    let within = bytes.get(..LINE_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = within.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        let more = within.len() < LINE_BYTES_MAX;
        return if more { Ok(None) } else { Err(ProxyError::BadLine) };
    };
    // The only line end is CR LF, and it has to be within the bound.
    match within.get(end..) {
        Some([b'\r', b'\n', ..]) => {}
        Some([b'\r']) if within.len() < LINE_BYTES_MAX => return Ok(None),
        _ => return Err(ProxyError::BadLine),
    }
    let text = within.get(PREFIX_V1.len()..end).ok_or(ProxyError::BadLine)?;
    let ends = line_ends(text).ok_or(ProxyError::BadLine)?;
    Ok(Some(ProxyHeader { len: end + 2, ends }))
}

/// What stands between `PROXY ` and the line's end; the outer `None` is a malformed line.
fn line_ends(text: &[u8]) -> Option<Option<Ends>> {
    // Whatever follows UNKNOWN is to be ignored, be it text or not.
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let mut words = core::str::from_utf8(text).ok()?.split(' ');
    let family = words.next()?;
    let (source, destination) = (words.next()?, words.next()?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => ipv6(text).map(IpAddr::V6),
        _ => None,
    };
    Some(Some(Ends {
        source: SocketAddr::new(address(source)?, source_port),
        destination: SocketAddr::new(address(destination)?, destination_port),
    }))
}

/// Hexadecimal digits and colons only: no zone, no dotted tail.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let legal = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    text.parse().ok().filter(|_| legal)
}

/// Decimal, without leading zeros or a sign.
fn port(text: &str) -> Option<u16> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// Version 2.
fn binary(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    // Each of these is wrong as soon as it is there, however much is still missing.
    let local = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(ProxyError::Unknown),
    };
    let Some(kind) = bytes.get(13).copied() else { return Ok(None) };
    // The family of a LOCAL header means nothing, and is not even looked at.
    if !local && (kind >> 4 > 3 || kind & 15 > 2) {
        return Err(ProxyError::Unknown);
    }
    let Some([high, low]) = bytes.get(14..FIXED_BYTES) else { return Ok(None) };
    let len = FIXED_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
    let addresses = match kind >> 4 {
        _ if local => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    if len > HEADER_BYTES_MAX || len < FIXED_BYTES + addresses {
        return Err(ProxyError::BadLength);
    }
    let Some(header) = bytes.get(..len) else { return Ok(None) };
    match check_values(header, FIXED_BYTES + addresses) {
        // A LOCAL header may hold addresses of any family in front of its values, or instead of them.
        _ if local && kind != 0 => {}
        // What stands for nobody may be followed by anything.
        Err(ProxyError::BadValues) if kind == 0 => {}
        checked => checked?,
    }
    let ends = match kind {
        _ if local => None,
        0x11 => binary_ends(header, |octets: [u8; 4]| Ipv4Addr::from(octets).into()),
        0x21 => binary_ends(header, |octets: [u8; 16]| Ipv6Addr::from(octets).into()),
        _ => None,
    };
    Ok(Some(ProxyHeader { len, ends }))
}

fn binary_ends<const N: usize>(header: &[u8], address: fn([u8; N]) -> IpAddr) -> Option<Ends> {
    let (source, rest) = header.get(FIXED_BYTES..)?.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    Some(Ends {
        source: SocketAddr::new(address(*source), u16::from_be_bytes(*source_port)),
        destination: SocketAddr::new(address(*destination), u16::from_be_bytes(*destination_port)),
    })
}

/// Are the values (type, two bytes of length, bytes) from `at` on well laid out, and is the checksum
/// right if there is one? They are not looked into any further.
fn check_values(header: &[u8], mut at: usize) -> Result<(), ProxyError> {
    let mut summed = false;
    while let Some([kind, high, low, rest @ ..]) = header.get(at..).filter(|rest| !rest.is_empty())
    {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..len).ok_or(ProxyError::BadValues)?;
        let start = at + 3;
        at = start + len;
        if *kind != TYPE_CRC32C {
            continue;
        }
        let sum: [u8; 4] = value.try_into().map_err(|_| ProxyError::BadValues)?;
        if summed {
            return Err(ProxyError::BadValues);
        }
        summed = true;
        let (front, behind) = (header.get(..start), header.get(at..));
        let zeroed = [front.unwrap_or_default(), &[0; 4], behind.unwrap_or_default()];
        if crc32c(&zeroed) != u32::from_be_bytes(sum) {
            return Err(ProxyError::BadChecksum);
        }
    }
    if at == header.len() { Ok(()) } else { Err(ProxyError::BadValues) }
}
