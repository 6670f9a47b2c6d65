//! The `$variable` grammar, and the closed list of variables.
//!
//! In: text. Out: a [`Template`], or where the text is wrong. `$name` or `${name}` is a variable,
//! `$$` a dollar sign; everything else stands for itself. Writing a template out again (its
//! `Display`) gives text that reads back to the same template.

use std::fmt;

/// Text with variables in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template {
    /// In order; no two texts side by side.
    pub pieces: Vec<Piece>,
}

impl Template {
    /// The variables in it, in their order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(variable) => Some(variable),
        })
    }

    /// Can its value never be anything but empty?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn push_text(&mut self, text: &str) {
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.write_str(&text.replace('$', "$$"))?,
                Piece::Variable(variable) => write!(out, "${{{}}}", variable.name())?,
            }
        }
        Ok(())
    }
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TemplateError {
    /// The first byte that is wrong.
    pub offset: usize,
    /// How many bytes are meant.
    pub len: usize,
    /// What is wrong with them.
    pub cause: TemplateCause,
}

/// What can be wrong with a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateCause {
    /// A `$` that starts no name; `$$` would be a dollar sign.
    #[error("a `$` that starts no variable")]
    BareDollar,
    /// A `${` without its `}`.
    #[error("a `${{` without its `}}`")]
    Unclosed,
    /// There is no variable of this name.
    #[error("there is no such variable")]
    UnknownVariable,
    /// There is one in nginx, but not here: rustls has no accessor for the session id.
    #[error("`$ssl_session_id` does not exist here")]
    SessionId,
}

/// Reads a template.
///
/// # Errors
/// The first place where the text is no template.
pub fn parse(text: &str) -> Result<Template, TemplateError> {
    let mut template = Template::default();
    let mut offset = 0;
    while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
        let Some(dollar) = rest.find('$') else {
            template.push_text(rest);
            break;
        };
        template.push_text(rest.get(..dollar).unwrap_or_default());
        offset += dollar;
        let behind = rest.get(dollar + 1..).unwrap_or_default();
        if behind.starts_with('$') {
            template.push_text("$");
            offset += 2;
            continue;
        }
        let (name, len) =
            variable_name(behind).map_err(|cause| TemplateError { offset, len: 1, cause })?;
        let fault = |cause| TemplateError { offset, len: len + 1, cause };
        if name == "ssl_session_id" {
            return Err(fault(TemplateCause::SessionId));
        }
        let variable =
            Variable::parse(name).ok_or_else(|| fault(TemplateCause::UnknownVariable))?;
        template.pieces.push(Piece::Variable(variable));
        offset += len + 1;
    }
    Ok(template)
}

/// The name at the front of what stands behind a `$`, and how many bytes it takes with its braces.
fn variable_name(behind: &str) -> Result<(&str, usize), TemplateCause> {
    if let Some(inner) = behind.strip_prefix('{') {
        let end = inner.find('}').ok_or(TemplateCause::Unclosed)?;
        return Ok((inner.get(..end).unwrap_or_default(), end + 2));
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let len = behind.bytes().take_while(|byte| is_name(byte)).count();
    match behind.get(..len) {
        Some(name) if len > 0 => Ok((name, len)),
        _ => Err(TemplateCause::BareDollar),
    }
}

/// A part of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Itself.
    Text(String),
    /// A variable's value.
    Variable(Variable),
}

/// Every variable, by nginx's name (`$ssl_client_verify` is `SslClientVerify`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Variable {
    /// `$arg_NAME`: the first value of a query parameter, as it came
    Arg(String),
    /// `$args`: the query without its `?`.
    Args,
    /// `$body_bytes_sent`: log only.
    BodyBytesSent,
    /// `$bytes_sent`: log only.
    BytesSent,
    /// `$connection`: serial number of the client connection on its core.
    Connection,
    /// `$connection_requests`: requests on this connection so far.
    ConnectionRequests,
    /// `$capture_NAME`: a named part of a value, found by the conditions of the route
    Capture(String),
    /// `$uri_param_NAME`: a parameter of the route's path
    UriParam(String),
    /// `$cookie_NAME`: the first cookie of this name
    Cookie(String),
    /// `$host`: the request's host, lower case, without port.
    Host,
    /// `$http_NAME`: a request field; the name is lower case with `_` for `-`.
    Http(String),
    /// `$msec`: Unix seconds with milliseconds.
    Msec,
    /// `$outcome`: log only. How the exchange ended, in one word.
    Outcome,
    /// `$proxy_protocol_addr`: the client's address, as the PROXY protocol header had it.
    ProxyProtocolAddr,
    /// `$proxy_protocol_port`
    ProxyProtocolPort,
    /// `$proxy_protocol_server_addr`: the address the client reached, as that header had it.
    ProxyProtocolServerAddr,
    /// `$proxy_protocol_server_port`
    ProxyProtocolServerPort,
    /// `$realip_remote_addr`: who connected to us, whatever a header said.
    RealipRemoteAddr,
    /// `$realip_remote_port`
    RealipRemotePort,
    /// `$remote_addr`: the client's address.
    RemoteAddr,
    /// `$remote_port`: the client's port.
    RemotePort,
    /// `$request`: the whole request line; log only.
    Request,
    /// `$request_id`
    RequestId,
    /// `$request_length`: bytes read for this request; log only.
    RequestLength,
    /// `$request_method`
    RequestMethod,
    /// `$request_time`: seconds with milliseconds; log only.
    RequestTime,
    /// `$request_time_ms`: the same in whole milliseconds; log only.
    RequestTimeMs,
    /// `$request_uri`: the target as received.
    RequestUri,
    /// `$rewrite_NAME`: a group of the expression of `rewrite.regex_uri` that matched
    Rewrite(String),
    /// `$route_id`: which route was taken.
    RouteId,
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$server_addr`: the address the client reached.
    ServerAddr,
    /// `$server_port`
    ServerPort,
    /// `$server_protocol`: `HTTP/1.1`.
    ServerProtocol,
    /// `$span_id`
    SpanId,
    /// `$ssl_alpn_protocol`
    SslAlpnProtocol,
    /// `$ssl_cipher`
    SslCipher,
    /// `$ssl_ciphers`: the client's list, as it came
    SslCiphers,
    /// `$ssl_client_cert`: log only (holds line feeds).
    SslClientCert,
    /// `$ssl_client_cert_rfc9440`: the leaf as an RFC 9440 byte sequence
    SslClientCertRfc9440,
    /// `$ssl_client_cert_traefik`: leaf and chain as Traefik passes them
    SslClientCertTraefik,
    /// `$ssl_client_chain_rfc9440`: the rest of the chain as an RFC 9440 list
    SslClientChainRfc9440,
    /// `$ssl_client_escaped_cert`
    SslClientEscapedCert,
    /// `$ssl_client_fingerprint`
    SslClientFingerprint,
    /// `$ssl_client_fingerprint_sha256`
    SslClientFingerprintSha256,
    /// `$ssl_client_i_dn`
    SslClientIDn,
    /// `$ssl_client_i_dn_legacy`
    SslClientIDnLegacy,
    /// `$ssl_client_info_traefik`: what Traefik tells of a certificate
    SslClientInfoTraefik,
    /// `$ssl_client_raw_cert`: log only (holds line feeds).
    SslClientRawCert,
    /// `$ssl_client_s_dn`
    SslClientSDn,
    /// `$ssl_client_s_dn_legacy`
    SslClientSDnLegacy,
    /// `$ssl_client_s_dn_NAME`: one attribute of the subject, by OpenSSL's short name in lower case
    SslClientSDnAttribute(String),
    /// `$ssl_client_san`: every subject alternative name, typed
    SslClientSan,
    /// `$ssl_client_san_dns`
    SslClientSanDns,
    /// `$ssl_client_san_email`
    SslClientSanEmail,
    /// `$ssl_client_san_ip`
    SslClientSanIp,
    /// `$ssl_client_san_uri`
    SslClientSanUri,
    /// `$ssl_client_serial`
    SslClientSerial,
    /// `$ssl_client_sigalg`: full handshakes only
    SslClientSigalg,
    /// `$ssl_client_spiffe_id`
    SslClientSpiffeId,
    /// `$ssl_client_spki_sha256`
    SslClientSpkiSha256,
    /// `$ssl_client_x5t_s256`
    SslClientX5tS256,
    /// `$ssl_client_v_end`
    SslClientVEnd,
    /// `$ssl_client_v_remain`: per request.
    SslClientVRemain,
    /// `$ssl_client_v_start`
    SslClientVStart,
    /// `$ssl_client_verify`
    SslClientVerify,
    /// `$ssl_client_xfcc`: one Envoy `X-Forwarded-Client-Cert` element
    SslClientXfcc,
    /// `$ssl_curve`
    SslCurve,
    /// `$ssl_curves`: the client's list, as it came
    SslCurves,
    /// `$ssl_early_data`: always empty; we never accept it
    SslEarlyData,
    /// `$ssl_protocol`
    SslProtocol,
    /// `$ssl_server_name`
    SslServerName,
    /// `$ssl_session_reused`
    SslSessionReused,
    /// `$status`: log only.
    Status,
    /// `$time_iso8601`: log only.
    TimeIso8601,
    /// `$time_local`: log only.
    TimeLocal,
    /// `$trace_id`
    TraceId,
    /// `$traceparent`
    Traceparent,
    /// `$tracestate`
    Tracestate,
    /// `$upstream_addr`: log only.
    UpstreamAddr,
    /// `$upstream_connect_time`: log only.
    UpstreamConnectTime,
    /// `$upstream_header_time`: log only.
    UpstreamHeaderTime,
    /// `$upstream_queue_time`: log only.
    UpstreamQueueTime,
    /// `$upstream_response_time`: log only.
    UpstreamResponseTime,
    /// `$upstream_connect_time_ms`: the sum over the tries, in whole milliseconds; log only.
    UpstreamConnectTimeMs,
    /// `$upstream_header_time_ms`: the sum over the tries, in whole milliseconds; log only.
    UpstreamHeaderTimeMs,
    /// `$upstream_response_time_ms`: the sum over the tries, in whole milliseconds; log only.
    UpstreamResponseTimeMs,
    /// `$upstream_status`: log only.
    UpstreamStatus,
    /// `$uri`: the path, normalised.
    Uri,
}

/// How long a variable's value stays the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// As long as the client's connection: it may be rendered once and kept.
    Connection,
    /// For one request.
    Request,
    /// Known (or fit to be written) only when the request is over: for the access log alone.
    Log,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_variables_alternate() {
        let template = parse("a $$1 $scheme://${host}x$uri").unwrap();
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(
            template.pieces,
            [
                text("a $1 "),
                Piece::Variable(Variable::Scheme),
                text("://"),
                Piece::Variable(Variable::Host),
                text("x"),
                Piece::Variable(Variable::Uri),
            ]
        );
        assert_eq!(parse(&template.to_string()).unwrap(), template);
    }

    #[test]
    fn faults_name_their_place() {
        let fault = |text| parse(text).map_err(|error| (error.offset, error.len, error.cause));
        assert_eq!(fault("a $"), Err((2, 1, TemplateCause::BareDollar)));
        assert_eq!(fault("a $ b"), Err((2, 1, TemplateCause::BareDollar)));
        assert_eq!(fault("${scheme"), Err((0, 1, TemplateCause::Unclosed)));
        assert_eq!(fault("x$shceme."), Err((1, 7, TemplateCause::UnknownVariable)));
        assert_eq!(fault("x${shceme}."), Err((1, 9, TemplateCause::UnknownVariable)));
        assert_eq!(fault("$ssl_session_id"), Err((0, 15, TemplateCause::SessionId)));
    }
}
