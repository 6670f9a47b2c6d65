//! The values of variables, as bytes, escaped for where they go.

use super::attempt_values::put_attempts;
use super::fact::Fact;
use super::facts::{ConnectionFacts, Facts, LogFacts, Now, RequestFacts, SessionFacts};
use super::request_ids::Trace;
use super::value_writer::ValueWriter;
use crate::wire::head::Version;
use crate::wire::target::request_authority;

/// Puts everything that is neither a field nor a value of the client's certificate.
pub(super) fn put_fact(fact: Fact, facts: &Facts<'_>, sink: &mut ValueWriter<'_>) {
    let connection = facts.connection;
    match fact {
        Fact::Connection => sink.put_number(connection.serial),
        Fact::ConnectionRequests => sink.put_number(connection.requests),
        Fact::ProxyAddr
        | Fact::ProxyPort
        | Fact::ProxyServerAddr
        | Fact::ProxyServerPort
        | Fact::RealAddr
        | Fact::RealPort => sink.put(proxied_value(fact, connection)),
        Fact::RemoteAddr => sink.put_plain(connection.remote_addr.as_bytes()),
        Fact::RemotePort => sink.put_plain(connection.remote_port.as_bytes()),
        Fact::Scheme => sink.put_plain(if connection.tls { b"https" } else { b"http" }),
        Fact::ServerAddr => sink.put_plain(connection.server_addr.as_bytes()),
        Fact::ServerPort => sink.put_plain(connection.server_port.as_bytes()),
        Fact::Msec | Fact::TimeIso8601 | Fact::TimeLocal => put_time(fact, &facts.now, sink),
        Fact::ClientDaysLeft => put_days_left(facts, sink),
        Fact::SessionCiphers | Fact::SessionCurves => {
            if let Some(session) = facts.session {
                put_offered(fact, session, sink);
            }
        }
        Fact::RequestId | Fact::SpanId | Fact::TraceId | Fact::Traceparent | Fact::Tracestate => {
            put_request_id(fact, facts, sink);
        }
        Fact::SessionAlpn
        | Fact::SessionCipher
        | Fact::SessionClientSigalg
        | Fact::SessionCurve
        | Fact::SessionProtocol
        | Fact::SessionReused
        | Fact::SessionServerName => {
            sink.put(facts.session.map(|session| session_value(fact, session)).unwrap_or_default());
        }
        Fact::Args
        | Fact::Authority
        | Fact::Host
        | Fact::Request
        | Fact::RequestMethod
        | Fact::RequestUri
        | Fact::RouteId
        | Fact::ServerProtocol
        | Fact::Uri => {
            if let Some(request) = &facts.request {
                put_request_fact(fact, request, sink);
            }
        }
        Fact::BodyBytesSent
        | Fact::BytesSent
        | Fact::Outcome
        | Fact::RequestLength
        | Fact::RequestTime
        | Fact::RequestTimeMs
        | Fact::Status => {
            if let Some(log) = facts.log {
                put_log_fact(fact, log, sink);
            }
        }
        Fact::UpstreamAddr
        | Fact::UpstreamConnectTime
        | Fact::UpstreamHeaderTime
        | Fact::UpstreamQueueTime
        | Fact::UpstreamStatus
        | Fact::UpstreamTime
        | Fact::UpstreamConnectTimeMs
        | Fact::UpstreamHeaderTimeMs
        | Fact::UpstreamTimeMs => put_attempts(fact, facts.log, sink),
    }
}

/// Per request, because connections live on.
fn put_days_left(facts: &Facts<'_>, sink: &mut ValueWriter<'_>) {
    let left = facts.client.and_then(|client| client.days_remaining(facts.now.unix_seconds));
    if let Some(days) = left.and_then(|days| u64::try_from(days).ok()) {
        sink.put_number(days);
    }
}

fn put_time(fact: Fact, now: &Now<'_>, sink: &mut ValueWriter<'_>) {
    match fact {
        Fact::Msec => {
            sink.put_number(now.unix_seconds.unsigned_abs());
            sink.put_decimals(now.millis.into());
        }
        Fact::TimeIso8601 => sink.put_plain(now.iso8601.as_bytes()),
        Fact::TimeLocal => sink.put_plain(now.local.as_bytes()),
        _ => {}
    }
}

/// What a client's hello offered, in its order.
fn put_offered(fact: Fact, session: &SessionFacts, sink: &mut ValueWriter<'_>) {
    let offered = if fact == Fact::SessionCiphers { &session.ciphers } else { &session.curves };
    offered.each_piece(|piece| sink.put(piece));
}

/// What a PROXY protocol header said, and who sent it.
fn proxied_value(fact: Fact, connection: &ConnectionFacts) -> &[u8] {
    let proxied = connection.proxied.as_deref();
    let value = match fact {
        Fact::ProxyAddr => proxied.map(|_| connection.own_addr()),
        Fact::ProxyPort => proxied.map(|_| connection.own_port()),
        Fact::ProxyServerAddr => proxied.map(|proxied| proxied.server_addr.as_str()),
        Fact::ProxyServerPort => proxied.map(|proxied| proxied.server_port.as_str()),
        Fact::RealAddr => Some(
            proxied.map_or_else(|| connection.own_addr(), |proxied| proxied.peer_addr.as_str()),
        ),
        Fact::RealPort => Some(
            proxied.map_or_else(|| connection.own_port(), |proxied| proxied.peer_port.as_str()),
        ),
        _ => None,
    };
    value.map(str::as_bytes).unwrap_or_default()
}

fn session_value(fact: Fact, session: &SessionFacts) -> &[u8] {
    match fact {
        Fact::SessionAlpn => session.alpn.as_bytes(),
        Fact::SessionCipher => session.cipher.as_bytes(),
        Fact::SessionClientSigalg => session.client_sigalg.as_bytes(),
        Fact::SessionCurve => session.curve.as_bytes(),
        Fact::SessionProtocol => session.protocol.as_bytes(),
        Fact::SessionReused if session.reused => b"r",
        Fact::SessionReused => b".",
        Fact::SessionServerName => session.server_name.as_bytes(),
        _ => b"",
    }
}

fn put_request_fact(fact: Fact, request: &RequestFacts<'_>, sink: &mut ValueWriter<'_>) {
    let head = request.head;
    let version: &[u8] = match head.version() {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
    };
    match fact {
        Fact::Args => {
            sink.put(request.target.map(|target| head.text(target.query)).unwrap_or_default());
        }
        Fact::Authority => {
            let authority = request.target.map(|target| request_authority(head, target));
            let authority = authority.and_then(Result::ok).flatten().unwrap_or_default();
            sink.put(head.text(authority));
        }
        Fact::Host => sink.put(request.host),
        Fact::Request => {
            sink.put(head.method_text());
            sink.put(b" ");
            sink.put(head.target());
            sink.put(b" ");
            sink.put_plain(version);
        }
        Fact::RequestMethod => sink.put(head.method_text()),
        Fact::RequestUri => sink.put(head.target()),
        Fact::RouteId => sink.put(request.route_id.as_bytes()),
        Fact::ServerProtocol => sink.put_plain(version),
        Fact::Uri => sink.put(request.path),
        _ => {}
    }
}

fn put_log_fact(fact: Fact, log: &LogFacts<'_>, sink: &mut ValueWriter<'_>) {
    match fact {
        Fact::BodyBytesSent => sink.put_number(log.body_bytes_sent),
        Fact::BytesSent => sink.put_number(log.bytes_sent),
        Fact::Outcome => sink.put_plain(log.outcome.as_bytes()),
        Fact::RequestLength => sink.put_number(log.request_bytes),
        Fact::RequestTime => sink.put_millis(log.request_ms),
        Fact::RequestTimeMs => sink.put_number(log.request_ms),
        Fact::Status => sink.put_number(log.status.into()),
        _ => {}
    }
}

/// Puts the request's id, or an id or field of its trace.
fn put_request_id(fact: Fact, facts: &Facts<'_>, sink: &mut ValueWriter<'_>) {
    let Some(request_ids) = facts.request_ids else { return };
    let ids = match &request_ids.trace {
        Trace::None => None,
        Trace::Client { trace_id, span_id, .. } | Trace::Begun { trace_id, span_id } => {
            Some((trace_id, span_id))
        }
    };
    match (fact, ids) {
        (Fact::RequestId, _) => sink.put_plain(request_ids.id()),
        (Fact::TraceId, Some((trace_id, _))) => sink.put_plain(trace_id),
        (Fact::SpanId, Some((_, span_id))) => sink.put_plain(span_id),
        (Fact::Traceparent, Some((trace_id, span_id))) => match request_ids.trace {
            Trace::Client { .. } => put_client(b"traceparent", facts, sink),
            // Sampled: whoever samples by its parent would otherwise never record these traces.
            Trace::None | Trace::Begun { .. } => {
                for part in [b"00-", &trace_id[..], b"-", &span_id[..], b"-01"] {
                    sink.put(part);
                }
            }
        },
        (Fact::Tracestate, _) if matches!(request_ids.trace, Trace::Client { state: true, .. }) => {
            put_client(b"tracestate", facts, sink);
        }
        _ => {}
    }
}

/// Every line of the client's field, as one list.
fn put_client(name: &[u8], facts: &Facts<'_>, sink: &mut ValueWriter<'_>) {
    let Some(request) = facts.request else { return };
    for (at, field) in request.head.fields().all_named(name).enumerate() {
        if at > 0 {
            sink.put(b",");
        }
        sink.put(field.value());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ferrule_config::template::{Piece, Scope, Template, Variable};

    use super::*;
    use crate::identity::{ClientIdentity, Verdict};
    use crate::plan::attempts::AttemptRecord;
    use crate::plan::facts::{Offered, ProxiedFacts};
    use crate::plan::fixture::{NOW, connection};
    use crate::plan::ids::NodeIndex;
    use crate::plan::request_ids::RequestIds;
    use crate::plan::template::{Compiler, render_escaped};
    use crate::plan::value_writer::Escape;
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;
    use crate::wire::target::parse_target;

    const HEAD: &[u8] =
        b"GET /a%20b?x=\"1 HTTP/1.1\r\nHost: h\r\nX-One: \"\xff\\\tz\r\nCookie: a\r\n\
        Cookie: b\r\nX_Under: 1\r\n\r\n";

    fn value(variable: Variable, escape: Escape) -> String {
        let mut head = RequestHead::default();
        let limits = HeadLimits { head_bytes_max: 1000, fields_max: 100 };
        parse_request(HEAD, HEAD.len(), limits, &mut head).unwrap();
        let target = parse_target(HEAD, head.method, head.target).unwrap();
        let session = SessionFacts { protocol: "TLSv1.3", reused: true, ..SessionFacts::default() };
        let log = LogFacts { status: 200, request_ms: 12_034, ..LogFacts::default() };
        let mut compiler = Compiler::default();
        let template = compiler.compile(&Template { pieces: vec![Piece::Variable(variable)] });
        let client = ClientIdentity::none(&compiler.into_wanted());
        let facts = Facts {
            connection: &connection(true),
            session: Some(&session),
            client: Some(&client),
            request: Some(RequestFacts {
                head: head.view(HEAD),
                target: Some(&target),
                host: b"h",
                path: b"/a b",
                captures: None,
                route_id: "r1",
            }),
            now: NOW,
            log: Some(&log),
            request_ids: None,
        };
        let mut out = Vec::new();
        render_escaped(&template, &facts, escape, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_are_nginxs() {
        let http = |name: &str| Variable::Http(name.to_owned());
        for (variable, wanted) in [
            (Variable::Args, "x=\"1"),
            (Variable::Request, "GET /a%20b?x=\"1 HTTP/1.1"),
            (Variable::RequestUri, "/a%20b?x=\"1"),
            (Variable::Uri, "/a b"),
            (Variable::Host, "h"),
            (Variable::RouteId, "r1"),
            (Variable::Scheme, "https"),
            (Variable::ConnectionRequests, "2"),
            (Variable::Msec, "1795301728.007"),
            (Variable::RequestTime, "12.034"),
            (Variable::RequestTimeMs, "12034"),
            (Variable::UpstreamResponseTime, ""),
            (Variable::Status, "200"),
            (Variable::SslProtocol, "TLSv1.3"),
            (Variable::SslSessionReused, "r"),
            (Variable::SslClientVerify, "NONE"),
            (Variable::SslClientVRemain, ""),
            (Variable::SslEarlyData, ""),
            (http("cookie"), "a; b"),
            (http("host"), "h"),
            (http("x_under"), ""),
            (http("missing"), ""),
        ] {
            assert_eq!(value(variable.clone(), Escape::None), wanted, "{variable:?}");
        }
    }

    #[test]
    fn values_are_escaped_for_where_they_go() {
        let one = || Variable::Http("x_one".to_owned());
        assert_eq!(value(one(), Escape::Log), "\\x22\\xFF\\x5C\\x09z");
        assert_eq!(value(one(), Escape::Json), "\\\"\u{fffd}\\\\\\tz");
        let missing = || Variable::Http("missing".to_owned());
        assert_eq!(value(missing(), Escape::Log), "-");
        assert_eq!(value(Variable::SslEarlyData, Escape::Log), "-");
        assert_eq!(value(missing(), Escape::Json), "");
    }

    /// The functions for groups of facts pass over what is not theirs: a fact that stands in the group alone
    /// would be empty for ever, and no error would say so.
    #[test]
    fn every_fact_is_rendered_and_keeps_its_scope() {
        const TRACED: &[u8] =
            b"GET /a?b HTTP/1.1\r\nHost: h\r\ntraceparent: t\r\ntracestate: s\r\n\r\n";
        let mut head = RequestHead::default();
        let limits = HeadLimits { head_bytes_max: 1000, fields_max: 100 };
        parse_request(TRACED, TRACED.len(), limits, &mut head).unwrap();
        let target = parse_target(TRACED, head.method, head.target).unwrap();
        let text = || "x".to_owned();
        let proxied = ProxiedFacts {
            server_addr: text(),
            server_port: text(),
            peer_addr: text(),
            peer_port: text(),
        };
        let connection = ConnectionFacts { proxied: Some(Box::new(proxied)), ..connection(true) };
        let offered = || Offered { numbers: vec![1], ..Offered::default() };
        let session = SessionFacts {
            protocol: "x",
            cipher: "x",
            curve: "x",
            ciphers: offered(),
            curves: offered(),
            alpn: "x",
            server_name: text(),
            client_sigalg: "x",
            reused: true,
        };
        let nobody = ClientIdentity::none(&Compiler::default().into_wanted());
        let client = ClientIdentity { verdict: Verdict::Success, not_after: 1, ..nobody };
        let mut request_ids = RequestIds::default();
        request_ids.set_id(b"x");
        request_ids.trace =
            Trace::Client { trace_id: [b'1'; 32], span_id: [b'2'; 16], state: true };
        let facts = Facts {
            connection: &connection,
            session: Some(&session),
            client: Some(&client),
            request: Some(RequestFacts {
                head: head.view(TRACED),
                target: Some(&target),
                host: b"h",
                path: b"/a",
                captures: None,
                route_id: "x",
            }),
            now: NOW,
            log: Some(&LogFacts {
                outcome: "x",
                attempts: &[AttemptRecord {
                    connect_micros: Some(1),
                    header_micros: Some(1),
                    ..AttemptRecord::begin(NodeIndex(0), None, Duration::ZERO)
                }],
                ..LogFacts::default()
            }),
            request_ids: Some(&request_ids),
        };
        for listed in Variable::ALL {
            let Some(fact) = Fact::of(&listed.variable) else { continue };
            let mut out = Vec::new();
            put_fact(fact, &facts, &mut ValueWriter::new(Escape::None, &mut out));
            assert!(!out.is_empty(), "${}", listed.name);
            let connection = listed.scope == Scope::Connection;
            assert_eq!(fact.is_connection_scoped(), connection, "${}", listed.name);
        }
    }
}
