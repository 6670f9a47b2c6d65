//! The field table of a head: spans, with the names that decide something already known.

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
    /// `Host`
    Host,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy-Connection`
    ProxyConnection,
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
#[derive(Debug, Default)]
pub struct Fields {
    list: Vec<Field>,
}

impl Fields {
    /// All of them, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Field] {
        &self.list
    }
}
