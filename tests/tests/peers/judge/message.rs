//! A message of HTTP, as a reading found it.

/// What is read.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    Request,
    /// The answer to HEAD has no body; an answer without a length ends with the bytes.
    Response {
        head: bool,
        ended: bool,
    },
}

/// One message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Message {
    /// The method, or the status.
    pub(crate) first: Vec<u8>,
    /// The request target, without scheme and authority.
    pub(crate) target: Vec<u8>,
    pub(crate) host: Vec<u8>,
    pub(crate) old: bool,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    /// The body ends with the connection.
    pub(crate) until_close: bool,
}

impl Message {
    /// The first field with this name.
    pub(crate) fn field(&self, name: &'static str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every field with this name.
    pub(crate) fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        let named = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value.as_slice())
    }

    /// Does its sender end the connection behind it?
    pub(crate) fn closes(&self) -> bool {
        let has = |word: &[u8]| {
            let mut items = self.all("connection").flat_map(|v| v.split(|b| *b == b','));
            items.any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
        };
        has(b"close") || (self.old && !has(b"keep-alive"))
    }

    /// 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        str::from_utf8(&self.first).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// What any two readers have to agree on.
    pub(crate) fn meaning(&self) -> [&[u8]; 4] {
        [&self.first, &self.target, &self.host, &self.body]
    }
}
