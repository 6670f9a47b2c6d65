//! What every step of one exchange needs to know of its request.

use ferrule_config::model::UpstreamTimeout;

use crate::exchange::Admission;
use crate::exchange::balance::{NodeChoice, Tried};
use crate::exchange::outcome::byte_count;
use crate::exchange::reuse::Bodies;
use crate::plan::{NodeId, NodeIndex, UpstreamPlan};
use crate::report::NodeMeters;
use crate::shell::state::core::Core;
use crate::shell::state::generation::LiveGeneration;
use crate::wire::framing::BodyLength;

/// A request that was admitted.
pub(crate) struct ExchangeContext<'a> {
    /// The core.
    pub(crate) core: &'a Core,
    /// The generation that serves it.
    pub(crate) live: &'a LiveGeneration,
    /// What was decided about it.
    pub(crate) admission: &'a Admission,
    /// How long its upstream may take.
    pub(crate) timeout: &'a UpstreamTimeout,
    /// Its head and what came with it.
    pub(crate) buf: &'a [u8],
    /// What came after its head.
    pub(crate) after_head: &'a [u8],
}

impl<'a> ExchangeContext<'a> {
    /// The upstream of its route.
    #[must_use]
    pub(crate) fn upstream(&self) -> &'a UpstreamPlan {
        self.live.generation.plan.upstream(self.admission.upstream)
    }

    /// What is counted of a node of that upstream.
    #[must_use]
    pub(crate) fn node_meters(&self, node: NodeIndex) -> &'a NodeMeters {
        self.live.meters.node(self.node_id(node))
    }

    /// A node of that upstream.
    #[must_use]
    pub(crate) const fn node_id(&self, node: NodeIndex) -> NodeId {
        NodeId { upstream: self.admission.upstream, node }
    }

    /// The node to ask next.
    #[must_use]
    pub(crate) fn next_node(&self, choice: &NodeChoice<'_>) -> Option<NodeIndex> {
        let clock = &self.core.clock;
        self.live.next_node(self.admission.upstream, choice, clock, || self.is_repeatable())
    }

    /// The node to ask next where a request that failed has been at all that are asked.
    #[must_use]
    pub(crate) fn last_resort(&self, tried: &Tried) -> Option<NodeIndex> {
        self.live.last_resort(self.admission.upstream, tried)
    }

    /// May it be sent twice: by its method (RFC 9110, section 9.2.2), or because the upstream is said to bear it?
    #[must_use]
    pub(crate) fn may_be_sent_twice(&self) -> bool {
        self.admission.is_idempotent() || self.upstream().retry.non_idempotent
    }

    /// May it be sent twice, and is the whole of it here to be sent again?
    #[must_use]
    pub(crate) fn is_repeatable(&self) -> bool {
        self.is_held() && self.may_be_sent_twice()
    }

    /// Is the whole of it here, as far as can be told from its head?
    #[must_use]
    pub(crate) fn is_held(&self) -> bool {
        match self.admission.body {
            BodyLength::None => true,
            BodyLength::Length(length) => length <= byte_count(self.after_head.len()),
            // Where its end is, nobody has looked so far.
            BodyLength::Chunked | BodyLength::UntilClose => false,
        }
    }

    /// How long its upstream may take.
    #[must_use]
    pub(crate) const fn timeout(&self) -> UpstreamTimeout {
        *self.timeout
    }

    /// How the bodies stand while nothing of the request's was read but what came with its head.
    #[must_use]
    pub(crate) const fn unread_bodies(&self) -> Bodies {
        if self.admission.body.is_empty() { Bodies::Complete } else { Bodies::RequestUnfinished }
    }
}
