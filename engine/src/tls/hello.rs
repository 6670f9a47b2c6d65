//! The `ClientHello` in our own buffer, in any fragmentation: enough of it to choose settings.
//!
//! rustls reads the same bytes afterwards and is the judge of them; the resolver compares its
//! server name with ours ([`super::handshake`]), so that a difference ends the handshake.

use rustls::pki_types::{DnsName, IpAddr};

/// Bytes of records looked at before we give up on a `ClientHello`.
const HELLO_BYTES_MAX: usize = 64 * 1024;
/// Content of one record (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;
const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// What a client says first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hello {
    /// The server name, lower case, without a trailing dot.
    pub sni: Option<String>,
    /// Its cipher suites.
    pub ciphers: Vec<u16>,
    /// Its groups.
    pub curves: Vec<u16>,
}

/// Why these bytes are no `ClientHello`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HelloError {
    /// They look like HTTP without TLS.
    PlainHttp,
    /// They are neither TLS nor HTTP.
    NotTls,
    /// The first handshake message is another one, or another record stands in between.
    Unexpected,
    /// The message is broken.
    Malformed,
    /// The server name is not a name.
    BadServerName,
    /// It does not end within our limit.
    TooLarge,
}

impl HelloError {
    /// The alert that tells the client; `None` for one that does not speak TLS.
    #[must_use]
    pub const fn alert(self) -> Option<u8> {
        match self {
            Self::PlainHttp | Self::NotTls => None,
            Self::Unexpected => Some(10),
            Self::Malformed | Self::TooLarge => Some(50),
            Self::BadServerName => Some(47),
        }
    }
}

/// The alert for a server name that nobody answers for.
pub const UNRECOGNIZED_NAME: u8 = 112;

/// A fatal alert as a plaintext record.
#[must_use]
pub const fn fatal_alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

/// Reads a growing buffer; every record is looked at once.
#[derive(Debug, Default)]
pub struct HelloReader {
    /// Whole records seen so far, in bytes of the buffer.
    seen: usize,
    /// The handshake message so far.
    message: Vec<u8>,
}

impl HelloReader {
    /// Given everything received so far (always from the first byte): the hello, once it is whole.
    ///
    /// # Errors
    /// If it can never become one.
    pub fn read(&mut self, buf: &[u8]) -> Result<Option<Hello>, HelloError> {
        loop {
            let record = buf.get(self.seen..).unwrap_or_default();
            let Some(&kind) = record.first() else { return Ok(None) };
            if kind != HANDSHAKE {
                return Err(if self.seen == 0 { not_tls(kind) } else { HelloError::Unexpected });
            }
            if record.get(1).is_some_and(|major| *major != 3) {
                return Err(if self.seen == 0 {
                    HelloError::NotTls
                } else {
                    HelloError::Malformed
                });
            }
            let Some([_, _, _, high, low]) = record.first_chunk::<RECORD_HEADER>() else {
                return Ok(None);
            };
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            if len == 0 || len > RECORD_BYTES_MAX {
                return Err(HelloError::Malformed);
            }
            let end = self.seen + RECORD_HEADER + len;
            if end > HELLO_BYTES_MAX {
                return Err(HelloError::TooLarge);
            }
            let Some(content) = record.get(RECORD_HEADER..RECORD_HEADER + len) else {
                return Ok(None);
            };
            self.message.extend_from_slice(content);
            self.seen = end;
            if let Some(body) = whole_message(&self.message)? {
                return client_hello(body).map(Some);
            }
        }
    }
}

/// The hello in these bytes; `None` if more are needed.
///
/// # Errors
/// If they can never become one.
pub fn read(buf: &[u8]) -> Result<Option<Hello>, HelloError> {
    HelloReader::default().read(buf)
}

const fn not_tls(first: u8) -> HelloError {
    // A method starts with a letter; an empty line may stand in front of it.
    if first.is_ascii_alphabetic() || matches!(first, b'\r' | b'\n') {
        HelloError::PlainHttp
    } else {
        HelloError::NotTls
    }
}

fn whole_message(message: &[u8]) -> Result<Option<&[u8]>, HelloError> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloError::Unexpected);
    }
    let Some(([_, a, b, c], rest)) = message.split_first_chunk::<4>() else { return Ok(None) };
    let len = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).unwrap_or(usize::MAX);
    if len > HELLO_BYTES_MAX {
        return Err(HelloError::TooLarge);
    }
    Ok(rest.get(..len))
}

/// A cursor over length-prefixed vectors.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, HelloError> {
        self.take(1).map(|byte| byte.first().copied().unwrap_or(0))
    }

    fn short(&mut self) -> Result<u16, HelloError> {
        let bytes = self.take(2)?;
        Ok(bytes.iter().fold(0, |value, byte| (value << 8) | u16::from(*byte)))
    }

    fn vector8(&mut self) -> Result<&'a [u8], HelloError> {
        let len = self.byte()?;
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Result<&'a [u8], HelloError> {
        let len = self.short()?;
        self.take(usize::from(len))
    }
}

fn client_hello(body: &[u8]) -> Result<Hello, HelloError> {
    let mut body = Cursor(body);
    // The version and the random.
    body.take(2 + 32)?;
    if body.vector8()?.len() > 32 {
        return Err(HelloError::Malformed);
    }
    let mut hello = Hello { ciphers: shorts(body.vector16()?)?, ..Hello::default() };
    body.vector8()?;
    if body.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = Cursor(body.vector16()?);
    if !body.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut seen = [false; 3];
    while !extensions.0.is_empty() {
        let kind = extensions.short()?;
        let content = extensions.vector16()?;
        let slot = match kind {
            0 => 0,
            10 => 1,
            16 => 2,
            _ => continue,
        };
        if std::mem::replace(&mut seen[slot], true) {
            return Err(HelloError::Malformed);
        }
        match slot {
            0 => hello.sni = server_name(content)?,
            1 => hello.curves = shorts(whole_vector16(content)?)?,
            _ => check_protocols(whole_vector16(content)?)?,
        }
    }
    Ok(hello)
}

fn whole_vector16(content: &[u8]) -> Result<&[u8], HelloError> {
    let mut cursor = Cursor(content);
    let inner = cursor.vector16()?;
    if cursor.0.is_empty() { Ok(inner) } else { Err(HelloError::Malformed) }
}

fn shorts(bytes: &[u8]) -> Result<Vec<u16>, HelloError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(HelloError::Malformed);
    }
    Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}

/// A list of names. rustls chooses among them, and refuses who does not offer `http/1.1`.
fn check_protocols(list: &[u8]) -> Result<(), HelloError> {
    let mut list = Cursor(list);
    while !list.0.is_empty() {
        if list.vector8()?.is_empty() {
            return Err(HelloError::Malformed);
        }
    }
    Ok(())
}

/// As rustls reads it: one host name; an address in its place counts as none.
fn server_name(content: &[u8]) -> Result<Option<String>, HelloError> {
    let mut names = Cursor(whole_vector16(content)?);
    let mut found = None;
    if names.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    while !names.0.is_empty() {
        if names.byte()? != 0 {
            // Names of other types cannot be skipped over.
            break;
        }
        if found.replace(names.vector16()?).is_some() {
            return Err(HelloError::BadServerName);
        }
    }
    let text = found.and_then(|name| str::from_utf8(name).ok()).ok_or(HelloError::BadServerName)?;
    if IpAddr::try_from(text).is_ok() {
        return Ok(None);
    }
    if DnsName::try_from(text).is_err() {
        return Err(HelloError::BadServerName);
    }
    Ok(Some(normal_name(text)))
}

/// The one form in which names are compared: lower case, without a trailing dot.
#[must_use]
pub fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
