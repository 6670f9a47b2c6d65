//! Writes headers of the PROXY protocol.
//!
//! In: both ends of the connection that is carried, and values for version 2. Out: bytes that
//! [`parse_header`](super::proxy::parse_header) reads back as the same.

use core::net::{IpAddr, SocketAddr};

use super::crc32c::crc32c;
use super::proxy::{Ends, SIGNATURE, TYPE_CRC32C};

/// The types of values (section 2.2 of the specification).
pub const TYPE_ALPN: u8 = 0x01;
/// The server name the client asked for.
pub const TYPE_AUTHORITY: u8 = 0x02;
/// A name of the connection, up to 128 bytes.
pub const TYPE_UNIQUE_ID: u8 = 0x05;
/// TLS: flags, a verdict, and values within.
pub const TYPE_SSL: u8 = 0x20;
/// Within it: the TLS version.
pub const TYPE_SSL_VERSION: u8 = 0x21;
/// Within it: the common name of the client's certificate.
pub const TYPE_SSL_CN: u8 = 0x22;
/// Within it: the cipher suite.
pub const TYPE_SSL_CIPHER: u8 = 0x23;
/// Within it: the client's certificate, DER.
pub const TYPE_SSL_CLIENT_CERT: u8 = 0x28;

/// In the flags: the client spoke TLS.
pub const CLIENT_SSL: u8 = 0x01;
/// In the flags: it showed a certificate on this connection.
pub const CLIENT_CERT_CONN: u8 = 0x02;
/// In the flags: it showed a certificate within this session.
pub const CLIENT_CERT_SESS: u8 = 0x04;

/// Version 1 of a connection that is for no client: what it carries is the sender's own.
pub const VERSION_1_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
/// The same in version 2: the command LOCAL, no addresses.
pub const VERSION_2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Appends a header of version 1.
pub fn version_1(ends: &Ends, out: &mut Vec<u8>) {
    let Ends { source, destination } = same_family(*ends);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!(
        "PROXY {family} {} {} {} {}\r\n",
        address(&source),
        address(&destination),
        source.port(),
        destination.port()
    );
    out.extend_from_slice(line.as_bytes());
}

/// Without the dotted tail that `Display` gives to addresses that hold IPv4 ones: the specification
/// knows only hexadecimal digits.
fn address(end: &SocketAddr) -> String {
    match end.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) if address.to_string().contains('.') => {
            address.segments().map(|segment| format!("{segment:x}")).join(":")
        }
        IpAddr::V6(address) => address.to_string(),
    }
}

/// A header of version 2 in the making.
#[derive(Debug)]
pub struct Version2 {
    bytes: Vec<u8>,
    /// Where the checksum stands, if there is one.
    sum: Option<usize>,
}

impl Version2 {
    /// With these addresses.
    #[must_use]
    pub fn new(ends: &Ends) -> Self {
        let Ends { source, destination } = same_family(*ends);
        let mut bytes = SIGNATURE.to_vec();
        bytes.push(0x21);
        bytes.push(if source.is_ipv4() { 0x11 } else { 0x21 });
        bytes.extend_from_slice(&[0, 0]);
        for end in [source, destination] {
            match end.ip() {
                IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
            }
        }
        for end in [source, destination] {
            bytes.extend_from_slice(&end.port().to_be_bytes());
        }
        Self { bytes, sum: None }
    }

    /// Adds a value; one that is too long for its length is left out.
    pub fn value(&mut self, kind: u8, value: &[u8]) {
        put(kind, value, &mut self.bytes);
    }

    /// Adds a checksum.
    pub fn checksum(&mut self) {
        self.value(TYPE_CRC32C, &[0; 4]);
        self.sum = Some(self.bytes.len() - 4);
    }

    /// The whole header, unless it is too long to be one.
    #[must_use]
    pub fn finish(self) -> Option<Vec<u8>> {
        let Self { mut bytes, sum } = self;
        let len = u16::try_from(bytes.len().checked_sub(16)?).ok()?;
        bytes.get_mut(14..16)?.copy_from_slice(&len.to_be_bytes());
        if let Some(at) = sum {
            let sum = crc32c(&[&bytes]);
            bytes.get_mut(at..at + 4)?.copy_from_slice(&sum.to_be_bytes());
        }
        Some(bytes)
    }
}

/// Appends one value; one that is too long for its length is left out.
pub fn put(kind: u8, value: &[u8], out: &mut Vec<u8>) {
    let Ok(len) = u16::try_from(value.len()) else { return };
    out.push(kind);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(value);
}

/// Both addresses as IPv6 if only one of them is.
fn same_family(ends: Ends) -> Ends {
    let Ends { source, destination } = ends;
    if source.is_ipv4() == destination.is_ipv4() {
        return ends;
    }
    let wide = |end: SocketAddr| match end.ip() {
        IpAddr::V4(address) => SocketAddr::new(address.to_ipv6_mapped().into(), end.port()),
        IpAddr::V6(_) => end,
    };
    Ends { source: wide(source), destination: wide(destination) }
}
