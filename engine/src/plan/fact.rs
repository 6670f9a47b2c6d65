//! What templates read of a request beside its fields and the client's certificate.
//!
//! In: a variable. Out: the [`Fact`] that it means, and whether that stays the same for a connection.
//! A variable is what a file says, with the names of fields and attributes in it; a fact is what is read
//! for a request, and small enough to copy. That is why there are two.

use ferrule_config::template::Variable;

/// What is read from [`Facts`](super::facts::Facts) beside fields and the certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fact {
    Args,
    Authority,
    BodyBytesSent,
    BytesSent,
    ClientDaysLeft,
    Connection,
    ConnectionRequests,
    Host,
    Msec,
    Outcome,
    ProxyAddr,
    ProxyPort,
    ProxyServerAddr,
    ProxyServerPort,
    RealAddr,
    RealPort,
    RemoteAddr,
    RemotePort,
    Request,
    RequestId,
    RequestLength,
    RequestMethod,
    RequestTime,
    RequestTimeMs,
    RequestUri,
    RouteId,
    Scheme,
    ServerAddr,
    ServerPort,
    ServerProtocol,
    SessionAlpn,
    SessionCipher,
    SessionCiphers,
    SessionClientSigalg,
    SessionCurve,
    SessionCurves,
    SessionProtocol,
    SessionReused,
    SessionServerName,
    SpanId,
    Status,
    TimeIso8601,
    TimeLocal,
    TraceId,
    Traceparent,
    Tracestate,
    UpstreamAddr,
    UpstreamConnectTime,
    UpstreamConnectTimeMs,
    UpstreamHeaderTime,
    UpstreamHeaderTimeMs,
    UpstreamQueueTime,
    UpstreamStatus,
    UpstreamTime,
    UpstreamTimeMs,
    Uri,
}

impl Fact {
    pub(super) const fn is_connection_scoped(self) -> bool {
        match self {
            Self::Connection
            | Self::ProxyAddr
            | Self::ProxyPort
            | Self::ProxyServerAddr
            | Self::ProxyServerPort
            | Self::RealAddr
            | Self::RealPort
            | Self::RemoteAddr
            | Self::RemotePort
            | Self::Scheme
            | Self::ServerAddr
            | Self::ServerPort
            | Self::SessionAlpn
            | Self::SessionCipher
            | Self::SessionCiphers
            | Self::SessionClientSigalg
            | Self::SessionCurve
            | Self::SessionCurves
            | Self::SessionProtocol
            | Self::SessionReused
            | Self::SessionServerName => true,
            Self::Args
            | Self::Authority
            | Self::BodyBytesSent
            | Self::BytesSent
            | Self::ClientDaysLeft
            | Self::ConnectionRequests
            | Self::Host
            | Self::Msec
            | Self::Outcome
            | Self::Request
            | Self::RequestId
            | Self::RequestLength
            | Self::RequestMethod
            | Self::RequestTime
            | Self::RequestTimeMs
            | Self::RequestUri
            | Self::RouteId
            | Self::ServerProtocol
            | Self::SpanId
            | Self::Status
            | Self::TimeIso8601
            | Self::TimeLocal
            | Self::TraceId
            | Self::Traceparent
            | Self::Tracestate
            | Self::UpstreamAddr
            | Self::UpstreamConnectTime
            | Self::UpstreamConnectTimeMs
            | Self::UpstreamHeaderTime
            | Self::UpstreamHeaderTimeMs
            | Self::UpstreamQueueTime
            | Self::UpstreamStatus
            | Self::UpstreamTime
            | Self::UpstreamTimeMs
            | Self::Uri => false,
        }
    }

    /// The fact that a variable means; `None` for fields, for values of the certificate, and for what is
    /// always empty: `$ssl_early_data`, which we never accept.
    pub(super) const fn of(variable: &Variable) -> Option<Self> {
        Some(match variable {
            Variable::Args => Self::Args,
            Variable::BodyBytesSent => Self::BodyBytesSent,
            Variable::BytesSent => Self::BytesSent,
            Variable::Connection => Self::Connection,
            Variable::ConnectionRequests => Self::ConnectionRequests,
            Variable::Host => Self::Host,
            Variable::Msec => Self::Msec,
            Variable::Outcome => Self::Outcome,
            Variable::ProxyProtocolAddr => Self::ProxyAddr,
            Variable::ProxyProtocolPort => Self::ProxyPort,
            Variable::ProxyProtocolServerAddr => Self::ProxyServerAddr,
            Variable::ProxyProtocolServerPort => Self::ProxyServerPort,
            Variable::RealipRemoteAddr => Self::RealAddr,
            Variable::RealipRemotePort => Self::RealPort,
            Variable::RemoteAddr => Self::RemoteAddr,
            Variable::RemotePort => Self::RemotePort,
            Variable::Request => Self::Request,
            Variable::RequestId => Self::RequestId,
            Variable::RequestLength => Self::RequestLength,
            Variable::RequestMethod => Self::RequestMethod,
            Variable::RequestTime => Self::RequestTime,
            Variable::RequestTimeMs => Self::RequestTimeMs,
            Variable::RequestUri => Self::RequestUri,
            Variable::RouteId => Self::RouteId,
            Variable::Scheme => Self::Scheme,
            Variable::ServerAddr => Self::ServerAddr,
            Variable::ServerPort => Self::ServerPort,
            Variable::ServerProtocol => Self::ServerProtocol,
            Variable::SpanId => Self::SpanId,
            Variable::SslAlpnProtocol => Self::SessionAlpn,
            Variable::SslCipher => Self::SessionCipher,
            Variable::SslCiphers => Self::SessionCiphers,
            Variable::SslClientSigalg => Self::SessionClientSigalg,
            Variable::SslClientVRemain => Self::ClientDaysLeft,
            Variable::SslCurve => Self::SessionCurve,
            Variable::SslCurves => Self::SessionCurves,
            Variable::SslProtocol => Self::SessionProtocol,
            Variable::SslServerName => Self::SessionServerName,
            Variable::SslSessionReused => Self::SessionReused,
            Variable::Status => Self::Status,
            Variable::TimeIso8601 => Self::TimeIso8601,
            Variable::TimeLocal => Self::TimeLocal,
            Variable::TraceId => Self::TraceId,
            Variable::Traceparent => Self::Traceparent,
            Variable::Tracestate => Self::Tracestate,
            Variable::UpstreamAddr => Self::UpstreamAddr,
            Variable::UpstreamConnectTime => Self::UpstreamConnectTime,
            Variable::UpstreamConnectTimeMs => Self::UpstreamConnectTimeMs,
            Variable::UpstreamHeaderTime => Self::UpstreamHeaderTime,
            Variable::UpstreamHeaderTimeMs => Self::UpstreamHeaderTimeMs,
            Variable::UpstreamQueueTime => Self::UpstreamQueueTime,
            Variable::UpstreamResponseTime => Self::UpstreamTime,
            Variable::UpstreamResponseTimeMs => Self::UpstreamTimeMs,
            Variable::UpstreamStatus => Self::UpstreamStatus,
            Variable::Uri => Self::Uri,
            _ => return None,
        })
    }
}
