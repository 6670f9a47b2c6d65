//! HTTP/1.1 as the peers of a run speak it: strict readers, and bodies that tell whose they are.

use crate::simulation::network::random::mix;

/// Which body of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyOwner {
    Request = 1,
    Response = 2,
}

/// So many bytes of a body of exchange `id`, from `offset`.
pub(super) fn pattern(id: u64, part: BodyOwner, offset: u64, len: usize) -> Vec<u8> {
    let skipped = (offset % 8) as usize;
    let mut bytes = Vec::with_capacity(skipped + len + 8);
    let mut word = offset / 8;
    while bytes.len() < skipped + len {
        let mixed = mix(id ^ (part as u64) << 56 ^ word.wrapping_mul(0x9e37_79b9));
        bytes.extend_from_slice(&mixed.to_le_bytes());
        word += 1;
    }
    bytes.drain(..skipped);
    bytes.truncate(len);
    bytes
}

/// A head: its first line, and fields in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) line: String,
    fields: Vec<HeadField>,
}

/// One field of a head.
#[derive(Clone, Debug)]
struct HeadField {
    /// In lower case.
    name: String,
    value: String,
}

impl Head {
    /// Reads a head that ends in an empty line.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(bytes).map_err(|_| "a head that is no text".to_owned())?;
        let text = text.strip_suffix("\r\n\r\n").ok_or("a head without an end")?;
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for field in lines {
            let (name, value) = field.split_once(": ").ok_or_else(|| format!("field {field:?}"))?;
            if field.contains(['\r', '\n', '\0']) || name.contains(' ') {
                return Err(format!("field {field:?}"));
            }
            fields.push(HeadField { name: name.to_ascii_lowercase(), value: value.to_owned() });
        }
        Ok(Self { line, fields })
    }

    /// The only value of a field; `None` if there is none.
    pub(super) fn value(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.fields.iter().filter(|field| field.name == name);
        let value = values.next().map(|field| field.value.as_str());
        if values.next().is_some() {
            return Err(format!("{name} came twice"));
        }
        Ok(value)
    }

    /// A number in a field, in this base.
    pub(super) fn number(&self, name: &str, base: u32) -> Result<Option<u64>, String> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        u64::from_str_radix(value, base).map(Some).map_err(|_| format!("{name}: {value}"))
    }

    /// Does `Connection` say that this is the last message?
    pub(super) fn closes(&self) -> bool {
        self.says_of_connection("close")
    }

    /// Does `Connection` say that more may follow?
    pub(super) fn keeps(&self) -> bool {
        self.says_of_connection("keep-alive")
    }

    fn says_of_connection(&self, value: &str) -> bool {
        self.fields.iter().any(|field| field.name == "connection" && field.value == value)
    }

    /// What follows the head.
    pub(super) fn framing(&self) -> Result<BodyFraming, String> {
        let chunked = self.value("transfer-encoding")?;
        match (self.number("content-length", 10)?, chunked) {
            (Some(_), Some(_)) => Err("two framings".to_owned()),
            (Some(length), None) => Ok(BodyFraming::Length(length)),
            (None, Some("chunked")) => Ok(BodyFraming::Chunked),
            (None, Some(other)) => Err(format!("coding {other}")),
            (None, None) => Ok(BodyFraming::Missing),
        }
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyFraming {
    Length(u64),
    Chunked,
    /// Nothing says so: none in a request, until the end in a response.
    Missing,
}

/// Where a reader of a body stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum BodyState {
    Data(u64),
    Size,
    AfterChunk,
    LastLine,
    UntilEnd,
    Done,
}

/// Reads one body and compares every byte with what it must be.
#[derive(Debug)]
pub(super) struct BodyChecker {
    id: u64,
    part: BodyOwner,
    chunked: bool,
    state: BodyState,
    /// Bytes so far.
    pub(super) len: u64,
    /// What the body holds is not ours: only its framing is looked at.
    pub(super) foreign: bool,
}

impl BodyChecker {
    /// `until_end`: what has no framing goes on until the connection ends.
    pub(super) fn new(id: u64, part: BodyOwner, framing: BodyFraming, until_end: bool) -> Self {
        let state = match framing {
            BodyFraming::Length(0) => BodyState::Done,
            BodyFraming::Length(length) => BodyState::Data(length),
            BodyFraming::Chunked => BodyState::Size,
            BodyFraming::Missing if until_end => BodyState::UntilEnd,
            BodyFraming::Missing => BodyState::Done,
        };
        Self { id, part, chunked: framing == BodyFraming::Chunked, state, len: 0, foreign: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == BodyState::Done
    }

    /// Is the end of the connection the end of the body?
    pub(super) fn is_until_end(&self) -> bool {
        self.state == BodyState::UntilEnd
    }

    /// Takes what it needs off the front of `bytes`.
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            let rest = &bytes[at..];
            match self.state {
                BodyState::Data(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.compare(&rest[..count])?;
                    at += count;
                    let left = left - count as u64;
                    self.state = match left {
                        0 if self.chunked => BodyState::AfterChunk,
                        0 => BodyState::Done,
                        _ => BodyState::Data(left),
                    };
                }
                BodyState::UntilEnd => {
                    self.compare(rest)?;
                    at = bytes.len();
                }
                BodyState::Size | BodyState::AfterChunk | BodyState::LastLine => {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
                    let line = str::from_utf8(&rest[..=end]).unwrap_or_default();
                    self.line(line)?;
                    at += end + 1;
                }
                BodyState::Done => {}
            }
        }
        bytes.drain(..at);
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let line = line.strip_suffix("\r\n").ok_or_else(|| format!("chunk line {line:?}"))?;
        self.state = match (self.state, line) {
            (BodyState::AfterChunk, "") => BodyState::Size,
            (BodyState::LastLine, "") => BodyState::Done,
            (BodyState::Size, size) => match u64::from_str_radix(size, 16) {
                Ok(0) => BodyState::LastLine,
                Ok(size) => BodyState::Data(size),
                Err(_) => return Err(format!("chunk size {size:?}")),
            },
            (_, line) => return Err(format!("chunk line {line:?}")),
        };
        Ok(())
    }

    fn compare(&mut self, bytes: &[u8]) -> Result<(), String> {
        if !self.foreign {
            let (id, part) = (self.id, self.part);
            let wanted = pattern(id, part, self.len, bytes.len());
            if wanted != bytes {
                let same = wanted.iter().zip(bytes).take_while(|(one, other)| one == other);
                let offset = self.len + same.count() as u64;
                return Err(format!("{part:?} body of {id:016x}: byte {offset} is another"));
            }
        }
        self.len += bytes.len() as u64;
        Ok(())
    }
}

/// A body of `len` bytes in this framing, as bytes; chunks are about `chunk` long.
pub(super) fn body(
    id: u64,
    part: BodyOwner,
    framing: BodyFraming,
    len: usize,
    chunk: usize,
) -> Vec<u8> {
    let data = pattern(id, part, 0, len);
    if framing != BodyFraming::Chunked {
        return data;
    }
    let mut out = Vec::with_capacity(len + 64);
    for piece in data.chunks(chunk.max(1)) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Takes a whole head off the front of `bytes`.
pub(super) fn take_head(bytes: &mut Vec<u8>) -> Result<Option<Head>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head: Vec<u8> = bytes.drain(..end + 4).collect();
    Head::read(&head).map(Some)
}
