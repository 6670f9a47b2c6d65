//! Every variable by name, with its scope and its meaning.
//!
//! [`Variable::ALL`] is the only list: names are looked up in it, and the reference is
//! made from it.

use crate::attributes::{is_attribute, is_dotted};
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
            "request_uri",
            Self::RequestUri,
            Scope::Request,
            "the target as received, with the query",
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
        listed("upstream_addr", Self::UpstreamAddr, Scope::Log, "the addresses tried"),
        listed(
            "upstream_response_time",
            Self::UpstreamResponseTime,
            Scope::Log,
            "seconds with milliseconds",
        ),
        listed("upstream_status", Self::UpstreamStatus, Scope::Log, "the statuses received"),
        listed("uri", Self::Uri, Scope::Request, "the path, normalised"),
    ];

    /// The variable of this name (without `$`).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(listed) = Self::ALL.iter().find(|listed| listed.name == name) {
            // The prefix of a family is not a variable.
            return (!name.ends_with('_')).then(|| listed.variable.clone());
        }
        let is_field_name =
            |rest: &str| rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if let Some(field) = name.strip_prefix("http_").filter(|field| is_field_name(field)) {
            return Some(Self::Http(field.to_owned()));
        }
        // A name that no `$` can carry is for conditions, or stands in braces.
        let is_name = |rest: &&str| {
            let legal =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            !rest.is_empty() && rest.bytes().all(legal)
        };
        if let Some(argument) = name.strip_prefix("arg_").filter(is_name) {
            return Some(Self::Arg(argument.to_owned()));
        }
        if let Some(cookie) = name.strip_prefix("cookie_").filter(is_name) {
            return Some(Self::Cookie(cookie.to_owned()));
        }
        let attribute = name.strip_prefix("ssl_client_s_dn_")?;
        (is_attribute(attribute) || is_dotted(attribute))
            .then(|| Self::SslClientSDnAttribute(attribute.to_owned()))
    }

    /// Its name, without `$`.
    #[must_use]
    pub fn name(&self) -> String {
        let member = match self {
            Self::Arg(member)
            | Self::Cookie(member)
            | Self::Http(member)
            | Self::SslClientSDnAttribute(member) => member.as_str(),
            _ => "",
        };
        let listed = self.listed().map_or("", |listed| listed.name);
        format!("{listed}{member}")
    }

    /// How long its value stays the same.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.listed().map_or(Scope::Log, |listed| listed.scope)
    }

    /// May its value be sent in a header?
    #[must_use]
    pub fn allowed_in_headers(&self) -> bool {
        self.scope() != Scope::Log
    }

    /// Does the client write its value into each request, as it likes? It may not stand in an identity header
    /// then, and a condition on it keeps nobody out.
    #[must_use]
    pub const fn is_written_by_client(&self) -> bool {
        matches!(
            self,
            Self::Arg(_)
                | Self::Args
                | Self::Cookie(_)
                | Self::Host
                | Self::Http(_)
                | Self::RequestId
                | Self::RequestMethod
                | Self::RequestUri
                | Self::ServerProtocol
                | Self::SpanId
                | Self::TraceId
                | Self::Traceparent
                | Self::Tracestate
                | Self::Uri
        )
    }

    fn listed(&self) -> Option<&'static Listed> {
        Self::ALL
            .iter()
            .find(|listed| std::mem::discriminant(&listed.variable) == std::mem::discriminant(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for listed in Variable::ALL {
            let name = match listed.variable {
                Variable::Arg(_) => "arg_page",
                Variable::Cookie(_) => "cookie_id",
                Variable::Http(_) => "http_user_agent",
                Variable::SslClientSDnAttribute(_) => "ssl_client_s_dn_cn",
                _ => listed.name,
            };
            let variable = Variable::parse(name).unwrap();
            assert_eq!(variable.name(), name);
            assert_eq!(variable.scope(), listed.scope);
        }
        assert!(Variable::ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_family_needs_a_member_that_can_exist() {
        for name in ["http_", "http_User", "ssl_client_s_dn_", "ssl_client_s_dn_CN", "nothing", ""]
        {
            assert_eq!(Variable::parse(name), None, "{name}");
        }
    }
}
