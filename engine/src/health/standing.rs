//! The words between health and those who use it.

use super::changes::ChangeKind;

/// May a node be asked?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Yes.
    Usable,
    /// By one request, which has to take the place first (`take_probe`).
    Probe,
    /// No.
    SetAside,
}

/// What a try at a node came to. What the client caused is none of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TryResult {
    /// It was answered, with this status.
    Answered(u16),
    /// There was no connection, it broke, or what came over it was no answer.
    Broken,
    /// It took too long.
    TimedOut,
}

/// When a try ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    /// Now, in milliseconds of [`now_ms`](super::NodeStates::now_ms).
    pub now_ms: u64,
    /// Now, in Unix seconds.
    pub unix_seconds: u64,
    /// How long the try took, in milliseconds; for a comparison of nodes, how long that took to find out.
    pub took_ms: u64,
}

/// What an active check says of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Checked {
    /// It passes.
    Healthy,
    /// It does not, for this reason.
    Unhealthy(Box<str>),
}

/// What an operator wants of a node.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Admin {
    /// It takes part.
    #[default]
    Enabled,
    /// It gets no new requests, and is still checked.
    Draining,
    /// It gets no new requests, and is not checked either.
    Disabled,
}

/// An operator's order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AdminOrder {
    /// What is wanted.
    pub admin: Admin,
    /// It is over with the next configuration that is put in force.
    pub until_reload: bool,
}

/// An upstream has too few healthy nodes, or enough of them again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PanicEdge {
    /// All nodes are asked from now on.
    Begins,
    /// Health is minded again.
    Ends,
}

/// What followed from a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reported {
    /// The node's state has changed.
    pub change: Option<ChangeKind>,
    /// And with it how its upstream is used.
    pub panic: Option<PanicEdge>,
}

impl Admin {
    pub(super) const fn of(packed: u8) -> Self {
        match packed {
            0 => Self::Enabled,
            1 => Self::Draining,
            _ => Self::Disabled,
        }
    }

    /// What the log and metrics call the change to it.
    pub(super) const fn change(self) -> ChangeKind {
        match self {
            Self::Enabled => ChangeKind::Enabled,
            Self::Draining => ChangeKind::Draining,
            Self::Disabled => ChangeKind::Disabled,
        }
    }
}
