//! Plain data about a finished exchange.

use super::refusal::Refusal;
use super::response_fault::ResponseFault;
use crate::plan::attempts::AttemptRecord;
use crate::plan::facts::LogFacts;
use crate::plan::{NodeId, NodeIndex, NodePlan, RouteId, UpstreamId};

/// What is known of an exchange when it is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// The status sent; 0 if none was.
    pub status: u16,
    /// How it ended.
    pub ended: ExchangeEnd,
    /// The route taken.
    pub route: Option<RouteId>,
    /// The route by which its log line is chosen where that is another one, or none: a request that was refused before
    /// it took a route has asked for one all the same, and a tunnel outlives the numbers of its generation.
    pub log_route: Option<RouteId>,
    /// Its upstream.
    pub upstream: Option<UpstreamId>,
    /// The node that was asked last.
    pub node: Option<NodeIndex>,
    /// From the client, heads included.
    pub request_bytes: u64,
    /// To the client, heads and framing included.
    pub sent_bytes: u64,
    /// To the client, body data only.
    pub body_bytes: u64,
    /// From the first byte of the head to the last byte sent.
    pub request_ms: u64,
    /// The same in microseconds.
    pub request_micros: u64,
    /// All tries at nodes together, in microseconds; `None` if there was none.
    pub upstream_micros: Option<u64>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ExchangeEnd {
    /// The upstream's response went out whole.
    #[default]
    Answered,
    /// We answered ourselves.
    Refused(Refusal),
    /// We gave the answer that the configuration holds.
    AnsweredHere,
    /// The client left first.
    ClientLeft,
    /// The upstream's response broke a rule, or off, after its head went out.
    ResponseCutOff(ResponseFault),
    /// A timer ran out after the response head went out.
    TimedOut,
    /// The time of the whole exchange was over after the response head went out.
    Overdue,
    /// We were told to stop.
    Stopped,
}

impl ExchangeEnd {
    /// One word for logs: `$outcome`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered => "ok",
            Self::Refused(refusal) => refusal.word(),
            Self::AnsweredHere => "answered-here",
            Self::ClientLeft => "client-left",
            Self::ResponseCutOff(fault) => fault.word(),
            Self::TimedOut => "timed-out",
            Self::Overdue => "total-timed-out",
            Self::Stopped => "stopped",
        }
    }
}

impl ExchangeEnd {
    /// Did the upstream keep the client from getting the rest of a response?
    #[must_use]
    pub const fn lost_upstream(self) -> bool {
        match self {
            Self::ResponseCutOff(_) | Self::TimedOut => true,
            Self::Answered
            | Self::Refused(_)
            | Self::AnsweredHere
            | Self::ClientLeft
            | Self::Overdue
            | Self::Stopped => false,
        }
    }
}

impl Outcome {
    /// The node that was asked last, of its upstream.
    #[must_use]
    pub fn node_id(&self) -> Option<NodeId> {
        Some(NodeId { upstream: self.upstream?, node: self.node? })
    }

    /// The status to log: 499 as nginx has it if the client left before there was one.
    #[must_use]
    pub const fn status_logged(&self) -> u16 {
        match self.ended {
            ExchangeEnd::ClientLeft if self.status == 0 => 499,
            _ => self.status,
        }
    }

    /// As a template reads it, with the tries and what these count nodes in.
    #[must_use]
    pub const fn log_facts<'a>(
        &self,
        attempts: &'a [AttemptRecord],
        nodes: &'a [NodePlan],
    ) -> LogFacts<'a> {
        LogFacts {
            status: self.status_logged(),
            outcome: self.ended.word(),
            bytes_sent: self.sent_bytes,
            body_bytes_sent: self.body_bytes,
            request_bytes: self.request_bytes,
            request_ms: self.request_ms,
            attempts,
            nodes,
        }
    }
}

/// A length as the counters have it.
#[must_use]
pub fn byte_count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
