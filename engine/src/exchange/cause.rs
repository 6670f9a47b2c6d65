//! Why an exchange fails, and what follows from it: one table for each side.
//!
//! In: causes, which the shell names after what happened on a connection. Out: whether another attempt
//! may answer, what the client is told if none does, and what the log says where it cannot be told any
//! more. The shell decides none of that: it turns its errors into causes and obeys.

use super::outcome::ExchangeEnd;
use super::refusal::Refusal;
use super::response_fault::ResponseFault;
use super::retry::Failure;
use crate::wire::error::WireError;

/// Why an upstream gave no answer, or not the whole of one; in order of an attempt's life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamCause {
    /// The node's name has no address.
    NoAddress,
    /// We have no descriptor or memory left for a connection.
    NoRoom,
    /// TCP refused the connection.
    ConnectFailed,
    /// Connecting took too long, TLS included.
    ConnectTimeout,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The node took too long to take what was sent.
    SendTimeout,
    /// The connection ended before the first byte of a response, or no longer takes what is sent.
    ConnectionLost,
    /// TLS broke before the first byte of a response.
    TlsFailed,
    /// The response, or the next piece of it, took too long.
    ReadTimeout,
    /// What came is no response, or not a whole one.
    BadResponse(ResponseFault),
    /// The time of the whole exchange was over.
    TotalTimeout {
        /// The node has had the whole request and most of that time.
        by_node: bool,
    },
}

/// Why a client's request did not come to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientCause {
    /// Its connection ended, or no longer takes what is sent.
    Left,
    /// It has ended its direction before its body was whole, and may still be told so.
    Incomplete,
    /// The bytes of its body break a rule.
    MalformedBody(WireError),
    /// Its body is larger than the route allows.
    BodyTooLarge,
    /// Its body, or the next piece of it, took too long.
    BodyTimeout,
}

/// The side that an exchange failed on, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExchangeFailure {
    /// The client's.
    Client(ClientCause),
    /// The upstream's.
    Upstream(UpstreamCause),
}

/// What becomes of an exchange whose response failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// The client's connection is cut: it is gone, or must see that what it has is not the whole.
    Cut(ExchangeEnd),
    /// The client is answered by ourselves, and no other attempt is made.
    Refuse(Refusal),
    /// Nothing was sent to the client: [`retry`](super::retry) says whether another attempt may answer.
    AttemptFailed(UpstreamCause),
}

impl UpstreamCause {
    /// What the cause means for another attempt.
    #[must_use]
    pub const fn failure(self) -> Failure {
        match self {
            Self::NoAddress
            | Self::NoRoom
            | Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::HandshakeFailed => Failure::Connect,
            Self::ConnectionLost | Self::TlsFailed => Failure::Lost,
            Self::SendTimeout | Self::ReadTimeout => Failure::Timeout,
            Self::BadResponse(fault) if fault.is_of_policy() => Failure::Unusable,
            Self::BadResponse(_) => Failure::BadResponse,
            Self::TotalTimeout { .. } => Failure::Overdue,
        }
    }

    /// What the client is told if no attempt answers: status, log word and metric are the refusal's.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::NoAddress => Refusal::NoLiveNode,
            Self::NoRoom => Refusal::Overloaded,
            Self::ConnectFailed => Refusal::UpstreamConnect,
            Self::HandshakeFailed | Self::TlsFailed => Refusal::UpstreamTls,
            Self::ConnectTimeout | Self::SendTimeout | Self::ReadTimeout => {
                Refusal::UpstreamTimeout
            }
            Self::ConnectionLost => Refusal::UpstreamLost,
            Self::BadResponse(fault) => Refusal::BadResponse(fault),
            Self::TotalTimeout { .. } => Refusal::TotalTimeout,
        }
    }

    /// How an exchange ends whose response head the client has already.
    #[must_use]
    pub const fn end(self) -> ExchangeEnd {
        match self {
            Self::SendTimeout | Self::ReadTimeout => ExchangeEnd::TimedOut,
            Self::BadResponse(fault) => ExchangeEnd::ResponseCutOff(fault),
            Self::TotalTimeout { .. } => ExchangeEnd::Overdue,
            Self::NoAddress
            | Self::NoRoom
            | Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::HandshakeFailed
            | Self::ConnectionLost
            | Self::TlsFailed => ExchangeEnd::ResponseCutOff(ResponseFault::BodyCutOff),
        }
    }
}

impl ClientCause {
    /// What the client is told; `None` if it is gone.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Left => None,
            Self::Incomplete => Some(Refusal::IncompleteRequest),
            Self::MalformedBody(error) => Some(Refusal::Malformed(error)),
            Self::BodyTooLarge => Some(Refusal::BodyTooLarge),
            Self::BodyTimeout => Some(Refusal::BodyTimeout),
        }
    }

    /// How an exchange ends whose response head the client has already, or that nobody waits for.
    #[must_use]
    pub const fn end(self) -> ExchangeEnd {
        match self.refusal() {
            None => ExchangeEnd::ClientLeft,
            Some(refusal) => ExchangeEnd::Refused(refusal),
        }
    }
}

/// What becomes of an exchange whose response failed for `response`, while its request's body fared as
/// `upload` says. `begun`: the client has the response's head, so there is no other answer any more.
///
/// The upload's cause comes first, because it explains the response's: an upstream that does not get
/// the whole request has no chance to answer. Only one that stopped taking the body in the middle is
/// judged by its response, as it may have said why.
#[must_use]
pub const fn resolve(
    upload: Result<(), ExchangeFailure>,
    response: ExchangeFailure,
    begun: bool,
) -> Resolution {
    use ExchangeFailure::{Client, Upstream};
    match (upload, response) {
        (Err(Client(ClientCause::Left)), _) | (_, Client(_)) => {
            Resolution::Cut(ClientCause::Left.end())
        }
        (Err(Client(cause)), Upstream(_)) => match cause.refusal() {
            Some(refusal) if !begun => Resolution::Refuse(refusal),
            _ => Resolution::Cut(cause.end()),
        },
        (Err(Upstream(cause @ UpstreamCause::SendTimeout)), Upstream(_)) if begun => {
            Resolution::Cut(cause.end())
        }
        (Err(Upstream(cause @ UpstreamCause::SendTimeout)), Upstream(_)) => {
            Resolution::AttemptFailed(cause)
        }
        (Ok(()) | Err(Upstream(_)), Upstream(cause)) if begun => Resolution::Cut(cause.end()),
        (Ok(()) | Err(Upstream(_)), Upstream(cause)) => Resolution::AttemptFailed(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: ResponseFault = ResponseFault::HeadCutOff;

    const UPSTREAM: [UpstreamCause; 11] = [
        UpstreamCause::NoAddress,
        UpstreamCause::NoRoom,
        UpstreamCause::ConnectFailed,
        UpstreamCause::ConnectTimeout,
        UpstreamCause::HandshakeFailed,
        UpstreamCause::SendTimeout,
        UpstreamCause::ConnectionLost,
        UpstreamCause::TlsFailed,
        UpstreamCause::ReadTimeout,
        UpstreamCause::BadResponse(FAULT),
        UpstreamCause::TotalTimeout { by_node: true },
    ];

    const CLIENT: [ClientCause; 5] = [
        ClientCause::Left,
        ClientCause::Incomplete,
        ClientCause::MalformedBody(WireError::InvalidChunkSize),
        ClientCause::BodyTooLarge,
        ClientCause::BodyTimeout,
    ];

    #[test]
    fn every_cause_of_an_upstream_has_its_row() {
        let rows = [
            (Failure::Connect, 503, "no-live-node", "upstream-body-cut-off"),
            (Failure::Connect, 503, "overloaded", "upstream-body-cut-off"),
            (Failure::Connect, 502, "upstream-connect", "upstream-body-cut-off"),
            (Failure::Connect, 504, "upstream-timeout", "upstream-body-cut-off"),
            (Failure::Connect, 502, "upstream-tls", "upstream-body-cut-off"),
            (Failure::Timeout, 504, "upstream-timeout", "timed-out"),
            (Failure::Lost, 502, "upstream-lost", "upstream-body-cut-off"),
            (Failure::Lost, 502, "upstream-tls", "upstream-body-cut-off"),
            (Failure::Timeout, 504, "upstream-timeout", "timed-out"),
            (Failure::BadResponse, 502, "upstream-head-cut-off", "upstream-head-cut-off"),
            (Failure::Overdue, 504, "total-timeout", "total-timed-out"),
        ];
        for (cause, row) in UPSTREAM.into_iter().zip(rows) {
            let refusal = cause.refusal();
            let found = (cause.failure(), refusal.status(), refusal.word(), cause.end().word());
            assert_eq!(found, row, "{cause:?}");
        }
    }

    #[test]
    fn every_cause_of_a_client_has_its_row() {
        let rows = [
            (None, "client-left"),
            (Some((400, "incomplete-request")), "incomplete-request"),
            (Some((400, "invalid-chunk-size")), "invalid-chunk-size"),
            (Some((413, "body-too-large")), "body-too-large"),
            (Some((408, "body-timeout")), "body-timeout"),
        ];
        for (cause, row) in CLIENT.into_iter().zip(rows) {
            let told = cause.refusal().map(|refusal| (refusal.status(), refusal.word()));
            assert_eq!((told, cause.end().word()), row, "{cause:?}");
        }
    }

    /// Every upload with every response, against the rules one by one.
    #[test]
    fn the_cause_that_explains_the_other_decides() {
        let clients = CLIENT.map(ExchangeFailure::Client);
        let upstreams = UPSTREAM.map(ExchangeFailure::Upstream);
        let failures: Vec<_> = clients.into_iter().chain(upstreams).collect();
        let uploads: Vec<_> = failures.iter().copied().map(Err).chain([Ok(())]).collect();
        for (upload, response, begun) in uploads.iter().flat_map(|upload| {
            let responses = failures.iter().flat_map(|failure| [(failure, false), (failure, true)]);
            responses.map(move |(response, begun)| (*upload, *response, begun))
        }) {
            let resolution = resolve(upload, response, begun);
            let explained = match upload {
                Err(ExchangeFailure::Client(cause)) => cause.refusal(),
                Err(ExchangeFailure::Upstream(UpstreamCause::SendTimeout)) => {
                    Some(Refusal::UpstreamTimeout)
                }
                Err(ExchangeFailure::Upstream(_)) | Ok(()) => None,
            };
            let gone = upload == Err(ExchangeFailure::Client(ClientCause::Left));
            let send_timeout = Err(ExchangeFailure::Upstream(UpstreamCause::SendTimeout));
            let wanted = match response {
                _ if gone => Resolution::Cut(ExchangeEnd::ClientLeft),
                ExchangeFailure::Client(_) => Resolution::Cut(ExchangeEnd::ClientLeft),
                ExchangeFailure::Upstream(_) if upload == send_timeout && !begun => {
                    Resolution::AttemptFailed(UpstreamCause::SendTimeout)
                }
                ExchangeFailure::Upstream(cause) => match (explained, begun) {
                    (Some(refusal), false) => Resolution::Refuse(refusal),
                    (Some(Refusal::UpstreamTimeout), true) => {
                        Resolution::Cut(ExchangeEnd::TimedOut)
                    }
                    (Some(refusal), true) => Resolution::Cut(ExchangeEnd::Refused(refusal)),
                    (None, false) => Resolution::AttemptFailed(cause),
                    (None, true) => Resolution::Cut(cause.end()),
                },
            };
            assert_eq!(resolution, wanted, "{upload:?} {response:?} {begun}");
        }
    }
}
