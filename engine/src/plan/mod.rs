//! The checked config compiled once for lookup. Immutable; shared by reference count between cores.

pub mod facts;
pub mod route;
pub mod sni;
pub mod template;

/// Index of a server object (`[[ssls]]` of type `server`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(pub u32);

/// Index of a route.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RouteId(pub u32);

/// Index of an upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UpstreamId(pub u32);

/// Index of a listener.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenerId(pub u32);

/// Two server names with the same policy trust the same clients in the same way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PolicyId(pub u32);

/// Everything that a request may need to know, compiled.
#[derive(Debug)]
pub struct Plan {}
