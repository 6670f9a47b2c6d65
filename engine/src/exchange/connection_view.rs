//! What admission asks of the connection that a request came by.

use crate::identity::ClientIdentity;
use crate::plan::{Facts, ListenerId, PolicyId};

/// What a request's connection brings along.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionView<'a> {
    /// The listener it came in by; `None` if that is gone and no other takes its place
    /// ([`Plan::successor_of`](crate::plan::Plan::successor_of)). What a listener may allow is not allowed
    /// then.
    pub listener: Option<ListenerId>,
    /// The policy of the server name used; `None` on plain HTTP.
    pub policy: Option<PolicyId>,
    /// Who the client is; `None` on plain HTTP.
    pub client: Option<&'a ClientIdentity>,
    /// Unix seconds.
    pub now: i64,
    /// What conditions may read beside the request; without it none holds.
    pub facts: Option<Facts<'a>>,
}
