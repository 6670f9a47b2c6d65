//! The `ClientHello` in our own buffer, in any fragmentation: enough of it to choose settings.
//!
//! rustls reads the same bytes afterwards and is the judge of them; the resolver compares its
//! server name with ours ([`super::notes`]), so that a difference ends the handshake.

use rustls::pki_types::{DnsName, IpAddr};

/// Bytes of records looked at before we give up on a `ClientHello`. A stranger gets to hold so much;
/// those of browsers, with keys of every kind and a session, are a tenth of it.
const HELLO_BYTES_MAX: usize = 32 * 1024;
/// Content of one record (RFC 8446 section 5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;
const RECORD_HEADER: usize = 5;
const INTRO: usize = 4;
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
const CLIENT_HELLO: u8 = 1;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const TLS10: u16 = 0x0301;
const TLS13: u16 = 0x0304;

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
    /// The server name is not a name ([`HelloReader::unusable_name`]), or there are several.
    BadServerName,
    /// It does not end within our limit.
    TooLarge,
    /// It is of a version before TLS 1.0 (RFC 8446, appendix D.5).
    TooOld,
    /// It offers TLS 1.3 without an extension that this needs (RFC 8446, section 9.2).
    MissingExtension,
    /// A record is longer than any may be.
    RecordTooLong,
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
            Self::TooOld => Some(70),
            Self::MissingExtension => Some(109),
            Self::RecordTooLong => Some(22),
        }
    }

    /// A few words for the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PlainHttp => "plain HTTP on a TLS port",
            Self::NotTls => "its first bytes are not TLS",
            Self::Unexpected => {
                "its first message is no ClientHello, or another record interrupts it"
            }
            Self::Malformed => "its ClientHello cannot be read",
            Self::BadServerName => "its server name is not a name",
            Self::TooLarge => "its ClientHello is longer than 32 KiB",
            Self::TooOld => "its ClientHello is of a version before TLS 1.0",
            Self::MissingExtension => {
                "it offers TLS 1.3 without signature_algorithms, supported_groups or key_share"
            }
            Self::RecordTooLong => "a record of its ClientHello is longer than 16 KiB",
        }
    }
}

/// A server name that is no name: neither a host's nor an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnusableName {
    /// As it came.
    pub bytes: Vec<u8>,
    /// Where in the message its extension's type is.
    at: usize,
    /// A type that no extension has, and none of this hello.
    unknown_type: [u8; 2],
}

/// What decides whether TLS 1.3 can be spoken.
#[derive(Clone, Debug, Default)]
struct Offer {
    tls13: bool,
    /// The types of the extensions, in their order.
    extensions: Vec<u16>,
}

impl Offer {
    fn note(&mut self, kind: u16, content: &[u8]) -> Result<(), HelloError> {
        self.extensions.push(kind);
        if kind == SUPPORTED_VERSIONS {
            self.tls13 = shorts(Cursor(content).vector8()?)?.contains(&TLS13);
        }
        Ok(())
    }

    /// RFC 8446, section 9.2.
    fn is_whole(&self) -> bool {
        let [key, schemes, groups, share] =
            [PRE_SHARED_KEY, SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, KEY_SHARE]
                .map(|kind| self.extensions.contains(&kind));
        (key || schemes && groups) && groups == share
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
    /// Bytes of the handshake message in them; they stay where they are until it is whole.
    content: usize,
    /// Its first bytes: its kind and its length.
    intro: [u8; INTRO],
    offer: Offer,
    unusable_name: Option<UnusableName>,
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
                if self.seen > 0 {
                    return Err(HelloError::Unexpected);
                }
                return other_record(record).map_or(Ok(None), Err);
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
            if len == 0 {
                return Err(HelloError::Malformed);
            }
            if len > RECORD_BYTES_MAX {
                return Err(HelloError::RecordTooLong);
            }
            let end = self.seen + RECORD_HEADER + len;
            if end > HELLO_BYTES_MAX {
                return Err(HelloError::TooLarge);
            }
            let Some(content) = record.get(RECORD_HEADER..RECORD_HEADER + len) else {
                return Ok(None);
            };
            let missing = self.intro.iter_mut().skip(self.content);
            missing.zip(content).for_each(|(place, byte)| *place = *byte);
            self.content += content.len();
            self.seen = end;
            if self.is_whole()? {
                let message = join(buf.get(..end).unwrap_or_default());
                let body = whole_message(&message)?.ok_or(HelloError::Malformed)?;
                let Self { offer, unusable_name, .. } = self;
                return client_hello(body, offer, unusable_name).map(Some);
            }
        }
    }

    fn is_whole(&self) -> Result<bool, HelloError> {
        let known = self.content.min(INTRO);
        whole_message(self.intro.get(..known).unwrap_or_default())?;
        let [_, a, b, c] = self.intro;
        let len = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        Ok(known == INTRO && self.content - INTRO >= len)
    }

    /// After a hello: has it all that TLS 1.3 needs, if it offers that?
    #[must_use]
    pub fn fits_tls13(&self) -> bool {
        !self.offer.tls13 || self.offer.is_whole()
    }

    /// After [`HelloError::BadServerName`]: the one name, where it is none.
    #[must_use]
    pub fn unusable_name(&mut self) -> Option<UnusableName> {
        self.unusable_name.take()
    }
}

impl UnusableName {
    /// Makes the extension in these records (the ones that were read) one that nobody knows. Returns
    /// the message as it is now, and where it was changed; there the type of a server name was.
    #[must_use]
    pub fn hide(&self, records: &mut [u8]) -> (Vec<u8>, usize) {
        let mut message = Vec::new();
        let mut rest = records;
        while message.len() < self.at + 2
            || whole_message(&message).is_ok_and(|whole| whole.is_none())
        {
            let Some((header, behind)) = rest.split_first_chunk_mut::<RECORD_HEADER>() else {
                break;
            };
            let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let Some((content, behind)) = behind.split_at_mut_checked(len) else { break };
            for (at, byte) in (self.at..).zip(self.unknown_type) {
                let place = at.checked_sub(message.len());
                if let Some(place) = place.and_then(|place| content.get_mut(place)) {
                    *place = byte;
                }
            }
            message.extend_from_slice(content);
            rest = behind;
        }
        (message, self.at)
    }
}

/// The hello in these bytes; `None` if more are needed.
///
/// # Errors
/// If they can never become one.
pub fn read(buf: &[u8]) -> Result<Option<Hello>, HelloError> {
    HelloReader::default().read(buf)
}

/// The contents of whole records, one behind the other.
fn join(mut records: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(records.len());
    while let Some(([_, _, _, high, low], rest)) = records.split_first_chunk::<RECORD_HEADER>() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (content, behind) = rest.split_at(len);
        message.extend_from_slice(content);
        records = behind;
    }
    message
}

/// What it means that the first record is no handshake record; `None` if more bytes are needed.
fn other_record(record: &[u8]) -> Option<HelloError> {
    let first = record.first().copied()?;
    // Types that TLS has, or had, and the one that nothing may have.
    if !matches!(first, 0 | 20..=24) {
        return Some(not_tls(first));
    }
    if *record.get(1)? != 3 {
        return Some(HelloError::NotTls);
    }
    let [_, _, _, high, low] = record.first_chunk::<RECORD_HEADER>()?;
    // Who begins with an alert does not want to hear one.
    let is_alert = first == ALERT && [*high, *low] != [0, 0];
    Some(if is_alert { HelloError::NotTls } else { HelloError::Unexpected })
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

fn client_hello(
    body: &[u8],
    offer: &mut Offer,
    unusable_name: &mut Option<UnusableName>,
) -> Result<Hello, HelloError> {
    let whole = body.len();
    let mut body = Cursor(body);
    if body.short()? < TLS10 {
        return Err(HelloError::TooOld);
    }
    // The random.
    body.take(32)?;
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
    let mut bad_name = None;
    while !extensions.0.is_empty() {
        // The message has four bytes in front of its body.
        let at = 4 + whole - extensions.0.len();
        let kind = extensions.short()?;
        let content = extensions.vector16()?;
        offer.note(kind, content)?;
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
            0 => match server_name(content)? {
                Named::Usable(name) => hello.sni = name,
                Named::Unusable(bytes) => bad_name = Some((at, bytes.to_vec())),
            },
            1 => hello.curves = shorts(whole_vector16(content)?)?,
            _ => check_protocols(whole_vector16(content)?)?,
        }
    }
    let Some((at, bytes)) = bad_name else { return Ok(hello) };
    // Reserved for types that nobody knows (RFC 8701).
    let mut unknown = (0..16_u8).map(|high| [high << 4 | 0x0a; 2]);
    let unknown_type = unknown.find(|kind| !offer.extensions.contains(&u16::from_be_bytes(*kind)));
    *unusable_name = unknown_type.map(|unknown_type| UnusableName { bytes, at, unknown_type });
    Err(HelloError::BadServerName)
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

/// What a server name extension says.
enum Named<'a> {
    /// A host's name; nothing for an address.
    Usable(Option<String>),
    /// Bytes that are neither.
    Unusable(&'a [u8]),
}

/// As rustls reads it: one host name; an address in its place counts as none.
fn server_name(content: &[u8]) -> Result<Named<'_>, HelloError> {
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
    let bytes = found.ok_or(HelloError::BadServerName)?;
    Ok(match str::from_utf8(bytes) {
        Ok(text) if IpAddr::try_from(text).is_ok() => Named::Usable(None),
        Ok(text) if DnsName::try_from(text).is_ok() => Named::Usable(Some(normal_name(text))),
        Ok(_) | Err(_) => Named::Unusable(bytes),
    })
}

/// The one form in which names are compared: lower case, without a trailing dot.
#[must_use]
pub fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
