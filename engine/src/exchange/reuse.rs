//! May each connection be used again? Two truth tables.

/// How an exchange left its upstream connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UpstreamEnd {
    /// What the response head said ([`Delivery::upstream_reusable`](super::response::Delivery)).
    pub head_allows: bool,
    /// Were request and response body both complete?
    pub bodies: Bodies,
    /// Are there bytes behind the response?
    pub surplus: bool,
    /// Requests on it, this one included.
    pub requests: u32,
    /// Requests allowed on it.
    pub requests_max: u32,
}

/// Which bodies were complete at the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bodies {
    /// Both.
    Complete,
    /// The response came early: the request's was not all sent.
    RequestUnfinished,
    /// The response's was cut off, or we stopped reading it.
    ResponseUnfinished,
}

/// May the upstream connection go (back) to the pool?
#[must_use]
pub const fn upstream(end: UpstreamEnd) -> bool {
    let _ = end;
    unimplemented!()
}

/// How an exchange left its client connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientEnd {
    /// What we told the client in the response head.
    pub announced: bool,
    /// Were both bodies complete? (A request body that was drained counts as complete.)
    pub bodies: Bodies,
    /// Requests on it, this one included.
    pub requests: u32,
    /// Requests allowed on it.
    pub requests_max: u32,
    /// Are we draining?
    pub draining: bool,
}

/// May the client send another request?
#[must_use]
pub const fn client(end: ClientEnd) -> bool {
    let _ = end;
    unimplemented!()
}
