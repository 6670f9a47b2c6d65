//! Indices into a plan's tables. Each indexes the plan that gave it out, and no other one.

/// Index of a server object (`[[ssls]]` of type `server`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(pub u32);

/// Index of a route.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RouteId(pub u32);

/// Index of an upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UpstreamId(pub u32);

impl UpstreamId {
    /// That of a route which answers every request by itself: nothing is at this place.
    pub const NOWHERE: Self = Self(u32::MAX);
}

/// Index of a node within its upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeIndex(pub u32);

/// A node of an upstream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId {
    /// The upstream.
    pub upstream: UpstreamId,
    /// The node within it.
    pub node: NodeIndex,
}

/// Index of a listener.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenerId(pub u32);

/// Index of a limit of requests.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LimitId(pub u32);

/// Two server names with the same policy trust the same clients in the same way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PolicyId(pub u32);

/// An index as the 32 bits that ids hold; the tables of a configuration file are far smaller.
pub(super) fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
