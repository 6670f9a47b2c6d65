//! Every reason to answer a request ourselves: its status, its log word, and what the client is told.
//!
//! Where a certificate is refused, the titles are nginx's and the reasons OpenSSL's. The answer itself is
//! written by [`refusal_response`](super::refusal_response).

use ferrule_config::model::{LimitKind, QueueStatus};
use strum::{EnumCount, EnumDiscriminants, VariantArray};

use super::response_fault::ResponseFault;
use crate::identity::failure::VerifyFailure;
use crate::plan::{Forbidden, MethodSet};
use crate::wire::error::WireError;
use crate::wire::write;

/// Why we answer a request ourselves, in the order of a request's life.
#[derive(Clone, Copy, Debug, EnumDiscriminants, Eq, PartialEq)]
#[strum_discriminants(derive(EnumCount, VariantArray), name(RefusalKind), vis(pub(super)))]
pub enum Refusal {
    /// The client did not send its head in time.
    HeadTimeout,
    /// The bytes are wrong; the connection is closed after the answer.
    Malformed(WireError),
    /// The client has ended its sending direction within the request (RFC 9112, section 8).
    IncompleteRequest,
    /// Plain HTTP on a TLS listener.
    PlainHttpOnTls,
    /// A client certificate is required, and none was sent.
    NoCertificate,
    /// The client's certificate does not verify.
    BadCertificate(VerifyFailure),
    /// The client's certificate expired while it was connected.
    CertificateExpired,
    /// The client may not do this.
    Forbidden(Forbidden),
    /// The `Host` is not one that this connection's server name may ask for.
    MisdirectedRequest,
    /// It is asked for without TLS, and only by TLS is it served: with this status, on this port.
    RedirectToHttps(u16, u16),
    /// The request has been here before: it bears our name in `Via`.
    RequestLoop,
    /// A `Max-Forwards` that is no number, or several.
    InvalidMaxForwards,
    /// OPTIONS that goes no further: answered with what may be asked for.
    Options(MethodSet),
    /// Nothing here has this host and path.
    RouteNotFound,
    /// Host and path are known, but with these methods only.
    MethodNotAllowed(MethodSet),
    /// An `Expect` that we do not know.
    ExpectationFailed,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// A limit of requests is reached; answered with this status.
    Limited(LimitKind, u16),
    /// The request says a number of a limit, and that is none or out of its range.
    LimitNumber,
    /// The store that a limit is counted in is away, and the limit may not be counted without.
    LimitStoreAway,
    /// The head outgrew its bound by what was added to it.
    HeadOverflow,
    /// What a rewrite or redirect makes of the request's path is no path.
    UnusableUri,
    /// The process or this core has no room for another exchange.
    Overloaded,
    /// No node of the upstream may be asked.
    NoLiveNode,
    /// The route's upstream fails, and is left alone: this is the status that the operator wants.
    CircuitBroken(u16),
    /// Every node has as many connections as it takes, and as many requests wait as may.
    UpstreamQueueFull(QueueStatus),
    /// No node has had a place for the request in time.
    UpstreamQueueTimeout(QueueStatus),
    /// No connection to the upstream.
    UpstreamConnect,
    /// The TLS handshake with the upstream failed.
    UpstreamTls,
    /// The upstream connection ended before a response head arrived.
    UpstreamLost,
    /// The upstream's answer is not one.
    BadResponse(ResponseFault),
    /// The upstream did not connect, take or answer in time.
    UpstreamTimeout,
    /// The whole exchange took too long.
    TotalTimeout,
    /// The client did not send its body in time.
    BodyTimeout,
    /// A fault of our own.
    Internal,
}

impl Refusal {
    /// The status the client sees.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(error) => error.status(),
            Self::Options(_) => 200,
            Self::RedirectToHttps(status, _) => status,
            Self::IncompleteRequest | Self::InvalidMaxForwards | Self::UnusableUri => 400,
            Self::PlainHttpOnTls
            | Self::NoCertificate
            | Self::BadCertificate(_)
            | Self::CertificateExpired => 400,
            Self::Forbidden(forbidden) => forbidden.status(),
            Self::RouteNotFound => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::CircuitBroken(status) | Self::Limited(_, status) => status,
            Self::UpstreamQueueFull(status) | Self::UpstreamQueueTimeout(status) => status.code(),
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::ExpectationFailed => 417,
            Self::MisdirectedRequest => 421,
            Self::HeadOverflow => 431,
            Self::Internal | Self::LimitNumber => 500,
            Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamLost
            | Self::BadResponse(_) => 502,
            Self::Overloaded | Self::NoLiveNode | Self::LimitStoreAway => 503,
            Self::UpstreamTimeout | Self::TotalTimeout => 504,
            Self::RequestLoop => 508,
        }
    }

    /// What is wrong with the client's certificate, if that is why.
    #[must_use]
    pub const fn certificate_failure(self) -> Option<VerifyFailure> {
        match self {
            Self::CertificateExpired => Some(VerifyFailure::Expired),
            Self::BadCertificate(failure) | Self::Forbidden(Forbidden::NotVerified(failure)) => {
                Some(failure)
            }
            _ => None,
        }
    }

    /// The key that bounds what the client sent too much of.
    #[must_use]
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Malformed(error) => error.key(),
            _ => None,
        }
    }

    /// One word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::HeadTimeout => "head-timeout",
            Self::Malformed(error) => error.word(),
            Self::IncompleteRequest => "incomplete-request",
            Self::PlainHttpOnTls => "plain-http-on-tls",
            Self::NoCertificate => "no-certificate",
            Self::BadCertificate(_) => "bad-certificate",
            Self::CertificateExpired => "certificate-expired",
            Self::Forbidden(forbidden) => forbidden.word(),
            Self::MisdirectedRequest => "misdirected-request",
            Self::RedirectToHttps(..) => "redirect-to-https",
            Self::RequestLoop => "request-loop",
            Self::InvalidMaxForwards => "invalid-max-forwards",
            Self::Options(_) => "options",
            Self::RouteNotFound => "route-not-found",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::ExpectationFailed => "expectation-failed",
            Self::BodyTooLarge => "body-too-large",
            Self::Limited(LimitKind::Requests, _) => "request-limit",
            Self::Limited(LimitKind::Rate, _) => "rate-limit",
            Self::Limited(LimitKind::Connections, _) => "connection-limit",
            Self::LimitNumber => "limit-number",
            Self::LimitStoreAway => "limit-store-away",
            Self::HeadOverflow => "head-overflow",
            Self::UnusableUri => "unusable-uri",
            Self::Overloaded => "overloaded",
            Self::NoLiveNode => "no-live-node",
            Self::CircuitBroken(_) => "circuit-broken",
            Self::UpstreamQueueFull(_) => "upstream-queue-full",
            Self::UpstreamQueueTimeout(_) => "upstream-queue-timeout",
            Self::UpstreamConnect => "upstream-connect",
            Self::UpstreamTls => "upstream-tls",
            Self::UpstreamLost => "upstream-lost",
            Self::BadResponse(fault) => fault.word(),
            Self::UpstreamTimeout => "upstream-timeout",
            Self::TotalTimeout => "total-timeout",
            Self::BodyTimeout => "body-timeout",
            Self::Internal => "internal",
        }
    }

    /// Must the client connection end after the answer? Wherever we cannot be sure where the next
    /// request starts, or whether this client may ask at all.
    #[must_use]
    pub const fn closes(self) -> bool {
        match self {
            Self::HeadTimeout
            | Self::Malformed(_)
            | Self::IncompleteRequest
            | Self::PlainHttpOnTls
            | Self::NoCertificate
            | Self::BadCertificate(_)
            | Self::CertificateExpired
            | Self::MisdirectedRequest
            | Self::BodyTooLarge
            | Self::Overloaded
            | Self::BodyTimeout
            | Self::Internal => true,
            Self::Forbidden(_)
            | Self::RedirectToHttps(..)
            | Self::RequestLoop
            | Self::InvalidMaxForwards
            | Self::Options(_)
            | Self::RouteNotFound
            | Self::MethodNotAllowed(_)
            | Self::ExpectationFailed
            | Self::Limited(..)
            | Self::LimitNumber
            | Self::LimitStoreAway
            | Self::HeadOverflow
            | Self::UnusableUri
            | Self::NoLiveNode
            | Self::CircuitBroken(_)
            | Self::UpstreamQueueFull(_)
            | Self::UpstreamQueueTimeout(_)
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamLost
            | Self::BadResponse(_)
            | Self::UpstreamTimeout
            | Self::TotalTimeout => false,
        }
    }

    /// The number that the operator's pages go by: nginx has some of its own for what is sent as 400.
    pub(super) const fn page_status(self) -> u16 {
        match self {
            Self::BadCertificate(_) | Self::CertificateExpired => 495,
            Self::NoCertificate => 496,
            Self::PlainHttpOnTls => 497,
            _ => self.status(),
        }
    }

    /// What follows the status in `error_msg`.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::PlainHttpOnTls => "The plain HTTP request was sent to HTTPS port",
            Self::NoCertificate => "No required SSL certificate was sent",
            Self::BadCertificate(_) | Self::CertificateExpired => "The SSL certificate error",
            Self::RouteNotFound => "Route Not Found",
            Self::HeadTimeout
            | Self::Malformed(_)
            | Self::IncompleteRequest
            | Self::Forbidden(_)
            | Self::MisdirectedRequest
            | Self::RedirectToHttps(..)
            | Self::RequestLoop
            | Self::InvalidMaxForwards
            | Self::Options(_)
            | Self::MethodNotAllowed(_)
            | Self::ExpectationFailed
            | Self::BodyTooLarge
            | Self::Limited(..)
            | Self::LimitNumber
            | Self::LimitStoreAway
            | Self::HeadOverflow
            | Self::UnusableUri
            | Self::Overloaded
            | Self::NoLiveNode
            | Self::CircuitBroken(_)
            | Self::UpstreamQueueFull(_)
            | Self::UpstreamQueueTimeout(_)
            | Self::UpstreamConnect
            | Self::UpstreamTls
            | Self::UpstreamLost
            | Self::BadResponse(_)
            | Self::UpstreamTimeout
            | Self::TotalTimeout
            | Self::BodyTimeout
            | Self::Internal => write::reason(self.status()),
        }
    }

    /// OpenSSL's reason, where a certificate was refused; ours, where its owner was.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::BadCertificate(failure) => Some(failure.text()),
            Self::CertificateExpired => Some("certificate has expired"),
            Self::Forbidden(forbidden) => Some(forbidden.word()),
            _ => None,
        }
    }
}
