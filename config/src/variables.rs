//! Every variable by name, with its scope and its meaning.
//!
//! [`Variable::ALL`] is the only list: names are looked up in it (`variable_lookup`), and the reference is
//! made from it.

use crate::template::{Scope, Variable};

/// A variable as the reference shows it.
#[derive(Debug)]
pub struct Listed {
    /// The name without `$`; a family ends with `_`, and its member's name follows.
    pub name: &'static str,
    /// The variable; of a family, the one with an empty member.
    pub variable: Variable,
    /// How long its value stays the same.
    pub scope: Scope,
    /// What it holds.
    pub doc: &'static str,
}

const fn listed(name: &'static str, variable: Variable, scope: Scope, doc: &'static str) -> Listed {
    Listed { name, variable, scope, doc }
}

impl Variable {
    /// Every variable, in the order of their names.
    pub const ALL: &'static [Listed] = &[
        listed(
            "arg_",
            Self::Arg(String::new()),
            Scope::Request,
            "a query parameter, as it came; of several the first (in `vars` unescaped)",
        ),
        listed("args", Self::Args, Scope::Request, "the query, without its `?`"),
        listed("body_bytes_sent", Self::BodyBytesSent, Scope::Log, "bytes of the response body"),
        listed(
            "bytes_sent",
            Self::BytesSent,
            Scope::Log,
            "bytes sent to the client, head and body",
        ),
        listed(
            "capture_",
            Self::Capture(String::new()),
            Scope::Request,
            "a part of a value that an expression in `vars` of the route names, as `(?<NAME>[a-z]+)`",
        ),
        listed(
            "connection",
            Self::Connection,
            Scope::Connection,
            "serial number of the client connection on its core",
        ),
        listed(
            "connection_requests",
            Self::ConnectionRequests,
            Scope::Request,
            "requests on this connection so far",
        ),
        listed(
            "cookie_",
            Self::Cookie(String::new()),
            Scope::Request,
            "a cookie; of several with the name the first",
        ),
        listed("host", Self::Host, Scope::Request, "the request's host, lower case, without port"),
        listed(
            "http_",
            Self::Http(String::new()),
            Scope::Request,
            "a request header; the name in lower case, with `_` for `-`. Empty for those that only the \
                 gateway sends, and for `X-Forwarded-*` and `Forwarded` of a peer that is not trusted",
        ),
        listed("msec", Self::Msec, Scope::Request, "Unix seconds with milliseconds"),
        listed("outcome", Self::Outcome, Scope::Log, "`ok`, or why it ended: docs/http.md"),
        listed(
            "proxy_protocol_addr",
            Self::ProxyProtocolAddr,
            Scope::Connection,
            "the client's address in the PROXY protocol header; empty if there was none",
        ),
        listed(
            "proxy_protocol_port",
            Self::ProxyProtocolPort,
            Scope::Connection,
            "the client's port in that header",
        ),
        listed(
            "proxy_protocol_server_addr",
            Self::ProxyProtocolServerAddr,
            Scope::Connection,
            "the address the client reached, in that header",
        ),
        listed(
            "proxy_protocol_server_port",
            Self::ProxyProtocolServerPort,
            Scope::Connection,
            "the port the client reached, in that header",
        ),
        listed(
            "realip_remote_addr",
            Self::RealipRemoteAddr,
            Scope::Connection,
            "the address that connected, whatever a PROXY protocol header says",
        ),
        listed(
            "realip_remote_port",
            Self::RealipRemotePort,
            Scope::Connection,
            "the port that connected",
        ),
        listed(
            "remote_addr",
            Self::RemoteAddr,
            Scope::Connection,
            "the client's address: the peer's, or that of the PROXY protocol header",
        ),
        listed("remote_port", Self::RemotePort, Scope::Connection, "the client's port"),
        listed("request", Self::Request, Scope::Log, "the whole request line"),
        listed(
            "request_id",
            Self::RequestId,
            Scope::Request,
            "the request's id, if `global_rules.request_id` gives it one",
        ),
        listed("request_length", Self::RequestLength, Scope::Log, "bytes read for this request"),
        listed("request_method", Self::RequestMethod, Scope::Request, "the method"),
        listed(
            "request_time",
            Self::RequestTime,
            Scope::Log,
            "seconds with milliseconds, from the first byte read to the last byte sent",
        ),
        listed(
            "request_time_ms",
            Self::RequestTimeMs,
            Scope::Log,
            "the same in whole milliseconds",
        ),
        listed(
            "request_uri",
            Self::RequestUri,
            Scope::Request,
            "the target as received, with the query",
        ),
        listed(
            "rewrite_",
            Self::Rewrite(String::new()),
            Scope::Request,
            "a group of the expression of `rewrite.regex_uri` that matched, by its number (`$rewrite_1`) or its name, \
                 as the normalised path has it; empty if none matched",
        ),
        listed("route_id", Self::RouteId, Scope::Request, "the id of the route taken"),
        listed("scheme", Self::Scheme, Scope::Connection, "`http` or `https`"),
        listed(
            "server_addr",
            Self::ServerAddr,
            Scope::Connection,
            "the address the client reached",
        ),
        listed("server_port", Self::ServerPort, Scope::Connection, "the port the client reached"),
        listed("server_protocol", Self::ServerProtocol, Scope::Request, "`HTTP/1.1` or `HTTP/1.0`"),
        listed(
            "span_id",
            Self::SpanId,
            Scope::Request,
            "the parent id of the `traceparent` that goes upstream",
        ),
        listed(
            "ssl_alpn_protocol",
            Self::SslAlpnProtocol,
            Scope::Connection,
            "the protocol chosen by ALPN",
        ),
        listed(
            "ssl_cipher",
            Self::SslCipher,
            Scope::Connection,
            "the cipher suite, by OpenSSL's name",
        ),
        listed(
            "ssl_ciphers",
            Self::SslCiphers,
            Scope::Connection,
            "the client's cipher suites, as they came",
        ),
        listed(
            "ssl_client_cert",
            Self::SslClientCert,
            Scope::Log,
            "the certificate as PEM, each line but the first indented by a tab (holds line feeds)",
        ),
        listed(
            "ssl_client_cert_rfc9440",
            Self::SslClientCertRfc9440,
            Scope::Connection,
            "the certificate as an RFC 9440 byte sequence",
        ),
        listed(
            "ssl_client_cert_traefik",
            Self::SslClientCertTraefik,
            Scope::Connection,
            "the certificate and its verified path as Traefik's `X-Forwarded-Tls-Client-Cert` has them; of a \
                 verified client only",
        ),
        listed(
            "ssl_client_chain_rfc9440",
            Self::SslClientChainRfc9440,
            Scope::Connection,
            "the rest of the verified path, as far as the client sent it, as an RFC 9440 list; of \
                 a verified client only",
        ),
        listed(
            "ssl_client_escaped_cert",
            Self::SslClientEscapedCert,
            Scope::Connection,
            "the certificate as PEM, percent-encoded",
        ),
        listed(
            "ssl_client_fingerprint",
            Self::SslClientFingerprint,
            Scope::Connection,
            "SHA-1 of the certificate, 40 lower-case hex digits",
        ),
        listed(
            "ssl_client_fingerprint_sha256",
            Self::SslClientFingerprintSha256,
            Scope::Connection,
            "SHA-256 of the certificate, 64 lower-case hex digits",
        ),
        listed("ssl_client_i_dn", Self::SslClientIDn, Scope::Connection, "the issuer, by RFC 2253"),
        listed(
            "ssl_client_i_dn_legacy",
            Self::SslClientIDnLegacy,
            Scope::Connection,
            "the issuer in nginx's old form, which is ambiguous",
        ),
        listed(
            "ssl_client_info_traefik",
            Self::SslClientInfoTraefik,
            Scope::Connection,
            "Traefik's `X-Forwarded-Tls-Client-Cert-Info`; of a verified client only",
        ),
        listed(
            "ssl_client_raw_cert",
            Self::SslClientRawCert,
            Scope::Log,
            "the certificate as PEM (holds line feeds)",
        ),
        listed(
            "ssl_client_s_dn",
            Self::SslClientSDn,
            Scope::Connection,
            "the subject, by RFC 2253",
        ),
        listed(
            "ssl_client_s_dn_",
            Self::SslClientSDnAttribute(String::new()),
            Scope::Connection,
            "one attribute of the subject, by OpenSSL's short name in lower case (`cn`, `ou`, \
                 `emailaddress`, ...) or its number: `${ssl_client_s_dn_2.5.4.3}`",
        ),
        listed(
            "ssl_client_s_dn_legacy",
            Self::SslClientSDnLegacy,
            Scope::Connection,
            "the subject in nginx's old form, which is ambiguous",
        ),
        listed(
            "ssl_client_san",
            Self::SslClientSan,
            Scope::Connection,
            "every subject alternative name, typed",
        ),
        listed("ssl_client_san_dns", Self::SslClientSanDns, Scope::Connection, "the DNS names"),
        listed(
            "ssl_client_san_email",
            Self::SslClientSanEmail,
            Scope::Connection,
            "the e-mail addresses",
        ),
        listed("ssl_client_san_ip", Self::SslClientSanIp, Scope::Connection, "the IP addresses"),
        listed("ssl_client_san_uri", Self::SslClientSanUri, Scope::Connection, "the URIs"),
        listed(
            "ssl_client_serial",
            Self::SslClientSerial,
            Scope::Connection,
            "the serial number, upper-case hex",
        ),
        listed(
            "ssl_client_sigalg",
            Self::SslClientSigalg,
            Scope::Connection,
            "the signature algorithm of the client; full handshakes only",
        ),
        listed(
            "ssl_client_spiffe_id",
            Self::SslClientSpiffeId,
            Scope::Connection,
            "the SPIFFE id, if there is exactly one",
        ),
        listed(
            "ssl_client_spki_sha256",
            Self::SslClientSpkiSha256,
            Scope::Connection,
            "SHA-256 of the public key",
        ),
        listed(
            "ssl_client_v_end",
            Self::SslClientVEnd,
            Scope::Connection,
            "the end of validity, `Nov 21 22:55:28 2026 GMT`",
        ),
        listed(
            "ssl_client_v_remain",
            Self::SslClientVRemain,
            Scope::Request,
            "whole days of validity left",
        ),
        listed(
            "ssl_client_v_start",
            Self::SslClientVStart,
            Scope::Connection,
            "the start of validity",
        ),
        listed(
            "ssl_client_verify",
            Self::SslClientVerify,
            Scope::Connection,
            "`SUCCESS`, `NONE` or `FAILED:reason`",
        ),
        listed(
            "ssl_client_x5t_s256",
            Self::SslClientX5tS256,
            Scope::Connection,
            "SHA-256 of the certificate in base64url, as `x5t#S256` of a token has it (RFC 8705)",
        ),
        listed(
            "ssl_client_xfcc",
            Self::SslClientXfcc,
            Scope::Connection,
            "one element of an Envoy `X-Forwarded-Client-Cert`",
        ),
        listed("ssl_curve", Self::SslCurve, Scope::Connection, "the key exchange group"),
        listed(
            "ssl_curves",
            Self::SslCurves,
            Scope::Connection,
            "the client's groups, as they came",
        ),
        listed(
            "ssl_early_data",
            Self::SslEarlyData,
            Scope::Connection,
            "always empty: early data is never accepted",
        ),
        listed("ssl_protocol", Self::SslProtocol, Scope::Connection, "`TLSv1.2` or `TLSv1.3`"),
        listed(
            "ssl_server_name",
            Self::SslServerName,
            Scope::Connection,
            "the server name the client asked for",
        ),
        listed(
            "ssl_session_reused",
            Self::SslSessionReused,
            Scope::Connection,
            "`r` if the session was resumed, else `.`",
        ),
        listed("status", Self::Status, Scope::Log, "the status sent"),
        listed("time_iso8601", Self::TimeIso8601, Scope::Log, "local time, ISO 8601"),
        listed(
            "time_local",
            Self::TimeLocal,
            Scope::Log,
            "local time, as the Common Log Format has it",
        ),
        listed(
            "trace_id",
            Self::TraceId,
            Scope::Request,
            "the trace id of the `traceparent` that goes upstream",
        ),
        listed(
            "traceparent",
            Self::Traceparent,
            Scope::Request,
            "the `traceparent` that goes upstream, if `http.traceparent` is not \"off\"",
        ),
        listed(
            "tracestate",
            Self::Tracestate,
            Scope::Request,
            "the `tracestate` that goes with it",
        ),
        listed(
            "upstream_addr",
            Self::UpstreamAddr,
            Scope::Log,
            "the address of each node tried, in nginx's form: `10.0.0.1:80, 10.0.0.2:80`; of a name the address \
                 that it led to",
        ),
        listed(
            "upstream_connect_time",
            Self::UpstreamConnectTime,
            Scope::Log,
            "of each try, the seconds (with milliseconds) until there was a connection, TLS included: \
                 `-, 0.004`; 0.000 for one from the pool, `-` if there was none",
        ),
        listed(
            "upstream_connect_time_ms",
            Self::UpstreamConnectTimeMs,
            Scope::Log,
            "the same of all tries together, in whole milliseconds; empty if there was no connection",
        ),
        listed(
            "upstream_header_time",
            Self::UpstreamHeaderTime,
            Scope::Log,
            "of each try, the seconds from its beginning until the head of the response was there; `-` if \
                 none came",
        ),
        listed(
            "upstream_header_time_ms",
            Self::UpstreamHeaderTimeMs,
            Scope::Log,
            "the same of all tries together, in whole milliseconds; empty if no head came",
        ),
        listed(
            "upstream_queue_time",
            Self::UpstreamQueueTime,
            Scope::Log,
            "of each try, the seconds (with milliseconds) that the request had waited until a node had a place for \
                 it, `-` if it has not",
        ),
        listed(
            "upstream_response_time",
            Self::UpstreamResponseTime,
            Scope::Log,
            "of each try, the seconds from its beginning to its end",
        ),
        listed(
            "upstream_response_time_ms",
            Self::UpstreamResponseTimeMs,
            Scope::Log,
            "the same of all tries together, in whole milliseconds",
        ),
        listed(
            "upstream_status",
            Self::UpstreamStatus,
            Scope::Log,
            "of each try, the status of the response: `502, 200`; of a try that failed before there was one, \
                 the status that the client gets if no other follows; `-` if the client was the reason",
        ),
        listed("uri", Self::Uri, Scope::Request, "the path, normalised"),
        listed(
            "uri_param_",
            Self::UriParam(String::new()),
            Scope::Request,
            "a parameter of the route's path (`:NAME` and `*NAME`), as the normalised path has it",
        ),
    ];
}
